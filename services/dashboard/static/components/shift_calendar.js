// A calendar of shifts: a row per week, a bar per shift.

import { dateAndTime } from "../app/format.js";
import { timeZone, usePreferences } from "../app/preferences.js";
import { now } from "../app/store.js";
import { html } from "../vendor/preact/preact.js";

/** Days of a week. */
export const DAYS = 7;
const HUES = 4; // as many colours as charts have lines

const isUtc = () => timeZone() === "UTC";
const weekday = (at) => (isUtc() ? new Date(at).getUTCDay() : new Date(at).getDay());
const startOfDay = (at) => (isUtc() ? new Date(at).setUTCHours(0, 0, 0, 0) : new Date(at).setHours(0, 0, 0, 0));
export const addDays = (at, days) => {
  const moved = new Date(at);
  if (isUtc()) moved.setUTCDate(moved.getUTCDate() + days);
  else moved.setDate(moved.getDate() + days);
  return moved.getTime();
};
/** Return the start of the Monday of a moment's week, in the page's zone, ms. */
export const mondayOf = (at) => addDays(startOfDay(at), -((weekday(startOfDay(at)) + 6) % DAYS));

const write = (at, options) => new Date(at).toLocaleDateString(undefined, { ...options, timeZone: timeZone() });

/**
 * `shifts`: { person, start, end, override } in order; `people` in the order of the rotation, for the colours;
 * `from` is the Monday of the first of `weeks`, ms.
 */
export function ShiftCalendar({ name, shifts, people, from, weeks }) {
  usePreferences(); // the zone may change
  const starts = Array.from({ length: weeks + 1 }, (_, index) => addDays(from, index * DAYS));
  return html`
    <div class="shifts" role="group" aria-label=${`Shifts of ${name}`}>
      ${starts.slice(0, -1).map((start, index) => html`<${Week} key=${start} start=${start} end=${starts[index + 1]} ...${{ shifts, people }} />`)}
    </div>
  `;
}

function Week({ start, end, shifts, people }) {
  const days = Array.from({ length: DAYS }, (_, index) => addDays(start, index));
  const share = (at) => ((Math.min(Math.max(at, start), end) - start) / (end - start)) * 100;
  const shown = shifts.filter((shift) => Date.parse(shift.start) < end && Date.parse(shift.end) > start);
  return html`
    <div class="week">
      <div class="days" aria-hidden="true">
        ${days.map((day) => html`<span key=${day} class=${startOfDay(now()) === day ? "today" : ""} title=${write(day, { dateStyle: "long" })}>${write(day, { day: "numeric" })}<span class="wide-only">${` ${write(day, { weekday: "short" })}`}</span></span>`)}
      </div>
      <ol aria-label=${`Week of ${write(start, { dateStyle: "long" })}`}>
        ${shown.map((shift) => {
          const [left, right] = [share(Date.parse(shift.start)), share(Date.parse(shift.end))];
          const hue = people.includes(shift.person) ? people.indexOf(shift.person) % HUES : "other";
          const times = `${dateAndTime(shift.start)} to ${dateAndTime(shift.end)}${shift.override ? ", override" : ""}`;
          return html`
            <li key=${shift.start} data-hue=${hue} class=${shift.override ? "override" : ""} title=${`${shift.person}: ${times}`} style=${{ left: `${left}%`, width: `${right - left}%` }}>
              ${shift.person}<span class="unseen">, ${times}</span>
            </li>
          `;
        })}
        ${now() >= start && now() < end && html`<li class="now" aria-hidden="true" style=${{ left: `${share(now())}%` }}></li>`}
      </ol>
    </div>
  `;
}
