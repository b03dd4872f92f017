// Figures: what each is called, means and is written like, and what is shown where bot and Botwatch both have one.
//
// Names, units, definitions and reasons come with the page from shared/schema/metric_definitions.py and reasons.py.

const { families, reasons } = JSON.parse(document.getElementById("definitions").textContent);

export const FAMILIES = families;
export const isDefined = (value) => value !== null && value !== undefined;

/* ---------- How they are written ---------- */

export const number = (digits, options = {}) => {
  const format = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits, maximumFractionDigits: digits, ...options,
  });
  return (value) => format.format(value);
};
export const money = number(2);
export const signed = number(2, { signDisplay: "exceptZero" });
export const whole = number(0);
export const ratio = number(2);
// A rate of 0.00003 must not read as 0.
export const plain = number(0, { maximumFractionDigits: 4, maximumSignificantDigits: 6, roundingPriority: "morePrecision" });

export function duration(total) {
  const s = Math.max(0, Math.floor(total));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const [d, h, m] = [Math.floor(s / 86400), Math.floor((s % 86400) / 3600), Math.floor((s % 3600) / 60)];
  return d ? `${d} d ${h} h` : `${h} h ${m} min`;
}

const UNITS = { // digits, and what follows
  "account currency": [2, ""], percent: [2, "%"], "basis points": [2, " bps"], milliseconds: [1, " ms"], number: [2, ""],
};

function writer({ unit, style }) {
  if (unit === "seconds") return duration;
  const [digits, suffix] = style === "count" ? [0, ""] : UNITS[unit];
  const format = number(digits, style === "signed" ? { signDisplay: "exceptZero" } : {});
  return (value) => (unit === "milliseconds" && value >= 60_000 ? duration(value / 1000) : format(value) + suffix);
}

export const percent = writer({ unit: "percent" });
export const milliseconds = writer({ unit: "milliseconds" });

const DEFINED = new Map(families.flatMap(({ doubt, figures }) => figures.map((figure) => [figure.wire, { ...figure, doubt }])));
export const NAMES = [...DEFINED.keys()];
const FIGURES = new Map([
  ...[...DEFINED.values()].map((figure) => [figure.wire, [figure.label, writer(figure)]]),
  ["equity", ["Equity", money]],
]);

export const definition = (name) => DEFINED.get(name);
export const label = (name) => FIGURES.get(name)?.[0] ?? name;
export const written = (name, value) => (FIGURES.get(name)?.[1] ?? plain)(value);

/* ---------- What is known of a bot's figure ---------- */

/** Why a figure is undefined: in the server's words, or in the same words made here of a live record's code. */
export function reason(bot, name) {
  const said = bot.undefined?.[name];
  if (!said) {
    return bot.timestamp ? "Neither reported by the bot nor computable from what it reported." : "No performance record yet.";
  }
  const words = said.reason.replaceAll("_", " ");
  const sentence = reasons[said.reason] ?? `${words[0].toUpperCase()}${words.slice(1)}.`;
  return said.text ?? sentence.replaceAll("{n}", said.n ?? 0);
}

export const isComputed = (bot, name) => Boolean(bot.computed?.includes(name));

/** On how little a shown figure rests, in words; undefined where it can be leaned on. */
export const doubt = (bot, name) => {
  const n = isComputed(bot, name) ? bot.lowConfidence?.[name] : undefined;
  return n === undefined ? n : (DEFINED.get(name).doubt || "Made of little: {n}.").replaceAll("{n}", n);
};

/** Both values of a figure that the bot reports otherwise than it is computed. */
export const difference = (bot, name) => (isComputed(bot, name) ? undefined : bot.differences?.[name]);

const chosen = (names, figures) => Object.fromEntries(names.map((name) => [name, figures?.[name] ?? null]));
const only = (entries, wanted) => Object.fromEntries(Object.entries(entries ?? {}).filter(([name]) => wanted(name)));

/**
 * Take a live performance record into what is known of its bot, as services/dashboard/snapshot.py puts latest
 * records together: reported figures win, computed ones fill what the bot leaves out. False for a late record.
 */
export function takeFigures(bot, record, before) {
  const made = record.source === "computed";
  const known = made ? bot.computedAt : bot.source === "reported" ? bot.timestamp : null;
  if (before(record.timestamp, known)) return false;
  const reported = bot.source === "reported" ? only(chosen(NAMES, bot), (name) => !isComputed(bot, name)) : {};
  const own = made ? reported : record;
  const computed = made ? record
    : { ...bot.computedFigures, undefined: bot.undefined, lowConfidence: bot.lowConfidence, differences: bot.differences };
  Object.assign(bot, chosen(NAMES, { ...chosen(NAMES, computed), ...only(own, (name) => isDefined(own[name])) }));
  bot.computed = NAMES.filter((name) => !isDefined(own[name]) && isDefined(computed[name]));
  bot.undefined = only(computed.undefined, (name) => !isDefined(bot[name]));
  bot.lowConfidence = only(computed.lowConfidence, (name) => isComputed(bot, name));
  bot.differences = computed.differences ?? {};
  if (made) Object.assign(bot, { computedAt: record.timestamp, computedFigures: chosen(NAMES, record), disagreements: record.disagreements ?? null });
  if (!made || bot.source !== "reported") Object.assign(bot, { timestamp: record.timestamp, source: made ? "computed" : "reported" });
  return true;
}
