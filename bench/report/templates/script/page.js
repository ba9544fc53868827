// The page's controls, its sortable table and its copy buttons. Text goes in as text, never as markup.

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function hidden(text) { return element("span", { class: "hidden" }, text); }

const SHAPES = { VALID: "●", SUSPECT: "▲", INVALID: "○" };
const RIGHT = new Set(["n", "alone", "tail", "goodput", "capacity", "cost", "times"]);

function rowOf(line, costs) {
  const first = line.place === 1 && !line.apart && !(known(costs.traffic.rate) && costs.chosen === null);
  const said = first ? "the choice" : line.apart && line.place === 1 ? "best of its group" : line.why;
  const remark = said ? element("span", { class: line.place === 1 && said !== line.why ? "sub best-word" : "sub" }, said) : null;
  const accuracy = line.accuracy ? element("span", { class: "sub" }, line.accuracy) : null;
  const invalid = line.row && line.row.verdict === "INVALID";
  const row = element("tr", { "data-place": String(line.place), class: first ? "best" : invalid ? "invalid" : null }, element("th", { scope: "row" }, line.name, remark, accuracy));
  if (line.absent) row.append(element("td", { colspan: String(COLUMNS.length), class: "absent" }, line.absent));
  else for (const [slug] of COLUMNS) row.append(cellOf(slug, line.cells[slug]));
  return row;
}

function cellOf(slug, shown) {
  const verdict = slug === "verdict" && shown.text in SHAPES;
  const said = verdict ? element("span", { class: `verdict ${shown.text.toLowerCase()}` }, `${SHAPES[shown.text]} ${shown.text}`) : shown.text;
  const star = shown.best ? element("span", { class: "star" }, "★", hidden(" best")) : null;
  const note = shown.note ? element("span", { class: "sub" }, shown.note) : null;
  return element("td", { "data-column": slug, class: RIGHT.has(slug) ? "num" : null, "data-value": known(shown.value) ? String(shown.value) : null }, said, star ? " " : "", star, note);
}

// --- sorting and copying ---

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = element("button", { type: "button", class: "sort" }, head.textContent, element("span", { "aria-hidden": "true", class: "arrow" }));
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortRows(table, place, head.dataset.kind, down);
    });
  });
}

function sortRows(table, place, kind, down) {
  for (const body of table.tBodies) sortBody(body, place, kind, down);
}

function sortBody(body, place, kind, down) {
  const keyed = [...body.rows].filter((row) => !row.querySelector(".group")).map((row) => {
    const found = row.cells[place];
    if (!found || row.querySelector(".absent")) return { row, key: place === 0 ? row.cells[0].textContent : null };
    return { row, key: kind === "number" ? (found.dataset.value === undefined ? null : Number(found.dataset.value)) : found.textContent };
  });
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    return (typeof a.key === "number" ? a.key - b.key : a.key.localeCompare(b.key)) * (down ? -1 : 1);
  });
  body.append(...keyed.map((each) => each.row));
}

function textsOf(table) {
  const plain = (node) => [...node.childNodes].map((child) => (child.nodeType === 3 ? child.data : child.classList.contains("sub") ? ` (${plain(child)})` : child.getAttribute("aria-hidden") ? "" : plain(child))).join("").trim();
  return [...table.rows].filter((row) => !row.querySelector(".group")).map((row) => [...row.cells].map(plain).map((text) => text.replace("★ best", "★").replace(/^[●▲○] /, "")));
}

