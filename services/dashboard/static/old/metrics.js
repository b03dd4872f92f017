// Metrics of bots: their definitions, which value counts where the bot reports one and Botwatch computes one, and how
// a value is shown, with notes on what is computed, uncertain or disputed.
//
// Names, units, definitions and reasons come with the page from shared/schema/metric_definitions.py and
// undefined_reasons.py.

import { $, explained, missing, setNodes, setText } from "./elements.js";
import { formatMoney, formatterOf, isDefined, plain } from "./format.js";

const { families, reasons, warnings } = JSON.parse($("definitions").textContent);

export const FAMILIES = families;

const DEFINITIONS = new Map(
  families.flatMap(({ doubt, figures }) => figures.map((metric) => [metric.wire, { ...metric, doubt }])),
);
const LABELS_AND_FORMATTERS = new Map([
  ...[...DEFINITIONS.values()].map((metric) => [metric.wire, [metric.label, formatterOf(metric)]]),
  ["equity", ["Equity", formatMoney]],
]);

export const NAMES = [...DEFINITIONS.keys()];
export const definitionOf = (name) => DEFINITIONS.get(name);
export const label = (name) => LABELS_AND_FORMATTERS.get(name)?.[0] ?? name;
/** Write a metric's value; money with its currency. */
export const formatMetric = (name, value, currency) => (LABELS_AND_FORMATTERS.get(name)?.[1] ?? plain)(value, currency);

/* ---------- One bot's metrics ---------- */

/** Return why a metric is undefined: the server's text, or the same text made here from a live record's code. */
export function undefinedReason(bot, name) {
  const undefinedMetric = bot.undefined?.[name];
  if (!undefinedMetric) {
    return bot.timestamp
      ? "Neither reported by the bot nor computable from what it reported."
      : "No performance record yet.";
  }
  const words = undefinedMetric.reason.replaceAll("_", " ");
  const sentence = reasons[undefinedMetric.reason] ?? `${words[0].toUpperCase()}${words.slice(1)}.`;
  return undefinedMetric.text ?? sentence.replaceAll("{n}", undefinedMetric.n ?? 0);
}

/** Return the sentence for a warning of the API, or for a live record's code. */
export function describeWarning(warning) {
  const code = warning.code ?? warning;
  return warning.text ?? warnings[code] ?? `${code[0].toUpperCase()}${code.slice(1).replaceAll("_", " ")}.`;
}

export const isComputed = (bot, name) => Boolean(bot.computed?.includes(name));

/** Return the warning that a metric is computed from few samples; undefined where there are enough. */
export const lowConfidence = (bot, name) => {
  const n = isComputed(bot, name) ? bot.lowConfidence?.[name] : undefined;
  return n === undefined ? n : (DEFINITIONS.get(name).doubt || "Low confidence: {n} samples.").replaceAll("{n}", n);
};

/** Return the reported and the computed value of a metric where they differ. */
export const differenceOf = (bot, name) => (isComputed(bot, name) ? undefined : bot.differences?.[name]);

/* ---------- On the page ---------- */

const MAX_DIFFERENCES = 3;

/** Show a metric; an undefined one is a dash with the reason. */
export function setMetric(element, name, value, why, currency) {
  const text = isDefined(value) ? formatMetric(name, value, currency) : null;
  setNodes(element, text ?? why, () => [text ?? missing(why)]);
}

/** Show a bot's metric with its notes, and with the computed value where the two differ. */
export function setBotMetric(element, bot, name) {
  if (isDefined(bot[name])) setTextWithNotes(element, formatMetric(name, bot[name], bot.currency), bot, name);
  else setMetric(element, name, null, `${label(name)}: ${undefinedReason(bot, name)}`);
}

/** Show a text about a bot's metric, and the notes on the metric. */
export function setTextWithNotes(element, text, bot, name) {
  const notes = notesFor(bot, name);
  setNodes(element, JSON.stringify([text, notes]), () => [text, ...notes.map((note) => explained(...note))]);
}

/** Return the notes on a metric that is shown, each as [class, text, meaning]. */
function notesFor(bot, name) {
  const notes = [];
  const warning = lowConfidence(bot, name);
  if (warning) notes.push(["mark", "≈", warning]);
  if (bot.source === "reported" && isComputed(bot, name)) {
    notes.push(["mark", "c", "Computed by Botwatch from the bot's raw records; the bot does not report it."]);
  }
  const difference = differenceOf(bot, name);
  if (difference) {
    const [reported, computed] = [difference.reported, difference.computed].map((value) =>
      formatMetric(name, value, bot.currency),
    );
    const meaning = `The bot reports ${reported}; Botwatch computes ${computed} from its raw records.`;
    notes.push(["other", `≠ ${computed}`, meaning]);
  }
  return notes;
}

/** Explain the marks beside the metrics `shown`, where there are any. */
export function renderLegend(element, bot, shown) {
  const all = bot.source === "computed" ? "All metrics are computed by Botwatch" : "";
  const some = !all && shown.some((name) => isComputed(bot, name)) ? "c: computed by Botwatch" : "";
  const uncertain = shown.some((name) => lowConfidence(bot, name)) ? "≈: low confidence" : "";
  setText(element, [all, some, uncertain].filter(Boolean).join(" · "));
  element.hidden = !element.textContent;
}

export function renderDifferences(element, bot) {
  const names = Object.keys(bot.differences ?? {}).filter((name) => differenceOf(bot, name));
  const sentences = names.slice(0, MAX_DIFFERENCES).map((name) => {
    const { reported, computed } = differenceOf(bot, name);
    const [told, made] = [reported, computed].map((value) => formatMetric(name, value, bot.currency));
    return `${label(name)} ${told} reported, ${made} computed`;
  });
  if (names.length > MAX_DIFFERENCES) sentences.push(`and ${names.length - MAX_DIFFERENCES} more`);
  const head = names.length === 1 ? "1 metric differs" : `${names.length} metrics differ`;
  setText(element, `${head} from what Botwatch computes: ${sentences.join("; ")}.`);
  element.hidden = !names.length;
}
