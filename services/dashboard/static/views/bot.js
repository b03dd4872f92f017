// Bot: one bot in full. The query string keeps the section, the range of the charts, and the filters of the trades.

import { hasAlertChange, useApi } from "../app/api.js";
import { isDefined, signed, withLocalTimes } from "../app/format.js";
import { describeWarning, label } from "../app/metrics.js";
import { botPath, Link, useQuery } from "../app/router.js";
import { now, useTick } from "../app/store.js";
import { bySeverity } from "../components/alert_row.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Severity, StatusDot, Tag } from "../components/status.js";
import { Age } from "../components/time.js";
import { MetricName, MetricValue } from "../components/values.js";
import { html, useEffect } from "../vendor/preact/preact.js";
import { BotActions } from "./bot_actions.js";
import { BotCharts } from "./bot_charts.js";
import { Comparison } from "./bot_comparison.js";
import { Details } from "./bot_details.js";
import { Execution } from "./bot_execution.js";
import { useLiveBot } from "./bot_live.js";
import { Positions } from "./bot_positions.js";
import { Families, SectionLink, Sections } from "./bot_sections.js";
import { Trades } from "./bot_trades.js";

const REFRESH_MS = 30_000;
const LATE_AFTER_S = 60;
const SILENT_AFTER_S = 300;

export default function Bot({ params: { bot: name } }) {
  const found = useApi(`/bots/${encodeURIComponent(name)}`, { every: REFRESH_MS, on: hasAlertChange });
  const [live, points] = useLiveBot(name, found.data);
  const [{ tab }] = useQuery();
  useEffect(() => {
    if (found.data) found.refresh(); // a section shows what holds when it is opened
  }, [tab]);
  if (found.error?.status === 404) return html`<${UnknownBot} name=${name} known=${found.error.body?.bots ?? []} />`;
  const detail = found.data && { ...found.data, performance: live };
  return html`
    <${Page}
      title=${name}
      about=${detail && html`<${Standing} detail=${detail} />`}
      actions=${detail && html`<${BotActions} ...${{ name, isRetired: live.retired, onDone: found.refresh }} />`}
    >
      <${Loaded} from=${found} what="The bot">${() => html`<${Body} ...${{ name, detail, points }} />`}</${Loaded}>
    </${Page}>
  `;
}

function UnknownBot({ name, known }) {
  return html`
    <${Page} title=${name}>
      <${Empty}>
        <p>Botwatch has no record of a bot of this name. It appears with its first record; a forgotten bot is gone.</p>
        ${known.length > 0 && html`<p>Known bots: ${known.slice(0, 10).map((bot, index) => html`${index ? ", " : ""}<${Link} key=${bot} to=${botPath(bot)}>${bot}</${Link}>`)}${known.length > 10 ? " …" : "."}</p>`}
        <p><${Link} to="/">All bots</${Link}></p>
      </${Empty}>
    </${Page}>
  `;
}

function Body({ name, detail, points }) {
  const [{ tab = "" }] = useQuery();
  const bot = detail.performance;
  return html`
    <${Alerts} alerts=${detail.alerts} />
    <${Head} bot=${bot} />
    <${Sections} shown=${tab} />
    ${tab === "" && html`<${BotCharts} ...${{ name, detail, points }}><${Families} bot=${bot} /></${BotCharts}>`}
    ${tab === "trades" && html`<${Trades} name=${name} currency=${bot.currency} />`}
    ${tab === "positions" && html`<${Positions} name=${name} bot=${bot} />`}
    ${tab === "execution" && html`<${Execution} name=${name} detail=${detail} />`}
    ${tab === "comparison" && html`<${Comparison} name=${name} detail=${detail} />`}
    ${tab === "details" && html`<${Details} detail=${detail} />`}
  `;
}

/* ---------- Head ---------- */

