"use strict";
const SVG = "http://www.w3.org/2000/svg";
const collator = new Intl.Collator("en", { numeric: true });
const sets = [...document.querySelectorAll(".set")];

// Equal values keep their order; those without a value come last either way.
function sort(heading) {
  const before = heading.getAttribute("aria-sort");
  const order = before === null ? heading.dataset.first : before === "ascending" ? "descending" : "ascending";
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const compare = "words" in heading.dataset ? collator.compare : (one, other) => Number(one) - Number(other);
  const value = (row) => row.cells[heading.cellIndex].dataset.value;
  const body = heading.closest("table").tBodies[0];
  body.append(...[...body.rows].sort((row, other) => {
    const [a, b] = [value(row), value(other)];
    return (a === "") - (b === "") || sign * compare(a, b);
  }));
}

function filter() {
  const track = document.querySelector("#track").value, division = document.querySelector("#division").value;
  let seen = 0, all = 0;
  for (const set of sets) {
    const rows = [...set.querySelectorAll("tbody tr")];
    for (const row of rows) row.hidden = division !== "" && row.dataset.division !== division;
    const left = rows.filter((row) => !row.hidden).length;
    set.hidden = left === 0 || (track !== "" && set.dataset.track !== track);
    seen += set.hidden ? 0 : left;
    all += rows.length;
  }
  document.querySelector("#shown").textContent = `${seen} of ${all} shown`;
  draw();
}

// Where ticks of logarithmic axes may stand: at times and amounts of memory that people name.
const HOUR = 3600;
const SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];
for (let hours = 1; hours < 1e5; hours *= 10) SECONDS.push(hours * HOUR, 2 * hours * HOUR, 5 * hours * HOUR);
const BYTES = Array.from({ length: 31 }, (_, power) => 2 ** (20 + power));

function seconds(value) {
  return value < 60 ? `${value} s` : value < HOUR ? `${value / 60} min` : `${value / HOUR} h`;
}
function bytes(value) {
  const unit = ["MiB", "GiB", "TiB"].findLast((_, place) => value >= 2 ** (20 + 10 * place));
  return `${value / 2 ** { MiB: 20, GiB: 30, TiB: 40 }[unit]} ${unit}`;
}

// Ticks that hold all values between them, and how they are labelled.
function logarithmic(values, places, label, most) {
  const low = Math.min(...values), high = Math.max(...values);
  let first = Math.max(places.findLastIndex((place) => place <= low), 0);
  let last = places.findIndex((place) => place >= high);
  if (last < 0) last = places.length - 1;
  if (first >= last) [first, last] = [Math.max(last - 1, 0), Math.min(last + 1, places.length - 1)];
  const every = Math.ceil((last - first + 1) / most);
  const ticks = places.slice(first, last + 1).filter((_, place) => place % every === 0);
  const from = Math.log(Math.min(places[first], low)), to = Math.log(Math.max(places[last], high));
  return { at: (value) => (Math.log(value) - from) / (to - from), ticks: ticks.map((tick) => [tick, label(tick)]) };
}
function linear(low, high, most) {
  const raw = Math.max((high - low) / most, 0.005), power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9));
  const first = Math.floor(low / step - 0.1), last = Math.ceil(high / step + 0.1);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step);
  return {
    at: (value) => (value / step - first) / (last - first),
    ticks: ticks.map((tick) => [tick, tick.toFixed(decimals).replace("-", "−")]),
  };
}

