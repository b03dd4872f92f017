// Overview: is everything all right, and how do the bots do? One row for each bot.

import { useLiveAlerts } from "../app/alerts.js";
import { hasAlertChange, useApi } from "../app/api.js";
import { count, formatMoney, isDefined, percent, signedPercent, whole, withLocalTimes } from "../app/format.js";
import { botPath, Link, useQuery } from "../app/router.js";
import { isBefore, now, summary, useLive, useTick } from "../app/store.js";
import { needsAttention } from "../components/alert_row.js";
import { Sparkline } from "../components/charts.js";
import { Loaded } from "../components/feedback.js";
import { SearchField, SelectField } from "../components/fields.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Severity, StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age } from "../components/time.js";
import { Missing, Money } from "../components/values.js";
import { html, useMemo, useRef, useState } from "../vendor/preact/preact.js";
import { FirstRecord } from "./first_record.js";
import { Portfolio } from "./portfolio.js";

const REFRESH_MS = 30_000;
const RENDER_MS = 1_000; // live values change at most once a second
const LATE_AFTER_S = 60;
const SILENT_AFTER_S = 300;

export default function Overview() {
  const known = summary.use();
  const bots = useApi("/bots", { every: REFRESH_MS, on: hasAlertChange });
  const rows = useLiveRows(bots.data);
  // Both at once: what needs attention would otherwise push the bots down.
  const all = { data: known && bots.data, error: bots.error };
  const body = () =>
    rows.length
      ? html`<${Totals} summary=${known} rows=${rows} /><${Bots} rows=${rows} /><${Portfolio} bots=${rows} />`
      : html`<${FirstRecord} />`;
  return html`
    <${Page} title="Overview">
      <${Loaded} from=${all} what="The bots">${() => html`<${Verdict} summary=${known} />${body()}`}</${Loaded}>
    </${Page}>
  `;
}

/* ---------- Status ---------- */

function Verdict({ summary: { status, reasons, handled, attention, triggeredAlerts } }) {
  const [current] = useLiveAlerts(attention);
  const further = triggeredAlerts - attention.length;
  // The first reasons name as many alerts, then count the others.
  const others = reasons.slice(attention.length + (further > 0 ? 1 : 0));
  if (status === "HEALTHY" && !handled.length) return null;
  return html`
    <${Panel} title="Needs attention" class="verdict" actions=${html`<${Link} to="/alerts">All alerts</${Link}>`}>
      <ul>
        ${current.filter(needsAttention).map((alert) => html`<${CallingAlert} key=${alert.id} alert=${alert} />`)}
        ${further > 0 && html`<li><${Link} to="/alerts">${count(further, "more alert")}</${Link}></li>`}
        ${others.map((text) => html`<li key=${text}>${withLocalTimes(text)}</li>`)}
        ${handled.map((text) => html`<li key=${text} class="quiet">${withLocalTimes(text)}</li>`)}
      </ul>
    </${Panel}>
  `;
}

const CallingAlert = ({ alert }) => html`
  <li>
    <${Severity} value=${alert.severity} /> <strong>${alert.component}</strong>: <${Link} to=${`/alerts/${alert.id}`}>${withLocalTimes(alert.message)}</${Link}> <span class="quiet"><${Age} at=${alert.timestamp} /></span>
  </li>
`;

function Totals({ summary: known, rows }) {
  useTick(); // bots become silent by time alone
  const active = rows.filter(({ retired }) => !retired);
  const silent = active.filter((row) => stateOf(row) === "silent").length;
  const days = sumByCurrency(active.map(({ currency, dayPnL }) => [currency, dayPnL]));
  const facts = [
    ["Portfolio value", html`<${PortfolioValue} summary=${known} />`],
    [
      "P&L today (UTC)",
      days.length
        ? days.map(
            ([currency, sum]) =>
              html`<div key=${currency}><${Money} value=${sum} currency=${currency} signed />${!currency && days.length > 1 && " (currency unknown)"}</div>`,
          )
        : html`<${Missing} why="No bot has a value before and after 00:00 UTC." />`,
    ],
    ["Active alerts", known ? html`<${Link} to="/alerts">${whole(known.triggeredAlerts)}</${Link}>` : "–"],
    ["Bots", `${whole(active.length)}${silent ? `, ${silent} silent` : ""}`],
    ["Hosts", known ? html`<${Link} to="/hosts">${whole(known.hosts)}</${Link}>` : "–"],
  ];
  return html`<div class="panel totals"><${Facts} facts=${facts} /></div>`;
}

function PortfolioValue({ summary: known }) {
  if (!known) return "–";
  const { portfolioValue, portfolioValueReason, portfolioValues, currency } = known;
  if (isDefined(portfolioValue)) return formatMoney(portfolioValue, currency);
  const sums = Object.entries(portfolioValues).sort(byCurrency);
  if (!sums.length) return html`<${Missing} why=${portfolioValueReason} />`;
  return sums.map(
    ([name, sum]) =>
      html`<div key=${name} title=${portfolioValueReason}>${name === "unknown" ? `${formatMoney(sum)} (currency unknown)` : formatMoney(sum, name)}</div>`,
  );
}

