// The dialog that makes a silence or changes one, with the open alerts that it would match.

import { call } from "../app/api.js";
import { count, dateAndTime } from "../app/format.js";
import { timeZone, usePreferences } from "../app/preferences.js";
import { now } from "../app/store.js";
import { html, useEffect, useState } from "../vendor/preact/preact.js";
import { FormDialog } from "./dialog.js";
import { fromInput, SelectField, TextArea, TextField, toInput } from "./fields.js";
import { MatchersField } from "./matchers.js";
import { Severity } from "./status.js";

const TYPING_MS = 300;
const MAX_LISTED = 6;
const HOUR_MS = 3_600_000;
const LENGTHS = [
  ["1", "1 hour"],
  ["4", "4 hours"],
  ["24", "1 day"],
  ["168", "1 week"],
  ["until", "Until a time…"],
];

/**
 * Make a silence with `matchers`, or change `silence`. `onDone(silence)` is called with what is stored.
 * `chosen` are the alerts it is made for: others that match are counted.
 */
export function SilenceDialog({ silence = null, matchers: given, comment: reason = "", chosen = [], onDone, onClose }) {
  const [matchers, setMatchers] = useState(silence?.matchers ?? given);
  const [comment, setComment] = useState(silence?.comment ?? reason);
  const [length, setLength] = useState(silence ? "until" : "1");
  const [begin, setBegin] = useState(silence?.status.state === "pending" ? toInput(silence.startsAt) : "");
  const [end, setEnd] = useState(silence ? toInput(silence.endsAt) : toInput(now() + HOUR_MS));
  usePreferences(); // the zone may change
  const submit = async (createdBy) => {
    if (!matchers.every(isNamed)) throw new Error("Enter the label of each matcher, such as bot.");
    const startsAt = begin ? fromInput(begin) : null;
    const from = startsAt ? Date.parse(startsAt) : now();
    const endsAt = length === "until" ? fromInput(end) : new Date(from + Number(length) * HOUR_MS).toISOString();
    const id = silence?.status.state === "expired" ? {} : silence && { id: silence.id };
    onDone(await call("POST", "/silences", { ...id, matchers, startsAt, endsAt, createdBy, comment: comment.trim() }));
  };
  const isEdit = silence && silence.status.state !== "expired";
  return html`
    <${FormDialog}
      title=${isEdit ? "Edit the silence" : "New silence"}
      about=${
        isEdit
          ? "Another end changes this silence. Other changes end it, and a new one takes its place."
          : "No notifications are sent for alerts that match. They stay on this page."
      }
      submit=${isEdit ? "Save" : "Silence"}
      wide
      onSubmit=${submit}
      onClose=${onClose}
    >
      <${MatchersField} matchers=${matchers} onChange=${setMatchers} />
      <${Preview} matchers=${matchers} chosen=${chosen} />
      <div class="when">
        <${TextField} label=${`Start (${timeZone()})`} optional type="datetime-local" value=${begin} onInput=${setBegin} hint="Default: now" />
        <${SelectField} label="Duration" value=${length} onChange=${setLength} choices=${LENGTHS} />
        ${length === "until" && html`<${TextField} label=${`End (${timeZone()})`} type="datetime-local" value=${end} onInput=${setEnd} required />`}
      </div>
      <${TextArea} label="Comment" optional value=${comment} onInput=${setComment} maxlength="4096" placeholder="Why, and what to check before it ends" />
    </${FormDialog}>
  `;
}

const isNamed = ({ name }) => name !== "";

/** The open alerts that the matchers match, as the server matches them. */
function Preview({ matchers, chosen }) {
  const [state, setState] = useState({ found: null, fault: "" });
  const body = JSON.stringify({ matchers });
  const isComplete = matchers.every(isNamed);
  useEffect(() => {
    if (!isComplete) return;
    let isCurrent = true;
    const timer = setTimeout(async () => {
      try {
        const found = await call("POST", "/silences/preview", JSON.parse(body));
        if (isCurrent) setState({ found, fault: "" });
      } catch (error) {
        if (isCurrent) setState({ found: null, fault: error.message });
      }
    }, TYPING_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [body]);
  const { found, fault } = state;
  const ids = new Set(chosen.map(({ id }) => id));
  const others = ids.size ? (found?.matches.filter(({ id }) => !ids.has(id)).length ?? 0) : 0;
  if (!isComplete)
    return html`<div class="preview quiet" role="status">Enter a label and a value, such as bot and its name, to see which open alerts match.</div>`;
  return html`
    <div class="preview" role="status">
      ${!found && !fault && html`<p class="quiet">Looking for open alerts that match…</p>`}
      ${fault && html`<p class="fault">${fault}</p>`}
      ${
        found &&
        html`
          <p>Matches <strong>${found.matches.length}</strong> of ${count(found.openAlerts, "open alert")}${others > 0 ? `, ${others} of them not selected` : ""}.</p>
          <ul>${found.matches.slice(0, MAX_LISTED).map((alert) => html`<li key=${alert.id}><${Severity} value=${alert.severity} /> ${alert.component}: ${alert.message}</li>`)}</ul>
          ${found.matches.length > MAX_LISTED && html`<p class="quiet">And ${found.matches.length - MAX_LISTED} more.</p>`}
        `
      }
    </div>
  `;
}

/** Return when a silence ends, for a message. */
export const describeEnd = ({ endsAt }) => `until ${dateAndTime(endsAt)}`;
