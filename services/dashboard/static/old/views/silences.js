// Silences: those active now and those to come, and the dialog that creates one. They change seldom: fetched, not live.

import { restrict } from "../access.js";
import { call } from "../api.js";
import { connectForm, loadName, openForm, send, showError } from "../dialogs.js";
import { $, h, reconcile, setText } from "../elements.js";
import { clock } from "../format.js";
import { now } from "../store.js";

export async function refetchSilences() {
  try {
    const [active, pending] = await Promise.all(
      ["active", "pending"].map((state) => call("GET", `/silences?state=${state}`)),
    );
    reconcile($("silences"), [...active, ...pending], (silence) => silence.id, silenceView);
    $("silenced").hidden = !active.length && !pending.length;
  } catch {
    // The notice at the top says what is wrong; the last list stays.
  }
}

function formatMatcher({ name, value, isRegex, isEqual }) {
  const [yes, no] = isRegex ? ["=~", "!~"] : ["=", "≠"];
  return `${name} ${isEqual ? yes : no} ${value}`;
}

function silenceView({ id }) {
  const matchers = h("span", { class: "component" });
  const period = h("span");
  const author = h("span");
  const end = restrict(
    h("button", { type: "button", class: "plain", onclick: () => endSilence(id, end) }, "End"),
    "operate",
  );
  const root = h(
    "li",
    { class: "alert", "data-severity": "NONE" },
    h("p", { class: "first" }, matchers),
    h("p", { class: "second" }, period, author),
    h("p", { class: "do" }, end),
  );
  return {
    root,
    update(silence) {
      setText(matchers, silence.matchers.map(formatMatcher).join(", "));
      const from = silence.status.state === "pending" ? `from ${clock(silence.startsAt)} ` : "";
      const { error } = silence.status;
      setText(period, `${from}until ${clock(silence.endsAt)}${error ? ` – matches nothing: ${error}` : ""}`);
      setText(author, `by ${silence.createdBy}${silence.comment ? ` – “${silence.comment}”` : ""}`);
      end.setAttribute("aria-label", `End the silence of ${matchers.textContent}`);
    },
  };
}

async function endSilence(id, button) {
  button.disabled = true;
  try {
    await call("DELETE", `/silences/${encodeURIComponent(id)}?by=${encodeURIComponent(loadName())}`);
    showError("silences-fault", "");
    await refetchSilences();
  } catch (error) {
    showError("silences-fault", error.message);
  } finally {
    button.disabled = false;
  }
}

/* ---------- Silencing an alert ---------- */

const HOUR_MS = 3_600_000;

let matchers = [];

export function openSilenceDialog(alert) {
  matchers = matchersOf(alert);
  setText(
    $("silence-about"),
    `${alert.component}: ${alert.message}. The alert stays on this page; no notifications are sent.`,
  );
  $("silence-comment").value = "";
  openForm("silence", "silence-by", "silence-comment");
}

/** Return the matchers of an alert's silence: its rule, its bot or host, its labels. */
function matchersOf({ details }) {
  const { rule: alertname, bot, host, labels } = details;
  return Object.entries({ ...labels, alertname, ...(bot ? { bot } : { host }) }).map(([name, value]) => ({
    name,
    value,
  }));
}

connectForm("silence", async () => {
  const silence = await send("silence", "silence-by", (createdBy) =>
    call("POST", "/silences", {
      matchers,
      createdBy,
      comment: $("silence-comment").value.trim(),
      endsAt: new Date(now() + Number($("silence-hours").value) * HOUR_MS).toISOString(),
    }),
  );
  if (silence) refetchSilences();
});
