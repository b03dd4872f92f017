// Availability of checks: the bars of a status page, percentages, and the status with how long it has lasted.

import { dayAndTime, duration, isDefined, number, percent } from "../app/format.js";
import { now } from "../app/store.js";
import { html, useMemo } from "../vendor/preact/preact.js";
import { StateBars } from "./charts.js";
import { StatusDot } from "./status.js";
import { Age } from "./time.js";
import { Missing } from "./values.js";

export const WINDOWS = [
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["90d", "90 d"],
];
export const WORST_FIRST = ["critical", "warning", "no data", "unknown", "ok"];
const POOR = 99; // percent
const MANY_DOWN = 0.5; // of the known time of a bar
const HELD_INTERVALS = 3; // a result counts for so many
const MIN_HELD_S = 60;

export const checkPath = (host, check) => `/checks/${encodeURIComponent(host)}/${encodeURIComponent(check)}`;
export const hostPath = (host) => `/hosts/${encodeURIComponent(host)}`;

/** Return the status that counts now: of a check that stopped there is no data. */
export function statusNow({ status, timestamp, intervalSeconds }) {
  const held = Math.max(HELD_INTERVALS * intervalSeconds, MIN_HELD_S);
  const isOver = isDefined(intervalSeconds) && now() - Date.parse(timestamp) > held * 1000;
  return isOver ? "no data" : status;
}

/** Write a share of time; 99.998% must not read as 100%. */
export const share = (value) =>
  value < 100 && value > 99.99 ? `${number(3)(Math.min(value, 99.999))}%` : percent(value);

/** The availability in one window of the API; undefined while it is loaded. */
export function Availability({ window }) {
  if (!window) return html`<span class="quiet">…</span>`;
  if (!isDefined(window.availability))
    return html`<${Missing} why="Nothing is known of this time, or the check is about events, which are never up or down." />`;
  return html`<span class="number" data-sign=${window.availability < POOR ? "down" : undefined} title=${describe(window.seconds)}>${share(window.availability)}</span>`;
}

/** Say how long each status lasted: "ok 23 h 57 min, critical 3 min". */
export const describe = ({ ok, warning, critical, unknown, noData }) =>
  [
    ["ok", ok],
    ["warning", warning],
    ["critical", critical],
    ["unknown", unknown],
    ["no data", noData],
  ]
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => `${name} ${duration(seconds)}`)
    .join(", ");

/** Bars over a window; `times` is `{ from, step }` of the API, `bars` its seconds by status. */
export function AvailabilityBars({ times, bars, title }) {
  // One element as long as the data are the same: a list has thousands of bars.
  return useMemo(() => {
    const describe = (index) => {
      const at = Date.parse(times.from) + index * times.step * 1000;
      return `${dayAndTime(at)}: ${describeBar(bars[index], times.step, at)}`;
    };
    return html`<${StateBars} tones=${bars.map(toneOfBar)} ...${{ describe, title }} />`;
  }, [times, bars, title]);
}

export function toneOfBar([ok, warning, critical]) {
  const known = ok + warning + critical;
  if (!known) return "none";
  if (critical) return critical / known >= MANY_DOWN ? "critical" : "high";
  return warning ? "medium" : "good";
}

function describeBar([ok, warning, critical, unknown], step, at) {
  const known = ok + warning + critical;
  const length = Math.min(step, (now() - at) / 1000);
  const noData = length - known - unknown;
  const times = describe({ ok: 0, warning, critical, unknown, noData: noData >= 60 ? noData : 0 });
  if (!known) return "no data";
  return [`${share((100 * (ok + warning)) / known)} available`, times].filter(Boolean).join("; ");
}

/** The status of a check, and since when. */
export const CheckStatus = ({ status, since }) => html`
  <${StatusDot} status=${status} /> ${since && html`<span class="quiet since"><${Age} at=${since} suffix="" /></span>`}
`;
