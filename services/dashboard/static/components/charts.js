// Charts: lines over time by uPlot (vendor/uplot), small lines, and bars of states.

import { dayAndTime, plain, shortDate, timeOfDay, timeToMinute } from "../app/format.js";
import { usePreferences } from "../app/preferences.js";
import { navigate } from "../app/router.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact/preact.js";

const NEAR_PX = 8; // how near to a mark the cursor is on it
const AXIS_PX = 56; // at least, so that charts above each other have the same time at the same place
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const COLOURS = ["--accent", "--second", "--third", "--fourth"];

/**
 * Lines over time.
 *
 * `series`: { label, points: [[ms, value or null], …], fill, dash }, with times ascending; all are drawn on one scale.
 * `marks`: { at: ms, text, tone, shape, to }: drawn below as `shape` "triangle", "square" or "diamond", or as a "line"
 * from top to bottom; `to` is a path that a click opens.
 * `from`, `to`: the ends of the time axis, ms. `onZoom(from, to)` is called after a range is dragged.
 * `write(value)` writes a value, `writeAxis(value)` one beside the axis; `zero`: the scale includes 0. `title` says what it shows to those who do not see it.
 */
export function LineChart({
  title,
  series,
  marks = [],
  from,
  to,
  height = 200,
  write = plain,
  writeAxis = plain,
  onZoom,
  zero = false,
  none = "No data in this range.",
}) {
  const { zone, theme } = usePreferences();
  const place = useRef(null);
  const chart = useRef(null);
  const current = useRef(null);
  const [cursor, setCursor] = useState(null);
  const data = alignSeries(series);
  const isKnown = cursor && cursor.index < data[0].length; // it may be of a longer range
  current.current = { series, marks, from, to, write, writeAxis, onZoom, zero, setCursor, zone, data };
  const shape = [
    series.map(({ label, fill, dash }) => [label, fill, dash]),
    height,
    zone,
    theme,
    Boolean(onZoom),
  ].join();
  const isEmpty = data[0].length === 0;

  useLayoutEffect(() => {
    if (isEmpty || !globalThis.uPlot) return undefined;
    chart.current = createChart(place.current, current, height);
    const sizes = new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width) chart.current.setSize({ width: contentRect.width, height });
    });
    sizes.observe(place.current);
    return () => {
      sizes.disconnect();
      chart.current.destroy();
      chart.current = null;
    };
  }, [shape, isEmpty]);
  useEffect(() => chart.current?.setData(data), [series, from, to, marks]);

  return html`
    <figure class="chart">
      <figcaption>
        <span class="legend">${series.map(({ label }, index) => html`<span key=${label} data-line=${index}>${label}</span>`)}</span>
        <span class="readout" aria-live="off">${isKnown ? describeCursor(cursor, current.current) : describeRange(data, write)}</span>
      </figcaption>
      <div class="plot" data-height=${height} ref=${place} role="img" aria-label=${`${title}: ${describeRange(data, write) || none}`}>
        ${isEmpty && html`<p class="none">${none}</p>`}
        ${!isEmpty && !globalThis.uPlot && html`<p class="none">The chart library could not be loaded.</p>`}
      </div>
    </figure>
  `;
}

/** Return uPlot's columns: all times, and each series' values at them, undefined where it has none. */
export function alignSeries(series) {
  if (series.length === 1) return [series[0].points.map(([at]) => at), series[0].points.map(([, value]) => value)];
  const times = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const rows = series.map(({ points }) => {
    const values = new Map(points);
    return times.map((at) => values.get(at));
  });
  return [times, ...rows];
}

function describeRange([, ...rows], write) {
  const known = rows.flat().filter((value) => value !== null && value !== undefined);
  if (!known.length) return "";
  const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  return low === high ? write(low) : `${write(low)} to ${write(high)}`;
}

function describeCursor({ index, mark }, { data, write, from, to, series }) {
  if (mark) return `${mark.text} · ${dayAndTime(mark.at)}`;
  const at = data[0][index];
  const values = series
    .map(({ label }, row) => [label, data[row + 1][index]])
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([label, value]) => (series.length > 1 ? `${label} ${write(value)}` : write(value)));
  return `${values.join(", ") || "no value"} at ${to - from > DAY_MS ? dayAndTime(at) : timeOfDay(at)}`;
}

