// What serving the traffic takes: bench/summary/costs.py, bench/cost/choice.py and bench/cost/words.py once more.

/** {traffic, servers: one bill each, chosen: a place or null, reason, breakEven}. */
function costsOf(rows, data, asked) {
  const traffic = { ...data.traffic, rate: asked.traffic, headroom: asked.headroom, mean_rate: asked.traffic === data.traffic.rate ? data.traffic.mean_rate : null };
  const stand = data.servers.map((_, at) => standsOn(rows.filter((row) => row.at === at), data));
  const levels = [false, true].map((apart) => levelled(stand.filter((row) => row && Boolean(row.other) === apart)));
  const level = new Map([...levels[0], ...levels[1]]);
  const servers = data.servers.map((server, at) => billOf(at, rows.filter((row) => row.at === at), data, traffic, asked.perHour[at], level));
  for (const bill of servers) bill.tail = stand[bill.at] ? sloTime(stand[bill.at]) : Infinity;
  const running = servers.filter((bill) => bill.contends);
  const chosen = cheapestOf(running, traffic);
  const options = running.filter((bill) => bill.usable !== null).map((bill) => ({ usable: bill.usable, perHour: bill.perHour }));
  const stretches = cheapestByRate(options, traffic.spare_replicas);
  return {
    traffic, servers,
    chosen: chosen === null ? null : running[chosen].at,
    reason: chosen === null ? nobody(servers, traffic) : "",
    breakEven: breakEvenText(stretches, running.map((bill) => bill.name)),
  };
}

function billOf(at, own, data, traffic, perHour, level) {
  const server = data.servers[at];
  let { capacity, absent } = sizing(own, server, data, level);
  const low = absent || !capacity ? null : capacity.low;
  const usable = usableRate(low, traffic.headroom);
  if (!absent && !known(perHour)) absent = "no price in the scenario";
  const bill = { at, name: server.cost_name, other: server.other, absent, contends: false, capacity, perHour, usable, replicas: null, apart: false, month: null, million: null, millionLow: null, verdict: null, reason: known(perHour) ? server.cost_reason : "" };
  if (absent || low === null || usable === null) return bill;
  bill.verdict = server.cost_verdict;
  bill.contends = bill.verdict !== "INVALID" && !server.other;
  bill.apart = bill.verdict !== "INVALID" && Boolean(server.other);
  if (!known(traffic.rate)) {
    bill.month = perHour * traffic.hours_per_month;
    bill.million = perMillion(perHour, usable);
    bill.millionLow = perMillion(perHour, usableRate(capacity.high, traffic.headroom));
    return bill;
  }
  const mean = known(traffic.mean_rate) ? traffic.mean_rate : traffic.rate;
  const count = replicasInAll(capacity.low, traffic), fewest = replicasInAll(capacity.high, traffic);
  if (count === null) return { ...bill, apart: false, absent: `${rateText(traffic.rate)} takes more than ${countText(traffic.most_replicas)} replicas, the most allowed` };
  return { ...bill, replicas: count, month: count * perHour * traffic.hours_per_month, million: perMillion(count * perHour, mean), millionLow: fewest === null ? null : perMillion(fewest * perHour, mean) };
}

/** The highest open-loop load point that shows what a server serves. */
function standsOn(own, data) {
  const met = own.filter((row) => row.ok && row.verdict !== "INVALID" && data.even.includes(row.profile) && row.met && row.n >= data.needs && row.goodput);
  return met.length ? met.reduce((a, b) => ((b.rate || 0) > (a.rate || 0) ? b : a)) : null;
}

/** The capacity that a server is sized by; without a search the highest load point within the SLO, levelled. */
function sizing(own, server, data, level) {
  const searched = own.find((row) => row.profile === "capacity" && row.capacity);
  if (searched && searched.verdict !== "INVALID") {
    const found = searched.capacity;
    if (found.low !== null) return { capacity: found, absent: "" };
    if (found.high !== null) return { capacity: found, absent: `capacity ${capacityText(found)}: no rate was found at which it meets the SLO` };
  }
  const best = standsOn(own, data);
  if (best) {
    const rate = level.has(best.at) ? level.get(best.at) : best.goodput;
    return { capacity: { value: rate, low: rate, high: null }, absent: "" };
  }
  return { capacity: null, absent: unsized(own, server) };
}

function unsized(own, server) {
  const measured = own.filter((row) => row.ok);
  if (!measured.length) return server.cost_absent || "not measured";
  if (measured.every((row) => !isOpen(row))) return "measured in closed loop only, which tells no arrival rate";
  if (measured.filter(isOpen).every((row) => row.verdict === "INVALID")) return "no open-loop measurement of it is valid";
  return "no open-loop load point met the SLO";
}

function replicasInAll(capacity, traffic) {
  const usable = usableRate(capacity, traffic.headroom);
  if (usable === null || !known(traffic.rate) || traffic.rate / usable > traffic.most_replicas) return null;
  const count = replicasFor(traffic.rate, usable) + traffic.spare_replicas;
  return count <= traffic.most_replicas ? count : null;
}

