// Metrics of bots: their definitions, and which value counts where the bot reports one and Botwatch computes one.
//
// Names, units, definitions and reasons come with the page from shared/schema/metric_definitions.py and
// undefined_reasons.py.

import { DEFINITIONS } from "./environment.js";
import { formatMoney, formatterOf, isDefined, plain } from "./format.js";

const { families, reasons, warnings } = DEFINITIONS;

export const FAMILIES = families;

const byName = new Map(
  families.flatMap(({ doubt, figures }) => figures.map((metric) => [metric.wire, { ...metric, doubt }])),
);
const labelsAndFormatters = new Map([
  ...[...byName.values()].map((metric) => [metric.wire, [metric.label, formatterOf(metric)]]),
  ["equity", ["Equity", formatMoney]],
]);

export const NAMES = [...byName.keys()];
export const definitionOf = (name) => byName.get(name);
export const label = (name) => labelsAndFormatters.get(name)?.[0] ?? name;
/** Write a metric's value; money with its currency. */
export const formatMetric = (name, value, currency) => (labelsAndFormatters.get(name)?.[1] ?? plain)(value, currency);

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
  return n === undefined ? n : (byName.get(name).doubt || "Low confidence: {n} samples.").replaceAll("{n}", n);
};

/** Return the reported and the computed value of a metric where they differ. */
export const differenceOf = (bot, name) => (isComputed(bot, name) ? undefined : bot.differences?.[name]);

const pick = (names, metrics) => Object.fromEntries(names.map((name) => [name, metrics?.[name] ?? null]));
const filterNames = (metrics, isWanted) =>
  Object.fromEntries(Object.entries(metrics ?? {}).filter(([name]) => isWanted(name)));

/**
 * Return a bot with a live performance record merged into it, as services/dashboard/snapshot.py merges the latest
 * records: reported values win, computed ones fill the gaps. A late record changes nothing.
 */
export function mergeMetrics(bot, record, isBefore) {
  const isComputedRecord = record.source === "computed";
  const known = isComputedRecord ? bot.computedAt : bot.source === "reported" ? bot.timestamp : null;
  if (isBefore(record.timestamp, known)) return bot;
  const previous = bot.source === "reported" ? filterNames(pick(NAMES, bot), (name) => !isComputed(bot, name)) : {};
  const reported = isComputedRecord ? previous : record;
  const computed = isComputedRecord
    ? record
    : {
        ...bot.computedFigures,
        undefined: bot.undefined,
        lowConfidence: bot.lowConfidence,
        differences: bot.differences,
      };
  const shown = { ...pick(NAMES, computed), ...filterNames(reported, (name) => isDefined(reported[name])) };
  const merged = { ...bot, ...pick(NAMES, shown) };
  merged.computed = NAMES.filter((name) => !isDefined(reported[name]) && isDefined(computed[name]));
  merged.undefined = filterNames(computed.undefined, (name) => !isDefined(merged[name]));
  merged.lowConfidence = filterNames(computed.lowConfidence, (name) => isComputed(merged, name));
  merged.differences = computed.differences ?? {};
  if (isComputedRecord) {
    Object.assign(merged, {
      currency: record.currency || bot.currency,
      computedAt: record.timestamp,
      computedFigures: pick(NAMES, record),
      disagreements: record.disagreements ?? null,
      benchmark: record.benchmark ?? null,
      tradeMatching: record.tradeMatching ?? null,
      warnings: record.warnings ?? [],
    });
  }
  if (!isComputedRecord || bot.source !== "reported") {
    merged.timestamp = record.timestamp;
    merged.source = isComputedRecord ? "computed" : "reported";
  }
  return merged;
}
