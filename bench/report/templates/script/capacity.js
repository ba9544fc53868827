// Where the edge of a capacity search lies, given its looks: bench/capacity.py and bench/summary/searched.py again.

const EDGE_POINTS = 1201, EDGE_REACH = 4.0, EDGE_LOGIT = 1.702;

/** What a look says of its rate under a limit of response time. */
function lookAgain(row, data, limit) {
  if (!row.ok || row.within === undefined) return row.look;
  const reasons = row.reasons;
  if (data.ours.some((name) => name in reasons)) return { result: "untold", ratio: null };
  if (row.n < data.needs) return { result: "untold", ratio: null };
  const ratio = row.judged === null ? Infinity : row.judged / limit;
  const missed = ratio > 1;
  if (missed && "late-sends" in reasons && row.once_sent !== null && row.once_sent <= limit) return { result: "untold", ratio: null };
  if (missed) return { result: "missed", ratio: Number.isFinite(ratio) ? ratio : null };
  if ("errors-above-limit" in reasons || "overloaded" in reasons || row.verdict === "INVALID") return { result: "missed", ratio: null };
  return { result: "met", ratio };
}

/** {value, low, high} of the capacity in requests/s; an end that is not known is null. */
function capacityOf(looks, data) {
  const met = looks.filter((look) => look.result === "met").map((look) => look.rate);
  const missed = looks.filter((look) => look.result === "missed").map((look) => look.rate);
  if (!met.length && !missed.length) return { value: null, low: null, high: null };
  if (!missed.length) return { value: Math.max(...met), low: Math.max(...met), high: null };
  if (!met.length) return { value: null, low: null, high: Math.min(...missed) };
  const [low, value, high] = edgeOf(looks.filter((look) => look.result !== "untold"), data.edge);
  const bracket = [Math.max(...met), Math.min(...missed)];
  return { value, low: Math.min(low, ...bracket), high: Math.max(high, ...bracket) };
}

function edgeOf(looks, model) {
  const rates = looks.map((look) => Math.log(look.rate));
  const first = Math.min(...rates) - Math.log(EDGE_REACH), last = Math.max(...rates) + Math.log(EDGE_REACH);
  const step = (last - first) / (EDGE_POINTS - 1);
  const weights = new Float64Array(EDGE_POINTS), edges = new Float64Array(EDGE_POINTS);
  for (let i = 0; i < EDGE_POINTS; i++) edges[i] = i === EDGE_POINTS - 1 ? last : first + i * step;
  for (const [slope, before] of model.slopes) {
    for (const noise of model.noises) {
      for (let i = 0; i < EDGE_POINTS; i++) {
        let product = 1;
        for (let k = 0; k < looks.length; k++) product *= chance(looks[k], (slope * (rates[k] - edges[i])) / noise, noise, model);
        weights[i] += before * product;
      }
    }
  }
  let total = 0;
  const cumulative = weights.map((weight) => (total += weight));
  return [0.025, 0.5, 0.975].map((share) => Math.exp(interpolated(share, cumulative, total, edges)));
}

function chance(look, expected, noise, model) {
  if (look.ratio !== null && look.ratio >= 1 / model.near && look.ratio <= model.near) {
    const beside = Math.exp(-0.5 * (Math.log(look.ratio) / noise - expected) ** 2) / (noise * Math.sqrt(2 * Math.PI));
    return (1 - model.lapse) * beside + model.lapse / (2 * Math.log(model.near));
  }
  const missed = 1 / (1 + Math.exp(Math.min(50, Math.max(-50, -EDGE_LOGIT * expected))));
  return model.lapse + (1 - 2 * model.lapse) * (look.result === "missed" ? missed : 1 - missed);
}

function interpolated(share, cumulative, total, edges) {
  const wanted = share * total;
  let i = cumulative.findIndex((each) => each >= wanted);
  if (i <= 0) return edges[Math.max(i, 0)];
  while (i + 1 < edges.length && cumulative[i + 1] === wanted && cumulative[i] === wanted) i++;
  return edges[i - 1] + ((wanted - cumulative[i - 1]) / (cumulative[i] - cumulative[i - 1])) * (edges[i] - edges[i - 1]);
}

function capacityText(capacity, ends = "()") {
  if (!capacity || (capacity.low === null && capacity.high === null)) return "-";
  if (capacity.high === null) return `above ${rateText(capacity.low)}`;
  if (capacity.low === null) return `below ${rateText(capacity.high)}`;
  const within = `${rateText(capacity.low)} to ${rateText(capacity.high)}`;
  return ends === "()" ? `${rateText(capacity.value)} (${within})` : `${rateText(capacity.value)}${ends}${within}`;
}
