// Alerts: those that need attention, those that are handled, and those resolved recently; and the dialogs that
// acknowledge one and show its details.

import { restrict } from "../access.js";
import { call } from "../api.js";
import { connectForm, openForm, send } from "../dialogs.js";
import { $, descriptionRows, h, reconcile, renderCounts, setAge, setText, setTextOrHide } from "../elements.js";
import { clock, comparison, dateAndTime, describeChange, duration, withLocalTimes } from "../format.js";
import { ageSeconds, applyAlert, dashboard, now } from "../store.js";
import { openSilenceDialog } from "./silences.js";

export const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];
const MAX_RESOLVED = 20;
const MAX_LISTED = 25; // hundreds of alerts must not bury the bots below them
const FRESH_S = 10;

const needsAttention = ({ status, details }) => status === "ACTIVE" && !details.mutedBy;

export function renderAlerts() {
  const rank = (alert) => SEVERITIES.indexOf(alert.severity);
  const bySeverity = (a, b) => rank(a) - rank(b) || Date.parse(b.timestamp) - Date.parse(a.timestamp);
  const active = [...dashboard.alerts.active].sort(bySeverity);
  const triggered = active.filter(needsAttention);
  const handled = active.filter((alert) => !needsAttention(alert));
  const resolved = dashboard.alerts.recent
    .filter((alert) => alert.status === "RESOLVED")
    .sort((a, b) => Date.parse(b.resolvedAt) - Date.parse(a.resolvedAt))
    .slice(0, MAX_RESOLVED);
  renderOpen("alerts", triggered);
  renderOpen("handled-alerts", handled);
  $("handled").hidden = handled.length === 0;
  reconcile($("resolved"), resolved, (alert) => alert.id, alertView);
  $("no-alerts").hidden = triggered.length > 0;
  $("no-resolved").hidden = resolved.length > 0;
  const countOf = (severity) => triggered.filter((alert) => alert.severity === severity).length;
  renderCounts($("severities"), SEVERITIES, countOf, (severity) => severity);
}

/** List the first alerts, and a button for the rest. */
function renderOpen(list, alerts) {
  const more = $(`${list}-more`);
  const shown = more.dataset.pressed ? alerts : alerts.slice(0, MAX_LISTED);
  reconcile($(list), shown, (alert) => alert.id, alertView);
  more.hidden = shown.length === alerts.length;
  setText(more, `Show all ${alerts.length}`);
}

export function connectShowAll() {
  for (const more of document.querySelectorAll(".more")) {
    more.addEventListener("click", () => {
      more.dataset.pressed = "true";
      renderAlerts();
    });
  }
}

/** Announce a change to screen readers. */
export function announceAlert(change, { severity, component, message }) {
  setText($("announcement"), `Alert ${describeChange(change)}: ${severity}, ${component}: ${message}`);
}

function alertView(alert) {
  const severity = h("span", { class: "tag" });
  const component = h("span", { class: "component" });
  const message = h("button", { class: "message", type: "button", onclick: () => openDetails(root.alert.id) });
  const value = h("span");
  const since = h("span");
  const notes = { flaps: h("span"), raised: h("span", { class: "raised" }), muted: h("span", { class: "muted" }) };
  const holder = h("span", { class: "taken" });
  const acknowledge = restrict(
    h("button", { type: "button", onclick: () => openAcknowledgeDialog(root.alert) }, "Acknowledge"),
    "operate",
  );
  const silence = restrict(
    h("button", { type: "button", class: "plain", onclick: () => openSilenceDialog(root.alert) }, "Silence"),
    "operate",
  );
  const actions = h("p", { class: "do" }, acknowledge, silence);
  const isFresh = ageSeconds(alert.timestamp) < FRESH_S && alert.status === "ACTIVE";
  const root = h(
    "li",
    { class: `alert${isFresh ? " fresh" : ""}` },
    h("p", { class: "first" }, severity, component, message),
    h("p", { class: "second" }, value, since, notes.flaps, notes.raised, notes.muted, holder),
    actions,
  );
  return {
    root,
    update(current) {
      root.alert = current;
      root.dataset.severity = current.severity;
      setText(severity, current.severity);
      setText(component, current.component);
      setText(message, current.message);
      renderComparison(value, current);
      renderOpenSince(since, current);
      renderAcknowledgement(holder, current);
      renderAlertNotes(notes, current);
      actions.hidden = current.status === "RESOLVED";
      acknowledge.hidden = current.status !== "ACTIVE";
      silence.hidden = Boolean(current.details.silence);
      for (const button of [acknowledge, silence]) {
        button.setAttribute("aria-label", `${button.textContent}: ${current.component}: ${current.message}`);
      }
    },
  };
}

