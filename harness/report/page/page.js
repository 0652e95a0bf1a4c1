"use strict";
// Behaviour of a report's page: tables, charts and the viewer. It reads what the page holds and
// fetches nothing. Texts go into the page as text only, never as HTML.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const data = (id) => JSON.parse(one(`#${id}`)?.textContent ?? "null");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function minus(text) {
  return text.replace("-", "\u2212");
}

// ---------------------------------------------------------------- tip

const tip = one("#tip");
let pinned = null; // the element whose tip stays until Escape or a click elsewhere

function showTip(content, box, below = false) {
  tip.replaceChildren(...[content].flat());
  tip.hidden = false;
  const margin = 8;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  const left = clamp(box.left + box.width / 2 - width / 2, margin, document.documentElement.clientWidth - width - margin);
  const above = below && box.bottom + height + margin < innerHeight ? -1 : box.top - height - margin;
  tip.style.left = `${Math.max(margin, left) + scrollX}px`;
  tip.style.top = `${(above < margin ? box.bottom + margin : above) + scrollY}px`;
}

function hideTip() {
  tip.hidden = true;
  pinned?.removeAttribute("aria-describedby");
  pinned = null;
}

function tellCell(cell, pin) {
  showTip(cell.dataset.detail, cell.getBoundingClientRect(), true); // the heads of columns stay
  if (!pin) return;
  pinned?.removeAttribute("aria-describedby");
  pinned = cell;
  cell.setAttribute("aria-describedby", "tip");
}

document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
document.addEventListener("pointerdown", (event) => pinned && !pinned.contains(event.target) && hideTip());

// ---------------------------------------------------------------- tables

const UNITS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

/** Value of a printed number such as "−0.12", "345.9 G" or "73 %"; null for other texts. */
function value(text) {
  const found = /^\s*([+\u2212-]?)([\d.,]+)\s*([kMGTP]?)/.exec(text);
  if (!found) return text.includes("\u221e") ? Infinity : null;
  const number = Number(found[2].replaceAll(",", "")) * (UNITS[found[3]] ?? 1);
  return /[\u2212-]/.test(found[1]) ? -number : number;
}

function setUpTable(root) {
  const table = one("table", root);
  const bodies = all("tbody", table);
  const home = bodies.map((body) => [...body.rows]); // the order of the paper
  const rows = home.flat();
  const shownBlocks = new Set(bodies.map((body) => body.dataset.block));
  const shownColumns = new Set(all("td", rows[0] ?? table).map((cell) => cell.dataset.column));
  let sorted = { column: null, direction: 0 };

  function arrange() {
    const filter = (one("[data-filter]", root)?.value ?? "").trim().toLowerCase();
    bodies.forEach((body, number) => {
      for (const row of home[number]) {
        row.hidden = !shownBlocks.has(body.dataset.block) || !row.cells[0].textContent.toLowerCase().includes(filter);
      }
      body.append(...home[number]);
    });
    if (sorted.direction) {
      const key = (row) => {
        const cell = row.cells[sorted.column + 1];
        return sorted.column < 0 ? cell.textContent : value(cell.textContent);
      };
      const known = rows.filter((row) => key(row) !== null);
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
      known.sort((a, b) => sorted.direction * compare(key(a), key(b)));
      // Rows without a number come last in both directions.
      bodies[0].append(...known, ...rows.filter((row) => key(row) === null));
    }
    one("[data-nothing]", root).hidden = rows.some((row) => !row.hidden);
    all("[data-column]", table).forEach((cell) => (cell.hidden = !shownColumns.has(cell.dataset.column)));
    let first = 0;
    for (const group of all(".group", table)) {
      const width = Number(group.dataset.width);
      const left = [...Array(width).keys()].filter((n) => shownColumns.has(String(first + n))).length;
      group.hidden = left === 0;
      group.colSpan = Math.max(1, left);
      first += width;
    }
    for (const head of all("thead [data-sort]", table)) {
      const own = Number(head.dataset.sort) === sorted.column && sorted.direction;
      if (own) head.closest("th").setAttribute("aria-sort", sorted.direction > 0 ? "ascending" : "descending");
      else head.closest("th").removeAttribute("aria-sort");
    }
  }

  for (const head of all("thead [data-sort]", table)) {
    head.addEventListener("click", () => {
      const column = Number(head.dataset.sort);
      const first = column < 0 ? 1 : -1; // numbers: largest first
      const next = sorted.column !== column ? first : sorted.direction === first ? -first : 0;
      sorted = { column: next ? column : null, direction: next };
      arrange();
    });
  }
  one("[data-filter]", root)?.addEventListener("input", arrange);
  const toggles = [["button[data-block]", shownBlocks, "block"], ["button[data-column]", shownColumns, "column"]];
  for (const [selector, shown, key] of toggles) {
    for (const button of all(selector, one(".tools", root))) {
      button.addEventListener("click", () => {
        const on = !shown.has(button.dataset[key]);
        if (!on && shown.size === 1) return; // an empty table tells nothing
        shown[on ? "add" : "delete"](button.dataset[key]);
        button.setAttribute("aria-pressed", on);
        arrange();
      });
    }
  }
  one(".tools", root).hidden = !one(".tools > :not(summary)", root);

  // One stop of the Tab key for a table; arrow keys go on from there.
  const told = () => [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden);
  const start = one("td[data-detail]", table);
  if (start) start.tabIndex = 0;
  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td[data-detail]");
    if (!cell) return;
    all('td[tabindex="0"]', table).forEach((other) => (other.tabIndex = -1));
    cell.tabIndex = 0;
    tellCell(cell, true);
  });
  table.addEventListener("focusout", hideTip);
  table.parentElement.addEventListener("scroll", hideTip);
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-detail]");
    if (cell) {
      cell.focus({ preventScroll: true });
      tellCell(cell, true);
    }
  });
  table.addEventListener("pointerover", (event) => {
    if (pinned) return;
    const cell = event.target.closest("td[data-detail]");
    if (cell) tellCell(cell, false);
    else tip.hidden = true;
  });
  table.addEventListener("pointerleave", () => pinned || hideTip());
  table.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("td[data-detail]");
    if (!step || !cell) return;
    event.preventDefault();
    const lines = told();
    let [row, column] = [lines.indexOf(cell.parentElement), cell.cellIndex];
    do {
      [row, column] = [row + step[0], column + step[1]];
      const next = lines[row]?.cells[column];
      if (next?.matches("td[data-detail]:not([hidden])")) return next.focus();
    } while (lines[row]?.cells[column]);
  });
  arrange();
}

