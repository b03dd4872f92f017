// One check or heartbeat: how it stands, its availability, latency, certificate, outages, and where it is configured.

import { apiUrl, hasAlertChange, queryString, useApi } from "../app/api.js";
import { count, dayAndTime, duration, isDefined, milliseconds, number, whole, withLocalTimes } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { isBefore, now, useLive, useTick } from "../app/store.js";
import {
  Availability,
  AvailabilityBars,
  CheckStatus,
  describe,
  hostPath,
  statusNow,
  WINDOWS,
} from "../components/availability.js";
import { LineChart } from "../components/charts.js";
import { Empty, Loaded, Problem } from "../components/feedback.js";
import { Choices, rangeMs } from "../components/fields.js";
import { withGaps } from "../components/histories.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Severity } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useEffect, useMemo, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 60_000;
const HEARTBEATS = "heartbeats";
const STEPS = { "24h": "5m", "7d": "1h", "90d": "6h" };
const PINGS = 20;

export default function Check({ params: { host, check } }) {
  const [{ range = "24h" }, setQuery] = useQuery();
  const named = queryString({ host, check });
  const latest = useLatest(host, check);
  const past = useApi(`/checks/availability${named}&bars=${range}`, { every: REFRESH_MS });
  const own = past.data?.checks[0];
  const isUnknown = past.data && latest.isRead && !own && !latest.record;
  const choices = html`<${Choices} label="Range" value=${range} onChange=${(value) => setQuery({ range: value })} choices=${WINDOWS} />`;
  const about = html`${host === HEARTBEATS ? html`Heartbeat` : html`Check of <${Link} to=${hostPath(host)}>${host}</${Link}>`} · <${Link} to="/checks">all checks</${Link}>`;
  return html`
    <${Page} title=${check} about=${about} actions=${choices}>
      ${
        isUnknown
          ? html`<${Empty}>There is no result of a check <code>${check}</code> on <code>${host}</code>. <${Link} to="/checks">See all checks</${Link}>.</${Empty}>`
          : html`
              <${Now} record=${latest.record} own=${own} />
              <${Loaded} from=${past} what="The availability">${() => own && html`<${Past} ...${{ own, range }} times=${past.data.bars[range]} />`}</${Loaded}>
              <${History} key=${`${host} ${check}`} ...${{ host, check, range }} />
              <${Outages} named=${named} />
              ${host === HEARTBEATS && html`<${Pings} name=${check} />`}
              <${OpenAlerts} ...${{ host, check }} />
              <${Configuration} named=${named} />
            `
      }
    </${Page}>
  `;
}

/** Return the check's latest record, also a live one; null if there is none. */
function useLatest(host, check) {
  const { data } = useApi(`/checks${queryString({ host })}`, { every: REFRESH_MS });
  const [live, setLive] = useState(null);
  useEffect(() => setLive(null), [host, check]);
  useLive((messages) => {
    for (const { type, record } of messages)
      if (type === "record" && record.kind === "check" && record.host === host && record.check === check)
        setLive((last) => (isBefore(record.timestamp, last?.timestamp) ? last : record));
  });
  const known = data?.[host]?.[check] ?? null;
  return { record: live && !isBefore(live.timestamp, known?.timestamp) ? live : known, isRead: data !== null };
}

/* ---------- Now ---------- */

function Now({ record, own }) {
  useTick();
  if (!record) {
    return own && html`<${Panel} title="Now"><p><${CheckStatus} status="no data" since=${own.since} /></p></${Panel}>`;
  }
  const status = statusNow(record);
  const since = own?.status.replace("_", " ") === status ? own.since : null;
  return html`
    <${Panel} title="Now" class="check-now checks">
      <p><strong><${CheckStatus} ...${{ status, since }} /></strong></p>
      <p class="sentence">${withLocalTimes(record.text)}</p>
      <${Facts} facts=${factsOf(record, own)} />
    </${Panel}>
  `;
}

