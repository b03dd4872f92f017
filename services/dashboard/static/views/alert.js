// One alert: what it is about, its metric around it, its timeline, and whom it was sent to.

import { newer } from "../app/alerts.js";
import { queryString, useApi } from "../app/api.js";
import {
  bytes,
  clock,
  comparison,
  describeChange,
  duration,
  formatterOf,
  isDefined,
  plain,
  withLocalTimes,
} from "../app/format.js";
import { can } from "../app/preferences.js";
import { botPath, Link } from "../app/router.js";
import { useLive } from "../app/store.js";
import { AcknowledgeDialog } from "../components/acknowledge_dialog.js";
import { AlertRow, isOpen } from "../components/alert_row.js";
import { LineChart } from "../components/charts.js";
import { Empty, Loading, Problem } from "../components/feedback.js";
import { Facts, focusHeading, Page, Panel } from "../components/layout.js";
import { matchersOf } from "../components/matchers.js";
import { describeEnd, SilenceDialog } from "../components/silence_dialog.js";
import { Severity, StatusDot, Tag, toneOf } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useEffect, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 30_000;
const EARLIER = 5;
const STATUSES = { ACTIVE: "Active", ACKNOWLEDGED: "Acknowledged", RESOLVED: "Resolved" };

export default function AlertView({ params: { id } }) {
  const path = `/alerts/${encodeURIComponent(id)}`;
  const isMine = ({ type, alert }) => type === "alert" && alert.id === id;
  const answer = useApi(path, { every: REFRESH_MS, on: (messages) => messages.some(isMine) });
  const [live, setLive] = useState(null);
  useLive((messages) => {
    const found = messages.findLast(isMine);
    if (found) setLive(found.alert);
  });
  if (answer.error?.status === 404) {
    return html`
      <${Page} title="Alert not found">
        <${Empty}>There is no alert with the ID <code>${id}</code>. Resolved alerts are deleted after their retention. <${Link} to="/alerts?show=history">Show the history</${Link}>.</${Empty}>
      </${Page}>
    `;
  }
  const known = answer.data?.id === id ? answer.data : null;
  if (!known) {
    const failed = html`<${Problem} error=${answer.error}>The alert could not be loaded:</${Problem}>`;
    return html`<${Page} title="Alert">${answer.error ? failed : html`<${Loading} />`}</${Page}>`;
  }
  const alert = newer(known, live?.id === id ? live : null);
  const change = (changed) => {
    if (changed) setLive(changed);
    answer.refresh();
  };
  return html`<${Details} key=${id} alert=${alert} onChanged=${change} />`;
}

function Details({ alert, onChanged }) {
  const [dialog, setDialog] = useState("");
  const [said, setSaid] = useState("");
  const [wasOpen] = useState(isOpen(alert));
  const close = () => setDialog("");
  const finish = (changed, text) => {
    setSaid(text);
    onChanged(changed);
    focusHeading();
  };
  const about = html`<${Severity} value=${alert.severity} /> <${Subject} alert=${alert} /> · <${RuleName} details=${alert.details} />`;
  return html`
    <${Page} title=${withLocalTimes(alert.message)} about=${about} actions=${html`<${Actions} alert=${alert} open=${setDialog} />`}>
      <p class="said" role="status">${wasOpen && !isOpen(alert) ? html`<strong class="now-resolved">Resolved while you were looking, at ${clock(alert.resolvedAt)}.</strong>` : said}</p>
      <${Panel} title="State"><${Facts} facts=${factsOf(alert)} /></${Panel}>
      <${Values} alert=${alert} />
      <div class="panels">
        <${Panel} title="Timeline"><${Timeline} events=${alert.timeline} /></${Panel}>
        <${Panel} title="Notifications"><${Deliveries} deliveries=${alert.notifications} /></${Panel}>
      </div>
      <${Earlier} alert=${alert} />
      ${dialog === "acknowledge" && html`<${AcknowledgeDialog} alerts=${[alert]} onDone=${([changed], text) => finish(changed, text)} onClose=${close} />`}
      ${dialog === "silence" && html`<${SilenceDialog} matchers=${matchersOf([alert])} chosen=${[alert]} onDone=${(silence) => finish(null, `Silenced ${describeEnd(silence)}.`)} onClose=${close} />`}
    </${Page}>
  `;
}

/** The rule; that of an external alert is not one of Botwatch's. */
function RuleName({ details: { rule, external } }) {
  if (external) return html`${rule} (external)`;
  return html`<${Link} to=${`/rules/${encodeURIComponent(rule)}`}>${rule}</${Link}>`;
}

