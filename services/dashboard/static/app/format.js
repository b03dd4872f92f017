// Numbers, units, durations and times as the page writes them.

import { preferences, timeZone } from "./preferences.js";

export const isDefined = (value) => value !== null && value !== undefined;

/* ---------- Numbers ---------- */

export const number = (digits, options = {}) => {
  const format = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    ...options,
  });
  return (value) => format.format(value);
};
export const money = number(2);
export const signed = number(2, { signDisplay: "exceptZero" });

// Of national currencies and what stands for them, such as USDT; coins have up to eight digits.
const CURRENCIES = new Set(Intl.supportedValuesOf?.("currency"));
const isCounted = (currency) => !currency || CURRENCIES.has(currency) || /USD|EUR|DAI/.test(currency);
const coin = number(2, { maximumFractionDigits: 8 });
const signedCoin = number(2, { maximumFractionDigits: 8, signDisplay: "exceptZero" });

/** Write money with its currency, where that is known; less than 1 of an unknown one may be a coin's. */
export function formatMoney(value, currency, withSign = false) {
  const isCoin = !isCounted(currency) || (!currency && Math.abs(value) < 1);
  const write = isCoin ? (withSign ? signedCoin : coin) : withSign ? signed : money;
  return currency ? `${write(value)} ${currency}` : write(value);
}

export const whole = number(0);
export const ratio = number(2);
// A rate of 0.00003 must not read as 0.
export const plain = number(0, {
  maximumFractionDigits: 4,
  maximumSignificantDigits: 6,
  roundingPriority: "morePrecision",
});

/** Write a number of things: "1 bot", "3 bots". */
export const count = (value, one, many = `${one}s`) => `${whole(value)} ${value === 1 ? one : many}`;

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  let [scaled, power] = [value, 0];
  for (; scaled >= 1024 && power < BYTE_UNITS.length - 1; power += 1) scaled /= 1024;
  return `${number(power && scaled < 100 ? 1 : 0)(scaled)} ${BYTE_UNITS[power]}`;
}

/** Write seconds as "45 s", "12 min", "3 h 5 min" or "2 d 4 h". */
export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  const [d, h, m] = [Math.floor(total / 86400), Math.floor((total % 86400) / 3600), Math.floor((total % 3600) / 60)];
  return d ? `${d} d ${h} h` : `${h} h ${m} min`;
}

const UNITS = {
  // digits, suffix
  percent: [2, "%"],
  "basis points": [2, " bps"],
  milliseconds: [1, " ms"],
  number: [2, ""],
};

/** Return the function that writes values of a metric definition's unit and style; money takes a currency, too. */
export function formatterOf({ unit, style }) {
  if (unit === "seconds") return duration;
  if (unit === "account currency") return (value, currency) => formatMoney(value, currency, style === "signed");
  const [digits, suffix] = style === "count" ? [0, ""] : UNITS[unit];
  const format = number(digits, style === "signed" ? { signDisplay: "exceptZero" } : {});
  return (value) => (unit === "milliseconds" && value >= 60_000 ? duration(value / 1000) : format(value) + suffix);
}

export const percent = formatterOf({ unit: "percent" });
export const signedPercent = formatterOf({ unit: "percent", style: "signed" });
export const milliseconds = formatterOf({ unit: "milliseconds" });

/* ---------- Times, in the zone of the preferences ---------- */

const two = "2-digit";
const FORMATS = {
  second: { hour: two, minute: two, second: two, hourCycle: "h23" },
  minute: { hour: two, minute: two, hourCycle: "h23" },
  date: { year: "numeric", month: "short", day: "numeric" },
  shortDate: { month: "short", day: "numeric" },
  dayAndMinute: { month: "short", day: "numeric", hour: two, minute: two, hourCycle: "h23" },
  full: { year: "numeric", month: "short", day: "numeric", hour: two, minute: two, second: two, hourCycle: "h23" },
};
const made = new Map();

function write(name, at) {
  const zone = timeZone();
  const key = `${name} ${zone}`;
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat(undefined, { ...FORMATS[name], timeZone: zone }));
  return made.get(key).format(new Date(at));
}

/** These take ms or an ISO text. */
export const timeOfDay = (at) => write("second", at);
export const timeToMinute = (at) => write("minute", at);
export const date = (at) => write("date", at);
export const shortDate = (at) => write("shortDate", at);
export const dayAndTime = (at) => write("dayAndMinute", at);

/** Write date and time, with "UTC" where the page shows UTC. */
export const dateAndTime = (at) => `${write("full", at)}${preferences.get().zone === "utc" ? " UTC" : ""}`;

/** Write a time: the time of day, with the date unless it is today. */
export const clock = (at) => (write("date", at) === write("date", Date.now()) ? timeOfDay(at) : dateAndTime(at));

/** Write the server's UTC times in a text by the page's clock: two clocks in one row mislead. */
export const withLocalTimes = (text) =>
  text?.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, (at) => clock(at.replace(" ", "T").replace(" UTC", "Z")));

/* ---------- Alerts ---------- */

const OPERATORS = { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" };

/** Return what an alert's rule measures, its value, and its limit, as texts. */
export function comparison({ measure, valueText, operator, limitText }) {
  return [measure, valueText, limitText ? `(alert ${OPERATORS[operator] ?? operator} ${limitText})` : ""];
}

const CHANGES = {
  // as in "Alert opened"
  opened: "opened",
  reopened: "reopened",
  flapping: "flapping, kept open",
  raised: "severity raised",
  lowered: "severity lowered",
  acknowledged: "acknowledged",
  unacknowledged: "acknowledgement expired",
  muted: "muted",
  unmuted: "no longer muted",
  escalated: "escalated, not acknowledged",
  repeated: "still open",
  resolved: "resolved",
};

/** Return what an alert event is called. */
export const describeChange = (change) => CHANGES[change] ?? change;
