// Closed trades of a bot: filtered, sorted and paged by the API. The query string keeps all of it.

import { apiUrl, queryString, useApi } from "../app/api.js";
import { count, duration, formatMoney, isDefined, plain, whole } from "../app/format.js";
import { useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { Empty, Loaded } from "../components/feedback.js";
import { RANGES, rangeMs, SelectField } from "../components/fields.js";
import { Panel } from "../components/layout.js";
import { Table } from "../components/table.js";
import { Time } from "../components/time.js";
import { Explained } from "../components/tip.js";
import { Missing, Money } from "../components/values.js";
import { html, useMemo } from "../vendor/preact/preact.js";

const PAGE = 50;
const REFRESH_MS = 30_000;
const HOUR_MS = 3_600_000;

const MATCHING = {
  "flat-to-flat": "A trade lasts from flat to flat.",
  fifo: "Each reduction is a trade; first in, first out.",
  lifo: "Each reduction is a trade; last in, first out.",
  average: "Each reduction is a trade, at the average entry price.",
};
const SOURCES = { reported: "as reported by the bot", fills: "made from fills", mixed: "reported, or made from fills" };
const FILTERS = ["symbol", "side", "result", "source"];

export function Trades({ name, currency }) {
  const [query, setQuery] = useQuery();
  const { sort = "-closedAt", cursor, period } = query;
  const since = useSince(period);
  const filter = { bot: name, from: since, ...Object.fromEntries(FILTERS.map((key) => [key, query[key]])), sort };
  const found = useApi(`/trades${queryString({ ...filter, limit: PAGE, cursor })}`, { every: REFRESH_MS });
  const change = (values) => setQuery({ ...values, cursor: null });
  return html`
    <${Panel} title="Closed trades" class="bot-trades" actions=${html`<a class="button plain small" href=${apiUrl(`/trades${queryString({ ...filter, format: "csv" })}`)} download>Download CSV</a>`}>
      <${Filters} ...${{ query, change, symbols: found.data?.symbols ?? [] }} />
      <${Loaded} from=${found} what="The trades">${(answer) => html`<${Answer} ...${{ answer, currency, sort, change, cursor, next: found.next, isFiltered: FILTERS.some((key) => query[key]) || Boolean(period) }} />`}</${Loaded}>
    </${Panel}>
  `;
}

/** Return where a period such as "7d" begins, to the hour: the same request can be answered from what is kept. */
const useSince = (period) =>
  useMemo(() => {
    const length = period && rangeMs(period);
    return length ? new Date(Math.floor((now() - length) / HOUR_MS) * HOUR_MS).toISOString() : null;
  }, [period]);

function Filters({ query, change, symbols }) {
  const choose = (key) => (value) => change({ [key]: value });
  const selects = [
    ["symbol", "Symbol", [["", "All symbols"], ...symbols]],
    [
      "side",
      "Side",
      [
        ["", "Long and short"],
        ["long", "Long"],
        ["short", "Short"],
      ],
    ],
    [
      "result",
      "Result",
      [
        ["", "All results"],
        ["win", "Wins"],
        ["loss", "Losses"],
        ["break-even", "Break-even"],
      ],
    ],
    ["period", "Closed", [["", "All time"], ...RANGES.map(([value, text]) => [value, `Last ${text}`])]],
    [
      "source",
      "Source",
      [
        ["", "As the bot reports them"],
        ["reported", "Reported"],
        ["fills", "Made from fills"],
      ],
    ],
  ]; // prettier-ignore
  return html`
    <div class="filters">
      ${selects.map(([key, label, choices]) => html`<${SelectField} key=${key} seen=${false} label=${label} value=${query[key] ?? ""} onChange=${choose(key)} choices=${choices} />`)}
    </div>
  `;
}

function Answer({ answer, currency, sort, change, cursor, next, isFiltered }) {
  const [, setQuery] = useQuery();
  const { trades, count: all } = answer;
  if (!all) {
    return html`<${Empty}>${isFiltered ? "No closed trade matches. Choose other filters." : "No closed trade. Trades come from `fill` or `trade` records."}</${Empty}>`;
  }
  const turn = (page) => setQuery({ cursor: page }, { push: true });
  return html`
    <p class="about">${describeTrades(answer)}</p>
    <${TradeDifferences} answer=${answer} />
    <${Table} caption="Closed trades" columns=${columnsOf(currency, answer.sources.fills.count > 0)} rows=${trades} keyOf=${({ source, number }) => `${source} ${number}`} sort=${sort} onSort=${(next) => change({ sort: next === "-closedAt" ? null : next })} empty="No trade on this page." />
    ${
      (cursor || next) &&
      html`
        <p class="pages">
          <span class="quiet">${count(trades.length, "trade")} of ${whole(all)}</span>
          <button type="button" class="plain small" disabled=${!cursor} onClick=${() => turn(null)}>First page</button>
          <button type="button" class="plain small" disabled=${!next} onClick=${() => turn(new URLSearchParams(next.split("?")[1]).get("cursor"))}>Next page</button>
        </p>
      `
    }
  `;
}

export function describeTrades({ count: all, pnl, undefined: unknown, currency, source, matching }) {
  const result = isDefined(pnl) ? `, P&L ${formatMoney(pnl, currency, true)}` : "";
  const missed = unknown ? ` (${unknown} without a known P&L)` : "";
  const how = source === "fills" && MATCHING[matching] ? ` ${MATCHING[matching]}` : "";
  return `${count(all, "trade")}, ${SOURCES[source]}${result}${missed}.${how}`;
}

/** How the reported trades differ from those made from fills, where there are both. */
export function TradeDifferences({ answer: { sources, tradeDifferences } }) {
  const { reported, fills } = sources;
  if (!reported.count || !fills.count) return null;
  const unconfirmed = tradeDifferences ? `${tradeDifferences} reported in the last 24 h not confirmed by fills. ` : "";
  if (!unconfirmed && reported.count === fills.count && reported.pnl === fills.pnl) return null;
  const [one, other] = [reported, fills].map(
    ({ count: all, pnl, currency }) =>
      `${all} with ${isDefined(pnl) ? formatMoney(pnl, currency, true) : "unknown P&L"}`,
  );
  return html`<p class="differing">${unconfirmed}Reported: ${one}; made from fills: ${other}.</p>`;
}

const sideOf = (side) => ({ buy: "long", sell: "short" })[side] ?? side;
const NOT_KNOWN = "only known for trades made from fills, with market prices.";

function columnsOf(currency, hasFills) {
  return [
    {
      key: "closedAt",
      title: "Closed",
      sort: ({ closedAt }) => Date.parse(closedAt),
      class: "nowrap",
      render: ({ closedAt, reason }) =>
        html`<${Time} at=${closedAt} />${reason && html` <small class="quiet">${reason}</small>`}`,
    },
    {
      key: "symbol",
      title: "Symbol",
      sort: ({ symbol }) => symbol,
      render: ({ symbol, positionId }) => (positionId ? `${symbol} (${positionId})` : symbol),
    },
    { key: "side", title: "Side", render: ({ side }) => sideOf(side) },
    {
      key: "pnl",
      title: "P&L",
      numeric: true,
      sort: ({ pnl }) => pnl,
      render: (trade) =>
        html`<${Money} value=${trade.pnl} currency=${trade.currency ?? currency} signed why=${`P&L: ${trade.undefined?.text ?? "not known."}`} />${trade.folded !== undefined && hasFills && html`<${Confirmation} trade=${trade} />`}`,
    },
    {
      key: "quantity",
      title: "Quantity",
      numeric: true,
      sort: ({ quantity }) => quantity,
      render: ({ quantity }) => plain(quantity),
    },
    { key: "entry", title: "Entry", numeric: true, hideOnPhone: true, render: ({ entryPrice }) => plain(entryPrice) },
    { key: "exit", title: "Exit", numeric: true, hideOnPhone: true, render: ({ exitPrice }) => plain(exitPrice) },
    {
      key: "fees",
      title: "Fees",
      numeric: true,
      hideOnPhone: true,
      sort: ({ fees }) => fees,
      render: ({ fees }) => plain(fees ?? 0),
    },
    {
      key: "funding",
      title: "Funding",
      numeric: true,
      hideOnPhone: true,
      render: ({ funding }) => plain(funding ?? 0),
    },
    {
      key: "worst",
      title: "Worst",
      hint: "Lowest unrealised P&L while it was open",
      numeric: true,
      hideOnPhone: true,
      render: ({ maxAdverse }) =>
        html`<${Money} value=${maxAdverse} signed why=${`Lowest unrealised P&L: ${NOT_KNOWN}`} />`,
    },
    {
      key: "best",
      title: "Best",
      hint: "Highest unrealised P&L while it was open",
      numeric: true,
      hideOnPhone: true,
      render: ({ maxFavorable }) =>
        html`<${Money} value=${maxFavorable} signed why=${`Highest unrealised P&L: ${NOT_KNOWN}`} />`,
    },
    {
      key: "held",
      title: "Held",
      numeric: true,
      render: ({ durationSeconds }) =>
        isDefined(durationSeconds)
          ? duration(durationSeconds)
          : html`<${Missing} why="Held for: the opening is not known." />`,
    },
  ]; // prettier-ignore
}

/** A note on a reported trade that the fills do not confirm. */
function Confirmation({ trade: { folded, currency } }) {
  if (folded?.agrees) return null;
  if (!folded)
    return html`<${Explained} class="differs" why="No trade made from the fills closed within a minute of it.">not in fills</${Explained}>`;
  const made = isDefined(folded.pnl) ? formatMoney(folded.pnl, currency, true) : "unknown";
  return html`<${Explained} class="differs" why=${`The P&L made from the fills is ${made}.`}>≠ ${made}</${Explained}>`;
}
