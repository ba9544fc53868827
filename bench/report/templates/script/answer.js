// The sentence that answers the question: bench/answer.py once more.

function answerOf(rows, data, limit, costs) {
  const own = rows.filter((row) => !row.other), rounded = rows.filter((row) => row.other && row.ok);
  const nothing = "Nothing that does the model's own work was measured, so there is nothing to choose.";
  const said = rounded.length && !own.some((row) => row.ok) ? nothing : chosenOf(own, data, limit, costs);
  return rounded.length ? `${said} ${bestOfOthers(rounded, data, costs)}` : said;
}

function bestOfOthers(rows, data, costs) {
  const best = ranking(rows, data, costs, true)[0];
  if (!best) return `Of those that do other work than the model none is ranked: ${[...new Set(rows.map((row) => serverOf(row, data)))].join(", ")}.`;
  const goodput = tiedWithFirst(ranking(rows, data, costs, true)).length ? `the lowest ${tailName(data)} where the same is served` : "the highest goodput";
  const cost = costOf(best), why = cost !== null ? "the cheapest" : `the one with ${goodput}`;
  const latency = best.nearest !== null ? ` with a ${tailName(data)} of ${durationText(best.nearest)}` : "";
  const spent = cost !== null ? `, for ${dollarsOf(best)} per million requests` : "";
  const doubt = best.verdict === "SUSPECT" ? ` This is SUSPECT: ${firstReason(best)}.` : "";
  return `Of those that do other work than the model, ${serverOf(best, data)} is ${why}: at ${loadText(best)} it serves ${rateText(best.goodput)} within the SLO${latency}${spent} (${best.other}; ${best.agreement}).${doubt}`;
}

function chosenOf(rows, data, limit, costs) {
  const measured = rows.filter((row) => row.ok);
  if (!measured.length) return "Nothing was measured, so there is nothing to choose.";
  const trusted = trustedRows(rows);
  if (!trusted.length) return `No measurement is valid, so none is ranked: ${serverOf(measured[0], data)}, ${firstReason(measured[0])}.`;
  const within = trusted.filter((row) => row.met);
  if (!within.length) return `No server met ${sloText(data, limit)} at any load point that was measured${nearestMiss(trusted, data)}.`;
  const enough = within.filter((row) => row.n >= data.needs);
  if (!enough.length) return tooThin(bestPoints(within), data, costs);
  const best = bestPoints(oneLoop(enough)), ranked = rankedRows(best, costs), rate = costs.traffic.rate;
  if (known(rate) && costs.chosen === null) return `No server can be chosen for ${shortRate(rate)}: ${costs.reason}.`;
  const bill = costs.servers[ranked[0].at].contends ? costs.servers[ranked[0].at] : null;
  if (bill && known(rate)) return [choiceForTraffic(ranked[0], bill, data, limit, costs), ...rivals(ranked, costs, data)].join(" ");
  const tied = tiedWithFirst(ranked), sentences = [...levelText(ranked[0], tied, data), ...beside(ranked[0], tied, best, trusted, data)];
  return [choice(ranked[0], data, limit, bill, tied.length + 1), ...sentences].join(" ");
}

function serverOf(row, data) { return data.servers[row.at].server; }
function firstReason(row) { return row.reason || "no reason recorded"; }
function tailName(data) { return `p${data.percentile}`; }
function sloText(data, limit) { return `a ${tailName(data)} of ${durationText(limit).replaceAll(".00 ", " ")}`; }

function doubtOf(row, bill) {
  const doubts = row.verdict === "SUSPECT" ? [firstReason(row)] : [];
  if (bill && bill.verdict === "SUSPECT") doubts.push(bill.reason);
  return doubts.length ? ` This is SUSPECT: ${doubts.join("; ")}.` : "";
}

function choiceForTraffic(row, bill, data, limit, costs) {
  const spare = `${percentText(costs.traffic.headroom)} headroom, ${costs.traffic.spare_replicas} spare`;
  const each = `one serves ${capacityText(bill.capacity)} within it`;
  return `Choose ${serverOf(row, data)}, the cheapest of those that meet ${sloText(data, limit)} for ${shortRate(costs.traffic.rate)}: ${billText(bill, costs.traffic)} (${each}; ${spare}).${doubtOf(row, bill)}`;
}

function rivals(ranked, costs, data) {
  const said = [];
  const second = ranked.length > 1 ? costs.servers[ranked[1].at] : null;
  if (second && second.contends) said.push(`${serverOf(ranked[1], data)} takes ${billText(second, costs.traffic)}.`);
  return costs.breakEven ? [...said, costs.breakEven] : said;
}

function choice(row, data, limit, bill, same) {
  const cost = costOf(row), tail = row.nearest;
  const around = data.percentile === 95 && row.tail_band ? ` (${row.tail_band[0]} to ${row.tail_band[1]})` : "";
  const latency = tail !== null ? ` with a ${tailName(data)} of ${durationText(tail)}${around}` : "";
  const where = row.profile === "capacity" ? " at the lower end of its capacity" : "";
  const spent = cost !== null ? `, for ${dollarsOf(row)} per million requests${where}` : "";
  const goodput = same > 1 ? `the lowest ${tailName(data)} of the ${same} that serve the same within` : "the highest goodput of those that meet";
  const why = cost !== null ? "the cheapest of those that meet" : goodput;
  const met = `at ${loadText(row)} it serves ${rateText(row.goodput)} within the SLO`;
  return `Choose ${serverOf(row, data)}, ${why} ${sloText(data, limit)}: ${met}${latency}${spent}.${doubtOf(row, bill)}`;
}

