// Rows judged by another limit and other prices: bench/summary/again.py once more, and bench/summary/ranking.py.


/** Every row under what is asked: {limit, perHour: one price or null for each server}. */
function judged(data, asked) {
  const place = data.limits.indexOf(asked.limit);
  const looks = data.looks.map((row) => judgedRow(row, data, asked, place));
  return data.rows.map((row) => (row.look ? searchedRow(row, looks, data, asked) : judgedRow(row, data, asked, place)));
}

function judgedRow(row, data, asked, place) {
  if (!row.ok || row.within === undefined) return { ...row, cost: null };
  const goodput = row.seconds > 0 ? row.within[place] / row.seconds : null;
  const met = row.n ? row.judged !== null && row.judged <= asked.limit && (row.errors || 0) <= data.error_limit : null;
  const price = asked.perHour[row.at];
  const look = row.look ? { ...lookAgain(row, data, asked.limit), rate: row.rate } : null;
  return { ...row, goodput, met, look, inSlo: row.due ? row.due[place] : null, cost: known(price) ? { value: perMillion(price, goodput), low: null, high: null } : null };
}

function searchedRow(row, looks, data, asked) {
  const own = looks.filter((each) => each.at === row.at && each.label === row.label);
  const capacity = capacityOf(own.map((each) => ({ ...each.look, rate: each.rate })), data);
  const stands = standing(own, capacity), price = asked.perHour[row.at];
  const most = known(price) && capacity.low !== null ? perMillion(price, capacity.low) : null;
  const cost = most !== null ? { value: most, low: perMillion(price, capacity.high), high: most } : stands.cost;
  return { ...stands, capacity, cost };
}

function standing(seen, capacity) {
  const sound = seen.filter((row) => row.ok).length ? seen.filter((row) => row.ok) : seen;
  const met = sound.filter((row) => row.look && row.look.result === "met");
  const within = met.filter((row) => capacity.value === null || row.rate <= capacity.value);
  if (within.length) return within.reduce((best, row) => (row.rate > best.rate ? row : best));
  const missed = sound.filter((row) => row.look && row.look.result === "missed");
  const rest = met.length ? met : missed.length ? missed : sound;
  return rest.reduce((best, row) => (row.rate < best.rate ? row : best));
}

function costOf(row) { return row.cost ? row.cost.value : null; }
function isOpen(row) { return row.users === null; }
function trustedRows(rows) { return rows.filter((row) => row.ok && row.verdict !== "INVALID"); }
function oneLoop(rows) { const open = rows.filter(isOpen); return open.length ? open : rows; }

function loadOf(row) { return known(row.rate) ? row.rate : row.users || 0; }

/** A capacity search says more than any one load point; open loop more than closed. */
function outdoes(row, other) {
  const rank = (each) => [Number(isOpen(each)), Number(each.profile === "capacity"), loadOf(each)];
  const [ours, theirs] = [rank(row), rank(other)];
  const place = ours.findIndex((value, i) => value !== theirs[i]);
  return place >= 0 && ours[place] > theirs[place];
}

/** Of each server the row with the highest offered load, by the server's place. */
function bestPoints(rows) {
  const best = new Map();
  for (const row of rows) if (!best.has(row.at) || outdoes(row, best.get(row.at))) best.set(row.at, row);
  return best;
}

function rankedRows(best, costs) {
  const rows = [...best.values()];
  const priced = rows.filter((row) => costOf(row) !== null && costs.servers[row.at].verdict !== "INVALID");
  if (priced.length && known(costs.traffic.rate)) {
    const billed = priced.filter((row) => (costs.servers[row.at].contends || costs.servers[row.at].apart) && costs.servers[row.at].month !== null);
    if (billed.length) return billed.sort((a, b) => (a.at !== costs.chosen) - (b.at !== costs.chosen) || costs.servers[a.at].month - costs.servers[b.at].month);
  }
  const shown = priced.length ? priced : rows, level = levelled(shown);
  return shown.sort((a, b) => compareStandings(standingOf(a, level), standingOf(b, level)) || sloTime(a) - sloTime(b) || 0);
}

/** Cost at the goodput that servers share, rounded so that equal prices stay equal, and that goodput negated: less is better. */
function standingOf(row, level) {
  const goodput = level.get(row.at) || 0, cost = costOf(row) || 0;
  return [goodput ? Number((cost * (row.goodput || 0) / goodput).toPrecision(9)) : cost, -goodput];
}

function compareStandings(a, b) { return a[0] - b[0] || a[1] - b[1]; }

/** Those after the first that served the same load alike, at no other cost: response time put it first. */
function tiedWithFirst(ranked) {
  const level = levelled(ranked), first = ranked[0];
  return ranked.slice(1).filter((row) => alike(first, row) && !compareStandings(standingOf(first, level), standingOf(row, level)));
}

/** bench/summary/ties.py once more: goodput by the server's place, the lowest for all that served one load alike. */
function levelled(rows) {
  const share = (row) => (known(row.inSlo) && row.n ? row.inSlo / row.n : 0), found = new Map();
  let left = rows.filter((row) => row.goodput !== null).sort((a, b) => share(b) - share(a));
  while (left.length) {
    const group = left.filter((row) => row === left[0] || alike(left[0], row));
    const level = Math.min(...group.map((row) => row.goodput));
    for (const row of group) found.set(row.at, level);
    left = left.filter((row) => !group.includes(row));
  }
  return found;
}

function alike(one, other) {
  if (one.label !== other.label || [one, other].some((row) => row.users !== null || row.profile === "capacity")) return false;
  const ours = shareInterval(one), theirs = shareInterval(other);
  return ours !== null && theirs !== null && ours[0] <= theirs[1] && theirs[0] <= ours[1];
}

function shareInterval(row) {
  if (!known(row.inSlo) || !row.n) return null;
  const share = row.inSlo / row.n, square = (1.96 * 1.96) / row.n, middle = share + square / 2;
  const half = Math.sqrt(square * (share * (1 - share) + square / 4));
  return [(middle - half) / (1 + square), (middle + half) / (1 + square)];
}

function sloTime(row) { return known(row.judged) ? row.judged : Infinity; }

function overlapping(one, other) {
  if (!one.judged_band || !other.judged_band) return sloTime(one) === sloTime(other);
  const end = (high) => (high === null ? Infinity : high);
  return (one.judged_band[0] || 0) <= end(other.judged_band[1]) && (other.judged_band[0] || 0) <= end(one.judged_band[1]);
}

/** What does other work than the model on purpose is ranked among its like, and never the choice. */
function ranking(rows, data, costs, apart = false) {
  const enough = trustedRows(rows).filter((row) => Boolean(row.other) === apart && row.met && row.n >= data.needs);
  return rankedRows(bestPoints(oneLoop(enough)), costs);
}
