// The portfolio: all bots as one account, or those with each value of a label, with their curve.

import { queryString, useApi } from "../app/api.js";
import { count, formatMoney, isDefined, percent, ratio, signedPercent } from "../app/format.js";
import { useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { LineChart } from "../components/charts.js";
import { Loaded } from "../components/feedback.js";
import { rangeMs, SelectField, TimeRange } from "../components/fields.js";
import { Facts, Panel } from "../components/layout.js";
import { Explained } from "../components/tip.js";
import { Missing, Money } from "../components/values.js";
import { html, useMemo } from "../vendor/preact/preact.js";

const REFRESH_MS = 300_000; // a point of 30 days is 2 h wide
const RANGES = [
  ["1d", "1 d"],
  ["7d", "7 d"],
  ["30d", "30 d"],
  ["365d", "1 y"],
];
const FIGURES = [
  ["totalReturn", "Return", signedPercent, "Chained return over the range; bots that join or leave are flows."],
  ["currentDrawdown", "Drawdown now", percent, "How far the chained return is below its peak."],
  ["maxDrawdown", "Drawdown max", percent, "The deepest drawdown in the range."],
  ["sharpeRatio", "Sharpe", ratio, "Mean over standard deviation of the daily returns, times the root of 365."],
  ["volatility", "Volatility", percent, "Standard deviation of the daily returns, times the root of 365."],
  ["var95", "VaR 95%", percent, "One day's loss that 95% of the daily returns stay under."],
];

/** The panel of the portfolio; `bots` are rows of the list of bots. */
export function Portfolio({ bots }) {
  const [{ range = "30d", portfolio: label = "" }, setQuery] = useQuery();
  const valued = bots.filter(({ portfolioValue }) => isDefined(portfolioValue)).length;
  const from = useMemo(() => Math.floor(now() - rangeMs(range)), [range]);
  const path = valued > 1 ? `/portfolio${queryString({ from, label })}` : null;
  const answer = useApi(path, { every: REFRESH_MS });
  if (valued < 2) return null;
  const labels = answer.data?.labels ?? [];
  const actions = html`
    <div class="filters">
      ${labels.length > 0 && html`<${SelectField} seen=${false} label="Bots of the portfolio" value=${label} onChange=${(value) => setQuery({ portfolio: value })} choices=${[["", "All bots"], ...labels.map((name) => [name, `By ${name}`])]} />`}
      <${TimeRange} value=${range} onChange=${(value) => setQuery({ range: value })} choices=${RANGES} />
    </div>
  `;
  return html`
    <${Panel} title="Portfolio" class="portfolio" actions=${actions}>
      <${Loaded} from=${answer} what="The portfolio">${(data) => html`<${Portfolios} data=${data} />`}</${Loaded}>
    </${Panel}>
  `;
}

function Portfolios({ data }) {
  const { portfolios, currency, label, leftOut, reason } = data;
  const left = leftOut.map(({ bot, reason: why }) => `${bot}: ${why}`);
  const note = [reason, left.length ? `Left out: ${left.slice(0, 3).join(" ")}${left.length > 3 ? " …" : ""}` : ""];
  return html`
    <div class="panels">
      ${portfolios.map((one) => html`<${Account} key=${JSON.stringify([label, one.value])} ...${{ portfolio: one, label, currency }} />`)}
    </div>
    ${note.some(Boolean) && html`<p class="hint">${note.filter(Boolean).join(" ")}</p>`}
  `;
}

function Account({ portfolio, label, currency }) {
  const { value, bots, points, totalPnL } = portfolio;
  const name = label ? (value ?? `without ${label}`) : "All bots";
  const times = points.map(({ timestamp }) => Date.parse(timestamp));
  const write = (amount) => formatMoney(amount, currency);
  const facts = FIGURES.map(([key, text, format, why]) => [
    html`<${Explained} class="term" why=${why}>${text}</${Explained}>`,
    html`<${Figure} ...${{ portfolio, name: key, text, format }} />`,
  ]);
  return html`
    <article class="account">
      <h3>${name} <span class="quiet" title=${bots.join(", ")}>${count(bots.length, "bot")}</span></h3>
      <p class="worth">
        <strong><${Figure} ...${{ portfolio, name: "portfolioValue", text: "Portfolio value", format: write }} /></strong>
        ${isDefined(totalPnL) && html`<span title="P&L over the range, without deposits, withdrawals and bots that joined or left"><${Money} value=${totalPnL} currency=${currency} signed /></span>`}
      </p>
      <${LineChart}
        title=${`Equity of ${name}`}
        series=${[{ label: "Equity", points: points.map(({ equity }, index) => [times[index], equity]), fill: true }]}
        from=${times[0]}
        to=${Math.max(times.at(-1) ?? 0, (times[0] ?? 0) + 1)}
        height=${160}
        write=${write}
        none="No equity in this range."
      />
      <${Facts} facts=${facts} />
    </article>
  `;
}

function Figure({ portfolio, name, text, format }) {
  const value = portfolio[name];
  if (!isDefined(value))
    return html`<${Missing} why=${`${text}: ${portfolio.undefined[name]?.text ?? "not known."}`} />`;
  const n = portfolio.lowConfidence[name];
  return html`<span class="number">${format(value)}</span>${n && html`<${Explained} class="mark" why=${`Low confidence: only ${n} daily returns.`}>≈</${Explained}>`}`;
}