function dollarsOf(row) {
  const cost = row.cost;
  if (!cost || cost.low === null || cost.high === null) return dollarsText(costOf(row));
  return `${dollarsText(cost.value)} (${dollarsText(cost.low)} to ${dollarsText(cost.high)})`;
}

/** Who served the same, for the same, and whether the response time that decided tells them apart. */
function levelText(winner, tied, data) {
  if (!tied.length) return [];
  const close = tied.filter((row) => overlapping(winner, row)), same = costOf(winner) === null ? "" : " at the same cost";
  if (!close.length) return [`Next${same} is ${serverOf(tied[0], data)} with a ${tailName(data)} of ${durationText(sloTime(tied[0]))}.`];
  const time = `${close.length === 1 ? "" : "up to "}${durationText(sloTime(close.at(-1)))}`;
  const names = listed(close.map((row) => serverOf(row, data))), come = close.length === 1 ? "comes" : "come";
  return [`${names}, with a ${tailName(data)} of ${time}${same}, ${come} too close to tell apart.`];
}

function beside(winner, tied, best, trusted, data) {
  const said = [], naive = naiveOf(winner, trusted, data);
  if (naive !== null && !tied.some((row) => row.at === naive)) said.push(best.has(naive) ? compared(winner, naive, best.get(naive), data) : uncompared(naive, trusted, winner, data));
  if (costOf(winner) === null) return [...said, "No server has a price, so cost was not compared."];
  const unpriced = [...best.values()].filter((row) => costOf(row) === null).map((row) => serverOf(row, data));
  if (unpriced.length) said.push(`Without a price, so not ranked: ${unpriced.join(", ")}.`);
  return said;
}

function naiveOf(winner, trusted, data) {
  const measured = new Set(trusted.map((row) => row.at));
  const candidates = data.servers.map((_, at) => at).filter((at) => measured.has(at));
  if (!candidates.length) return null;
  const flask = candidates.find((at) => data.servers[at].kind === "flask");
  const naive = flask === undefined ? candidates[0] : flask;
  return naive === winner.at ? null : naive;
}

/** Why the naive server has no figure beside the choice: it missed the SLO, or met it with too few requests. */
function uncompared(naive, trusted, winner, data) {
  const name = data.servers[naive].server, loop = isOpen(winner) ? "open" : "closed";
  const row = bestPoints(trusted.filter((each) => each.met && isOpen(each) === isOpen(winner))).get(naive);
  if (!row) return `${name} met the SLO at no ${loop}-loop load point.`;
  const requests = `${countText(row.n)} request${row.n === 1 ? "" : "s"}`;
  return `${name} met the SLO at ${loadText(row)}, but with ${requests}, fewer than the ${countText(data.needs)} that ${tailName(data)} needs, so it is not ranked.`;
}

function compared(winner, naive, row, data) {
  const name = data.servers[naive].server;
  const at = `at ${loadText(row)}, the highest load at which it met the SLO`, ours = costOf(winner), theirs = costOf(row);
  if (ours !== null && theirs !== null) {
    const times = theirs >= ours ? `${fixed(theirs / ours, 1)} times as much` : `${percentText(theirs / ours)} of it`;
    return `${name} costs ${dollarsText(theirs)}, ${times}, ${at}.`;
  }
  return `${name} serves ${rateText(row.goodput)} within the SLO ${at}.`;
}

function tooThin(best, data, costs) {
  const leader = rankedRows(best, costs)[0];
  return `The evidence is too thin to choose: ${tailName(data)} needs ${countText(data.needs)} requests at a load point and no row within the SLO has them (${serverOf(leader, data)}, the best so far, has ${countText(leader.n)} at ${loadText(leader)}). Make the durations longer or the trials more.`;
}

function nearestMiss(trusted, data) {
  const rows = trusted.filter((row) => row.nearest !== null);
  if (!rows.length) return "";
  const row = rows.reduce((best, each) => (each.nearest < best.nearest ? each : best));
  const errors = row.errors ? ` and ${percentText(row.errors)} errors` : "";
  return `; the nearest was ${serverOf(row, data)} at ${loadText(row)} with a ${tailName(data)} of ${durationText(row.nearest)}${errors}`;
}

function loadText(row) {
  if (known(row.rate)) {
    const rate = `${short(rateText(row.rate)).replace(/\/s$/, "")} requests/s`;
    if (row.profile === "capacity") return `${rate} (capacity ${capacityText(row.capacity, ", ")})`;
    return row.profile === "poisson" || row.profile === "constant" ? rate : `${rate} on average (${row.label})`;
  }
  return row.users ? `${row.users} user${row.users === 1 ? "" : "s"} in closed loop` : row.label;
}