function Subject({ alert: { component, details } }) {
  if (details.bot) return html`<${Link} to=${botPath(details.bot)}><strong>${component}</strong></${Link}>`;
  if (!details.host) return html`<strong>${component}</strong>`;
  const { check } = details.labels ?? {};
  const [host, name] = [details.host, check].map((text) => text && encodeURIComponent(text));
  return html`<${Link} to=${check ? `/checks/${host}/${name}` : `/hosts/${host}`}><strong>${component}</strong></${Link}>`;
}

/** What can be done with it now: a button that no longer applies is gone. */
function Actions({ alert, open }) {
  const { runbook = "", source = "" } = alert.details.links ?? {};
  const mayOperate = can("operate") && isOpen(alert);
  return html`
    ${mayOperate && html`<button type="button" onClick=${() => open("acknowledge")}>${alert.status === "ACTIVE" ? "Acknowledge" : "Acknowledge again"}</button>`}
    ${mayOperate && !alert.details.silence && html`<button type="button" class="plain" onClick=${() => open("silence")}>Silence</button>`}
    ${/^https?:/.test(runbook) && html`<a class="button plain" href=${runbook} target="_blank" rel="noreferrer">Runbook</a>`}
    ${/^https?:/.test(source) && html`<a class="button plain" href=${source} target="_blank" rel="noreferrer">Source</a>`}
  `;
}

function factsOf(alert) {
  const { details, status, timestamp, resolvedAt, assignee, acknowledgedAt, acknowledgedUntil, comment } = alert;
  const [measure, value, limit] = comparison(details);
  const seconds = (number) => (isDefined(number) ? duration(number) : "–");
  const facts = [
    [
      "Status",
      html`<${StatusDot} status=${status} label=${STATUSES[status]} tone=${status === "ACTIVE" ? toneOf(alert.severity) : toneOf(status)} />`,
    ],
    ["Category", alert.category],
    ...(details.external ? [] : [[measure, `${value} ${limit}`]]),
    ["Opened", html`<${Time} at=${timestamp} /> (<${Age} at=${timestamp} />)`],
    ["Resolved", html`<${Time} at=${resolvedAt} none="not yet" />`],
    ["Time to acknowledge", seconds(alert.timeToAcknowledgeSeconds)],
    ["Time to resolve", seconds(resolvedAt ? (Date.parse(resolvedAt) - Date.parse(timestamp)) / 1000 : null)],
  ];
  if (assignee)
    facts.push(["Acknowledged by", html`${assignee}${acknowledgedAt && html`, <${Time} at=${acknowledgedAt} />`}`]);
  if (acknowledgedUntil) facts.push(["Acknowledged until", html`<${Time} at=${acknowledgedUntil} />`]);
  if (comment) facts.push(["Comment", comment]);
  if (details.flaps) facts.push(["Reopened", `${details.flaps} ×`]);
  if (details.raisedTo) facts.push(["Raised", `to ${details.raisedTo} by escalation`]);
  if (details.mutedBy && isOpen(alert))
    facts.push(["Muted", html`<${Link} to="/silences">${withLocalTimes(details.mutedBy)}</${Link}>`]);
  const labels = Object.entries(details.labels ?? {}).map(([name, text]) => [name, text]);
  const isShown = {
    summary: details.external?.annotations.summary === alert.message,
    runbook_url: details.links?.runbook,
  };
  const annotations = Object.entries(details.external?.annotations ?? {}).filter(([name]) => !isShown[name]);
  return [...facts, ...labels, ...annotations, ["ID", html`<code>${alert.id}</code>`]];
} // prettier-ignore

/* ---------- Chart ---------- */

const writerOf = (unit) => {
  if (unit === "bytes") return bytes;
  if (unit === "bytes per second") return (value) => `${bytes(value)}/s`;
  if (unit === "days") return (value) => `${plain(value)} d`;
  const isKnown = ["percent", "account currency", "milliseconds", "basis points", "seconds"].includes(unit);
  return isKnown ? formatterOf({ unit }) : plain;
};

