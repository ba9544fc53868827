// Whole replicas and the staircases they make: bench/cost/steps.py once more.

const SAME = 1e-9, MOST_EDGES = 20000, EVEN_STEPS = 50;

function usableRate(capacity, headroom) {
  if (!known(capacity) || !Number.isFinite(capacity)) return null;
  const usable = capacity * (1 - headroom);
  return usable > 0 ? usable : null;
}

/** The fewest whole replicas, one at least, whose usable rates together reach the rate; without spares. */
function replicasFor(rate, usable) {
  let count = Math.max(1, Math.ceil(rate / usable));
  while (count * usable < rate) count++;
  while (count > 1 && (count - 1) * usable >= rate) count--;
  return count;
}

function perMillion(perHour, rate) {
  return known(rate) && Number.isFinite(rate) && rate > 0 ? (1e6 * perHour) / (3600 * rate) : null;
}

/** [above, upTo, places of the cheapest] from 0 on; an upTo of null is every rate beyond. Options: {usable, perHour}. */
function cheapestByRate(options, spare) {
  if (!options.length) return [];
  const settled = settledAt(options, spare);
  let reach = settled ? settled[1] : EVEN_STEPS * Math.max(...options.map((option) => option.usable));
  reach = Math.min(reach, MOST_EDGES / options.reduce((sum, option) => sum + 1 / option.usable, 0));
  const found = [];
  let above = 0;
  for (const edge of edgesOf(options, reach)) {
    if (edge - above <= SAME * edge) continue;
    const cheapest = cheapestAt(edge, options, spare), last = found.at(-1);
    if (last && String(last[2]) === String(cheapest)) last[1] = edge;
    else found.push([above, edge, cheapest]);
    above = edge;
  }
  if (settled && reach === settled[1]) {
    const last = found.at(-1);
    if (last && String(last[2]) === String([settled[0]])) last[1] = null;
    else found.push([above, null, [settled[0]]]);
  }
  return found;
}

function cheapestAt(rate, options, spare) {
  const costs = options.map((option) => (replicasFor(rate, option.usable) + spare) * option.perHour);
  const least = Math.min(...costs);
  return costs.flatMap((cost, place) => (cost <= least * (1 + SAME) ? [place] : []));
}

function settledAt(options, spare) {
  const slopes = options.map((option) => option.perHour / option.usable);
  const winner = slopes.indexOf(Math.min(...slopes)), best = options[winner];
  let beyond = 0;
  for (const [place, other] of options.entries()) {
    if (place === winner) continue;
    const gain = slopes[place] - slopes[winner];
    if (gain <= SAME * slopes[place]) return null;
    beyond = Math.max(beyond, (best.perHour * (1 + spare) - other.perHour * spare) / gain);
  }
  return [winner, beyond];
}

function edgesOf(options, reach) {
  const edges = new Set();
  for (const option of options) for (let n = 1; n <= Math.max(1, Math.ceil(reach / option.usable)); n++) edges.add(n * option.usable);
  const last = Math.max(...edges);
  for (const option of options) for (let n = Math.ceil(reach / option.usable) + 1; n <= Math.floor(last / option.usable); n++) edges.add(n * option.usable);
  return [...edges].sort((a, b) => a - b);
}

/** The corners of one staircase from 0 to a rate, in 1/s and dollars a month. */
function stairsOf(option, traffic, upTo) {
  const count = replicasFor(upTo, option.usable), corners = [];
  for (let n = 1; n <= count; n++) {
    const month = (n + traffic.spare_replicas) * option.perHour * traffic.hours_per_month;
    corners.push([(n - 1) * option.usable, month], [Math.min(n * option.usable, upTo), month]);
  }
  return corners;
}