const FIGURES = [
  ["Latency", "checkLatencyMs", milliseconds],
  ["Median latency, last 100 runs", "latencyP50Ms", milliseconds],
  ["95th percentile", "latencyP95Ms", milliseconds],
  ["Certificate expires in", "certificateDays", (days) => `${whole(Math.floor(days))} days`],
  ["Clock skew", "clockSkewMs", milliseconds],
  ["Status code", "statusCode", String],
  ["Processes", "instances", whole],
  ["Uptime", "processUptimeSeconds", duration],
  ["Restarts", "restarts", whole],
  ["Last run took", "runSeconds", duration],
  ["Late by", "lateSeconds", (seconds) => (seconds ? duration(seconds) : "not late")],
];

function factsOf(record, own) {
  const figures = FIGURES.filter(([, name]) => isDefined(record[name]));
  return [
    ["Type", record.type.replaceAll("_", " ")],
    ["Latest result", html`<${Age} at=${record.timestamp} />`],
    ...(record.lastPingAt ? [["Last ping", html`<${Time} at=${record.lastPingAt} />`]] : []),
    ...(record.nextDueAt ? [["Next ping expected", html`<${Time} at=${record.nextDueAt} />`]] : []),
    ...figures.map(([title, name, write]) => [title, write(record[name])]),
    ...WINDOWS.map(([window, title]) => [
      `Availability, ${title}`,
      html`<${Availability} window=${own?.windows[window]} />`,
    ]),
  ]; // prettier-ignore
}

/* ---------- Over time ---------- */

function Past({ own, range, times }) {
  const { bars, seconds, outages } = own.windows[range];
  return html`
    <${Panel} title="Availability" about=${describe(seconds)} class="check-bars">
      <${AvailabilityBars} ...${{ times, bars }} title=${`Availability over ${range}: ${count(outages, "outage")}`} />
      <p class="ends"><span>${dayAndTime(times.from)}</span><span>now</span></p>
    </${Panel}>
  `;
}

function History({ host, check, range }) {
  const [end, setEnd] = useState(now);
  useEffect(() => {
    setEnd(now());
    const timer = setInterval(() => setEnd(now()), REFRESH_MS);
    return () => clearInterval(timer);
  }, [range]);
  const from = end - rangeMs(range);
  const query = queryString({ host, check, from: Math.round(from), to: Math.round(end), step: STEPS[range] });
  const { data, error } = useApi(`/checks/history${query}`);
  const series = useMemo(() => seriesOf(data?.points ?? []), [data]);
  if (error?.status === 404) return null;
  if (error && !data) return html`<${Problem} error=${error}>The history could not be loaded:</${Problem}>`;
  if (!data)
    return html`<${Panel} title="Latency"><${LineChart} title="Latency" series=${[{ label: "mean", points: [] }]} from=${from} to=${end} none="Loading…" /></${Panel}>`;
  const ends = { from, to: end };
  return html`
    ${series.mean.length > 0 && html`<${Panel} title="Latency"><${LineChart} title="Latency" series=${series.latency} ...${ends} write=${milliseconds} zero /></${Panel}>`}
    ${series.certificate[0].points.length > 0 && html`<${Panel} title="Days until the certificate expires"><${LineChart} title="Days until the certificate expires" series=${series.certificate} ...${ends} height=${120} write=${number(1)} zero /></${Panel}>`}
  `;
}

function seriesOf(points) {
  const column = (name) =>
    withGaps(
      points.filter((point) => isDefined(point[name])).map((point) => [Date.parse(point.timestamp), point[name]]),
    );
  const mean = column("checkLatencyMs");
  return {
    mean,
    latency: [
      { label: "mean", points: mean, fill: true },
      { label: "highest", points: column("maxLatencyMs"), dash: [3, 3] },
    ],
    certificate: [{ label: "days", points: column("certificateDays") }],
  };
}

/* ---------- Lists ---------- */