function Values({ alert }) {
  const { data, refresh } = useApi(`/alerts/${encodeURIComponent(alert.id)}/values`, { every: REFRESH_MS });
  useEffect(() => void refresh(), [alert.status]);
  if (!data?.points.length) return null;
  const [from, to] = [Date.parse(data.from), Date.parse(data.to)];
  const series = [
    { label: data.label, points: data.points.map(({ timestamp, value }) => [Date.parse(timestamp), value]) },
  ];
  if (isDefined(data.limit)) {
    series.push({
      label: "Limit",
      points: [[from, data.limit], ...series[0].points.map(([at]) => [at, data.limit]), [to, data.limit]],
      dash: [6, 4],
    });
  }
  const marks = alert.timeline
    .filter(({ change }) => ["opened", "reopened", "acknowledged", "resolved"].includes(change))
    .map(({ timestamp, change }) => ({
      at: Date.parse(timestamp),
      text: describeChange(change),
      tone: change === "resolved" ? "good" : change === "acknowledged" ? "low" : toneOf(alert.severity),
    })); // prettier-ignore
  return html`
    <${Panel} title="Around the alert">
      <${LineChart} title=${`${data.label} around the alert`} series=${series} marks=${marks} from=${from} to=${to} height=${160} write=${writerOf(data.unit)} />
    </${Panel}>
  `;
}

/* ---------- Timeline and deliveries ---------- */

/** What the alert said at an event, where that was notified. */
function messageAt({ message, valueText, limitText }) {
  if (!message) return "";
  const isInMessage = !limitText || message.includes(valueText);
  return isInMessage ? message : `${message} (${valueText}, limit ${limitText})`;
}

const Timeline = ({ events }) => html`
  <ol class="timeline">
    ${events.map(
      (event, index) => html`
        <li key=${index} data-change=${event.change}>
          <${Time} at=${event.timestamp} />
          <div>
            <strong>${describeChange(event.change)}</strong>${event.by && ` by ${event.by}`} ${event.severity && html`<${Severity} value=${event.severity} />`}
            ${messageAt(event) && html`<p>${messageAt(event)}</p>`}
            ${event.comment && html`<p class="quiet">“${withLocalTimes(event.comment)}”</p>`}
          </div>
        </li>
      `,
    )}
  </ol>
`;

const DELIVERY_COLUMNS = [
  {
    key: "channel",
    title: "Channel",
    class: "nowrap",
    render: ({ channel }) => html`<${Link} to=${`/channels/${encodeURIComponent(channel)}`}>${channel}</${Link}>`,
  },
  { key: "change", title: "About", render: ({ change }) => describeChange(change) },
  {
    key: "state",
    title: "State",
    class: "nowrap",
    render: ({ state }) => html`<${Tag} tone=${toneOf(state)}>${state}</${Tag}>`,
  },
  { key: "outcome", title: "Outcome", class: "long", render: (delivery) => html`<${Outcome} delivery=${delivery} />` },
];

function Outcome({ delivery }) {
  const { state, attempts, createdAt, sentAt, heldUntil, nextAttemptAt, lastError, reason } = delivery;
  const isHeld = heldUntil && Date.parse(heldUntil) > Date.now();
  const when = {
    SENT: html`<${Time} at=${sentAt ?? createdAt} />`,
    FAILED: "given up",
    SUPPRESSED: "not sent",
    PENDING: attempts
      ? html`retry at <${Time} at=${nextAttemptAt} />`
      : isHeld
        ? html`held until <${Time} at=${heldUntil} />`
        : "queued",
  }[state]; // prettier-ignore
  return html`
    ${when}${attempts > 1 && `, ${attempts} attempts`}
    ${lastError && html`<p>${withLocalTimes(lastError)}</p>`}
    ${reason && html`<p class="quiet">${reason}</p>`}
  `;
}

const Deliveries = ({ deliveries }) => html`
  <${Table} caption="Notifications of this alert" columns=${DELIVERY_COLUMNS} rows=${deliveries.map((delivery, index) => ({ ...delivery, index }))} keyOf=${({ index }) => index} empty="None: no channel is configured for it." />
`;

/* ---------- Earlier alerts of the same rule ---------- */

function Earlier({ alert }) {
  const same = { component: alert.component, rule: alert.details.rule };
  // A comma in a name would mean several.
  const isPlain = !Object.values(same).some((text) => text.includes(","));
  const { data } = useApi(isPlain ? `/alerts${queryString({ ...same, to: alert.timestamp, limit: EARLIER })}` : null);
  if (!data?.length) return null;
  const all = html`<${Link} to=${`/alerts${queryString({ show: "history", range: "all", ...same })}`}>All</${Link}>`;
  return html`
    <${Panel} title="Earlier alerts of this rule" about=${alert.component} actions=${all}>
      <ul class="alerts short">${data.map((earlier) => html`<${AlertRow} key=${earlier.id} alert=${earlier} />`)}</ul>
    </${Panel}>
  `;
}
