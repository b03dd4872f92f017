// The dialog that acknowledges one alert or several.

import { call } from "../app/api.js";
import { count } from "../app/format.js";
import { html, useState } from "../vendor/preact/preact.js";
import { FormDialog } from "./dialog.js";
import { DurationField, TextArea } from "./fields.js";

const HOURS = [1, 4, 8, 24, 72];

/** Acknowledge `alerts`; `onDone(alerts, text)` is called with those that changed, and what happened in words. */
export function AcknowledgeDialog({ alerts, onDone, onClose }) {
  const [comment, setComment] = useState("");
  const [hours, setHours] = useState("");
  const [first] = alerts;
  const submit = async (by) => {
    const given = { by, comment: comment.trim() || null, timeout: hours ? `${hours}h` : null };
    if (alerts.length === 1) {
      onDone([await call("POST", `/alerts/${encodeURIComponent(first.id)}/acknowledge`, given)], "Acknowledged.");
      return;
    }
    const results = await call("POST", "/alerts/acknowledge", { ...given, ids: alerts.map(({ id }) => id) });
    onDone(
      results.flatMap(({ alert }) => (alert ? [alert] : [])),
      describeResults(results),
    );
  };
  const about = alerts.length === 1 ? `${first.severity} · ${first.component}: ${first.message}` : summarize(alerts);
  return html`
    <${FormDialog} title=${alerts.length === 1 ? "Acknowledge the alert" : `Acknowledge ${alerts.length} alerts`} about=${about} submit="Acknowledge" onSubmit=${submit} onClose=${onClose}>
      <${TextArea} label="Comment" optional value=${comment} onInput=${setComment} maxlength="4096" placeholder="What you are doing about it" />
      <${DurationField} label="For how long" value=${hours} onChange=${setHours} open="Until it resolves" hours=${HOURS} />
    </${FormDialog}>
  `;
}

function summarize(alerts) {
  const bots = [...new Set(alerts.map(({ component }) => component))];
  return bots.length > 4 ? `${bots.slice(0, 3).join(", ")} and ${bots.length - 3} more` : bots.join(", ");
}

function describeResults(results) {
  const of = (outcome) => results.filter((result) => result.outcome === outcome).length;
  const parts = [`${count(of("acknowledged"), "alert")} acknowledged`];
  if (of("resolved")) parts.push(`${of("resolved")} already resolved`);
  if (of("notFound")) parts.push(`${of("notFound")} no longer stored`);
  return `${parts.join(", ")}.`;
}
