// Numbers as text, digit for digit as bench/units.py writes them.

/** The number with so many decimals; a tie goes to the even digit, as in Python. */
function fixed(value, decimals) {
  const exact = Math.abs(value).toFixed(Math.min(100, decimals + 60));
  const point = exact.indexOf(".");
  const cut = point + 1 + decimals;
  const rest = exact.slice(cut);
  let text = Math.abs(value).toFixed(decimals);
  if (/^50*$/.test(rest)) {
    const kept = decimals ? exact.slice(0, cut) : exact.slice(0, point);
    if (Number(kept.slice(-1)) % 2 === 0) text = kept;
  }
  return (value < 0 && Number(text) !== 0 ? "-" : "") + text;
}

function grouped(text) {
  const [whole, part] = text.split(".");
  const said = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return part === undefined ? said : `${said}.${part}`;
}

function digits(value) {
  if (value === 0) return "0";
  const exponent = Number(value.toExponential(2).split("e")[1]);
  return grouped(fixed(value, Math.min(Math.max(0, 2 - exponent), 9)));
}

function known(value) { return value !== null && value !== undefined && !Number.isNaN(value); }

function durationText(seconds) {
  if (!known(seconds)) return "-";
  if (!Number.isFinite(seconds)) return "inf";
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 0.9995e-3) return `${digits(seconds * 1e6)} µs`;
  if (size < 0.9995) return `${digits(seconds * 1e3)} ms`;
  if (size < 120) return `${digits(seconds)} s`;
  return size < 7200 ? `${digits(seconds / 60)} min` : `${digits(seconds / 3600)} h`;
}

function rateText(rate) { return known(rate) ? `${digits(rate)}/s` : "-"; }
function dollarsText(dollars) { return known(dollars) ? `$${digits(dollars)}` : "-"; }
function ratioText(ratio) { return known(ratio) ? `${digits(ratio)}x` : "-"; }
function countText(count) { return known(count) ? grouped(fixed(count, 0)) : "-"; }

function percentText(share) {
  if (!known(share)) return "-";
  const text = digits(share * 100);
  return `${text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text} %`;
}

/** A number's text without zeros that say nothing. */
function short(text) { return text.replace(/(\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)/g, (all, whole, part) => (whole || "") + (part || "")); }