// ---------------------------------------------------------------- sets

let shownSet = null;

/** Show what is of one set of images, and what is of none. */
function showSet(name) {
  shownSet = name;
  for (const part of all("[data-role]")) part.hidden = part.dataset.role !== name;
  for (const button of all("[data-set]")) button.setAttribute("aria-pressed", button.dataset.set === name);
}

function setUpSets(root) {
  root.hidden = false;
  for (const button of all("[data-set]", root)) button.addEventListener("click", () => showSet(button.dataset.set));
  showSet(root.dataset.sets);
}

// ---------------------------------------------------------------- charts

// Paths of matplotlib's markers, by its names for them.
const MARKS = {
  o: "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0",
  "^": "M0 -4.4L4.1 3.1H-4.1Z",
  s: "M-3.3 -3.3H3.3V3.3H-3.3Z",
  D: "M0 -4.6L4.2 0L0 4.6L-4.2 0Z",
  v: "M0 4.4L4.1 -3.1H-4.1Z",
  P: "M-1.5 -4.2H1.5V-1.5H4.2V1.5H1.5V4.2H-1.5V1.5H-4.2V-1.5H-1.5Z",
  X: "M-4 -1.9L-1.9 -4L0 -2.1L1.9 -4L4 -1.9L2.1 0L4 1.9L1.9 4L0 2.1L-1.9 4L-4 1.9L-2.1 0Z",
  p: "M0 -4.3L4.1 -1.3L2.5 3.5H-2.5L-4.1 -1.3Z",
  h: "M0 -4.3L3.7 -2.1V2.1L0 4.3L-3.7 2.1V-2.1Z",
  "*": "M0 -5L1.2 -1.6L4.8 -1.5L1.9 .6L2.9 4L0 2L-2.9 4L-1.9 .6L-4.8 -1.5L-1.2 -1.6Z",
  "<": "M-4.4 0L3.1 4.1V-4.1Z",
  ">": "M4.4 0L-3.1 4.1V-4.1Z",
  x: "M-3.9 -2.9L-2.9 -3.9L0 -1L2.9 -3.9L3.9 -2.9L1 0L3.9 2.9L2.9 3.9L0 1L-2.9 3.9L-3.9 2.9L-1 0Z",
};

/** Give an element the colour of a series; the style sheet makes it lighter in the dark. */
function coloured(made, series) {
  made.classList.add("series");
  made.style.setProperty("--own", series.color);
  return made;
}

function short(number) {
  for (const [unit, size] of Object.entries(UNITS).reverse()) {
    if (size > 1e3 && Math.abs(number) >= size) return `${Number((number / size).toPrecision(3))}${unit}`;
  }
  return minus(String(Number(number.toPrecision(4))));
}

/** Round steps that cover a range. */
function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step))) };
}

function axisTicks(axis, values) {
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  if (axis === "scale" && distinct.length <= 12) return distinct;
  const [low, high] = [distinct[0], distinct.at(-1)];
  if (axis === "plain") return ticks(low, high, 5).found;
  const [found, range] = [[], high / low];
  const steps = range > 60 ? [1] : range > 8 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 8];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const m of steps) if (m * 10 ** power >= low && m * 10 ** power <= high) found.push(m * 10 ** power);
  }
  return found.length > 1 ? found : [low, high];
}