function renderComparison(element, { details, message, status }) {
  const [measure, value, limit] = comparison(details);
  const isInMessage = message.includes(value) && message.includes(details.limitText);
  element.hidden = !limit || (isInMessage && status !== "RESOLVED");
  const [before, after] = [`${measure} `, ` ${status === "RESOLVED" ? "at the end " : ""}${limit}`];
  if (element.textContent !== before + value + after) {
    element.replaceChildren(before, h("strong", {}, value), after);
  }
}

function renderOpenSince(element, alert) {
  if (alert.status === "RESOLVED") {
    const seconds = (Date.parse(alert.resolvedAt) - Date.parse(alert.timestamp)) / 1000;
    setText(element, `resolved ${clock(alert.resolvedAt)} after ${duration(seconds)}`);
  } else {
    setAge(element, alert.timestamp, `since ${clock(alert.timestamp)} (%)`);
  }
  element.title = dateAndTime(alert.timestamp);
}

function renderAcknowledgement(element, { status, assignee, acknowledgedUntil, comment }) {
  const quoted = comment ? ` – “${comment}”` : "";
  const until = acknowledgedUntil && status === "ACKNOWLEDGED" ? ` until ${clock(acknowledgedUntil)}` : "";
  setTextOrHide(element, assignee ? `acknowledged by ${assignee}${until}${quoted}` : "");
}

function renderAlertNotes({ flaps, raised, muted }, { status, details }) {
  const isOpen = status !== "RESOLVED";
  const times = details.flaps === 1 ? "once" : `${details.flaps} times`;
  setTextOrHide(flaps, details.flaps ? `reopened ${times}` : "");
  setTextOrHide(raised, isOpen && details.raisedTo ? `raised to ${details.raisedTo} by escalation` : "");
  setTextOrHide(muted, isOpen ? withLocalTimes(details.mutedBy ?? "") : "");
}

/* ---------- Acknowledging ---------- */

let alertId = null;

export function openAcknowledgeDialog({ id, severity, component, message }) {
  alertId = id;
  setText($("acknowledge-about"), `${severity} · ${component}: ${message}`);
  $("comment").value = "";
  $("timeout").value = "";
  openForm("acknowledge", "by", "comment");
}

connectForm("acknowledge", async () => {
  const path = `/alerts/${encodeURIComponent(alertId)}/acknowledge`;
  const alert = await send("acknowledge", "by", (by) =>
    call("POST", path, { by, comment: $("comment").value.trim() || null, timeout: $("timeout").value || null }),
  );
  if (!alert) return;
  applyAlert("acknowledged", alert);
  renderAlerts();
  // Its button is gone: focus the next alert that needs attention.
  ($("alerts").querySelector(".do button:not([hidden])") ?? $("alerts-title")).focus();
});

/* ---------- Details, timeline and notifications; links in notifications end in `#<id of the alert>` ---------- */

export async function openDetails(id) {
  const body = $("details-body");
  setText($("details-title"), "Alert");
  body.replaceChildren(h("p", { class: "about" }, "Loading…"));
  $("details").dataset.alert = id;
  if (!$("details").open) $("details").showModal();
  try {
    const alert = await call("GET", `/alerts/${encodeURIComponent(id)}`);
    if ($("details").dataset.alert !== id) return; // another alert was opened meanwhile
    setText($("details-title"), alert.message);
    body.replaceChildren(...detailsOf(alert));
  } catch (error) {
    if ($("details").dataset.alert === id) body.replaceChildren(h("p", { class: "fault" }, error.message));
  }
}

