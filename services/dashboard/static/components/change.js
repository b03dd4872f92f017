// What an action changed: a line per field, or the lines of a reload.

import { isDefined } from "../app/format.js";
import { html } from "../vendor/preact/preact.js";

const MAX_LINES = 6; // the rest is folded

/** `before` and `after` are JSON, null where that does not apply. */
export function Change({ before, after }) {
  const lines = linesOf(before, after);
  if (!lines.length) return "–";
  const list = (shown) => html`<ul class="change">${shown.map((line) => html`<li key=${line}>${line}</li>`)}</ul>`;
  if (lines.length <= MAX_LINES) return list(lines);
  return html`
    ${list(lines.slice(0, MAX_LINES))}
    <details><summary>${`${lines.length - MAX_LINES} more`}</summary>${list(lines.slice(MAX_LINES))}</details>
  `;
}

/** Return "role: viewer → admin" for each field that differs; only those of `after` where there is no `before`. */
export function linesOf(before, after) {
  if (after?.changes) return [...(after.faults ?? []).map((fault) => `refused: ${fault}`), ...after.changes];
  if (!isObject(before ?? {}) || !isObject(after ?? {}))
    return [[before, after].filter(isDefined).map(write).join(" → ")];
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (!before || !after) return names.map((name) => `${name}: ${write((after ?? before)[name])}`);
  return names
    .filter((name) => write(before[name]) !== write(after[name]))
    .map((name) => `${name}: ${write(before[name])} → ${write(after[name])}`);
}

const isObject = (value) => typeof value === "object" && !Array.isArray(value);
const write = (value) => {
  if (!isDefined(value)) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};