function setUpChart(holder, chart) {
  const hidden = new Set();
  // What is a paper's (published values, its way to count) is drawn hollow.
  const hollow = (kind) => /published|paper/.test(kind);
  const kinds = [...new Set(chart.series.map((series) => series.kind))];
  const names = new Map(chart.series.map((series) => [series.label, series]));
  const byPanel = [...Map.groupBy(chart.series, (series) => series.panel)].map(([name, series]) => ({ name, series }));
  const xText = (x) => (chart.axis === "scale" ? `\u00d7${Number(x.toPrecision(4))}` : short(x));
  const xName = chart.x;

  const legend = element("ul", { class: "legend" });
  for (const [label, series] of names) {
    const swatch = coloured(drawn("svg", { viewBox: "-11 -6 22 12", "aria-hidden": "true" }), series);
    swatch.append(drawn("path", { class: "line", d: "M-11 0H11" }), drawn("path", { class: "mark", d: MARKS[series.marker] ?? "" }));
    const button = element("button", { type: "button", "aria-pressed": "true" }, swatch, label);
    button.addEventListener("click", () => {
      hidden[hidden.has(label) ? "delete" : "add"](label);
      button.setAttribute("aria-pressed", !hidden.has(label));
      draw();
    });
    legend.append(element("li", {}, button));
  }
  const panels = element("div", { class: byPanel.length === 1 ? "panels one" : "panels" });
  const slots = byPanel.map((panel) => {
    const place = element("div");
    const shown = element("div", { class: "panel" });
    if (panel.name) shown.append(element("h4", {}, panel.name));
    shown.append(place);
    panels.append(shown);
    return place;
  });
  if (kinds.length > 1) legend.append(element("li", { class: "kinds" }, ["filled", "hollow"].map((how) => `${how}: ${kinds.filter((kind) => hollow(kind) === (how === "hollow")).map((kind) => kind || "measured").join(", ")}`).join("; ")));
  holder.append(legend, panels, numbers(chart, xName, xText));

  function draw() {
    slots.forEach((place, number) => drawPanel(place, byPanel[number]));
  }

  function drawPanel(place, panel) {
    const width = place.clientWidth;
    if (!width) return;
    const height = Math.round(clamp(width * 0.62, 210, 380));
    const [left, right, top, bottom] = [46, 14, 10, 40];
    const visible = panel.series.filter((series) => !hidden.has(series.label));
    // A line without a marker, as that of a front, has no points of its own.
    const points = visible.filter((series) => series.marker).flatMap((series) => series.points.map((point) => ({ ...point, series })));
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0" });
    svg.setAttribute("aria-label", `${chart.title}${panel.name ? `, ${panel.name}` : ""}. Arrow keys read the points; the numbers are listed below.`);
    place.replaceChildren(svg);
    if (!points.length) return;
    const log = chart.axis === "plain" ? (x) => x : Math.log;
    const xs = points.map((p) => log(p.x));
    const ys = points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y]);
    const span = (list, pad) => {
      const [low, high] = [Math.min(...list), Math.max(...list)];
      const more = (high - low || 1) * pad;
      return [low - more, high + more];
    };
    const [x0, x1] = span(xs, 0.05), [y0, y1] = span(ys, 0.08);
    const px = (x) => left + ((log(x) - x0) / (x1 - x0)) * (width - left - right);
    const py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);

    const vertical = ticks(y0, y1, 5);
    for (const y of vertical.found) {
      svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: py(y), y2: py(y) }));
      svg.append(drawn("text", { x: left - 8, y: py(y) + 4, "text-anchor": "end" }, minus(y.toFixed(vertical.digits))));
    }
    let last = -Infinity;
    for (const x of axisTicks(chart.axis, points.map((p) => p.x))) {
      svg.append(drawn("line", { class: "axis", x1: px(x), x2: px(x), y1: height - bottom, y2: height - bottom + 4 }));
      if (px(x) - last < 7 * xText(x).length + 4) continue;
      last = px(x);
      svg.append(drawn("text", { x: px(x), y: height - bottom + 17, "text-anchor": "middle" }, xText(x)));
    }
    svg.append(drawn("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
    svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
    if (chart.y && !panel.name) {
      svg.append(drawn("text", { transform: `translate(10 ${(height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, chart.y));
    }
    for (const series of visible) {
      const group = coloured(drawn("g", { class: hollow(series.kind) ? "hollow" : "" }), series);
      const line = [...series.points].sort((a, b) => a.x - b.x);
      if (line.length > 1) group.append(drawn("path", { class: "line", d: line.map((p, n) => `${n ? "L" : "M"}${px(p.x)} ${py(p.y)}`).join("") }));
      for (const p of line) {
        if (p.low !== null && p.high !== null) group.append(drawn("line", { class: "interval", x1: px(p.x), x2: px(p.x), y1: py(p.low), y2: py(p.high) }));
        const size = line.length > 1 ? 1 : 1.4;
        if (series.marker && line.length <= 40) group.append(drawn("path", { class: "mark", d: MARKS[series.marker], transform: `translate(${px(p.x)} ${py(p.y)}) scale(${size})` }));
      }
      svg.append(group);
      series.group = group;
    }
    const cursor = drawn("path", { class: "chosen", fill: "none", d: "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0", visibility: "hidden" });
    svg.append(cursor);

    function choose(point) {
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("transform", `translate(${px(point.x)} ${py(point.y)})`);
      for (const series of visible) series.group.classList.toggle("faded", series.label !== point.series.label);
      const same = chart.axis === "scale" ? points.filter((p) => p.x === point.x).sort((a, b) => b.y - a.y) : [point];
      const lines = same.map((p) => {
        const interval = p.low !== null && p.high !== null ? ` [${number(p.low)}, ${number(p.high)}]` : "";
        const kind = kinds.length > 1 && p.series.kind ? ` (${p.series.kind})` : "";
        const row = element("div", { class: p === point ? "row near" : "row" }, element("span", {}, p.series.label + kind), element("span", {}, number(p.y) + interval));
        return row;
      });
      const details = point.detail ? [element("div", {}, point.detail)] : [];
      const box = svg.getBoundingClientRect();
      const zoom = box.width / width;
      const [cx, cy] = [box.left + px(point.x) * zoom, box.top + py(point.y) * zoom];
      showTip([element("b", {}, `${xName} ${xText(point.x)}`), ...lines, ...details], { left: cx, width: 0, top: cy - 8, bottom: cy + 8 });
    }
    function leave() {
      cursor.setAttribute("visibility", "hidden");
      for (const series of visible) series.group.classList.remove("faded");
      hideTip();
    }
    const nearest = (event) => {
      const box = svg.getBoundingClientRect();
      const [x, y] = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
      const far = (p) => (px(p.x) - x) ** 2 + (py(p.y) - y) ** 2;
      return points.reduce((best, p) => (far(p) < far(best) ? p : best));
    };
    svg.addEventListener("pointermove", (event) => choose(nearest(event)));
    svg.addEventListener("pointerdown", (event) => choose(nearest(event)));
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    let at = null;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", 1], ArrowDown: ["y", -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const along = step[0] === "x" ? points.filter((p) => !at || p.series === at.series) : points.filter((p) => !at || p.x === at.x);
      const line = along.sort((a, b) => a[step[0]] - b[step[0]]);
      at = at ? line[clamp(line.indexOf(at) + step[1], 0, line.length - 1)] : line[0];
      choose(at);
      svg.setAttribute("aria-label", `${at.series.label}, ${xName} ${xText(at.x)}: ${number(at.y)}`);
    });
  }

  draw();
  let width = holder.clientWidth;
  new ResizeObserver(() => {
    if (holder.clientWidth !== width) draw();
    width = holder.clientWidth;
  }).observe(holder);
}

function number(y) {
  return Math.abs(y) < 1000 ? minus(y.toFixed(Math.abs(y) < 1 ? 3 : 2)) : short(y);
}

/** What a chart shows, as a table that can be read aloud and copied. */
function numbers(chart, xName, xText) {
  const details = element("details", { class: "numbers" }, element("summary", {}, "Numbers of this chart"));
  details.addEventListener("toggle", () => {
    if (one("table", details)) return;
    const head = element("tr", {}, ...["Method", xName, chart.y || "value"].map((text) => element("th", { scope: "col" }, text)));
    const body = element("tbody");
    for (const series of chart.series.filter((each) => each.marker)) for (const p of series.points) {
      const what = [series.label, series.panel, series.kind].filter(Boolean).join(", ");
      const interval = p.low !== null && p.high !== null ? ` [${number(p.low)}, ${number(p.high)}]` : "";
      body.append(element("tr", {}, element("th", { scope: "row" }, what), element("td", {}, xText(p.x)), element("td", {}, number(p.y) + interval)));
    }
    const table = element("table", {}, element("thead", {}, head), body);
    details.append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers of ${chart.title}` }, table));
  });
  return details;
}

