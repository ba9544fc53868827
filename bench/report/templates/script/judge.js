// Rows judged by another limit and other prices: bench/summary/again.py once more, and the ranking of bench/answer.py.


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
  return { ...row, goodput, met, look, cost: known(price) ? { value: perMillion(price, goodput), low: null, high: null } : null };
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
  if (priced.length) return priced.sort((a, b) => costOf(a) - costOf(b) || (b.goodput || 0) - (a.goodput || 0));
  return rows.sort((a, b) => (b.goodput || 0) - (a.goodput || 0));
}

/** What does other work than the model on purpose is ranked among its like, and never the choice. */
function ranking(rows, data, costs, apart = false) {
  const enough = trustedRows(rows).filter((row) => Boolean(row.other) === apart && row.met && row.n >= data.needs);
  return rankedRows(bestPoints(oneLoop(enough)), costs);
}