export function openDetailsFromLink() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && !$(id)) openDetails(id);
}

function detailsOf(alert) {
  return [
    h("dl", { class: "rows" }, ...descriptionRows(rowsOf(alert))),
    ...runbookOf(alert.details),
    h("h3", {}, "Timeline"),
    h("ul", {}, ...alert.timeline.map((event) => h("li", {}, describeEvent(event)))),
    h("h3", {}, "Notifications"),
    alert.notifications.length
      ? h("ul", {}, ...alert.notifications.map(deliveryView))
      : h("p", { class: "about" }, "None: no channel is configured for it."),
  ];
}

function rowsOf(alert) {
  const { details } = alert;
  return [
    ["Severity", alert.severity],
    ["Status", alert.status],
    ["Category", alert.category],
    [details.host ? "Host" : "Bot", alert.component],
    ["Rule", details.rule],
    [details.measure, comparison(details).slice(1).join(" ")],
    ["Opened", dateAndTime(alert.timestamp)],
    ...(alert.resolvedAt ? [["Resolved", dateAndTime(alert.resolvedAt)]] : []),
    ...(details.flaps ? [["Reopened", `${details.flaps}×`]] : []),
    ...(details.raisedTo ? [["Raised", `to ${details.raisedTo} by escalation`]] : []),
    ...(details.mutedBy && !alert.resolvedAt ? [["Muted", withLocalTimes(details.mutedBy)]] : []),
    ...Object.entries(details.labels ?? {}),
    ["ID", alert.id],
  ];
}

/** Return the link to the runbook; only HTTP addresses are linked. */
function runbookOf({ links }) {
  const address = links?.runbook ?? "";
  if (!/^https?:/.test(address)) return [];
  return [h("p", {}, h("a", { href: address, target: "_blank", rel: "noreferrer" }, "Runbook"))];
}

function describeEvent(event) {
  const by = event.by ? `by ${event.by}` : "";
  const comment = event.comment ? `“${withLocalTimes(event.comment)}”` : "";
  const texts = [clock(event.timestamp), describeChange(event.change), messageOf(event), by, comment];
  return texts.filter(Boolean).join(" · ");
}

/** Return the alert's message at the time of an event. */
function messageOf({ message, valueText, limitText }) {
  if (!message) return "";
  const isInMessage = !limitText || message.includes(valueText);
  return isInMessage ? message : `${message} (${valueText}, limit ${limitText})`;
}

function deliveryView(delivery) {
  const { channel, change, state, attempts, reason } = delivery;
  const notes = [attempts > 1 ? `${attempts} attempts` : "", reason].filter(Boolean).map((note) => ` · ${note}`);
  return h(
    "li",
    { "data-state": state },
    h("p", {}, h("strong", {}, channel), ` ${describeChange(change)}`),
    h("p", { class: "about" }, h("span", { class: "state" }, describeDelivery(delivery)), ...notes),
  );
}

function describeDelivery({ state, attempts, createdAt, sentAt, heldUntil, nextAttemptAt, lastError }) {
  const because = lastError ? `: ${lastError}` : "";
  if (state === "SENT") return `sent ${clock(sentAt ?? createdAt)}`;
  if (state === "FAILED") return `failed${because}`;
  if (state === "SUPPRESSED") return `suppressed${because}`;
  if (attempts) return `retry at ${clock(nextAttemptAt)}${because}`;
  return heldUntil && Date.parse(heldUntil) > now() ? `held until ${clock(heldUntil)}` : "queued";
}

$("details-close").addEventListener("click", () => $("details").close());
$("details").addEventListener("close", () => history.replaceState(null, "", location.pathname));
