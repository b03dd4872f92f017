// A calendar of what mutes alerts: a row for each silence and window, its times as bars over the days.

import { dateAndTime, dayAndTime } from "../app/format.js";
import { timeZone, usePreferences } from "../app/preferences.js";
import { now, useTick } from "../app/store.js";
import { html } from "../vendor/preact/preact.js";
import { Empty } from "./feedback.js";
import { Tag } from "./status.js";

const DAY_MS = 86_400_000;
const MAX_NAMED = 3; // times that are written out

/** `from`, `to`, `intervals` and `windows` as `GET /maintenance` answers them. */
export function MuteCalendar({ from, to, intervals, windows }) {
  usePreferences();
  if (!intervals.length) return html`<${Empty}>Nothing is muted in this time.</${Empty}>`;
  const span = { begin: Date.parse(from), end: Date.parse(to) };
  const days = daysOf(span);
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="Calendar of silences and maintenance windows">
      <table class="mute-calendar">
        <caption class="unseen">Silences and maintenance windows by day, ${timeZone()}</caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col"><div class="days" aria-hidden="true">${days.map(({ at, text, weekend }) => html`<span key=${at} class=${weekend ? "weekend" : ""}>${text}</span>`)}</div><span class="unseen">When</span></th>
          </tr>
        </thead>
        <tbody>${rowsOf(intervals).map((row) => html`<${Row} key=${row.key} ...${{ row, span, days, windows }} />`)}</tbody>
      </table>
    </div>
  `;
}

/** Return a row for each silence and each window, in the order of their first time. */
function rowsOf(intervals) {
  const rows = new Map();
  for (const interval of intervals) {
    const key = interval.silence ?? `window ${interval.window}`;
    if (!rows.has(key))
      rows.set(key, { key, name: interval.name, kind: interval.kind, window: interval.window, times: [] });
    rows.get(key).times.push({ begin: Date.parse(interval.startsAt), end: Date.parse(interval.endsAt) });
  }
  return [...rows.values()];
}

function Row({ row, span, days, windows }) {
  useTick();
  const { name, kind, times } = row;
  const shownUntil = windows[row.window]?.shownUntil;
  const place = (at) => `${(100 * Math.min(1, Math.max(0, (at - span.begin) / (span.end - span.begin)))).toFixed(3)}%`;
  const width = ({ begin, end }) =>
    `${((100 * (Math.min(end, span.end) - Math.max(begin, span.begin))) / (span.end - span.begin)).toFixed(3)}%`;
  const lines = days.map(({ at }) => at).slice(1);
  return html`
    <tr>
      <th scope="row"><${Tag} tone=${kind === "silence" ? "low" : "medium"}>${kind}</${Tag}> <span class="name">${name}</span></th>
      <td>
        <svg class="bars" height="22" width="100%" aria-hidden="true">
          ${lines.map((at) => html`<line key=${at} x1=${place(at)} x2=${place(at)} y1="0" y2="22" />`)}
          ${times.map((time) => html`<rect key=${time.begin} class=${kind} x=${place(time.begin)} y="4" height="14" rx="3" width=${width(time)}><title>${name}: ${describe(time)}</title></rect>`)}
          <line class="now" x1=${place(now())} x2=${place(now())} y1="0" y2="22" />
        </svg>
        <p class="times">${times.slice(0, MAX_NAMED).map(describe).join("; ")}${times.length > MAX_NAMED && ` and ${times.length - MAX_NAMED} more times`}${shownUntil && `. It begins too often to show all: up to ${dateAndTime(shownUntil)}`}</p>
      </td>
    </tr>
  `;
}

const describe = ({ begin, end }) => `${dayAndTime(begin)} to ${dayAndTime(end)}`;

/** Return the days of a span, in the page's time zone, with a label for each. */
function daysOf({ begin, end }) {
  const zone = timeZone();
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", timeZone: zone });
  const weekday = new Intl.DateTimeFormat("en", { weekday: "short", timeZone: zone });
  const days = [];
  for (let at = begin; at < end; at += DAY_MS) {
    const name = weekday.format(at);
    days.push({ at, text: `${name.slice(0, 2)} ${day.format(at)}`, weekend: name.startsWith("S") });
  }
  return days;
}
