// One channel: its state, the routes that use it, and the history of its deliveries.

import { apiUrl, hasAlertChange, queryString, useApi } from "../app/api.js";
import { dateAndTime, describeChange, duration, isDefined, whole } from "../app/format.js";
import { usePages } from "../app/pages.js";
import { can } from "../app/preferences.js";
import { Link, useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { TestButton, TestResults, useChannelTests } from "../components/channel_test.js";
import { Empty, Loaded, Loading, Problem } from "../components/feedback.js";
import { rangeMs, SearchField, SelectField } from "../components/fields.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Place } from "../components/place.js";
import { Severity, StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useMemo } from "../vendor/preact/preact.js";
import { ChannelState, NotifierState, REFRESH_MS } from "./channels.js";

export default function Channel({ params: { name } }) {
  const answer = useApi("/channels", { every: REFRESH_MS });
  const { tests, start } = useChannelTests();
  const channel = answer.data?.channels.find((one) => one.name === name);
  const actions =
    channel &&
    channel.enabled !== false &&
    can("operate") &&
    html`<${TestButton} name=${name} test=${tests[name]} onTest=${start} />`;
  return html`
    <${Page} title=${`Channel ${name}`} about=${channel && html`<${Place} place=${channel.place} />`} actions=${actions}>
      <${TestResults} tests=${tests} />
      <${Loaded} from=${answer} what="The channel">
        ${(found) =>
          channel
            ? html`<${NotifierState} found=${found} /><${State} channel=${channel} /><${Routes} routes=${channel.routes} />`
            : html`<${Empty}>No channel named <code>${name}</code> is configured. Its earlier deliveries, if there are any, are below.</${Empty}>`}
      </${Loaded}>
      <${History} name=${name} />
    </${Page}>
  `;
}

function State({ channel }) {
  const { type, destination, pending, lastSuccessAt, lastError, lastErrorAt, perMinute, fallback } = channel;
  const facts = [
    ["State", html`<${ChannelState} channel=${channel} />`],
    ["Sends to", destination ?? "–"],
    ["Type", type ?? "–"],
    ["Pending", whole(pending)],
    ["Last success", html`<${Age} at=${lastSuccessAt} />`],
    ["Last error", lastError ? html`<${Age} at=${lastErrorAt} />: ${lastError}` : "none"],
    ["Limit", isDefined(perMinute) ? `${whole(perMinute)} messages a minute` : "none"],
    [
      "Fallback",
      fallback ? html`<${Link} to=${`/channels/${encodeURIComponent(fallback)}`}>${fallback}</${Link}>` : "none",
    ],
  ];
  return html`<${Panel} title="State"><${Facts} facts=${facts} /></${Panel}>`;
}

const ROUTE_COLUMNS = [
  { key: "name", title: "Route", render: ({ name }) => name },
  { key: "via", title: "Leads here through", render: ({ via }) => (via.length ? via.join(" → ") : "directly") },
  {
    key: "place",
    title: "Configured in",
    hideOnPhone: true,
    render: ({ place }) =>
      place ? html`<${Place} place=${place} />` : "the default route: alerts that match no other",
  },
];

const Routes = ({ routes }) => html`
  <${Panel} title="Routes">
    <${Table} caption="Routes that use this channel" columns=${ROUTE_COLUMNS} rows=${routes} keyOf=${({ name }) => name} empty="No route leads to this channel: it is never notified." />
  </${Panel}>
`;

/* ---------- History ---------- */

const STATES = [
  ["", "Any outcome"],
  ["PENDING", "pending"],
  ["SENT", "sent"],
  ["FAILED", "failed"],
  ["SUPPRESSED", "suppressed"],
];
const RANGES = [
  ["", "Any time"],
  ["24h", "Last 24 h"],
  ["7d", "Last 7 d"],
  ["30d", "Last 30 d"],
];
const CHANGES = ["opened", "reopened", "raised", "lowered", "acknowledged", "escalated", "repeated", "resolved"];
const MINUTE_MS = 60_000;

const isOlder = (delivery, other) => delivery.id < other.id;

function History({ name }) {
  const [query, setQuery] = useQuery();
  const since = useMemo(
    () => query.range && new Date(Math.floor((now() - rangeMs(query.range)) / MINUTE_MS) * MINUTE_MS).toISOString(),
    [query.range],
  );
  const filters = queryString({ state: query.state, change: query.change, alert: query.alert, since });
  const path = `/channels/${encodeURIComponent(name)}/deliveries${filters}`;
  const pages = usePages(path, { every: REFRESH_MS, on: hasAlertChange, isAfter: isOlder });
  const csv = apiUrl(`${path}${filters ? "&" : "?"}format=csv`);
  return html`
    <${Panel} title="Deliveries" actions=${html`<a class="button plain small" href=${csv}>CSV</a>`}>
      <div class="filters">
        <${SelectField} label="Outcome" seen=${false} value=${query.state} choices=${STATES} onChange=${(state) => setQuery({ state })} />
        <${SelectField} label="Change" seen=${false} value=${query.change} choices=${[["", "Any change"], ...CHANGES.map((one) => [one, describeChange(one)])]} onChange=${(change) => setQuery({ change })} />
        <${SelectField} label="Time" seen=${false} value=${query.range} choices=${RANGES} onChange=${(range) => setQuery({ range })} />
        <${SearchField} label="Alert ID" value=${query.alert} onSearch=${(alert) => setQuery({ alert })} />
      </div>
      ${pages.error && html`<${Problem} error=${pages.error}>The deliveries could not be loaded:</${Problem}>`}
      ${pages.items === null && !pages.error && html`<${Loading} />`}
      ${pages.items && html`<${Table} caption="Deliveries, newest first" columns=${DELIVERY_COLUMNS} rows=${pages.items} keyOf=${({ id }) => id} empty=${filters ? "No delivery matches the filters." : "Nothing was sent through this channel yet."} />`}
      ${pages.hasMore && html`<p><button type="button" class="plain" onClick=${pages.more}>Load older</button></p>`}
    </${Panel}>
  `;
}

const DELIVERY_COLUMNS = [
  { key: "at", title: "Written", class: "nowrap", render: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  {
    key: "alert",
    class: "long",
    title: "Alert",
    render: ({ alertId, severity, component, message, change }) => html`
      <${Severity} value=${severity} /> <${Link} to=${`/alerts/${encodeURIComponent(alertId)}`}>${component}: ${message}</${Link}>
      <br /><span class="quiet">${describeChange(change)}</span>
    `,
  },
  {
    key: "state",
    title: "Outcome",
    class: "nowrap",
    render: ({ state, attempts }) => html`
      <${StatusDot} status=${state} label=${state.toLowerCase()} />
      ${attempts > 1 && html`<br /><span class="quiet">${whole(attempts)} attempts</span>`}
    `,
  },
  { key: "answer", title: "Answer or reason", class: "long", render: (delivery) => html`<${Answer} ...${delivery} />` },
  { key: "reason", title: "Notified by", hideOnPhone: true, render: ({ reason }) => reason ?? "–" },
];

function Answer({ state, response, lastError, createdAt, sentAt, nextAttemptAt, heldUntil, attempts }) {
  if (state === "SENT") {
    const took = Date.parse(sentAt) - Date.parse(heldUntil ?? createdAt);
    return html`${response ?? "accepted"}<br /><span class="quiet" title=${dateAndTime(sentAt)}>after ${describeMs(Math.max(0, took))}</span>`;
  }
  if (state !== "PENDING") return lastError ?? "–";
  if (attempts)
    return html`${lastError}<br /><span class="quiet">next attempt at <${Time} at=${nextAttemptAt} /></span>`;
  return heldUntil ? html`held until <${Time} at=${heldUntil} />` : "due now";
}

const describeMs = (ms) => (ms < 1000 ? `${whole(ms)} ms` : duration(ms / 1000));
