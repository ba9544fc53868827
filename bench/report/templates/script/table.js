// The comparison's lines under what is asked: bench/report/view/standing.py once more.

const COLUMNS = [["load", ""], ["n", ""], ["alone", "lower"], ["tail", "lower"], ["goodput", "higher"], ["capacity", "higher"], ["cost", "lower"], ["times", ""], ["verdict", ""]];

function linesOf(rows, data, costs) {
  const groups = [false, true].map((apart) => withBest(groupOf(rows, data, costs, apart)));
  return groups.flat().sort((a, b) => Boolean(a.absent) - Boolean(b.absent) || a.apart - b.apart);
}

function groupOf(rows, data, costs, apart) {
  const ranked = ranking(rows, data, costs, apart);
  const spent = ranked.map(costOf).filter((cost) => cost !== null), cheapest = spent.length ? Math.min(...spent) : undefined;
  const lines = data.servers.map((server, at) => ({ server, at })).filter((each) => Boolean(each.server.other) === apart).map(({ server, at }) => {
    const own = rows.filter((row) => row.at === at && row.ok);
    const place = ranked.findIndex((row) => row.at === at) + 1;
    const row = place ? ranked[place - 1] : server.absent ? null : nearestRow(own);
    const why = server.absent || place ? "" : whyUnranked(own, data, costs.servers[at]);
    const capacity = rows.filter((each) => each.at === at && each.capacity).map((each) => each.capacity)[0] || costs.servers[at].capacity || null;
    return { at, name: server.name, place, why, absent: server.absent, apart, accuracy: server.accuracy, row, cells: row ? cellsOf(server, row, capacity, cheapest) : {} };
  });
  return lines.sort((a, b) => Boolean(a.absent) - Boolean(b.absent) || (a.place === 0) - (b.place === 0) || a.place - b.place);
}

function nearestRow(own) {
  const valid = own.filter((row) => row.verdict !== "INVALID"), trusted = valid.length ? valid : own;
  const met = trusted.filter((row) => row.met);
  if (met.length) return met.reduce((best, row) => (isOpen(row) > isOpen(best) || (isOpen(row) === isOpen(best) && (row.rate || row.users || 0) > (best.rate || best.users || 0)) ? row : best));
  const told = trusted.filter((row) => row.tail !== null);
  return told.length ? told.reduce((best, row) => (row.tail < best.tail ? row : best)) : trusted[0];
}

function whyUnranked(own, data, bill) {
  const trusted = own.filter((row) => row.verdict !== "INVALID");
  if (!trusted.length) return `INVALID: ${firstReason(own[0])}`;
  const met = trusted.filter((row) => row.met);
  if (!met.length) return "misses the SLO at every load";
  const enough = met.filter((row) => row.n >= data.needs);
  if (!enough.length) return `meets the SLO, but with fewer than ${countText(data.needs)} requests`;
  if (!enough.some(isOpen)) return "meets the SLO in closed loop only";
  return `meets the SLO, but not ranked: ${bill.verdict === "INVALID" ? bill.reason : bill.absent || "no price"}`;
}

function cell(text, note = "", value = null) { return { text, note, value, best: false }; }

function spanOf(band, text) { return band && band.low !== null && band.high !== null ? `${text(band.low)} to ${text(band.high)}` : ""; }

function cellsOf(server, row, capacity, cheapest) {
  const spent = costOf(row), times = known(cheapest) && cheapest && spent !== null && row.met ? spent / cheapest : null;
  const whole = capacity && capacity.value !== null && capacity.low !== null && capacity.high !== null;
  const loadNote = row.profile === "capacity" ? "of its search" : isOpen(row) ? "" : "closed loop";
  const load = row.users !== null ? `${countText(row.users)} user${row.users === 1 ? "" : "s"}` : row.rate === null ? row.label : short(rateText(row.rate));
  return {
    load: cell(load, loadNote, row.rate || row.users),
    n: cell(countText(row.n), row.trials > 1 ? `${row.trials} trials` : "", row.n),
    alone: cell(durationText(server.alone), "", server.alone),
    tail: cell(row.tail_text, row.tail_band ? row.tail_band.join(" to ") : "", row.tail),
    goodput: cell(rateText(row.goodput), "", row.goodput),
    capacity: cell(whole ? rateText(capacity.value) : capacityText(capacity), whole ? spanOf(capacity, rateText) : "", capacity && capacity.high !== null ? capacity.value : null),
    cost: cell(dollarsText(spent), spanOf(row.cost, dollarsText), spent),
    times: cell(ratioText(times), "", times),
    verdict: cell(row.verdict || "-", row.met === false ? "SLO missed" : ""),
  };
}

function withBest(lines) {
  const ranked = lines.filter((line) => line.place);
  const oneLoad = new Set(ranked.map((line) => line.row.label)).size === 1 && ranked.every((line) => !line.row.look);
  for (const [slug, better] of COLUMNS) {
    const values = ranked.map((line) => line.cells[slug].value).filter(known);
    if (!better || new Set(values).size < 2 || (slug === "tail" && !oneLoad)) continue;
    const best = better === "lower" ? Math.min(...values) : Math.max(...values);
    for (const line of ranked) line.cells[slug].best = line.cells[slug].value === best;
  }
  return lines;
}
