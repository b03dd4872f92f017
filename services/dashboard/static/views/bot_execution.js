// Execution of a bot over time: latencies, slippage, fill and reject rates.

import { apiUrl, queryString, useApi } from "../app/api.js";
import { whole } from "../app/format.js";
import { FAMILIES, formatMetric, undefinedReason } from "../app/metrics.js";
import { LineChart } from "../components/charts.js";
import { Loaded } from "../components/feedback.js";
import { Panel } from "../components/layout.js";
import { html, useMemo } from "../vendor/preact/preact.js";
import { withGaps } from "./bot_charts.js";
import { RangeControls, useRange, useZoom } from "./bot_range.js";
import { Family } from "./bot_sections.js";

const EXECUTION = FAMILIES.find(({ figures }) => figures.some(({ wire }) => wire === "slippageBps"));
const METHODS = {
  orders: "Each point is of the orders submitted in its step.",
  rolling:
    "Too many orders in this range to read each: a point is of the latest 1,000 orders at its time. Zoom in for each step's own.",
}; // prettier-ignore

const CHARTS = [
  [
    "Order latency, ms",
    [
      ["orderLatencyP50Ms", "p50"],
      ["orderLatencyP95Ms", "p95"],
      ["orderLatencyP99Ms", "p99"],
    ],
  ],
  [
    "First fill, ms",
    [
      ["firstFillLatencyP50Ms", "p50"],
      ["firstFillLatencyP95Ms", "p95"],
    ],
  ],
  [
    "Slippage, bps",
    [
      ["slippageBps", "mean"],
      ["slippageP95Bps", "p95"],
    ],
  ],
  [
    "Fill and reject rate, %",
    [
      ["fillRate", "filled"],
      ["rejectRate", "rejected"],
    ],
  ],
]; // prettier-ignore

export function Execution({ name, detail }) {
  const range = useRange(detail.firstAt);
  const zoom = useZoom();
  const parameters = { bot: name, ...range.query };
  const found = useApi(`/execution${queryString(parameters)}`);
  const bot = detail.performance;
  const shared = { range, zoom, bot, points: found.data?.points ?? [] };
  return html`
    <${Panel} title="Execution over time" class="bot-execution" actions=${html`<${RangeControls} range=${range} />`}>
      <${Loaded} from=${found} what="The execution">
        ${({ method, points }) => html`
          <p class="about">${points.length ? METHODS[method] : "No order in this range. Execution comes from `order` and `fill` records."} <a href=${apiUrl(`/execution${queryString({ ...parameters, format: "csv" })}`)} download>Download CSV</a></p>
          <div class="panels">
            ${CHARTS.map(([title, metrics]) => html`<${MetricChart} key=${title} ...${{ title, metrics, ...shared }} />`)}
            ${method === "orders" && html`<${MetricChart} title="Orders and fills" metrics=${[["orders", "orders"], ["fills", "fills"]]} write=${whole} ...${shared} />`}
          </div>
        `}
      </${Loaded}>
    </${Panel}>
    <${Family} title="Now, of the latest 1,000 orders" bot=${bot} names=${EXECUTION.figures.map(({ wire }) => wire)} />
  `;
}

function MetricChart({ title, metrics, range, zoom, bot, points, write }) {
  const series = useMemo(
    () =>
      metrics.map(([metric, label]) => ({
        label,
        points: withGaps(
          points.filter((point) => point[metric] !== null).map((point) => [Date.parse(point.timestamp), point[metric]]),
        ),
      })),
    [points],
  ); // prettier-ignore
  const [first] = metrics[0];
  const why = points.length ? undefinedReason(bot, first) : "No order in this range.";
  return html`
    <div>
      <h3>${title}</h3>
      <${LineChart} title=${title} series=${series} from=${range.from} to=${range.to} onZoom=${zoom} height=${160} zero=${true} write=${write ?? ((value) => formatMetric(first, value))} none=${why} />
    </div>
  `;
}