function sumByCurrency(values) {
  const sums = new Map();
  for (const [currency, value] of values) if (isDefined(value)) sums.set(currency, (sums.get(currency) ?? 0) + value);
  return [...sums].sort(byCurrency);
}

/** The unknown currency is the last. */
function byCurrency([one], [other]) {
  const isUnknown = (currency) => !currency || currency === "unknown";
  return isUnknown(one) - isUnknown(other) || String(one).localeCompare(other);
}

/* ---------- Bots ---------- */

const stateOf = ({ retired, lastSeen }) => {
  if (retired) return "retired";
  if (!lastSeen) return "never seen";
  const age = (now() - Date.parse(lastSeen)) / 1000;
  return age > SILENT_AFTER_S ? "silent" : age > LATE_AFTER_S ? "late" : "ok";
};
const STATES = ["silent", "late", "never seen", "ok", "retired"];
const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW", null];
/** Rows that need attention come first. */
const rankOf = (row) => (row.retired ? 100 : SEVERITIES.indexOf(row.severity) * 10 + STATES.indexOf(stateOf(row)));

const COLUMNS = [
  {
    key: "bot",
    title: "Bot",
    sort: ({ bot }) => bot,
    render: ({ bot }) => html`<${Link} to=${botPath(bot)} class="name">${bot}</${Link}>`,
  },
  { key: "status", title: "Status", sort: rankOf, render: (row) => html`<${BotStatus} row=${row} />` },
  {
    key: "value",
    title: "Value",
    numeric: true,
    sort: ({ portfolioValue }) => portfolioValue,
    render: ({ portfolioValue, currency }) =>
      html`<${Money} value=${portfolioValue} currency=${currency} why="The bot has not reported a value." />`,
  },
  {
    key: "day",
    title: "P&L today",
    hint: "Since 00:00 UTC, without deposits and withdrawals",
    numeric: true,
    sort: ({ dayReturn, dayPnL }) => dayReturn ?? dayPnL,
    render: (row) => html`<${DayPnL} row=${row} />`,
  },
  {
    key: "spark",
    title: "24 h",
    hideOnPhone: true,
    render: ({ bot, sparkline }) =>
      html`<${Sparkline} values=${sparkline} title=${`Value of ${bot} over the last 24 hours`} />`,
  },
  {
    key: "drawdown",
    title: "Drawdown",
    numeric: true,
    hideOnPhone: true,
    sort: ({ currentDrawdown }) => currentDrawdown,
    render: ({ currentDrawdown }) =>
      isDefined(currentDrawdown) ? percent(currentDrawdown) : html`<${Missing} why="No equity yet." />`,
  },
  {
    key: "seen",
    title: "Last seen",
    numeric: true,
    sort: ({ lastSeen }) => (lastSeen ? Date.parse(lastSeen) : null),
    render: ({ lastSeen }) => html`<${Age} at=${lastSeen} />`,
  },
]; // prettier-ignore

function BotStatus({ row }) {
  useTick();
  const state = stateOf(row);
  if (row.retired) return html`<${StatusDot} status="retired" tone="none" />`;
  if (row.severity)
    return html`<${Link} to=${`/alerts?component=${encodeURIComponent(row.bot)}`} class="calling"><${Severity} value=${row.severity} /></${Link}>${state === "ok" ? "" : html` <${StatusDot} status=${state} />`}`;
  return html`<${StatusDot} status=${state} />`;
}

const DayPnL = ({ row: { dayPnL, dayReturn, currency } }) => html`
  <${Money} value=${dayPnL} currency=${currency} signed why="No value before and after 00:00 UTC." />${" "}
  ${isDefined(dayReturn) && html`<span class="percent number" data-sign=${dayReturn > 0 ? "up" : dayReturn < 0 ? "down" : undefined}>${signedPercent(dayReturn)}</span>`}
`;

