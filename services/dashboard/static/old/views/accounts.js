// Open positions and closed trades of a bot: tables on its card that are fetched while they are open.

import { read } from "../api.js";
import { explained, h, missing, setNodes, setText, setTextOrHide } from "../elements.js";
import { clock, duration, formatMoney, isDefined, percent, plain } from "../format.js";
import { now, publish } from "../store.js";

const MAX_POSITIONS = 200;
const TRADES_PAGE = 20;

const MATCHING = {
  "flat-to-flat": "A trade lasts from flat to flat.",
  fifo: "Each reduction is a trade; first in, first out.",
  lifo: "Each reduction is a trade; last in, first out.",
  average: "Each reduction is a trade, at the average entry price.",
};
const SOURCES = { reported: "as reported by the bot", fills: "made from fills", mixed: "reported, or made from fills" };

/** Fetch what is open again; called after each snapshot. */
export function refreshAccounts() {
  for (const details of document.querySelectorAll("details[data-account][open]")) details.refresh();
}

/** Create a `details` whose body is fetched by `load()` when it is opened, and at each refresh. */
function fetchedDetails(title, load, ...body) {
  const fault = h("p", { class: "fault", role: "alert", hidden: "" });
  const details = h("details", { "data-account": "" }, h("summary", {}, title), ...body, fault);
  let isLoading = false;
  details.refresh = async () => {
    if (isLoading) return;
    isLoading = true;
    try {
      await load();
      setTextOrHide(fault, "");
    } catch (error) {
      setTextOrHide(fault, `${title} could not be read: ${error.message}.`);
    } finally {
      isLoading = false;
    }
  };
  details.addEventListener("toggle", () => {
    if (details.open) details.refresh();
    publish("change", "bots");
  });
  return details;
}

function tableOf(titles) {
  const body = h("tbody");
  const head = h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)));
  const root = h("div", { class: "scroll", tabindex: "0" }, h("table", {}, h("thead", {}, head), body));
  return { root, body };
}

const row = (...cells) => h("tr", {}, ...cells.map((cell) => h("td", {}, ...[cell].flat())));
const valueOr = (value, write, why) => (isDefined(value) ? write(value) : missing(why));
const signedMoney = (currency) => (value) => formatMoney(value, currency, true);
const sideOf = (side) => ({ buy: "long", sell: "short" })[side] ?? side;

/* ---------- Open positions ---------- */

const POSITION_TITLES = [
  "Symbol",
  "Side",
  "Quantity",
  "Unrealised",
  "Notional",
  "Entry",
  "Mark",
  "To liquidation",
  "Since",
];

export function positionsView(bot) {
  const table = tableOf(POSITION_TITLES);
  const none = h("p", { class: "quiet", hidden: "" });
  const more = h("p", { class: "quiet", hidden: "" });
  setText(
    none,
    "No open position. Positions come from `fill` records; send `position` records to open with what the broker holds.",
  );
  const load = async () => {
    const path = `/positions?bot=${encodeURIComponent(bot)}&limit=${MAX_POSITIONS}`;
    const { positions, count } = await read(path);
    table.root.hidden = !positions.length;
    none.hidden = positions.length > 0;
    setTextOrHide(more, count > positions.length ? `${positions.length} of ${count} positions.` : "");
    setNodes(table.body, JSON.stringify([positions, Math.floor(now() / 60_000)]), () => positions.map(positionRow));
  };
  return fetchedDetails("Open positions", load, table.root, more, none);
}

function positionRow(position) {
  const { symbol, leg, side, quantity, currency, undefined: unknown } = position;
  const why = unknown?.text ?? "no market price yet.";
  const quantityCells = [plain(quantity)];
  if (position.differsFromBroker) {
    const gave = plain(position.foldedQuantity);
    const meaning = `The broker's latest report differed from the fills, which gave ${gave}; the broker's counts.`;
    quantityCells.push(explained("other", "≠ fills", meaning));
  }
  return row(
    leg && leg !== side ? `${symbol} (${leg})` : symbol,
    side,
    quantityCells,
    valueOr(position.unrealizedPnL, signedMoney(currency), `Unrealised P&L: ${why}`),
    valueOr(position.notional, (value) => formatMoney(value, currency), `Notional: ${why}`),
    plain(position.entryPrice),
    valueOr(position.markPrice, plain, "Mark price: none known."),
    valueOr(position.liquidationDistance, percent, "Liquidation price: not reported by the broker."),
    position.openedAt ? duration((now() - Date.parse(position.openedAt)) / 1000) : missing("Since: not known."),
  );
}

