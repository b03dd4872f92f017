// Bots: one card each, active ones first; all metrics of a bot, and the dialogs that retire or forget one.

import { restrict } from "../access.js";
import { call, fetchTrends, RETRY_MS } from "../api.js";
import { chartView } from "../charts.js";
import { connectForm, openForm, send } from "../dialogs.js";
import {
  $,
  descriptionRows,
  h,
  missing,
  reconcile,
  renderLastSeen,
  setNodes,
  setText,
  setTextOrHide,
} from "../elements.js";
import { clock, formatMoney, isDefined, plain, signed } from "../format.js";
import {
  definitionOf,
  describeWarning,
  FAMILIES,
  label,
  NAMES,
  renderDifferences,
  renderLegend,
  setBotMetric,
  setMetric,
  setTextWithNotes,
  undefinedReason,
} from "../metrics.js";
import { dashboard, publish, removeBot, setRetired } from "../store.js";
import { positionsView, tradesView } from "./accounts.js";
import { SEVERITIES } from "./alerts.js";
import { openDefinition } from "./definition.js";

const ON_CARD = ["currentDrawdown", "maxDrawdown", "sharpeRatio", "winRate", "profitFactor", "totalTrades"];
const MIN_BOTS_TO_FILTER = 10;

export function renderBots() {
  const retired = (bot) => Number(Boolean(bot.retired));
  const activeFirst = (a, b) => retired(a) - retired(b) || (a.bot < b.bot ? -1 : 1);
  const bots = [...dashboard.performance.values()].sort(activeFirst);
  $("no-bots").hidden = bots.length > 0;
  const filter = $("bot-filter").value.trim().toLowerCase();
  const shown = bots.filter(({ bot }) => bot.toLowerCase().includes(filter));
  $("bots-find").hidden = bots.length < MIN_BOTS_TO_FILTER && !filter;
  setText($("bots-found"), filter ? `${shown.length} of ${bots.length}` : "");
  reconcile($("bots"), shown, (bot) => bot.bot, botView);
}

/** Only cards in or near the viewport are kept current, and get their trends where the API leaves them out. */
const viewport = new IntersectionObserver(
  (entries) => {
    for (const { target: card, isIntersecting } of entries) {
      card.isInView = isIntersecting;
      if (isIntersecting && !card.hasTrends && dashboard && !dashboard.page.trends) loadTrends(card);
    }
    publish("change", "bots");
  },
  { rootMargin: "400px" },
);

function loadTrends(card) {
  card.hasTrends = true;
  fetchTrends(card.dataset.bot).catch(() =>
    setTimeout(() => {
      card.hasTrends = false;
      viewport.unobserve(card);
      viewport.observe(card); // tries again if it is still there and in view
    }, RETRY_MS),
  );
}

function botView({ bot: name }) {
  const alerts = h("span", { class: "tag" });
  const seen = h("span", { class: "seen" });
  const worth = h("span", { class: "value" });
  const pnl = h("span", { class: "gain" });
  const chart = chartView(name);
  const values = Object.fromEntries(ON_CARD.map((metric) => [metric, h("dd")]));
  const titleOf = (metric) => h("dt", { title: definitionOf(metric).text }, label(metric));
  const grid = h("dl", { class: "figures" }, ...ON_CARD.map((metric) => h("div", {}, titleOf(metric), values[metric])));
  const legend = h("p", { class: "legend" });
  const differences = h("p", { class: "differs" });
  const warnings = h("ul", { class: "differs" });
  const event = h("p", { class: "event" });
  const all = allMetricsView(name);
  const [retire, unretire, forget] = Object.keys(BOT_ACTIONS).map((action) => actionButton(name, action));
  const root = h(
    "article",
    { class: "bot", "aria-label": `Bot ${name}`, "data-bot": name },
    h("header", {}, h("h3", {}, name, " ", alerts), seen),
    h("p", { class: "worth" }, worth, pnl),
    chart.root,
    grid,
    legend,
    differences,
    warnings,
    event,
    all.root,
    positionsView(name),
    tradesView(name),
    h("p", { class: "bot-actions" }, retire, unretire, forget),
  );
  viewport.observe(root);
  let isRendered = false;
  return {
    root,
    update(bot) {
      if (isRendered && !root.isInView) return;
      isRendered = true;
      root.classList.toggle("retired", Boolean(bot.retired));
      retire.hidden = Boolean(bot.retired);
      unretire.hidden = !bot.retired;
      renderAlertCount(alerts, name);
      renderLastSeen(seen, bot.lastSeen, bot.retired ? "retired" : "bot");
      setBotMetric(worth, bot, "portfolioValue");
      renderPnl(pnl, bot);
      for (const metric of ON_CARD) setBotMetric(values[metric], bot, metric);
      renderLegend(legend, bot, all.root.open ? NAMES : ["totalPnL", ...ON_CARD]);
      renderDifferences(differences, bot);
      renderWarnings(warnings, bot.warnings ?? []);
      renderEvent(event, bot.lastEvent);
      if (root.isInView) chart.update(dashboard.trends.get(name) ?? new Map());
      all.update(bot);
    },
  };
}

function actionButton(name, action) {
  const { title, scope } = BOT_ACTIONS[action];
  const open = () => openBotDialog(name, action);
  const attributes = { type: "button", class: "plain", "aria-label": `${title} ${name}`, onclick: open };
  return restrict(h("button", attributes, title), scope);
}

