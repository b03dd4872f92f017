// Open positions of a bot, and its exposure.

import { queryString, useApi } from "../app/api.js";
import { duration, formatMoney, isDefined, percent, plain } from "../app/format.js";
import { FAMILIES } from "../app/metrics.js";
import { now, useTick } from "../app/store.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Facts, Panel } from "../components/layout.js";
import { Table } from "../components/table.js";
import { Explained } from "../components/tip.js";
import { Missing, Money } from "../components/values.js";
import { html } from "../vendor/preact/preact.js";
import { Family } from "./bot_sections.js";

const MAX_POSITIONS = 200;
const REFRESH_MS = 15_000;
const EXPOSURE = FAMILIES.find(({ figures }) => figures.some(({ wire }) => wire === "exposure"));

export function Positions({ name, bot }) {
  useTick();
  const found = useApi(`/positions${queryString({ bot: name, limit: MAX_POSITIONS })}`, { every: REFRESH_MS });
  return html`
    <${Panel} title="Open positions" class="bot-positions">
      <${Loaded} from=${found} what="The positions">${(answer) => html`<${Answer} answer=${answer} />`}</${Loaded}>
    </${Panel}>
    <div class="families">
      ${Object.entries(found.data?.exposure ?? {}).map(([currency, exposure]) => html`<${Exposure} key=${currency} ...${{ currency, exposure }} />`)}
      <${Family} title=${EXPOSURE.title} bot=${bot} names=${EXPOSURE.figures.map(({ wire }) => wire)} />
    </div>
  `;
}

function Answer({ answer: { positions, count } }) {
  if (!positions.length) {
    return html`<${Empty}>No open position. Positions come from \`fill\` records; send \`position\` records to open with what the broker holds.</${Empty}>`;
  }
  return html`
    <${Table} caption="Open positions" columns=${COLUMNS} rows=${positions} keyOf=${({ symbol, leg }) => `${symbol} ${leg}`} />
    ${count > positions.length && html`<p class="quiet">${positions.length} of ${count} positions.</p>`}
  `;
}

const reasonOf = ({ undefined: unknown }) => unknown?.text ?? "no market price yet.";

const COLUMNS = [
  {
    key: "symbol",
    title: "Symbol",
    render: ({ symbol, leg, side }) => (leg && leg !== side ? `${symbol} (${leg})` : symbol),
  },
  { key: "side", title: "Side", render: ({ side }) => side },
  {
    key: "quantity",
    title: "Quantity",
    numeric: true,
    render: (position) => html`<${Quantity} position=${position} />`,
  },
  {
    key: "unrealised",
    title: "Unrealised",
    numeric: true,
    render: (position) =>
      html`<${Money} value=${position.unrealizedPnL} currency=${position.currency} signed why=${`Unrealised P&L: ${reasonOf(position)}`} />`,
  },
  {
    key: "notional",
    title: "Notional",
    numeric: true,
    render: (position) =>
      html`<${Money} value=${position.notional} currency=${position.currency} why=${`Notional: ${reasonOf(position)}`} />`,
  },
  { key: "entry", title: "Entry", numeric: true, hideOnPhone: true, render: ({ entryPrice }) => plain(entryPrice) },
  {
    key: "mark",
    title: "Mark",
    numeric: true,
    hideOnPhone: true,
    render: ({ markPrice }) =>
      isDefined(markPrice) ? plain(markPrice) : html`<${Missing} why="Mark price: none known." />`,
  },
  {
    key: "liquidation",
    title: "To liquidation",
    numeric: true,
    render: ({ liquidationDistance }) =>
      isDefined(liquidationDistance)
        ? percent(liquidationDistance)
        : html`<${Missing} why="Liquidation price: not reported by the broker." />`,
  },
  {
    key: "since",
    title: "Since",
    numeric: true,
    hideOnPhone: true,
    render: ({ openedAt }) =>
      openedAt ? duration((now() - Date.parse(openedAt)) / 1000) : html`<${Missing} why="Since: not known." />`,
  },
]; // prettier-ignore

function Quantity({ position: { quantity, differsFromBroker, foldedQuantity } }) {
  if (!differsFromBroker) return plain(quantity);
  const why = `The broker's latest report differed from the fills, which gave ${plain(foldedQuantity)}; the broker's counts.`;
  return html`${plain(quantity)} <${Explained} class="differs" why=${why}>≠ fills</${Explained}>`;
}

function Exposure({ currency, exposure }) {
  const money = (value) => formatMoney(value, currency === "unknown" ? null : currency);
  const { long, short, gross, net, unrealizedPnL, concentration, largestSymbol, undefined: unknown } = exposure;
  const facts = [
    ["Long", money(long)],
    ["Short", money(short)],
    ["Gross", money(gross)],
    ["Net", money(net)],
    ["Unrealised P&L", money(unrealizedPnL)],
    ["Largest symbol", largestSymbol ? `${largestSymbol}, ${percent(concentration)}` : "–"],
    ...(unknown ? [["Left out, without a notional", plain(unknown)]] : []),
  ];
  return html`<${Panel} title="Notional"><${Facts} facts=${facts} /></${Panel}>`;
}