/* ---------- Closed trades ---------- */

const TRADE_TITLES = [
  "Closed",
  "Symbol",
  "Side",
  "P&L",
  "Quantity",
  "Entry",
  "Exit",
  "Fees",
  "Funding",
  "Worst",
  "Best",
  "Held",
];

export function tradesView(bot) {
  const about = h("p", { class: "about" });
  const differs = h("p", { class: "differs", hidden: "" });
  const table = tableOf(TRADE_TITLES);
  const none = h("p", { class: "quiet", hidden: "" }, "No closed trade. Trades come from `fill` or `trade` records.");
  let shown = TRADES_PAGE;
  const older = h("button", { type: "button", class: "plain more", hidden: "" }, "Show older trades");
  const load = async () => {
    const answer = await read(`/trades?bot=${encodeURIComponent(bot)}&limit=${shown}`);
    const { trades, count } = answer;
    setText(about, describeTrades(answer));
    setTextOrHide(differs, describeDifferences(answer));
    table.root.hidden = !trades.length;
    none.hidden = trades.length > 0;
    older.hidden = count <= trades.length || shown >= 1000;
    const rowOf = (trade) => tradeRow(trade, answer.sources.fills.count > 0);
    setNodes(table.body, JSON.stringify(answer), () => trades.map(rowOf));
  };
  const details = fetchedDetails("Closed trades", load, about, differs, table.root, none, older);
  older.addEventListener("click", () => {
    shown = Math.min(1000, shown * 4);
    details.refresh();
  });
  return details;
}

export function describeTrades({ count, pnl, undefined: unknown, currency, source, matching }) {
  const result = isDefined(pnl) ? `, P&L ${formatMoney(pnl, currency, true)}` : "";
  const missed = unknown ? ` (${unknown} without a known P&L)` : "";
  const how = source === "fills" && MATCHING[matching] ? ` ${MATCHING[matching]}` : "";
  return `${count} ${count === 1 ? "trade" : "trades"}, ${SOURCES[source]}${result}${missed}.${how}`;
}

/** Return how the reported trades differ from those made from fills; empty where there are not both. */
export function describeDifferences({ sources, tradeDifferences }) {
  const { reported, fills } = sources;
  if (!reported.count || !fills.count) return "";
  const unconfirmed = tradeDifferences ? `${tradeDifferences} reported in the last 24 h not confirmed by fills. ` : "";
  if (!unconfirmed && reported.count === fills.count && reported.pnl === fills.pnl) return "";
  const [one, other] = [reported, fills].map(
    ({ count, pnl, currency }) => `${count} with ${isDefined(pnl) ? formatMoney(pnl, currency, true) : "unknown P&L"}`,
  );
  return `${unconfirmed}Reported: ${one}; made from fills: ${other}.`;
}

/** Return a note on a reported trade that the fills do not confirm; null where they do. */
function differenceOf({ folded, currency }) {
  if (folded?.agrees) return null;
  if (!folded) return explained("other", "not in fills", "No trade made from the fills closed within a minute of it.");
  const made = isDefined(folded.pnl) ? formatMoney(folded.pnl, currency, true) : "unknown";
  return explained("other", `≠ ${made}`, `The P&L made from the fills is ${made}.`);
}

function tradeRow(trade, hasFills) {
  const { currency } = trade;
  const side = sideOf(trade.side);
  const result = valueOr(trade.pnl, signedMoney(currency), `P&L: ${trade.undefined?.text ?? "not known."}`);
  const why = "only known for trades made from fills, with market prices.";
  return row(
    trade.reason ? [clock(trade.closedAt), h("small", { class: "quiet" }, ` ${trade.reason}`)] : clock(trade.closedAt),
    trade.positionId ? `${trade.symbol} (${trade.positionId})` : trade.symbol,
    side,
    [result, trade.folded !== undefined && hasFills ? differenceOf(trade) : null].filter(Boolean),
    plain(trade.quantity),
    plain(trade.entryPrice),
    plain(trade.exitPrice),
    plain(trade.fees),
    plain(trade.funding),
    valueOr(trade.maxAdverse, signedMoney(currency), `Lowest unrealised P&L: ${why}`),
    valueOr(trade.maxFavorable, signedMoney(currency), `Highest unrealised P&L: ${why}`),
    isDefined(trade.durationSeconds) ? duration(trade.durationSeconds) : missing("Held for: the opening is not known."),
  );
}