/** Return a colour as a canvas takes it: the variables hold `light-dark(…)`. */
function resolveColour(place, name) {
  place.style.color = `var(${name})`;
  return getComputedStyle(place).color;
}

function createChart(place, current, height) {
  const colour = (name) => () => resolveColour(place, name);
  const { series, onZoom, zone } = current.current;
  const axis = { stroke: colour("--quiet"), font: "11px system-ui, sans-serif", ticks: { show: false } };
  const chart = new globalThis.uPlot(
    {
      width: place.clientWidth,
      height,
      padding: [8, 16, 0, 0],
      ms: 1,
      tzDate: zone === "utc" ? (at) => globalThis.uPlot.tzDate(new Date(at), "Etc/UTC") : (at) => new Date(at),
      legend: { show: false },
      cursor: { y: false, drag: { x: Boolean(onZoom), y: false, setScale: false }, points: { size: 7 } },
      scales: {
        x: { range: () => [current.current.from, current.current.to] },
        y: { range: (_, low, high) => limitsOf(low, high, current.current.zero) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 70,
          size: 40,
          values: (_, ticks, __, ___, step) => writeTicks(ticks, step),
        },
        {
          ...axis,
          size: (_, values) => Math.max(AXIS_PX, ...(values ?? []).map((value) => value.length * 7 + 12)),
          values: (_, values) => values.map((value) => current.current.writeAxis(value)),
          grid: { stroke: colour("--line"), width: 1, dash: [2, 4] },
        },
      ],
      series: [{}, ...series.map((one, index) => lineOf(one, COLOURS[index % COLOURS.length], colour))],
      hooks: {
        setCursor: [(self) => readCursor(self, current.current)],
        setSelect: [(self) => zoom(self, current.current)],
        draw: [(self) => drawMarks(self, current.current, place)],
      },
    },
    current.current.data,
    place,
  );
  chart.over.addEventListener("pointermove", (event) => chart.setCursor({ left: event.offsetX, top: event.offsetY }));
  let pressedAt = 0;
  chart.over.addEventListener("pointerdown", ({ clientX }) => {
    pressedAt = clientX;
  });
  chart.over.addEventListener("click", ({ clientX }) => {
    const isDrag = Math.abs(clientX - pressedAt) >= NEAR_PX; // which may end on a mark
    const to = !isDrag && markAt(chart, current.current)?.to;
    if (to) navigate(to);
  });
  return chart;
}

/** Return the texts of ticks a `step` of ms apart: times of 24 hours, and the date where a day begins. */
export function writeTicks(ticks, step) {
  const write = step < MINUTE_MS ? timeOfDay : timeToMinute;
  return ticks.map((at, index) => {
    const day = shortDate(at);
    if (step >= DAY_MS) return day;
    return index === 0 || day !== shortDate(ticks[index - 1]) ? `${write(at)}\n${day}` : write(at);
  });
}

const lineOf = ({ label, fill, dash }, name, colour) => ({
  label,
  stroke: colour(name),
  fill: fill ? colour("--accent-wash") : undefined,
  width: 1.6,
  dash,
  spanGaps: false,
  points: { show: (self, row) => isSparse(self.data[row]), size: 4, fill: colour(name) },
});

/** Few values are drawn as dots, too: no line reaches one that stands alone. */
const isSparse = (values) => values.filter((value) => value !== null && value !== undefined).length <= 3;

/** A line without ups and downs is in the middle. */
function limitsOf(low, high, zero) {
  const [from, to] = [zero ? Math.min(0, low) : low, zero ? Math.max(0, high) : high];
  if (from === to) {
    const around = Math.abs(from) * 0.005 || 0.5; // uPlot hangs on a scale without a length
    return [from - around, to + around];
  }
  const margin = (to - from) * 0.05;
  return [zero && from === 0 ? 0 : from - margin, zero && to === 0 ? 0 : to + margin];
}

/** Return the mark nearest to the cursor, undefined if none is near. */
function markAt(chart, { marks }) {
  const distance = ({ at }) => Math.abs(chart.valToPos(at, "x") - chart.cursor.left);
  const near = marks.filter((mark) => distance(mark) <= NEAR_PX);
  return near.sort((a, b) => distance(a) - distance(b))[0];
}

