// The range of a bot's charts: the last hours to years, or what was zoomed into. The query string keeps it.

import { dayAndTime } from "../app/format.js";
import { useQuery } from "../app/router.js";
import { now, useTick } from "../app/store.js";
import { RANGES, rangeMs, TimeRange } from "../components/fields.js";
import { html, useMemo } from "../vendor/preact/preact.js";

const CHOICES = [...RANGES, ["all", "All"]];
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const SOON_MS = 30_000;
const LATER_MS = 300_000;

/**
 * Return the range, ms: `{ from, to, isFixed, query }`. One that ends now moves on every half minute, or every five
 * minutes from two days on; `query` are the parameters of the API, without `to` for it.
 */
export function useRange(firstAt, initial = "7d") {
  const [{ range = initial, from, to }] = useQuery();
  useTick();
  const isFixed = Boolean(from && to && Date.parse(from) < Date.parse(to));
  const beginning = Date.parse(firstAt ?? "") || now() - DAY_MS;
  const length = range === "all" ? Math.max(now() - beginning, 60 * MINUTE_MS) : rangeMs(range) || rangeMs(initial);
  const every = length <= 2 * DAY_MS ? SOON_MS : LATER_MS;
  const end = Math.ceil(now() / every) * every;
  return useMemo(() => {
    if (isFixed) return { from: Date.parse(from), to: Date.parse(to), isFixed, query: { from, to } };
    const begin = range === "all" ? Math.floor(beginning / every) * every : end - length;
    return { from: begin, to: end, isFixed, query: { from: new Date(begin).toISOString() } };
  }, [range, from, to, end, isFixed, beginning]);
}

/** The choices, and buttons that zoom and move; dragging over a chart zooms, too. */
export function RangeControls({ range, initial = "7d" }) {
  const [query, setQuery] = useQuery();
  const zoom = useZoom();
  const length = range.to - range.from;
  const move = (begin, end) => zoom(range.from + length * begin, range.to + length * end);
  const choose = (chosen) =>
    setQuery({ range: chosen === initial ? null : chosen, from: null, to: null }, { push: true });
  return html`
    <div class="range">
      <${TimeRange} value=${range.isFixed ? "" : (query.range ?? initial)} onChange=${choose} choices=${CHOICES} />
      <span class="zoom" role="group" aria-label="Zoom">
        <button type="button" class="plain small" aria-label="Earlier" title="Earlier" onClick=${() => move(-0.5, -0.5)}>←</button>
        <button type="button" class="plain small" aria-label="Zoom in" title="Zoom in" onClick=${() => move(0.25, -0.25)}>+</button>
        <button type="button" class="plain small" aria-label="Zoom out" title="Zoom out" onClick=${() => move(-0.5, 0.5)}>−</button>
        <button type="button" class="plain small" aria-label="Later" title="Later" disabled=${!range.isFixed} onClick=${() => move(0.5, 0.5)}>→</button>
        ${range.isFixed && html`<button type="button" class="plain small" onClick=${() => choose(initial)}>Reset zoom</button>`}
      </span>
      ${range.isFixed && html`<span class="quiet">${dayAndTime(range.from)} – ${dayAndTime(range.to)}</span>`}
    </div>
  `;
}

/** Return the function that shows a range, ms; it is at least a minute long and ends now at the latest. */
export function useZoom() {
  const [, setQuery] = useQuery();
  return (from, to) => {
    const length = Math.max(to - from, MINUTE_MS);
    const end = Math.min(Math.max(to, from + MINUTE_MS), now());
    const begin = Math.max(end - length, Date.UTC(2000, 0, 2));
    setQuery({ range: null, from: new Date(begin).toISOString(), to: new Date(end).toISOString() }, { push: true });
  };
}
