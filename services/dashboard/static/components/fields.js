// Fields of forms and filters.

import { timeZone } from "../app/preferences.js";
import { html, useEffect, useId, useRef, useState } from "../vendor/preact/preact.js";

const TYPING_MS = 250;

/** A field with its label; `hint` is read with it. `children(id)` returns the control. */
export function Field({ label, hint, optional = false, children }) {
  const id = useId();
  return html`
    <div class="field">
      <label for=${id}>${label}${optional && html` <span class="quiet">(optional)</span>`}</label>
      ${children(id)}
      ${hint && html`<p class="hint">${hint}</p>`}
    </div>
  `;
}

export const TextField = ({ label, hint, optional, value, onInput, ...rest }) => html`
  <${Field} ...${{ label, hint, optional }}>
    ${(id) => html`<input id=${id} value=${value} onInput=${(event) => onInput(event.target.value)} ...${rest} />`}
  </${Field}>
`;

export const TextArea = ({ label, hint, optional, value, onInput, ...rest }) => html`
  <${Field} ...${{ label, hint, optional }}>
    ${(id) => html`<textarea id=${id} rows="3" value=${value} onInput=${(event) => onInput(event.target.value)} ...${rest}></textarea>`}
  </${Field}>
`;

/** A choice; `choices` are texts or [value, text]; in a filter the label is not seen. */
export function SelectField({ label, hint, value = "", onChange, choices, seen = true, ...rest }) {
  const options = choices.map((choice) => {
    const [own, text] = Array.isArray(choice) ? choice : [choice, choice];
    return html`<option key=${own} value=${own} selected=${own === value}>${text}</option>`;
  });
  const change = (event) => onChange(event.target.value);
  if (!seen) return html`<select aria-label=${label} value=${value} onChange=${change} ...${rest}>${options}</select>`;
  return html`<${Field} ...${{ label, hint }}>${(id) => html`<select id=${id} value=${value} onChange=${change} ...${rest}>${options}</select>`}</${Field}>`;
}

/** A search field that waits until typing pauses. */
export function SearchField({ label, value = "", onSearch, ...rest }) {
  const [text, setText] = useState(value);
  const [timer, isTyping] = [useRef(0), useRef(false)];
  useEffect(() => {
    if (!isTyping.current) setText(value);
  }, [value]);
  const input = (event) => {
    const typed = event.target.value;
    isTyping.current = true;
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      isTyping.current = false;
      onSearch(typed.trim());
    }, TYPING_MS);
  };
  return html`<input type="search" placeholder=${label} aria-label=${label} autocomplete="off" value=${text} onInput=${input} ...${rest} />`;
}

/** A box to tick. */
export function Toggle({ label, checked, onChange, ...rest }) {
  return html`
    <label class="toggle"><input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} ...${rest} />${label}</label>
  `;
}

/** A row of choices of which one holds, such as the range of a chart; `choices` are [value, text]. */
export const Choices = ({ label, value, onChange, choices }) => html`
  <div class="choices" role="group" aria-label=${label}>
    ${choices.map(
      ([own, text]) =>
        html`<button type="button" key=${own} aria-pressed=${own === value ? "true" : "false"} onClick=${() => onChange(own)}>${text}</button>`,
    )}
  </div>
`;

export const RANGES = [
  ["1h", "1 h"],
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["30d", "30 d"],
  ["90d", "90 d"],
  ["1y", "1 y"],
];
const UNIT_MS = { h: 3_600_000, d: 86_400_000, y: 365 * 86_400_000 };

/** Return the length of a range such as "24h" or "1y", ms. */
export const rangeMs = (range) => Number.parseInt(range, 10) * UNIT_MS[range.at(-1)];

/** The range of a chart; `choices` are of RANGES. */
export const TimeRange = ({ value, onChange, choices = RANGES }) => html`
  <${Choices} label="Time range" ...${{ value, onChange, choices }} />
`;

/** How long something holds, in hours; "" is `open`, where that can be had. */
export const DurationField = ({ label = "Duration", value, onChange, open, hours = [1, 4, 24] }) => html`
  <${SelectField}
    ...${{ label, value, onChange }}
    choices=${[...(open ? [["", open]] : []), ...hours.map((h) => [String(h), describeHours(h)])]}
  />
`;

const describeHours = (h) => (h % 24 ? `${h} hour${h === 1 ? "" : "s"}` : `${h / 24} day${h === 24 ? "" : "s"}`);

/* ---------- Times in fields, in the zone of the preferences ---------- */

const two = (value) => String(value).padStart(2, "0");

/** Return a time as a field of type datetime-local has it. */
export function toInput(at) {
  const time = new Date(at);
  if (timeZone() === "UTC") return time.toISOString().slice(0, 16);
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Return the ISO text of a field's time; throw an error for people if it is none. */
export function fromInput(text) {
  const time = new Date(timeZone() === "UTC" ? `${text}Z` : text);
  if (Number.isNaN(time.getTime())) throw new Error("Enter a date and a time");
  return time.toISOString();
}