function Standing({ detail: { performance: bot, labels } }) {
  useTick(); // a bot becomes silent by time alone
  const age = bot.lastSeen ? (now() - Date.parse(bot.lastSeen)) / 1000 : null;
  const silence = age === null ? "never seen" : age > SILENT_AFTER_S ? "silent" : age > LATE_AFTER_S ? "late" : "ok";
  const status = bot.retired ? "retired" : silence;
  return html`
    <span class="standing">
      <${StatusDot} status=${status} label=${status === "ok" ? "reporting" : status} />
      <span>seen <${Age} at=${bot.lastSeen} /></span>
      ${bot.currency && html`<span>in ${bot.currency}</span>`}
      ${Object.entries(labels).map(([key, value]) => html`<${Tag} key=${key} title=${`Label ${key}`}>${key}=${value}</${Tag}>`)}
    </span>
  `;
}

function Alerts({ alerts }) {
  if (!alerts.length) return null;
  return html`
    <${Panel} title="Open alerts" class="bot-alerts">
      <ul>
        ${alerts.toSorted(bySeverity).map(
          ({ id, severity, message, timestamp, status, assignee, details }) => html`
            <li key=${id}>
              <${Severity} value=${severity} /> <${Link} to=${`/alerts/${id}`}>${message}</${Link}>
              <span class="quiet"> <${Age} at=${timestamp} />${status === "ACKNOWLEDGED" ? `, acknowledged by ${assignee}` : ""}${details.mutedBy ? `, ${withLocalTimes(details.mutedBy)}` : ""}</span>
            </li>
          `,
        )}
      </ul>
    </${Panel}>
  `;
}

const FACTS = ["currentDrawdown", "maxDrawdown", "sharpeRatio", "winRate", "profitFactor", "totalTrades"];

function Head({ bot }) {
  const facts = [
    [html`<${MetricName} name="portfolioValue" />`, html`<${MetricValue} name="portfolioValue" bot=${bot} />`],
    [html`<${MetricName} name="totalPnL" />`, html`<${TotalPnL} bot=${bot} />`],
    ...FACTS.map((name) => [html`<${MetricName} name=${name} />`, html`<${MetricValue} name=${name} bot=${bot} />`]),
  ];
  return html`
    <div class="panel bot-head">
      <${Facts} facts=${facts} />
      <${Differences} bot=${bot} />
      ${bot.warnings.length > 0 && html`<ul class="warnings">${bot.warnings.map((warning) => html`<li key=${warning.code ?? warning}>${describeWarning(warning)}</li>`)}</ul>`}
      ${bot.lastEvent && html`<${LastEvent} event=${bot.lastEvent} />`}
    </div>
  `;
}

function TotalPnL({ bot }) {
  const { totalPnL: pnl, portfolioValue } = bot;
  if (!isDefined(pnl)) return html`<${MetricValue} name="totalPnL" bot=${bot} />`;
  const invested = portfolioValue - pnl;
  const sign = pnl > 0 ? "up" : pnl < 0 ? "down" : undefined;
  return html`
    <span class="total" data-sign=${sign}><${MetricValue} name="totalPnL" bot=${bot} /></span>
    ${isDefined(portfolioValue) && invested > 0 && html`<span class="share" title="Of the portfolio value without it">${signed((pnl / invested) * 100)}%</span>`}
  `;
}

function Differences({ bot }) {
  const names = Object.keys(bot.differences ?? {}).filter((name) => !bot.computed.includes(name));
  if (!names.length) return null;
  const text = names.length === 1 ? "1 metric differs" : `${names.length} metrics differ`;
  return html`
    <p class="differing">
      ${text} from what Botwatch computes: ${names.slice(0, 4).map(label).join(", ")}${names.length > 4 ? " …" : ""}.
      ${" "}<${SectionLink} section="comparison">Compare</${SectionLink}>
    </p>
  `;
}

const LastEvent = ({ event: { timestamp, level, title, text } }) => html`
  <p class="last-event"><span class="quiet">Latest event, <${Age} at=${timestamp} />:</span> <strong data-level=${level}>${title}</strong>${text && html` <span>${text}</span>`}</p>
`;