function cheapestOf(running, traffic) {
  const costs = running.map((bill) => {
    if (bill.usable === null) return Infinity;
    if (!known(traffic.rate)) return bill.perHour / bill.usable;
    return bill.replicas === null ? Infinity : bill.replicas * bill.perHour;
  });
  const least = Math.min(...costs);
  if (!Number.isFinite(least)) return null;
  const same = costs.flatMap((cost, place) => (cost <= least * (1 + SAME) ? [place] : []));
  const outdoes = (a, b) => a.capacity.low - b.capacity.low || b.tail - a.tail || 0;
  return same.reduce((a, b) => (outdoes(running[b], running[a]) > 0 ? b : a));
}

function nobody(servers, traffic) {
  const within = servers.filter((bill) => bill.usable !== null && !bill.other);
  if (!within.length) return "no server was found to meet the SLO at any arrival rate";
  if (known(traffic.rate) && within.some((bill) => bill.contends)) return `no server reaches ${rateText(traffic.rate)} with ${countText(traffic.most_replicas)} replicas, the most allowed`;
  return "no server that meets the SLO has a price that can be compared";
}

function billText(bill, traffic) {
  if (bill.month === null || bill.million === null) return bill.absent;
  const most = bill.millionLow === null ? "at most " : "";
  const month = dollarsText(bill.month), million = dollarsText(bill.million);
  if (!known(traffic.rate)) return `${month} a month for one replica, ${most}${million} per million requests`;
  return `${bill.replicas} replica${bill.replicas === 1 ? "" : "s"}, ${most}${month} a month, ${million} per million requests`;
}

function shortRate(rate) { return short(rateText(rate)); }

function breakEvenText(stretches, names) {
  if (!stretches.length || names.length < 2) return "";
  const always = names.map((_, place) => place).filter((place) => stretches.every((each) => each[2].includes(place)));
  if (always.length) return alwaysText(stretches, names, always);
  const alone = stretches.filter((each) => each[2].length === 1);
  if (stretches.length === 2 && alone.length === 2) return `${names[stretches[0][2][0]]} is cheapest up to ${shortRate(stretches[0][1])}, ${names[stretches[1][2][0]]} above.`;
  const first = stretches[0], last = stretches.at(-1);
  const ends = first[2].length === 1 && last[2].length === 1 && first[2][0] !== last[2][0] && last[1] === null;
  if (ends && stretches.length > 4) return `${names[first[2][0]]} is cheapest up to ${shortRate(first[1])}, ${names[last[2][0]]} above ${shortRate(last[0])}; in between, whole replicas turn it ${stretches.length - 1} times.`;
  const parts = [];
  for (const place of new Set(stretches.flatMap((each) => each[2]))) {
    const own = stretches.filter((each) => each[2].includes(place));
    if (own.length > 1 || own.some((each) => each[2].length === 1)) parts.push(`${names[place]} ${rangesText(own)}`);
  }
  const same = stretches.some((each) => each[2].length > 1) ? " Where two are named for a rate, they cost the same." : "";
  const end = stretches.at(-1)[1];
  return `Cheapest: ${parts.join("; ")}.${same}${end === null ? "" : ` Looked at up to ${shortRate(end)}; it goes on changing above.`}`;
}

function alwaysText(stretches, names, always) {
  const winners = listed(always.map((place) => names[place])), end = stretches.at(-1)[1];
  const looked = end === null ? "" : ` up to ${shortRate(end)}`;
  if (always.length > 1) return `${winners} cost the same at every rate${looked}${always.length === names.length ? "" : "; no other server costs less"}.`;
  const tied = stretches.filter((each) => each[2].length > 1);
  if (!tied.length) return `${winners} is cheapest at every rate${looked}.`;
  const others = [...new Set(tied.flatMap((each) => each[2]).filter((place) => !always.includes(place)))];
  const parts = others.map((other) => `${names[other]} costs the same ${rangesText(tied.filter((each) => each[2].includes(other)))}`);
  return `No server is cheaper than ${winners} at any rate${looked}; ${parts.join(", ")}.`;
}

function listed(names) {
  if (names.length > 5) return `${names.slice(0, 4).join(", ")} and ${names.length - 4} more`;
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function rangesText(stretches) {
  const joined = [];
  for (const [above, upTo] of stretches) {
    if (joined.length && joined.at(-1)[1] === above) joined.at(-1)[1] = upTo;
    else joined.push([above, upTo]);
  }
  const range = ([above, upTo]) => {
    if (upTo === null) return above ? `above ${shortRate(above)}` : "at every rate";
    if (shortRate(above) === shortRate(upTo)) return `around ${shortRate(upTo)}`;
    return above ? `from ${shortRate(above)} to ${shortRate(upTo)}` : `up to ${shortRate(upTo)}`;
  };
  if (joined.length > 3) return `${range(joined[0])}, in ${joined.length - 2} ranges after that, and ${range(joined.at(-1))}`;
  const said = joined.map(range);
  return said.length === 1 ? said[0] : `${said.slice(0, -1).join(", ")} and ${said.at(-1)}`;
}