function readCursor(chart, { setCursor, data }) {
  const index = chart.cursor.idx;
  const isOver = chart.cursor.left >= 0 && index !== null && index !== undefined && index < data[0].length;
  setCursor(isOver ? { index, mark: markAt(chart, { marks: chart.marks ?? [] }) } : null);
}

function zoom(chart, { onZoom }) {
  const { left, width } = chart.select;
  if (width < NEAR_PX || !onZoom) return;
  const ends = [left, left + width].map((position) => Math.round(chart.posToVal(position, "x")));
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom(...ends);
}

function drawMarks(chart, { marks }, place) {
  chart.marks = marks;
  const { ctx, bbox } = chart;
  for (const { at, tone, shape = "triangle" } of marks) {
    const x = chart.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.fillStyle = resolveColour(place, `--${tone && tone !== "none" ? tone : "quiet"}`);
    ctx.beginPath();
    SHAPES[shape](ctx, x, bbox.top + bbox.height, 5 * devicePixelRatio, bbox.top);
    ctx.fill();
  }
}

/** Outlines of marks: standing at (x, bottom), `size` wide to either side. */
const SHAPES = {
  triangle: (ctx, x, bottom, size) => polygon(ctx, [x, bottom - size * 1.8], [x - size, bottom], [x + size, bottom]),
  square: (ctx, x, bottom, size) => ctx.rect(x - size * 0.8, bottom - size * 1.7, size * 1.6, size * 1.6),
  diamond: (ctx, x, bottom, size) =>
    polygon(ctx, [x, bottom - size * 2], [x - size, bottom - size], [x, bottom], [x + size, bottom - size]),
  line: (ctx, x, bottom, size, top) => ctx.rect(x - size * 0.15, top, size * 0.3, bottom - top),
};

function polygon(ctx, [x, y], ...corners) {
  ctx.moveTo(x, y);
  for (const corner of corners) ctx.lineTo(...corner);
}

/* ---------- Small ones ---------- */

const SPARK = { width: 96, height: 24 };

/** A line without axes for a row of a table; `values` may hold null. */
export function Sparkline({ values, title }) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return html`<span class="quiet" title=${title}>–</span>`;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (index) => ((index / (values.length - 1)) * SPARK.width).toFixed(1);
  const y = (value) =>
    (high === low ? SPARK.height / 2 : 2 + ((high - value) / (high - low)) * (SPARK.height - 4)).toFixed(1);
  const pieces = values.map((value, index) =>
    value === null ? "" : `${index && values[index - 1] !== null ? "L" : "M"}${x(index)} ${y(value)}`,
  );
  const sign = known.at(-1) === known[0] ? "even" : known.at(-1) > known[0] ? "up" : "down";
  return html`
    <svg class="sparkline" viewBox=${`0 0 ${SPARK.width} ${SPARK.height}`} width=${SPARK.width} height=${SPARK.height} data-sign=${sign} role="img" aria-label=${title}>
      <title>${title}</title>
      <path d=${pieces.join("")} />
    </svg>
  `;
}

/**
 * Bars of states over time, as on a status page: a tone for each; `describe(index)` says what one means.
 *
 * The bars of a tone are one element, and only the one under the pointer is described: a list has thousands of them.
 */
export function StateBars({ tones, describe, title }) {
  const label = useRef(null);
  const bars = (wanted) => tones.map((tone, index) => (tone === wanted ? `M${index * 4} 0h3v24h-3z` : "")).join("");
  const point = ({ currentTarget, clientX }) => {
    const { left, width } = currentTarget.getBoundingClientRect();
    const index = Math.floor(((clientX - left) / width) * tones.length);
    label.current.firstChild.data = tones[index] ? describe(index) : title; // the node is Preact's
  };
  return html`
    <svg class="state-bars" viewBox=${`0 0 ${tones.length * 4} 24`} preserveAspectRatio="none" role="img" aria-label=${title} onPointerMove=${point}>
      <title ref=${label}>${title}</title>
      ${[...new Set(tones)].map((tone) => html`<path key=${tone} data-tone=${tone} d=${bars(tone)} />`)}
    </svg>
  `;
}