function asMarkdown(rows) {
  const clean = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/[\\`*_{}[\]#|~$]/g, "\\$&");
  const lines = rows.map((row) => `| ${row.map(clean).join(" | ")} |`);
  lines.splice(1, 0, `|${rows[0].map(() => ":--").join("|")}|`);
  return `${lines.join("\n")}\n`;
}

/** A cell that a spreadsheet would take for a formula gets an apostrophe. */
function asCsv(rows) {
  const clean = (text) => `"${(/^[=+\-@\t\r]/.test(text) && text !== "-" ? `'${text}` : text).replaceAll('"', '""')}"`;
  return rows.map((row) => row.map(clean).join(",")).join("\n") + "\n";
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { "aria-hidden": "true", tabindex: "-1", class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function copyButtons(table) {
  const tools = table.closest("section").querySelector(".tools");
  tools.hidden = false;
  tools.querySelectorAll("button").forEach((button) => button.addEventListener("click", async () => {
    const rows = textsOf(table), text = button.dataset.copy === "csv" ? asCsv(rows) : asMarkdown(rows);
    tools.dataset.copied = text;
    tools.querySelector("[role=status]").textContent = (await copied(text)) ? "Copied." : "The browser did not allow it.";
  }));
}

// --- the controls ---

function ownSettings(data) {
  return { limit: data.limit, traffic: data.traffic.rate, headroom: data.traffic.headroom, perHour: data.servers.map((server) => server.per_hour) };
}

function askedOf(data, own, form) {
  const number = (input, otherwise) => (input && input.value.trim() !== "" && Number(input.value) > 0 ? Number(input.value) : otherwise);
  const stops = form.stops;
  return {
    limit: stops[Number(form.limit.value)],
    traffic: number(form.traffic, null),
    headroom: Number(form.headroom.value) / 100,
    perHour: data.servers.map((server, at) => (form.prices.has(at) ? number(form.prices.get(at), null) : own.perHour[at])),
  };
}

function usefulStops(data) {
  const times = [...data.rows, ...data.looks].map((row) => row.judged).filter((time) => known(time) && time > 0);
  const low = Math.min(...times, data.limit) / 1.3, high = Math.max(...times, data.limit) * 1.3;
  return data.limits.filter((limit) => (limit >= low && limit <= high) || limit === data.limit);
}

function controls(data) {
  const section = byId("what-if"), own = ownSettings(data), stops = usefulStops(data);
  const form = { stops, limit: byId("ask-limit"), traffic: byId("ask-traffic"), headroom: byId("ask-headroom"), prices: new Map() };
  form.limit.max = String(stops.length - 1);
  const fields = byId("ask-prices");
  data.servers.forEach((server, at) => {
    if (server.absent) return;
    const input = element("input", { type: "number", min: "0", step: "any", id: `ask-price-${at}`, inputmode: "decimal" });
    form.prices.set(at, input);
    fields.append(element("label", { for: `ask-price-${at}` }, server.name, input));
  });
  const reset = () => {
    form.limit.value = String(stops.indexOf(data.limit));
    form.traffic.value = own.traffic === null ? "" : String(own.traffic);
    form.headroom.value = String(Math.round(own.headroom * 100));
    form.prices.forEach((input, at) => { input.value = own.perHour[at] === null ? "" : String(own.perHour[at]); });
    show();
  };
  const show = () => showAsked(data, own, askedOf(data, own, form));
  section.querySelectorAll("input").forEach((input) => input.addEventListener("input", show));
  document.querySelectorAll("[data-reset]").forEach((button) => button.addEventListener("click", reset));
  section.hidden = false;
  reset();
}

/** The answer's first sentence and the rest; numbers have points too, but no space behind them. */
function parted(said) {
  const end = said.indexOf(". ");
  return end < 0 ? [said, ""] : [said.slice(0, end + 1), said.slice(end + 2)];
}

function showAsked(data, own, asked) {
  const rows = judged(data, asked), costs = costsOf(rows, data, asked), lines = linesOf(rows, data, costs);
  const same = JSON.stringify(asked) === JSON.stringify(own);
  const said = answerOf(rows, data, asked.limit, costs);
  const [lead, ...rest] = same ? [byId("answer").dataset.own, byId("answer-rest").dataset.own] : parted(said);
  byId("answer").textContent = lead;
  byId("answer-rest").textContent = rest.join("");
  byId("ask-answer").textContent = said;
  byId("changed").hidden = same;
  const flips = byId("flips");
  if (flips) flips.hidden = !same;
  byId("ask-limit-text").textContent = durationText(asked.limit);
  byId("ask-limit").setAttribute("aria-valuetext", durationText(asked.limit));
  byId("ask-headroom-text").textContent = percentText(asked.headroom);
  const table = byId("standing");
  [...table.tHead.rows[0].cells].forEach((head) => head.removeAttribute("aria-sort"));
  const apart = lines.filter((line) => line.apart && !line.absent), others = lines.filter((line) => !apart.includes(line));
  table.tBodies[0].replaceChildren(...others.map((line) => rowOf(line, costs)));
  if (apart.length) table.tBodies[1].replaceChildren(table.tBodies[1].rows[0], ...apart.map((line) => rowOf(line, costs)));
  showBills(costs);
  drawStairs(costs, data);
  window.benchLive = { asked, answer: said, lines, costs };
}

function showBills({ servers, traffic }) {
  const order = (bill) => (bill.month === null ? 1 : 0);
  const sorted = [...servers].sort((a, b) => order(a) - order(b) || (a.month === null ? 0 : (known(traffic.rate) ? a.month - b.month : a.million - b.million)));
  const rows = sorted.map((bill) => {
    const name = element("th", { scope: "row" }, bill.name);
    if (bill.month === null) return element("tr", {}, name, element("td", { colspan: "4", class: "absent" }, bill.absent));
    const why = bill.apart ? "other work, ranked apart" : `not ranked: ${bill.reason}`;
    const note = bill.contends ? null : element("span", { class: "sub" }, why);
    name.append(...(note ? [note] : []));
    const figures = [rateText(bill.usable), countText(bill.replicas === null ? 1 : bill.replicas), dollarsText(bill.month), `${bill.millionLow === null ? "at most " : ""}${dollarsText(bill.million)}`];
    return element("tr", {}, name, ...figures.map((text) => element("td", { class: "num" }, text)));
  });
  byId("ask-bills").tBodies[0].replaceChildren(...rows);
}

// --- the staircase ---

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

function niceTicks(high, most) {
  const scale = 10 ** Math.floor(Math.log10(high));
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].map((s) => s * scale).find((s) => high / s <= most);
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
}

function drawStairs({ servers, traffic }, data) {
  const box = byId("ask-stairs"), shown = servers.filter((bill) => bill.contends && bill.usable !== null);
  box.replaceChildren();
  if (!shown.length) { box.append(element("p", { class: "muted small" }, "No server has both a price and a rate within the SLO, so there is no staircase.")); return; }
  const reach = Math.max(known(traffic.rate) ? traffic.rate * 1.5 : 0, 3 * Math.max(...shown.map((bill) => bill.usable)));
  const all = shown.map((bill) => ({ bill, corners: stairsOf(bill, traffic, Math.min(reach, 300 * bill.usable)) }));
  const highest = Math.max(...all.flatMap((each) => each.corners.map((corner) => corner[1]))) * 1.05;
  const [left, top, wide, high, width, height] = [78, 14, 600, 270, 880, 340];
  const x = (rate) => left + (rate / reach) * wide, y = (cost) => top + high * (1 - cost / highest);
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Dollars a month against traffic, one staircase per server; the table below has the figures." });
  for (const tick of niceTicks(highest, 6)) {
    chart.append(svg("line", { x1: left, x2: left + wide, y1: y(tick), y2: y(tick), class: "rule" }));
    chart.append(svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, short(dollarsText(tick)) === "-" ? "$0" : short(dollarsText(tick))));
  }
  for (const tick of niceTicks(reach, 6)) chart.append(svg("text", { x: x(tick), y: top + high + 18, "text-anchor": "middle" }, tick ? short(rateText(tick)) : "0"));
  chart.append(svg("text", { x: left, y: top + high + 42, class: "muted" }, "traffic, requests per second (linear) · upright: dollars a month (linear, from $0), spare replicas included"));
  if (known(traffic.rate)) {
    chart.append(svg("line", { x1: x(traffic.rate), x2: x(traffic.rate), y1: top, y2: top + high, class: "asked" }));
    chart.append(svg("text", { x: x(traffic.rate), y: top - 2, "text-anchor": "middle", class: "asked" }, `your ${short(rateText(traffic.rate))}`));
  }
  const ends = all.map((each) => ({ ...each, at: y(each.corners.at(-1)[1]) })).sort((a, b) => a.at - b.at);
  let last = top - 14;
  for (const end of ends) { last = Math.max(end.at, last + 15); end.label = last; }
  const over = Math.max(0, last - (top + high));
  ends.forEach((end) => { end.label -= over; });
  for (const { bill, corners, at, label } of ends) {
    const server = data.servers[bill.at], dash = server.dash.length ? server.dash.map((part) => part * 1.6).join(" ") : "none";
    chart.append(svg("polyline", { points: corners.map(([rate, cost]) => `${x(rate).toFixed(1)},${y(cost).toFixed(1)}`).join(" "), fill: "none", class: "stair", style: `stroke: var(--c-series-${server.series}); stroke-dasharray: ${dash}` }));
    chart.append(svg("line", { x1: left + wide + 2, x2: left + wide + 16, y1: at, y2: label, class: "rule" }));
    const name = bill.name.length > 26 ? `${bill.name.slice(0, 15)}…${bill.name.slice(-10)}` : bill.name;
    chart.append(svg("text", { x: left + wide + 20, y: label + 4 }, name));
  }
  box.append(chart);
}

// --- begin ---

const table = byId("standing");
if (table) { sortable(table); copyButtons(table); }
const held = byId("live-data");
if (held) controls(JSON.parse(held.textContent));