// ---------------------------------------------------------------- viewer

const LR = "lr", HR = "hr"; // the two sources of a view that are no methods
const ERROR_TOP = 32; // error, in steps of 8 bits, at the end of the error map's colours
const ERROR_STOPS = [[8, 9, 20], [66, 15, 104], [165, 44, 96], [237, 105, 37], [251, 182, 26], [252, 255, 200]];

function ramp(stops, share) {
  const place = clamp(share, 0, 1) * (stops.length - 1);
  const first = Math.min(Math.floor(place), stops.length - 2);
  return stops[first].map((from, n) => Math.round(from + (stops[first + 1][n] - from) * (place - first)));
}

async function decode(number) {
  const text = one(`script[data-pixels="${number}"]`).textContent;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  // Exactly the stored values: no colour management.
  const image = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

function picture(pixels) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** The pixels of a view, decoded when they are asked for; all have the size of its box. */
class Pixels {
  constructor(view) {
    this.view = view;
    this.made = new Map();
  }

  once(key, make) {
    if (!this.made.has(key)) this.made.set(key, make());
    return this.made.get(key);
  }

  /** RGBA of a source: LR enlarged without smoothing, a method, or HR. */
  source(key) {
    return this.once(key, async () => {
      const { view } = this;
      const [top, left, height, width] = view.box;
      if (key === HR) {
        const whole = await decode(view.hr[0]);
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext("2d");
        context.putImageData(whole, view.hr[2] - left, view.hr[1] - top);
        return context.getImageData(0, 0, width, height);
      }
      if (key === LR) return this.enlarged(await decode(view.lr[0]));
      return decode(view.methods.find((method) => method.method === key).sr);
    });
  }

  enlarged(small) {
    const { view } = this;
    const [top, left, height, width] = view.box;
    const result = new ImageData(width, height);
    const from = new Uint32Array(small.data.buffer), to = new Uint32Array(result.data.buffer);
    const place = (n, first, origin, size) => clamp(Math.floor((n + first + 0.5) / view.scale) - origin, 0, size - 1);
    const columns = [...Array(width).keys()].map((x) => place(x, left, view.lr[2], small.width));
    for (let y = 0; y < height; y++) {
      const row = place(y, top, view.lr[1], small.height) * small.width;
      for (let x = 0; x < width; x++) to[y * width + x] = from[row + columns[x]];
    }
    return result;
  }

  canvas(key) {
    return this.once(`canvas ${key}`, async () => picture(await this.source(key)));
  }

  /** Absolute error of each pixel, as the protocol weighs the channels, in colours. */
  errors(key) {
    return this.once(`errors ${key}`, async () => {
      const [sr, hr] = await Promise.all([this.source(key), this.source(HR)]);
      const result = new ImageData(sr.width, sr.height);
      const weights = this.view.weights;
      const colours = [...Array(ERROR_TOP + 1).keys()].map((n) => ramp(ERROR_STOPS, n / ERROR_TOP));
      for (let at = 0; at < sr.data.length; at += 4) {
        let sum = 0;
        for (const w of weights) sum += Math.abs(difference(sr.data, hr.data, at, w));
        result.data.set([...colours[Math.min(ERROR_TOP, Math.round(sum / weights.length))], 255], at);
      }
      return picture(result);
    });
  }

  /** Numbers of the experts on the grid of the LR image, enlarged; null without experts. */
  experts(key) {
    const method = this.view.methods.find((each) => each.method === key);
    if (!method || method.experts === null) return null;
    return this.once(`experts ${key}`, async () => {
      const map = await decode(method.experts);
      const count = method.depths.length;
      const shares = new Array(count).fill(0);
      const palette = method.colors.map((color) => [1, 3, 5].map((n) => parseInt(color.slice(n, n + 2), 16)));
      for (let at = 0; at < map.data.length; at += 4) {
        const expert = Math.min(map.data[at], count - 1);
        shares[expert] += 4 / map.data.length;
        map.data.set([...palette[expert], 255], at);
      }
      return { canvas: picture(this.enlarged(map)), shares, depths: method.depths, colors: method.colors };
    });
  }

  /** PSNR of a part of the box in dB, by the view's protocol; null where nothing of it is scored. */
  async psnr(key, [top, left, bottom, right]) {
    const [sr, hr] = await Promise.all([this.source(key), this.source(HR)]);
    const { view } = this;
    const limit = (value, first, size, whole) => clamp(value, Math.max(0, view.border - first), Math.min(size, whole - view.border - first));
    const [y0, y1] = [top, bottom].map((y) => limit(Math.round(y), view.box[0], view.box[2], view.size[0]));
    const [x0, x1] = [left, right].map((x) => limit(Math.round(x), view.box[1], view.box[3], view.size[1]));
    if (y1 <= y0 || x1 <= x0) return null;
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) {
      for (const w of view.weights) sum += (difference(sr.data, hr.data, 4 * (y * sr.width + x), w) / 255) ** 2;
    }
    return -10 * Math.log10(sum / ((y1 - y0) * (x1 - x0) * view.weights.length));
  }
}

