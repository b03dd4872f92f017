// Charts of equity or portfolio value over time, drawn by uPlot (vendor/uplot).

import { h, setText } from "./elements.js";
import { money, timeOfDay, timeToMinute } from "./format.js";
import { label } from "./metrics.js";
import { now } from "./store.js";

const HEIGHT = 96; // as in page.css
const MARGIN = 4; // the line is not cut off at the top and bottom
const WINDOW_MS = 3_600_000;
const GAP_MS = 120_000;
const MIN_SPAN_MS = 10_000;

/** Create the chart of a bot's last hour. */
export function chartView(bot) {
  const curve = curveView(timeOfDay);
  return {
    root: curve.root,
    update(trends) {
      const name = trends.get("equity")?.length ? "equity" : "portfolioValue";
      const series = seriesOf(trends.get(name) ?? [], now());
      curve.show(series, {
        title: label(name),
        name: `${label(name)} of ${bot}, last hour`,
        none: "No equity in the last hour",
        ends: series ? [timeToMinute(series.from), "now"] : ["", ""],
        write: money,
      });
    },
  };
}

/** Create a chart; `writeTime` writes the time under the cursor. `show(series, texts)` draws a series, null for none. */
export function curveView(writeTime) {
  const [title, top, from, until] = [h("span"), h("span"), h("span"), h("span")];
  const image = h("div", { role: "img", hidden: "" });
  const none = h("p", { class: "none", hidden: "" });
  const root = h(
    "div",
    { class: "chart" },
    h("p", { class: "axis" }, title, top),
    h("div", { class: "plot" }, image, none),
    h("p", { class: "axis" }, from, until),
  );
  let chart = null;
  let shown = null;
  let write = money;

  const readOut = () => {
    const index = chart?.cursor.idxs?.[1];
    const [at, value] = [shown?.times[index], shown?.values[index]];
    setText(top, value === undefined ? (shown?.range ?? "") : `${write(value)} at ${writeTime(at)}`);
  };

  return {
    root,
    show(series, texts) {
      shown = series;
      write = texts.write;
      const isDrawn = shown && globalThis.uPlot;
      image.hidden = !isDrawn;
      none.hidden = Boolean(isDrawn);
      setText(none, shown ? "The chart library could not be loaded." : texts.none);
      setText(title, shown ? texts.title : "");
      setText(from, shown ? texts.ends[0] : "");
      setText(until, shown ? texts.ends[1] : "");
      if (isDrawn) {
        image.setAttribute("aria-label", `${texts.name}: ${shown.range}`);
        chart ??= create(image, () => shown, readOut);
        chart.setData([shown.times, shown.values]);
      }
      readOut();
    },
  };
}

/** Return the last hour of points as columns, null at gaps, with the limits of the axes; null without any point. */
export function seriesOf(points, at) {
  const recent = points.filter(([time]) => time >= at - WINDOW_MS && time <= at + 60_000);
  if (!recent.length) return null;
  const [times, values] = [[], []];
  for (const [time, value] of recent) {
    if (time - times.at(-1) > GAP_MS) {
      times.push(times.at(-1) + 1);
      values.push(null);
    }
    times.push(time);
    values.push(value);
  }
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const range = low === high ? money(low) : `${money(low)} – ${money(high)}`;
  return { times, values, from: times[0], until: Math.max(at, times[0] + MIN_SPAN_MS), low, high, range };
}

/** Return the points that no line reaches: they are drawn as dots. */
export const isolated = (values) =>
  [...values.keys()].filter(
    (index) => values[index] !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null,
  );

function create(image, current, onCursor) {
  const colour = (name) => () => getComputedStyle(image).getPropertyValue(name);
  const chart = new globalThis.uPlot(
    {
      width: image.clientWidth,
      height: HEIGHT,
      padding: [MARGIN, 0, MARGIN, 0],
      ms: 1,
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        hover: { skip: [null] },
        points: { size: 7, fill: colour("--accent") },
      },
      scales: {
        x: { range: () => [current().from, current().until] },
        y: { range: () => limitsOf(current()) },
      },
      axes: [
        { show: false },
        {
          size: 0,
          splits: (_, __, low, high) => [low, (low + high) / 2, high],
          values: () => [],
          ticks: { show: false },
          grid: { stroke: colour("--line"), width: 1, dash: [2, 4] },
        },
      ],
      series: [
        {},
        {
          stroke: colour("--accent"),
          fill: colour("--accent-wash"),
          width: 1.8,
          points: { show: false, size: 3, fill: colour("--accent"), filter: () => isolated(current().values) },
        },
      ],
      hooks: { setCursor: [onCursor] },
    },
    [[], []],
    image,
  );
  // A finger moves the cursor too.
  chart.over.addEventListener("pointermove", (event) => chart.setCursor({ left: event.offsetX, top: event.offsetY }));
  sizes.observe(image);
  image.chart = chart;
  return chart;
}

/** A line without ups and downs is in the middle. */
function limitsOf({ low, high }) {
  if (low !== high) return [low, high];
  const margin = Math.abs(low) * 0.005 || 0.5;
  return [low - margin, high + margin];
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (contentRect.width) target.chart.setSize({ width: contentRect.width, height: HEIGHT });
  }
});