const OUTAGE_COLUMNS = [
  { key: "begin", title: "Began", render: ({ begin }) => html`<${Time} at=${begin} />` },
  {
    key: "end",
    title: "Ended",
    class: "nowrap",
    hideOnPhone: true,
    render: ({ end, lastAt }) =>
      end
        ? html`<${Time} at=${end} />`
        : html`<span class="down">not yet</span> <span class="quiet">(last result <${Age} at=${lastAt} />)</span>`,
  },
  {
    key: "duration",
    title: "Lasted",
    numeric: true,
    hint: "Of which it was known to be critical, if that is less",
    render: ({ end, durationSeconds, criticalSeconds }) => html`
      ${!end && html`<span class="down phone-only">not ended</span>`}
      ${duration(durationSeconds)}${durationSeconds - criticalSeconds >= 60 && html` <span class="quiet">(${duration(criticalSeconds)} known)</span>`}
    `,
  },
  { key: "text", title: "First result", class: "long", render: ({ text }) => withLocalTimes(text) },
];

function Outages({ named }) {
  const answer = useApi(`/checks/outages${named}`, { every: REFRESH_MS, on: hasAlertChange });
  const download = html`<a class="button plain small" href=${apiUrl(`/checks/outages${named}&format=csv`)}>CSV</a>`;
  return html`
    <${Panel} title="Outages" about="of the last 90 days" actions=${download}>
      <${Loaded} from=${answer} what="The outages">
        ${({ outages }) => html`<${Table} caption="Outages" columns=${OUTAGE_COLUMNS} rows=${outages} keyOf=${({ begin }) => begin} empty="None: it was never critical." />`}
      </${Loaded}>
    </${Panel}>
  `;
}

const PING_COLUMNS = [
  { key: "at", title: "Came", class: "nowrap", render: ({ timestamp }) => html`<${Time} at=${timestamp} />` },
  { key: "status", title: "Status", render: ({ status }) => html`<${CheckStatus} status=${status} />` },
  {
    key: "took",
    title: "Run took",
    numeric: true,
    render: ({ runSeconds }) => (isDefined(runSeconds) ? duration(runSeconds) : "–"),
  },
  { key: "text", title: "Then", hideOnPhone: true, render: ({ text }) => withLocalTimes(text) },
]; // prettier-ignore

function Pings({ name }) {
  const path = `/heartbeats/${encodeURIComponent(name)}/pings`;
  const answer = useApi(`${path}?limit=${PINGS}`, { every: REFRESH_MS });
  const download = html`<a class="button plain small" href=${apiUrl(`${path}?limit=1000&format=csv`)}>CSV</a>`;
  return html`
    <${Panel} title="Pings" about=${`the latest ${PINGS}`} actions=${download}>
      <${Loaded} from=${answer} what="The pings">
        ${(pings) => html`<${Table} caption="Pings" columns=${PING_COLUMNS} rows=${pings} keyOf=${({ timestamp }) => timestamp} empty="No ping yet. docs/health.md has the lines for curl and cron." />`}
      </${Loaded}>
    </${Panel}>
  `;
}

/** The open alerts of a host, or of one of its checks. */
export function OpenAlerts({ host, check }) {
  const filter = queryString({ host, status: "ACTIVE,ACKNOWLEDGED", label: check && `check=${check}` });
  const { data } = useApi(`/alerts${filter}`, { every: REFRESH_MS, on: hasAlertChange });
  if (!data?.length) return null;
  return html`
    <${Panel} title="Open alerts">
      <ul class="lines">
        ${data.map(({ id, severity, message, timestamp }) => html`<li key=${id}><${Severity} value=${severity} /> <${Link} to=${`/alerts/${id}`}>${message}</${Link}> <span class="quiet"><${Age} at=${timestamp} /></span></li>`)}
      </ul>
    </${Panel}>
  `;
}

function Configuration({ named }) {
  const { data } = useApi(`/checks/configuration${named}`);
  if (!data) return null;
  const { place, section } = data;
  return html`
    <${Panel} title="Configuration" about=${place ? html`<code>${place.file}: ${place.path}</code>` : "in no document of this Botwatch: it is configured on its own host, or was removed"}>
      ${place && html`<pre tabindex="0">${JSON.stringify(section, null, 2)}</pre>`}
    </${Panel}>
  `;
}