function difference(a, b, at, weights) {
  return weights[0] * (a[at] - b[at]) + weights[1] * (a[at + 1] - b[at + 1]) + weights[2] * (a[at + 2] - b[at + 2]);
}

// As long as a link can hold: what it reopens is what was seen.
const rounded = (number) => Number(number.toFixed(2));
const decibel = (psnr) => (psnr === null || psnr === undefined ? "\u2013" : psnr === Infinity ? "\u221e" : psnr.toFixed(2));

function setUpViewer(root, views) {
  for (const method of views.flatMap((each) => each.methods)) method.psnr &&= Number(method.psnr); // or "Infinity"
  const part = (name) => one(`[data-${name}]`, root);
  const canvas = one(".stage canvas", root);
  const status = one(".status", root);
  const imageKey = (view) => `${view.role}/${view.image}`;
  const images = [...new Map(views.map((view) => [imageKey(view), view])).entries()];
  const labels = new Set(views.map((view) => view.role)).size > 1 ? (view) => `${view.image} (${view.role})` : (view) => view.image;
  // What a link reopens. x, y: middle of what is visible in HR pixels; span: its width; 0: all.
  const state = { image: images[0][0], scale: 0, left: LR, right: "", x: 0, y: 0, span: 0, split: 50, errors: 0, experts: 0 };
  let view = null, pixels = null, touched = false, started = false;

  const names = () => [[LR, "LR (nearest)"], ...view.methods.map((method) => [method.method, method.label]), [HR, "HR"]];
  const name = (key) => names().find(([own]) => own === key)[1];
  const options = (select, list, chosen) => {
    select.replaceChildren(...list.map(([key, text]) => element("option", { value: key }, text)));
    select.value = chosen;
  };

  /** Make the state one that exists, whatever a link says. */
  function settle() {
    if (!images.some(([key]) => key === state.image)) state.image = images[0][0];
    const own = views.filter((each) => imageKey(each) === state.image);
    const wanted = own.find((each) => each.scale === state.scale) ?? own.find((each) => each.scale === 4) ?? own[0];
    state.scale = wanted.scale;
    if (wanted !== view) {
      view = wanted;
      pixels = new Pixels(view);
    }
    const keys = names().map(([key]) => key);
    const best = view.methods.filter((m) => m.psnr !== null).sort((a, b) => b.psnr - a.psnr)[0] ?? view.methods[0];
    if (!keys.includes(state.left)) state.left = LR;
    if (!keys.includes(state.right)) state.right = best.method;
    for (const key of ["x", "y", "span"]) if (!Number.isFinite(state[key])) state[key] = 0;
    state.split = clamp(state.split || 0, 0, 100);
    state.experts = clamp(state.experts || 0, 0, 100);
    state.errors = state.errors ? 1 : 0;
  }

  function fill() {
    options(part("image"), images.map(([key, each]) => [key, labels(each)]), state.image);
    options(part("scale"), views.filter((each) => imageKey(each) === state.image).map((each) => [String(each.scale), `\u00d7${each.scale}`]), String(state.scale));
    for (const side of ["left", "right"]) {
      options(one(`[data-side="${side}"]`, root), names(), state[side]);
      one(`[data-name="${side}"]`, root).textContent = name(state[side]);
      const method = view.methods.find((each) => each.method === state[side]);
      one(`[data-whole="${side}"]`, root).textContent = decibel(method?.psnr);
    }
    part("split").value = state.split;
    part("split").setAttribute("aria-valuetext", `${Math.round(state.split)} % ${name(state.left)}, the rest ${name(state.right)}`);
    part("opacity").value = state.experts;
    part("errors").setAttribute("aria-pressed", Boolean(state.errors));
    part("ramp").hidden = !state.errors;
    part("overlay").hidden = !view.methods.some((method) => method.experts !== null);
    const channel = view.weights.length === 1 ? "luma" : "RGB";
    part("protocol").textContent = `Protocol ${view.protocol}: ${channel}, ${view.border} pixels left out at each border of the image.`;
    canvas.setAttribute("aria-label", `${view.image}, scale ${view.scale}: ${name(state.left)} on the left, ${name(state.right)} on the right${state.errors ? ", as error maps" : ""}`);
  }

  /** Part of the box that a canvas shows: top, left (HR pixels) and CSS pixels for one of them. */
  function frame(target) {
    const [, , height, width] = view.box;
    const [w, h] = [target.clientWidth, target.clientHeight];
    const fit = Math.min(w / width, h / height);
    const main = Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
    const ratio = state.span ? canvas.clientWidth / state.span / main : 1;
    const zoom = fit * ratio;
    const [x, y] = state.span ? [state.x, state.y] : [width / 2, height / 2];
    return { left: x - w / zoom / 2, top: y - h / zoom / 2, zoom };
  }

  function visible() {
    const { left, top, zoom } = frame(canvas);
    const [, , height, width] = view.box;
    return [Math.max(0, top), Math.max(0, left), Math.min(height, top + canvas.clientHeight / zoom), Math.min(width, left + canvas.clientWidth / zoom)];
  }

  /** Zoom around a point of the main canvas, and keep the image in sight. */
  function zoomTo(zoom, at = [canvas.clientWidth / 2, canvas.clientHeight / 2], moved = [0, 0]) {
    const [, , height, width] = view.box;
    const now = frame(canvas);
    const whole = Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
    const next = clamp(zoom, whole, 40);
    const [x, y] = [now.left + at[0] / now.zoom, now.top + at[1] / now.zoom];
    state.span = rounded(canvas.clientWidth / next);
    state.x = rounded(clamp(x - (at[0] + moved[0] - canvas.clientWidth / 2) / next, 0, width));
    state.y = rounded(clamp(y - (at[1] + moved[1] - canvas.clientHeight / 2) / next, 0, height));
    if (next <= whole * 1.001) state.span = 0;
    changed();
  }

  async function paint(target, key) {
    const image = await (state.errors && key !== HR ? pixels.errors(key) : pixels.canvas(key));
    const experts = state.experts ? await pixels.experts(key) : null;
    return (context, { left, top, zoom }) => {
      context.imageSmoothingEnabled = zoom * devicePixelRatio < 1;
      context.imageSmoothingQuality = "high";
      const place = [-left * zoom, -top * zoom, image.width * zoom, image.height * zoom];
      context.drawImage(image, ...place);
      if (experts) {
        context.globalAlpha = state.experts / 100;
        context.drawImage(experts.canvas, ...place);
        context.globalAlpha = 1;
      }
    };
  }

  function prepare(target) {
    const [width, height] = [target.clientWidth, target.clientHeight].map((n) => Math.round(n * devicePixelRatio));
    if (target.width !== width || target.height !== height) [target.width, target.height] = [width, height];
    const context = target.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  async function draw() {
    const own = view;
    const [left, right] = await Promise.all([paint(canvas, state.left), paint(canvas, state.right)]);
    if (own !== view) return; // chosen anew meanwhile
    const context = prepare(canvas);
    const place = frame(canvas);
    const middle = (canvas.clientWidth * state.split) / 100;
    for (const [draw, from, to] of [[left, 0, middle], [right, middle, canvas.clientWidth]]) {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, canvas.clientHeight);
      context.clip();
      draw(context, place);
      context.restore();
    }
    context.fillStyle = "#fff";
    context.fillRect(middle - 1, 0, 2, canvas.clientHeight);
    context.beginPath();
    context.arc(middle, canvas.clientHeight / 2, 13, 0, 7);
    context.fill();
    context.strokeStyle = context.fillStyle = "#14171b";
    context.stroke();
    for (const side of [-1, 1]) {
      context.beginPath();
      context.moveTo(middle + 8 * side, canvas.clientHeight / 2);
      context.lineTo(middle + 3 * side, canvas.clientHeight / 2 - 5);
      context.lineTo(middle + 3 * side, canvas.clientHeight / 2 + 5);
      context.fill();
    }
    for (const side of ["left", "right"]) {
      const map = state.errors && state[side] !== HR ? "error of " : "";
      one(`.tag.${side}`, root).textContent = map + name(state[side]);
    }
    root.dataset.drawn = `${state.image} ${state.scale} ${state.left} ${state.right}`;
  }

  async function tell() {
    const own = view, region = visible();
    for (const side of ["left", "right"]) {
      const psnr = state[side] === HR ? null : await pixels.psnr(state[side], region);
      if (own !== view) return;
      one(`[data-region="${side}"]`, root).textContent = decibel(psnr);
    }
    await drawStrip(region);
    const used = (await Promise.all([state.left, state.right].map((key) => pixels.experts(key)))).find(Boolean);
    const list = one(".experts", root);
    list.hidden = !(used && state.experts);
    if (list.hidden) return;
    list.replaceChildren(...used.depths.map((depth, number) => {
      const swatch = element("canvas", { width: "1", height: "1", "aria-hidden": "true" });
      const context = swatch.getContext("2d");
      context.fillStyle = used.colors[number];
      context.fillRect(0, 0, 1, 1);
      return element("li", {}, swatch, `${depth} layers, ${(100 * used.shares[number]).toFixed(0)} % of the LR pixels`);
    }));
  }

  async function drawStrip(region) {
    const own = view;
    const strip = one(".strip", root);
    if (strip.dataset.of !== `${state.image} ${state.scale}`) {
      strip.dataset.of = `${state.image} ${state.scale}`;
      strip.replaceChildren(...names().map(([key, text]) => {
        const button = element("button", { type: "button", "data-key": key, title: "Show on the right" }, element("canvas", { "aria-hidden": "true" }), element("span", {}, text), element("span", { class: "value" }));
        button.addEventListener("click", () => change({ right: key }));
        return element("li", {}, button);
      }));
    }
    for (const button of all("button", strip)) {
      const key = button.dataset.key;
      button.setAttribute("aria-pressed", key === state.right);
      const target = one("canvas", button);
      const paintOn = await paint(target, key);
      const psnr = key === HR ? null : await pixels.psnr(key, region);
      if (own !== view) return;
      paintOn(prepare(target), frame(target));
      one(".value", button).textContent = key === HR ? "reference" : `${decibel(psnr)} dB here`;
    }
  }

  let queued = false, later = 0;
  function changed() {
    started = true;
    fill();
    if (!queued) {
      queued = true;
      requestAnimationFrame(() => {
        queued = false;
        draw().catch(failed);
      });
    }
    clearTimeout(later);
    later = setTimeout(() => {
      tell().catch(failed);
      if (touched) history.replaceState(null, "", link());
    }, 120);
  }

  function failed(error) {
    status.textContent = `This view can't be shown: ${error.message}`;
  }

  function change(values) {
    const before = view;
    touched = true;
    status.textContent = "";
    Object.assign(state, values);
    settle();
    if (before.image !== view.image) state.span = 0;
    changed();
  }

  function link() {
    const { x, y, span, ...rest } = state;
    return `#viewer?${new URLSearchParams(span ? state : rest)}`;
  }

  /** Take the state from the address; returns whether it has one. */
  function fromAddress() {
    const [where, query] = location.hash.split("?");
    if (where !== "#viewer" || !query) return false;
    const given = new URLSearchParams(query);
    state.span = 0;
    for (const key of Object.keys(state)) {
      if (given.has(key)) state[key] = typeof state[key] === "number" ? Number(given.get(key)) : given.get(key);
    }
    settle();
    changed();
    return true;
  }

  part("image").addEventListener("change", (event) => change({ image: event.target.value }));
  part("scale").addEventListener("change", (event) => change({ scale: Number(event.target.value) }));
  for (const select of all("[data-side]", root)) select.addEventListener("change", () => change({ [select.dataset.side]: select.value }));
  part("split").addEventListener("input", (event) => change({ split: rounded(Number(event.target.value)) }));
  part("opacity").addEventListener("input", (event) => change({ experts: Number(event.target.value) }));
  part("errors").addEventListener("click", () => change({ errors: state.errors ? 0 : 1 }));
  for (const button of all("[data-zoom]", root)) {
    button.addEventListener("click", () => {
      touched = true;
      const step = Number(button.dataset.zoom);
      zoomTo(step ? frame(canvas).zoom * 1.5 ** step : 0);
    });
  }
  part("copy").addEventListener("click", async () => {
    history.replaceState(null, "", link());
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = "Copied.";
    } catch {
      status.textContent = "The address of this page now leads to this view; copy it from there.";
    }
  });

  const pointers = new Map();
  let sliding = false, spread = 0;
  const local = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    const at = local(event);
    pointers.set(event.pointerId, at);
    canvas.setPointerCapture(event.pointerId);
    const near = Math.abs(at[0] - (canvas.clientWidth * state.split) / 100) < (event.pointerType === "mouse" ? 16 : 28);
    sliding = pointers.size === 1 && near;
    spread = 0;
    touched = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), at = local(event);
    if (!before) return;
    pointers.set(event.pointerId, at);
    if (sliding) return change({ split: rounded(clamp((100 * at[0]) / canvas.clientWidth, 0, 100)) });
    if (pointers.size === 1) return zoomTo(frame(canvas).zoom, before, [at[0] - before[0], at[1] - before[1]]);
    const [a, b] = [...pointers.values()];
    const now = Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (spread) zoomTo((frame(canvas).zoom * now) / spread, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
    spread = now;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      sliding = false;
      spread = 0;
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    touched = true;
    zoomTo(frame(canvas).zoom * 1.0015 ** -event.deltaY, local(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomTo(frame(canvas).zoom * 2, local(event)));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 40;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 };
    const slides = { ",": -2, ".": 2 };
    touched = true;
    if (event.key in moves) zoomTo(frame(canvas).zoom, undefined, moves[event.key]);
    else if (event.key in zooms) zoomTo(frame(canvas).zoom * zooms[event.key]);
    else if (event.key in slides) change({ split: clamp(state.split + slides[event.key], 0, 100) });
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => started && changed()).observe(canvas);
  addEventListener("hashchange", () => fromAddress() && root.scrollIntoView());

  const strip = one(".ramp", root).getContext("2d");
  for (let n = 0; n < 64; n++) {
    strip.fillStyle = `rgb(${ramp(ERROR_STOPS, n / 63).join(" ")})`;
    strip.fillRect(n, 0, 1, 1);
  }
  settle();
  fill();
  if (fromAddress()) root.closest("section").scrollIntoView();
  else {
    // Pixels are decoded when the viewer comes near.
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      changed();
    }, { rootMargin: "600px" });
    watch.observe(root);
  }
}

// ---------------------------------------------------------------- start

all("[data-table]").forEach(setUpTable);
const charts = data("charts") ?? {};
for (const holder of all("[data-chart]")) setUpChart(holder, charts[holder.dataset.chart]);
const sets = one("[data-sets]");
if (sets) setUpSets(sets);
const viewer = one("[data-viewer]");
if (viewer) setUpViewer(viewer, data("views"));

// A link into a folded part, or one of another set, shows it; on paper nothing is folded.
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const folded = target && target.closest("details");
  if (folded) folded.open = true;
  const ofSet = target && target.closest("[data-role]");
  if (ofSet && ofSet.hidden) showSet(ofSet.dataset.role);
}
addEventListener("hashchange", unfold);
unfold();
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details:not([open]):not(.numbers)");
  opened.forEach((details) => (details.open = true));
  all("[data-role]").forEach((part) => (part.hidden = false));
});
addEventListener("afterprint", () => {
  opened.forEach((details) => (details.open = false));
  if (shownSet !== null) showSet(shownSet);
});
