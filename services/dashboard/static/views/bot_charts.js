// Equity and drawdown of a bot over hours to years, with what happened marked on them.

import { apiUrl, queryString, useApi } from "../app/api.js";
import { count, dayAndTime, formatMoney, isDefined, percent } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { LineChart } from "../components/charts.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Toggle } from "../components/fields.js";
import { Panel } from "../components/layout.js";
import { Severity, Tag, toneOf } from "../components/status.js";
import { Table } from "../components/table.js";
import { Time } from "../components/time.js";
import { Money } from "../components/values.js";
import { html, useMemo } from "../vendor/preact/preact.js";
import { RangeControls, useRange, useZoom } from "./bot_range.js";

const GAP = 8; // as many times the usual distance between points is a gap
const MAX_LISTED = 20;

const KINDS = [
  ["alert", "Alerts", "alert"],
  ["event", "Events", "event"],
  ["flow", "Deposits and withdrawals", "deposit or withdrawal", "deposits and withdrawals"],
  ["trade", "Trades", "trade"],
];
const HIDDEN_BY_DEFAULT = "trade";
const SHAPES = { alert: "triangle", event: "square", flow: "line", trade: "diamond" };
const DRAWN = ["trade", "event", "flow", "alert"]; // the last one is on top
const LEVEL_TONES = { error: "critical", warning: "medium", info: "low", debug: "none" };

/** The charts, then `children`, then a list of what is marked on them. */
export function BotCharts({ name, detail, points, children }) {
  const range = useRange(detail.firstAt);
  const zoom = useZoom();
  const currency = detail.performance.currency;
  const parameters = queryString({ bot: name, ...range.query });
  const equity = useApi(`/equity${parameters}`);
  const drawdown = useApi(`/drawdown${parameters}`);
  const found = useApi(`/bots/${encodeURIComponent(name)}/marks${queryString(range.query)}`);
  const hidden = useHidden();
  const marks = useMemo(
    () =>
      (found.data?.marks ?? [])
        .filter(({ kind }) => !hidden.kinds.has(kind))
        .sort((one, other) => DRAWN.indexOf(one.kind) - DRAWN.indexOf(other.kind))
        .map((mark) => chartMark(mark, range.from, currency)),
    [found.data, hidden.key, range.from, currency],
  );
  const lines = useMemo(() => equityLine(equity.data, range.isFixed ? [] : points), [equity.data, points]);
  const falls = useMemo(
    () => withGaps((drawdown.data?.points ?? []).map((point) => [Date.parse(point.timestamp), 0 - point.drawdown])),
    [drawdown.data],
  );
  const ends = { from: range.from, to: range.to, onZoom: zoom };
  return html`
    <${Panel} title="Equity and drawdown" class="bot-charts" actions=${html`<${RangeControls} range=${range} />`}>
      <${Loaded} from=${equity} what="The equity">
        ${() => html`<${LineChart} title=${`Equity of ${name}`} series=${[{ label: currency ? `Equity, ${currency}` : "Equity", points: lines, fill: true }]} marks=${marks} height=${260} write=${(value) => formatMoney(value, currency)} none="No equity in this range. Zoom out, or choose another range." ...${ends} />`}
      </${Loaded}>
      <${Loaded} from=${drawdown} what="The drawdown">
        ${() => html`<${LineChart} title=${`Drawdown of ${name}`} series=${[{ label: "Drawdown from the peak, %", points: falls, fill: true }]} height=${120} write=${percent} zero=${true} none="No drawdown in this range." ...${ends} />`}
      </${Loaded}>
      <div class="chart-foot">
        <span class="kinds" role="group" aria-label="Marks on the chart">
          ${KINDS.map(([kind, title]) => html`<${Toggle} key=${kind} label=${title} checked=${!hidden.kinds.has(kind)} onChange=${() => hidden.toggle(kind)} />`)}
        </span>
        <span class="quiet">Drag over a chart to zoom in. ${describeSteps(equity.data)}</span>
        <span class="downloads">CSV: <a href=${apiUrl(`/equity${queryString({ bot: name, ...range.query, format: "csv" })}`)} download>equity</a>, <a href=${apiUrl(`/drawdown${queryString({ bot: name, ...range.query, format: "csv" })}`)} download>drawdown</a>, <a href=${apiUrl(`/performance${queryString({ bot: name, ...range.query, format: "csv" })}`)} download>metrics</a></span>
      </div>
    </${Panel}>
    ${children}
    <${Loaded} from=${found} what="What happened">${({ marks: all, leftOut }) => html`<${Happened} ...${{ marks: all, leftOut, currency, zoom }} />`}</${Loaded}>
  `;
}

/** The kinds of marks that are not shown, as the query string has them in `hide`. */
function useHidden() {
  const [{ hide = HIDDEN_BY_DEFAULT }, setQuery] = useQuery();
  const kinds = new Set(hide.split(",").filter((kind) => SHAPES[kind]));
  const toggle = (kind) => {
    if (!kinds.delete(kind)) kinds.add(kind);
    const text = [...kinds].sort().join(",");
    setQuery({ hide: text === HIDDEN_BY_DEFAULT ? null : text || "none" });
  };
  return { kinds, toggle, key: hide };
}

