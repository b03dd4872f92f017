// Times, ages and durations, which keep themselves current.

import { clock, dateAndTime, duration } from "../app/format.js";
import { usePreferences } from "../app/preferences.js";
import { now, useTick } from "../app/store.js";
import { html } from "../vendor/preact/preact.js";

/** A time in the page's zone: the time of day, with the date unless it is today; in full on hover. */
export function Time({ at, full = false, none = "–" }) {
  usePreferences(); // the zone may change
  if (!at) return none;
  const iso = typeof at === "number" ? new Date(at).toISOString() : at;
  return html`<time datetime=${iso} title=${dateAndTime(at)}>${full ? dateAndTime(at) : clock(at)}</time>`;
}

/** How long ago a time was, such as "12 min ago". */
export function Age({ at, suffix = " ago", none = "never" }) {
  useTick();
  if (!at) return none;
  const seconds = (now() - Date.parse(at)) / 1000;
  return html`<time class="age" datetime=${at} title=${dateAndTime(at)}>${duration(seconds)}${suffix}</time>`;
}

export const Duration = ({ s }) => (s === null || s === undefined ? "–" : duration(s));