function part(parent, kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// The first place around a mark, near ones first, where its letters are on nothing else.
function free(mark, taken, area) {
  const half = [4.5 * mark.letters.length + 1, 7];
  for (const radius of [13, 19, 27, 37, 49, 63]) {
    for (const turn of [-1, 1, -3, 3, 0, 4, -2, 2]) {
      const x = mark.x + radius * Math.cos(turn * Math.PI / 4), y = mark.y + radius * Math.sin(turn * Math.PI / 4);
      const box = [x - half[0], y - half[1], x + half[0], y + half[1]];
      const inside = box[0] > area.left && box[1] > area.top && box[2] < area.right && box[3] < area.bottom;
      if (inside && !taken.some((other) =>
        box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return { x, y, box, radius };
    }
  }
  return null;
}

const MARKS = {
  closed: (x, y) => ["circle", { cx: x, cy: y, r: 5 }],
  open: (x, y) => ["rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9 }],
};

function drawn(rows, across, title, width) {
  const height = Math.round(Math.min(Math.max(0.72 * width, 250), 340));
  const values = rows.map((row) => Number(row.dataset[across]));
  const ends = rows.flatMap((row) => [Number(row.dataset.low), Number(row.dataset.high), Number(row.dataset.psnr)]);
  const vertical = linear(Math.min(...ends), Math.max(...ends), 5);
  const left = 32 + 6.6 * Math.max(...vertical.ticks.map(([, text]) => text.length));
  const area = { left, top: 10, right: width - 14, bottom: height - 46 };
  const [places, label] = across === "time" ? [SECONDS, seconds] : [BYTES, bytes];
  const horizontal = logarithmic(values, places, label, Math.max(2, Math.floor((area.right - area.left) / 64)));
  const x = (value) => area.left + 12 + horizontal.at(value) * (area.right - area.left - 24);
  const y = (value) => area.bottom - vertical.at(value) * (area.bottom - area.top);

  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `PSNR against ${title} of ${rows.length} submissions; the table has the numbers`);
  for (const [tick, text] of vertical.ticks) {
    part(svg, "line", { class: "grid", x1: area.left, x2: area.right, y1: y(tick), y2: y(tick) });
    part(svg, "text", { class: "tick", x: area.left - 7, y: y(tick) + 4, "text-anchor": "end" }, text);
  }
  for (const [tick, text] of horizontal.ticks) {
    part(svg, "line", { class: "axis", x1: x(tick), x2: x(tick), y1: area.bottom, y2: area.bottom + 5 });
    part(svg, "text", { class: "tick", x: x(tick), y: area.bottom + 19, "text-anchor": "middle" }, text);
  }
  part(svg, "line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom });
  const middle = [(area.left + area.right) / 2, (area.top + area.bottom) / 2];
  part(svg, "text", { x: middle[0], y: height - 6, "text-anchor": "middle" }, `${title} (logarithmic)`);
  part(svg, "text", { x: 0, y: 0, transform: `translate(12 ${middle[1]}) rotate(-90)`, "text-anchor": "middle" }, "PSNR/dB");

  const marks = rows.map(({ dataset }, place) => ({
    x: x(values[place]), y: y(dataset.psnr), low: y(dataset.low), high: y(dataset.high),
    letters: dataset.letters, division: dataset.division, name: dataset.name,
  }));
  const taken = marks.flatMap((mark) => [
    [mark.x - 6, mark.y - 6, mark.x + 6, mark.y + 6], [mark.x - 4, mark.high, mark.x + 4, mark.low],
  ]);
  for (const mark of marks) {
    const place = free(mark, taken, area);
    const group = part(svg, "g", { class: "mark", "data-letters": mark.letters });
    part(group, "title", {}, `${mark.letters}: ${mark.name}`);
    if (place) {
      taken.push(place.box);
      if (place.radius > 19) part(group, "line", { class: "leader", x1: mark.x, y1: mark.y, x2: place.x, y2: place.y });
    }
    if (mark.low > mark.high) {
      const bar = `M${mark.x - 4} ${mark.high}h8m-4 0V${mark.low}m-4 0h8`;
      part(group, "path", { class: `bar ${mark.division}`, d: bar });
    }
    const [kind, shape] = MARKS[mark.division](mark.x, mark.y);
    part(group, kind, { class: mark.division, ...shape });
    if (place) part(group, "text", { class: "letter", x: place.x, y: place.y + 4, "text-anchor": "middle" }, mark.letters);
  }
  return svg;
}

function draw() {
  for (const figure of document.querySelectorAll(".set:not([hidden]) figure")) {
    const { across, title } = figure.dataset;
    const rows = [...figure.closest(".set").querySelectorAll("tbody tr:not([hidden])")];
    rows.sort((row, other) => collator.compare(row.id, other.id));
    const shown = rows.filter((row) => Number(row.dataset[across]) > 0);
    const others = rows.filter((row) => !shown.includes(row)).map((row) => row.dataset.letters);
    figure.hidden = shown.length === 0;
    if (figure.hidden) continue;
    const plot = figure.querySelector(".plot");
    plot.replaceChildren(drawn(shown, across, title, Math.max(plot.clientWidth, 240)));
    const left = others.length ? ` Without a ${title}: ${others.join(", ")}.` : "";
    figure.querySelector("figcaption").textContent = `Letters are those of the table, bars 95 % intervals.${left}`;
  }
}

if (sets.length) {
  for (const heading of document.querySelectorAll(".board thead th")) {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  }
  for (const hidden of document.querySelectorAll(".filters, .charts")) hidden.hidden = false;
  for (const choice of document.querySelectorAll(".filters select")) choice.addEventListener("change", filter);
  let width = 0;
  new ResizeObserver(() => {
    if (document.body.clientWidth !== width) draw();
    width = document.body.clientWidth;
  }).observe(document.body);
  filter();
}
addEventListener("beforeprint", () => {
  for (const closed of document.querySelectorAll("details")) closed.open = true;
});