function describeSteps(data) {
  if (!data) return "";
  const { step, resolution } = data;
  const every =
    step % 86_400 === 0
      ? `${step / 86_400} d`
      : step % 3600 === 0
        ? `${step / 3600} h`
        : step % 60 === 0
          ? `${step / 60} min`
          : `${step} s`;
  return `A point each ${every}, from ${resolution === "raw" ? "the records" : `${resolution} rows`}.`;
}

/* ---------- Lines ---------- */

function equityLine(data, live) {
  const stored = (data?.points ?? []).map(({ timestamp, close }) => [Date.parse(timestamp), close]);
  // A stored point has the time at which its step begins; what came live is after the step that was read last.
  const last = stored.length ? stored.at(-1)[0] + data.step * 1000 : 0;
  const newer = live.filter(([at]) => at >= last).sort(([a], [b]) => a - b);
  return withGaps([...stored, ...newer]);
}

/** Return the points with null between two that are much further apart than usual. */
export function withGaps(points) {
  const distances = points.slice(1).map(([at], index) => at - points[index][0]);
  const usual = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  return points.flatMap((point, index) =>
    index && distances[index - 1] > Math.max(usual * GAP, 1) ? [[points[index - 1][0] + 1, null], point] : [point],
  );
}

/* ---------- Marks ---------- */

export function chartMark(mark, from, currency) {
  const at = Math.max(Date.parse(mark.timestamp), from);
  const more = mark.others ? ` and ${count(mark.others, "other")}` : "";
  return {
    at,
    text: `${describeMark(mark, currency)}${more}`,
    tone: markTone(mark),
    shape: SHAPES[mark.kind],
    to: mark.kind === "alert" ? `/alerts/${mark.id}` : undefined,
  };
}

function markTone({ kind, severity, level, amount }) {
  if (kind === "alert") return toneOf(severity);
  if (kind === "event") return LEVEL_TONES[level];
  return kind === "flow" || !amount ? "none" : amount > 0 ? "good" : "critical";
}

function describeMark({ kind, title, text, severity, amount, currency: own, until }, currency) {
  const sum = isDefined(amount) ? formatMoney(amount, own ?? currency, true) : "P&L not known";
  if (kind === "alert") return `${severity}: ${title}${until ? `, resolved ${dayAndTime(until)}` : ", open"}`;
  if (kind === "event") return text ? `${title}: ${text}` : title;
  return kind === "flow" ? `${title} ${sum}` : `Closed ${title}, ${sum}`;
}

const COLUMNS = (currency) => [
  { key: "at", title: "Time", class: "nowrap", render: ({ timestamp }) => html`<${Time} at=${timestamp} />` },
  { key: "kind", title: "What", render: (mark) => html`<${Kind} mark=${mark} />` },
  {
    key: "text",
    title: "Text",
    render: (mark) => html`
      ${mark.kind === "alert" ? html`<${Link} to=${`/alerts/${mark.id}`}>${mark.title}</${Link}>` : mark.title}
      ${["flow", "trade"].includes(mark.kind) && html` <${Money} value=${mark.amount} currency=${mark.currency ?? currency} signed why="The P&L is not known." />`}
      ${mark.kind === "event" && mark.text && html` <span class="quiet">${mark.text}</span>`}
      ${mark.until && html` <span class="quiet">resolved <${Time} at=${mark.until} /></span>`}
      ${mark.others > 0 && html` <span class="quiet">and ${count(mark.others, "other")} at about this time</span>`}
    `,
  },
];

function Kind({ mark: { kind, severity, level, status } }) {
  if (kind === "alert")
    return html`<${Severity} value=${severity} />${status === "RESOLVED" ? "" : html` <span class="quiet">open</span>`}`;
  if (kind === "event") return html`<${Tag} tone=${LEVEL_TONES[level]}>${level}</${Tag}>`;
  return html`<span class="quiet">${kind === "flow" ? "money" : "trade"}</span>`;
}

/** All marks of the range as a table, the newest first: for those who do not see the chart, and to read. */
function Happened({ marks, leftOut, currency, zoom }) {
  const hidden = useHidden();
  const shown = marks.filter(({ kind }) => !hidden.kinds.has(kind)).reverse();
  const missing = KINDS.filter(([kind]) => leftOut[kind] && !hidden.kinds.has(kind)).map(([kind, , one, many]) =>
    count(leftOut[kind], one, many),
  );
  const about = missing.length ? `${missing.join(", ")} left out; zoom in to see them` : "";
  return html`
    <${Panel} title="What happened in this range" about=${about} class="happened">
      ${shown.length === 0 && html`<${Empty}>No alert, event, deposit or withdrawal in this range.</${Empty}>`}
      ${shown.length > 0 && html`<${Table} caption="What happened in this range, newest first" columns=${COLUMNS(currency)} rows=${shown.slice(0, MAX_LISTED)} keyOf=${markKey} />`}
      ${shown.length > MAX_LISTED && html`<p class="quiet">The ${MAX_LISTED} newest of ${shown.length}. <button type="button" class="plain small" onClick=${() => zoom(Date.parse(shown.at(-1).timestamp) - 1, Date.parse(shown[MAX_LISTED].timestamp) + 1)}>Show the older ones</button></p>`}
    </${Panel}>
  `;
}

const markKey = ({ kind, timestamp, id, title }) => `${kind} ${timestamp} ${id ?? title}`;
