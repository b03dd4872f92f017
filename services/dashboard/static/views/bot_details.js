// What else is known of a bot: its own metrics, its activity, and its settings.

import { plain } from "../app/format.js";
import { Empty } from "../components/feedback.js";
import { Facts, Panel } from "../components/layout.js";
import { Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { Missing, Money } from "../components/values.js";
import { html } from "../vendor/preact/preact.js";

export function Details({ detail: { performance: bot, labels, firstAt } }) {
  const at = (time, what) =>
    time ? html`<${Age} at=${time} />` : html`<${Missing} why=${`${what}: none received.`} />`;
  const activity = [
    ["Equity", html`<${Money} value=${bot.equity} currency=${bot.currency} why="Equity: never reported." />`],
    ["Equity reported", at(bot.equityAt, "Equity")],
    ["Last order", at(bot.lastOrderAt, "Last order")],
    ["Last fill", at(bot.lastFillAt, "Last fill")],
    ["Last heartbeat", at(bot.lastHeartbeatAt, "Last heartbeat")],
    ["Heartbeat status", bot.heartbeatStatus ?? "–"],
    ["History since", html`<${Time} at=${firstAt} full=${true} />`],
    ["Metrics computed", at(bot.computedAt, "Computed metrics")],
  ];
  const settings = [
    [
      "Currency of the account",
      bot.currency ??
        html`<${Missing} why="Neither reported nor configured; send \`currency\` with \`equity\` records." />`,
    ],
    ["What counts as a trade", bot.tradeMatching ?? "–"],
    ["Benchmark", bot.benchmark ?? "–"],
    [
      "Metrics come from",
      bot.source === "reported"
        ? "the bot; gaps are computed"
        : bot.source === "computed"
          ? "Botwatch's computation"
          : "–",
    ],
  ]; // prettier-ignore
  return html`
    <${Panel} title="Activity"><${Facts} facts=${activity} /></${Panel}>
    <${Panel} title="Account">
      <${Facts} facts=${settings} />
      <p class="labels">${Object.entries(labels).map(([name, value]) => html`<${Tag} key=${name}>${name}=${value}</${Tag}> `)}${Object.keys(labels).length === 0 && html`<span class="quiet">No labels. Records may carry \`labels\`, such as a strategy.</span>`}</p>
    </${Panel}>
    <${Panel} title="The bot's own metrics"><${CustomMetrics} metrics=${bot.metrics} /></${Panel}>
  `;
}

const COLUMNS = [
  { key: "name", title: "Metric", render: ({ name }) => name },
  {
    key: "labels",
    title: "Labels",
    render: ({ labels }) =>
      Object.entries(labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(", ") || html`<span class="quiet">–</span>`,
  },
  { key: "value", title: "Value", numeric: true, render: ({ value, unit }) => `${plain(value)} ${unit}`.trim() },
  { key: "at", title: "Received", numeric: true, render: ({ timestamp }) => html`<${Age} at=${timestamp} />` },
]; // prettier-ignore

function CustomMetrics({ metrics }) {
  const rows = Object.entries(metrics).flatMap(([name, latest]) =>
    (latest.series ?? [latest]).map((one) => ({ name, ...one })),
  );
  if (!rows.length) return html`<${Empty}>None. A bot may send any number as a \`metric\` record.</${Empty}>`;
  return html`<${Table} caption="The bot's own metrics" columns=${COLUMNS} rows=${rows} keyOf=${({ name, labels }) => `${name} ${JSON.stringify(labels ?? {})}`} />`;
}
