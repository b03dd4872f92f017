// Severities and states, in colour and in words.

import { html } from "../vendor/preact/preact.js";

/** The tone of a severity, an overall status, or a state of a check, a job, a part or a delivery. */
const TONES = {
  CRITICAL: "critical",
  critical: "critical",
  FAILED: "critical",
  failing: "critical",
  gone: "critical",
  silent: "critical",
  HIGH: "high",
  overdue: "high",
  MEDIUM: "medium",
  WARNING: "medium",
  warning: "medium",
  PENDING: "medium",
  pending: "medium",
  late: "medium",
  LOW: "low",
  UNKNOWN: "none",
  unknown: "none",
  ACKNOWLEDGED: "low",
  running: "low",
  HEALTHY: "good",
  ok: "good",
  up: "good",
  SENT: "good",
  RESOLVED: "good",
  live: "good",
}; // prettier-ignore

/** Return the tone of a word: critical, high, medium, low, good or none. */
export const toneOf = (word) => TONES[word] ?? "none";

/** A word in a coloured pill; `tone` is that of `toneOf`. */
export const Tag = ({ tone = "none", title, children }) => html`
  <span class="tag" data-tone=${tone} title=${title}>${children}</span>
`;

export const Severity = ({ value }) => html`<${Tag} tone=${toneOf(value)}>${value}</${Tag}>`;

/** A dot and a word; the dot of what is wrong has corners, so that colour is not all that tells. */
export const StatusDot = ({ status, label = status, tone = toneOf(status) }) => html`
  <span class="status" data-tone=${tone}><span class="dot" aria-hidden="true"></span>${label}</span>
`;
