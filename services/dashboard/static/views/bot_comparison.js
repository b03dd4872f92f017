// What a bot reports against what Botwatch computes from its records: metrics, trades, positions.

import { queryString, useApi } from "../app/api.js";
import { whole } from "../app/format.js";
import { definitionOf, formatMetric } from "../app/metrics.js";
import { useQuery } from "../app/router.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Toggle } from "../components/fields.js";
import { Panel } from "../components/layout.js";
import { StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { MetricName, MetricValue } from "../components/values.js";
import { html } from "../vendor/preact/preact.js";
import { SectionLink } from "./bot_sections.js";
import { TradeDifferences } from "./bot_trades.js";

const REFRESH_MS = 60_000;

export function Comparison({ name, detail: { comparisons, performance: bot } }) {
  const [{ agreeing = "", sort = "agrees" }, setQuery] = useQuery();
  const shown = comparisons.filter(({ agrees }) => agreeing !== "hide" || !agrees);
  const differing = comparisons.filter(({ agrees }) => !agrees).length;
  const about = comparisons.length ? `${whole(differing)} of ${whole(comparisons.length)} differ` : "";
  return html`
    <${Panel} title="Metrics" about=${about} actions=${comparisons.length > 0 && html`<${Toggle} label="Only those that differ" checked=${agreeing === "hide"} onChange=${(on) => setQuery({ agreeing: on ? "hide" : null })} />`}>
      ${
        comparisons.length === 0
          ? html`<${Empty}>Nothing to compare: ${bot.source === "computed" ? "the bot reports no metrics itself; all are computed by Botwatch." : "Botwatch computes no metric that the bot reports; that needs `equity`, `fill` or `order` records."}</${Empty}>`
          : html`
            <p class="about">A metric differs where the two are further apart than the tolerance: 5% of the larger one, and at least a little in its unit. Two comparisons in a row count as a disagreement: <${MetricDisagreements} bot=${bot} />.</p>
            <${Table} caption="Metrics as reported and as computed" columns=${columnsOf(bot.currency)} rows=${shown} keyOf=${({ metric }) => metric} sort=${sort} onSort=${(next) => setQuery({ sort: next })} rowClass=${({ agrees }) => (agrees ? "" : "differs-row")} empty="All agree." />
          `
      }
    </${Panel}>
    <${TradesAndPositions} name=${name} bot=${bot} />
  `;
}

const MetricDisagreements = ({ bot: { disagreements } }) =>
  disagreements === null ? "not compared yet" : `${disagreements} now`;

function columnsOf(currency) {
  const write = (key) => (row) => formatMetric(row.metric, row[key], currency);
  return [
    {
      key: "metric",
      title: "Metric",
      sort: ({ metric }) => definitionOf(metric)?.label ?? metric,
      render: ({ metric }) => html`<${MetricName} name=${metric} />`,
    },
    {
      key: "agrees",
      title: "Result",
      sort: ({ agrees }) => (agrees ? 1 : 0),
      render: ({ agrees }) =>
        html`<${StatusDot} status=${agrees ? "agrees" : "differs"} tone=${agrees ? "good" : "medium"} />`,
    },
    { key: "reported", title: "Reported", numeric: true, render: write("reported") },
    { key: "computed", title: "Computed", numeric: true, render: write("computed") },
    {
      key: "difference",
      title: "Difference",
      numeric: true,
      render: ({ metric, reported, computed }) => formatMetric(metric, Math.abs(reported - computed), currency),
    },
    { key: "tolerance", title: "Tolerance", numeric: true, hideOnPhone: true, render: write("tolerance") },
  ]; // prettier-ignore
}

function TradesAndPositions({ name, bot }) {
  const trades = useApi(`/trades${queryString({ bot: name, limit: 1 })}`, { every: REFRESH_MS });
  return html`
    <${Panel} title="Trades and positions">
      <dl class="metric-rows">
        ${["tradeDifferences", "positionDifferences"].map((metric) => html`<div key=${metric}><dt><${MetricName} name=${metric} /></dt><dd><${MetricValue} name=${metric} bot=${bot} /></dd></div>`)}
      </dl>
      <${Loaded} from=${trades} what="The trades">${(answer) => html`<${TradeDifferences} answer=${answer} />`}</${Loaded}>
      <p class="quiet"><${SectionLink} section="trades">Closed trades</${SectionLink}> say which of them the fills do not confirm.</p>
    </${Panel}>
  `;
}