function Bots({ rows }) {
  const [query, setQuery] = useQuery();
  const { find = "", show = "", group = "", sort = "status" } = query;
  const labels = useMemo(() => [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort(), [rows]);
  const found = rows.filter((row) => matches(row, find) && isShown(row, show));
  const groups = group ? groupBy(found, group) : [["", found]];
  const filters = html`
    <div class="filters">
      <${SearchField} label="Filter by name or label" value=${find} onSearch=${(text) => setQuery({ find: text })} />
      <${SelectField} seen=${false} label="Which bots" value=${show} onChange=${(value) => setQuery({ show: value })} choices=${[["", "All bots"], ["attention", "Need attention"], ["active", "Not retired"], ["retired", "Retired"]]} />
      ${labels.length > 0 && html`<${SelectField} seen=${false} label="Group by" value=${group} onChange=${(value) => setQuery({ group: value })} choices=${[["", "No groups"], ...labels.map((name) => [name, `By ${name}`])]} />`}
      <span class="quiet" role="status">${found.length === rows.length ? count(rows.length, "bot") : `${whole(found.length)} of ${count(rows.length, "bot")}`}</span>
    </div>
  `;
  return html`
    <${Panel} title="Bots" class="bots" actions=${filters}>
      ${groups.map(
        ([name, own]) => html`
          <div key=${name} class="group">
            ${group && html`<h3>${name ? `${group}: ${name}` : `without ${group}`} <span class="quiet"><${GroupTotals} rows=${own} /></span></h3>`}
            <${Table} caption=${name ? `Bots with ${group} ${name}` : "Bots"} columns=${COLUMNS} rows=${own} keyOf=${({ bot }) => bot} sort=${sort} onSort=${(next) => setQuery({ sort: next })} rowClass=${({ retired }) => (retired ? "retired" : "")} empty="No bot matches." />
          </div>
        `,
      )}
    </${Panel}>
  `;
}

const isShown = (row, show) =>
  show === "attention"
    ? Boolean(row.severity) || ["silent", "late"].includes(stateOf(row))
    : show === "active"
      ? !row.retired
      : show === "retired"
        ? row.retired
        : true; // prettier-ignore

function matches({ bot, labels }, find) {
  const wanted = find.toLowerCase();
  return [bot, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)].some((text) =>
    text.toLowerCase().includes(wanted),
  );
}

function groupBy(rows, label) {
  const groups = new Map();
  for (const row of rows) {
    const value = row.labels[label] ?? "";
    groups.set(value, [...(groups.get(value) ?? []), row]);
  }
  return [...groups].sort(([a], [b]) => (a === "") - (b === "") || a.localeCompare(b));
}

function GroupTotals({ rows }) {
  const values = sumByCurrency(rows.map(({ currency, portfolioValue }) => [currency, portfolioValue]));
  return [count(rows.length, "bot"), ...values.map(([currency, sum]) => formatMoney(sum, currency))].join(" · ");
}

/* ---------- Live ---------- */

/** Return the rows of the API with what came live since; they change at most once a second. */
function useLiveRows(rows) {
  const [live] = useState(() => new Map()); // bot → what is newer than its row
  const [drawn, draw] = useState(0);
  const timer = useRef(0);
  useLive((messages) => {
    const records = messages.filter(({ type, record }) => type === "record" && record.bot);
    for (const { record } of records) applyRecord(live, record);
    if (!records.length || timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      draw((last) => last + 1);
    }, RENDER_MS);
  });
  return useMemo(() => mergeRows(rows ?? [], live), [rows, drawn]);
}

/** Remember what a live record changes in its bot's row. */
export function applyRecord(live, record) {
  const row = live.get(record.bot) ?? {};
  live.set(record.bot, row);
  const isOperators = record.kind === "heartbeat" && ["retired", "expected"].includes(record.status);
  if (isOperators) {
    row.retired = record.status === "retired";
  } else if (record.source !== "computed") {
    // A clock that was ahead once must not make a dead bot look alive.
    const at = Date.parse(record.timestamp) > now() ? new Date(now()).toISOString() : record.timestamp;
    if (!isBefore(at, row.lastSeen)) row.lastSeen = at;
    row.retired = false;
  }
  const source = record.source ?? "reported"; // what is not written is reported
  if (record.kind === "performance" && !isBefore(record.timestamp, row[source]?.timestamp)) row[source] = record;
}

/** Return the rows, each with what is newer; bots that are not among them yet are added. */
export function mergeRows(rows, live) {
  const known = new Set(rows.map(({ bot }) => bot));
  const added = [...live.keys()].filter((bot) => !known.has(bot)).map(emptyRow);
  return [...rows, ...added].map((row) => {
    const newer = live.get(row.bot);
    if (!newer) return row;
    const merged = { ...row };
    if (newer.lastSeen && !isBefore(newer.lastSeen, row.lastSeen)) merged.lastSeen = newer.lastSeen;
    if (newer.retired !== undefined && merged.lastSeen === newer.lastSeen) merged.retired = newer.retired;
    // A value must not jump between reported and computed ones.
    const record = newer[row.source ?? "reported"] ?? newer.computed;
    if (record && (!row.source || (record.source ?? "reported") === row.source)) {
      for (const name of ["portfolioValue", "currentDrawdown"])
        if (isDefined(record[name])) merged[name] = record[name];
    }
    return merged;
  });
}

const emptyRow = (bot) => ({
  bot,
  ...{ lastSeen: null, kinds: {}, retired: false, activeAlerts: 0, severity: null, labels: {}, currency: null },
  ...{ source: null, portfolioValue: null, dayPnL: null, dayReturn: null, currentDrawdown: null, sparkline: [] },
});