/** Show the latest event that the bot, or Botwatch about it, has reported. */
function renderEvent(element, event) {
  element.dataset.level = event?.level ?? "";
  setTextOrHide(element, event ? `${clock(event.timestamp)} ${event.title}${event.text ? `: ${event.text}` : ""}` : "");
}

function renderWarnings(element, warnings) {
  element.hidden = !warnings.length;
  const sentences = warnings.map(describeWarning);
  setNodes(element, sentences.join("\n"), () => sentences.map((sentence) => h("li", {}, sentence)));
}

function renderAlertCount(element, name) {
  const alerts = dashboard.alerts.active.filter((alert) => alert.component === name);
  element.hidden = alerts.length === 0;
  element.dataset.severity =
    SEVERITIES.find((severity) => alerts.some((alert) => alert.severity === severity)) ?? "NONE";
  setText(element, alerts.length === 1 ? "1 alert" : `${alerts.length} alerts`);
}

function renderPnl(element, bot) {
  const pnl = bot.totalPnL;
  element.dataset.sign = pnl > 0 ? "up" : pnl < 0 ? "down" : "none";
  if (!isDefined(pnl)) {
    const why = `${label("totalPnL")}: ${undefinedReason(bot, "totalPnL")}`;
    setNodes(element, why, () => ["P&L ", missing(why)]);
    return;
  }
  const invested = bot.portfolioValue - pnl;
  const share = isDefined(bot.portfolioValue) && invested > 0 ? ` (${signed((pnl / invested) * 100)}%)` : "";
  setTextWithNotes(
    element,
    `${pnl > 0 ? "▲" : pnl < 0 ? "▼" : "■"} ${formatMoney(pnl, bot.currency, true)}${share}`,
    bot,
    "totalPnL",
  );
  element.title = "Total P&L, and as a share of the portfolio value without it";
}

/* ---------- All metrics ---------- */

export function allMetricsView(bot) {
  const activity = h("dl", { class: "rows" });
  let values = null; // created when first opened: hundreds of bots have tens of thousands of them
  const open = () => {
    if (!root.open) return;
    values ??= createValues(bot, root, activity);
    publish("change", "bots");
  };
  const root = h("details", { ontoggle: open }, h("summary", {}, "All metrics"));
  return {
    root,
    update(current) {
      if (!root.open || !values) return;
      for (const [name, value] of Object.entries(values)) setBotMetric(value, current, name);
      activity.replaceChildren(...activityRows(current));
    },
  };
}

/** Append the families of metrics to `root`; return the element of each value. */
function createValues(bot, root, activity) {
  const values = Object.fromEntries(NAMES.map((name) => [name, h("dd")]));
  const families = FAMILIES.flatMap(({ title, figures }) => [
    h("h4", {}, title),
    h("dl", { class: "rows" }, ...figures.flatMap((metric) => [term(bot, metric), values[metric.wire]])),
  ]);
  root.append(...families, h("h4", {}, "Activity"), activity);
  return values;
}

function term(bot, metric) {
  const attributes = {
    type: "button",
    class: "term",
    title: metric.text,
    "aria-label": `${metric.label}: what it means`,
    onclick: () => openDefinition(bot, metric),
  };
  return h("dt", {}, h("button", attributes, metric.label));
}

function activityRows(bot) {
  const equity = h("span");
  setMetric(equity, "equity", bot.equity, "Equity: never reported.", bot.currency);
  const times = [
    ["Last order", bot.lastOrderAt],
    ["Last fill", bot.lastFillAt],
    ["Last heartbeat", bot.lastHeartbeatAt],
  ].map(([name, at]) => [name, at ? clock(at) : missing(`${name}: none received.`)]);
  const metrics = [...bot.metrics].map(([name, { value, unit }]) => [name, `${plain(value)} ${unit}`.trim()]);
  return descriptionRows([["Equity", equity], ...times, ...metrics]);
}

/* ---------- Retiring and forgetting ---------- */

export const BOT_ACTIONS = {
  retire: {
    title: "Retire",
    scope: "operate",
    method: "POST",
    path: "/retire",
    about:
      "Resolves its open alerts and stops expecting it to report. Its data is kept, and its next record un-retires it.",
  },
  unretire: {
    title: "Un-retire",
    scope: "operate",
    method: "POST",
    path: "/unretire",
    about: "Expects it to report again: a silent bot opens alerts.",
  },
  forget: {
    title: "Forget",
    scope: "admin",
    method: "DELETE",
    path: "",
    about: "Deletes all its records and metrics and resolves its open alerts. This cannot be undone.",
  },
};

let bot = null;
let action = null;

export function openBotDialog(name, chosen) {
  [bot, action] = [name, chosen];
  const { title, about } = BOT_ACTIONS[action];
  setText($("bot-action-title"), `${title} ${bot}?`);
  setText($("bot-action-about"), about);
  setText($("bot-action-send"), title);
  $("bot-action-send").classList.toggle("danger", action === "forget");
  openForm("bot-action", "bot-action-by", "bot-action-cancel");
}

connectForm("bot-action", async () => {
  const [name, isForgotten, { method, path }] = [bot, action === "forget", BOT_ACTIONS[action]];
  const answer = await send("bot-action", "bot-action-by", (by) =>
    call(method, `/bots/${encodeURIComponent(name)}${path}?by=${encodeURIComponent(by)}`),
  );
  if (!answer) return;
  if (isForgotten) removeBot(name);
  else setRetired(name, answer.retired);
  renderBots();
  publish("outdated");
  // Its card is gone: keyboards continue from the heading.
  if (isForgotten) $("bots-title").focus();
});
