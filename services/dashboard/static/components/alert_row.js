// An alert in a list: what is wrong, since when, who has it, and what can be done.

import { comparison, dateAndTime, dayAndTime, duration, withLocalTimes } from "../app/format.js";
import { can, usePreferences } from "../app/preferences.js";
import { Link } from "../app/router.js";
import { html } from "../vendor/preact/preact.js";
import { Severity } from "./status.js";
import { Age } from "./time.js";

export const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];

const rank = ({ severity }) => SEVERITIES.indexOf(severity);
/** The order of open alerts: the most severe first, then the newest. */
export const bySeverity = (a, b) => rank(a) - rank(b) || Date.parse(b.timestamp) - Date.parse(a.timestamp);

export const isOpen = ({ status }) => status !== "RESOLVED";
/** Whether somebody has to act: open, not acknowledged, not muted. */
export const needsAttention = ({ status, details }) => status === "ACTIVE" && !details.mutedBy;
export const alertPath = ({ id }) => `/alerts/${encodeURIComponent(id)}`;

/** Return the texts of what the list says besides the message. */
export function notesOf(alert) {
  const { details, assignee, comment, status } = alert;
  const notes = Object.entries(details.labels ?? {}).map(([name, value]) => `${name}: ${value}`);
  if (details.flaps) notes.push(`reopened ${details.flaps === 1 ? "once" : `${details.flaps} times`}`);
  if (isOpen(alert) && details.raisedTo) notes.push(`raised to ${details.raisedTo} by escalation`);
  if (isOpen(alert) && details.mutedBy) notes.push(withLocalTimes(details.mutedBy));
  if (assignee) notes.push(`acknowledged by ${assignee}${status === "ACKNOWLEDGED" ? untilOf(alert) : ""}`);
  if (comment) notes.push(`“${comment}”`);
  return notes;
}

const untilOf = ({ acknowledgedUntil }) =>
  acknowledgedUntil ? ` until ${withLocalTimes(utcText(acknowledgedUntil))}` : "";

const utcText = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** Return what was measured, unless the message says so already. */
function measured({ details, message, status }) {
  const [measure, value, limit] = comparison(details);
  const isInMessage = message.includes(value) && message.includes(details.limitText);
  if (!limit || (isInMessage && status !== "RESOLVED")) return "";
  return `${measure} ${value}${status === "RESOLVED" ? " at the end" : ""} ${limit}`;
}

/** Since when an alert is open, or when and after how long it resolved. */
export function Since({ alert }) {
  const { timestamp, resolvedAt } = alert;
  if (isOpen(alert)) return html`<${Age} at=${timestamp} suffix="" />`;
  const seconds = (Date.parse(resolvedAt) - Date.parse(timestamp)) / 1000;
  return html`<span class="nowrap">after ${duration(seconds)}</span>`;
}

/**
 * One alert; `onAcknowledge(alert)` and `onSilence(alert)` open dialogs, `onSelect(alert, isSelected)` ticks it. Where
 * they are not given, or the user may not, there is no button.
 */
export function AlertRow({ alert, isSelected, onSelect, onAcknowledge, onSilence }) {
  const { severity, component, message, timestamp } = alert;
  usePreferences(); // the zone of the times may change
  const about = `${component}: ${message}`;
  const notes = [measured(alert), ...notesOf(alert)].filter(Boolean);
  const mayOperate = can("operate") && isOpen(alert);
  return html`
    <li class="alert" data-id=${alert.id} data-state=${alert.status.toLowerCase()} data-severity=${severity}>
      ${
        onSelect &&
        html`<span class="pick">${mayOperate && html`<input type="checkbox" aria-label=${`Select: ${about}`} checked=${isSelected} onChange=${({ target }) => onSelect(alert, target.checked)} />`}</span>`
      }
      <span class="severity"><${Severity} value=${severity} /></span>
      <div class="what">
        <p><strong>${component}</strong> <${Link} class="message" to=${alertPath(alert)}>${withLocalTimes(message)}</${Link}></p>
        ${notes.length > 0 && html`<p class="notes">${notes.map((note) => html`<span key=${note}>${note}</span>`)}</p>`}
      </div>
      <span class="since">${!isOpen(alert) && html`<strong class="resolved">Resolved</strong> `}<span class="quiet"><${Since} alert=${alert} /></span><time class="quiet opened" datetime=${timestamp} title=${dateAndTime(timestamp)}>${dayAndTime(timestamp)}</time></span>
      ${
        (onAcknowledge || onSilence) &&
        html`
          <span class="do">
            ${mayOperate && onAcknowledge && alert.status === "ACTIVE" && html`<button type="button" class="plain small first" aria-label=${`Acknowledge: ${about}`} onClick=${() => onAcknowledge(alert)}>Acknowledge</button>`}
            ${mayOperate && onSilence && !alert.details.silence && html`<button type="button" class="plain small" aria-label=${`Silence: ${about}`} onClick=${() => onSilence(alert)}>Silence</button>`}
          </span>
        `
      }
    </li>
  `;
}
