// Money and metrics, with what they mean and how far they can be relied on.

import { formatMoney, isDefined } from "../app/format.js";
import {
  definitionOf,
  differenceOf,
  formatMetric,
  isComputed,
  label,
  lowConfidence,
  undefinedReason,
} from "../app/metrics.js"; // prettier-ignore
import { html } from "../vendor/preact/preact.js";
import { Explained } from "./tip.js";

/** The dash of a value that is undefined, with the reason. */
export const Missing = ({ why }) => html`<${Explained} class="undefined" why=${why}>–</${Explained}>`;

/** Money with its currency; `signed` colours gains and losses. */
export function Money({ value, currency, signed = false, why = "unknown" }) {
  if (!isDefined(value)) return html`<${Missing} why=${why} />`;
  const sign = !signed || value === 0 ? undefined : value > 0 ? "up" : "down";
  return html`<span class="number" data-sign=${sign}>${formatMoney(value, currency, signed)}</span>`;
}

/** A bot's metric: its value, the notes on it, or why it is undefined. */
export function MetricValue({ name, bot }) {
  if (!isDefined(bot[name])) return html`<${Missing} why=${`${label(name)}: ${undefinedReason(bot, name)}`} />`;
  const difference = differenceOf(bot, name);
  const doubt = lowConfidence(bot, name);
  return html`
    <span class="number">${formatMetric(name, bot[name], bot.currency)}</span>
    ${doubt && html`<${Explained} class="mark" why=${doubt}>≈</${Explained}>`}
    ${bot.source === "reported" && isComputed(bot, name) && html`<${Explained} class="mark" why="Computed by Botwatch from the bot's raw records; the bot does not report it.">c</${Explained}>`}
    ${difference && html`<${Explained} class="differs" why=${describeDifference(name, difference, bot.currency)}>${`≠ ${formatMetric(name, difference.computed, bot.currency)}`}</${Explained}>`}
  `;
}

function describeDifference(name, { reported, computed }, currency) {
  const [ofBot, ofBotwatch] = [reported, computed].map((value) => formatMetric(name, value, currency));
  return `The bot reports ${ofBot}; Botwatch computes ${ofBotwatch} from its raw records.`;
}

/** A metric's name, with its definition on hover, tap and Enter. */
export function MetricName({ name }) {
  const definition = definitionOf(name);
  if (!definition) return label(name);
  const text = `${definition.text} Computed from ${definition.source}. Undefined when ${definition.undefined}. On the wire: ${name}, ${definition.unit}.`;
  return html`<${Explained} class="term" why=${text}>${label(name)}</${Explained}>`;
}
