// Checks and heartbeats: how each stands, what fails first, and how available each was.

import { apiUrl, queryString, useApi } from "../app/api.js";
import { count, isDefined, milliseconds, whole, withLocalTimes } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { isBefore, useLive } from "../app/store.js";
import {
  Availability,
  AvailabilityBars,
  CheckStatus,
  checkPath,
  statusNow,
  WINDOWS,
  WORST_FIRST,
} from "../components/availability.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Choices, SearchField, SelectField } from "../components/fields.js";
import { Page, Panel } from "../components/layout.js";
import { Table } from "../components/table.js";
import { Missing } from "../components/values.js";
import { html, useMemo, useRef, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 60_000;
const RENDER_MS = 1_000;
const EXPIRES_SOON_DAYS = 21;

export default function Checks() {
  const [{ range = "90d" }] = useQuery();
  const answer = useApi("/checks", { every: REFRESH_MS });
  const past = useApi(`/checks/availability?bars=${range}`, { every: REFRESH_MS });
  const rows = useRows(answer.data, past.data);
  return html`
    <${Page} title="Checks and heartbeats" about=${describeAll(rows)}>
      <${Loaded} from=${answer} what="The checks">
        ${() => (rows.length ? html`<${List} ...${{ rows, range }} bars=${past.data?.bars[range]} />` : html`<${None} />`)}
      </${Loaded}>
    </${Page}>
  `;
}

const None = () => html`
  <${Empty}>
    <p>Nothing is checked yet. Add processes, URLs, certificates, exchanges or heartbeats to <code>health_monitor.json</code>:</p>
    <pre>{ "monitoring": { "checks": { "web-server": { "http": { "url": "http://127.0.0.1:8080/health" } } } } }</pre>
    <p>Then restart the collector. <code>docs/health.md</code> has every kind of check.</p>
  </${Empty}>
`;

/** Return a row for each check: its latest record, also a live one, and its availability. */
function useRows(records, past) {
  const [live] = useState(() => new Map());
  const [drawn, draw] = useState(0);
  const timer = useRef(0);
  useLive((messages) => {
    const found = messages.filter(({ type, record }) => type === "record" && record.kind === "check");
    for (const { record } of found) {
      const key = keyOf(record);
      if (!isBefore(record.timestamp, live.get(key)?.timestamp)) live.set(key, record);
    }
    if (!found.length || timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      draw((last) => last + 1);
    }, RENDER_MS);
  });
  const latest = useMemo(() => {
    const known = new Map();
    for (const record of Object.values(records ?? {}).flatMap(Object.values)) known.set(keyOf(record), record);
    for (const [key, record] of live)
      if (!isBefore(record.timestamp, known.get(key)?.timestamp)) known.set(key, record);
    return known;
  }, [records, drawn]);
  const history = useMemo(() => new Map((past?.checks ?? []).map((one) => [keyOf(one), one])), [past]);
  return [...latest].map(([key, record]) => {
    const own = history.get(key);
    const status = statusNow(record);
    const lasts = own && own.status.replace("_", " ") === status;
    const since = lasts ? own.since : own && !isBefore(record.timestamp, own.lastAt) ? record.timestamp : null;
    return { ...record, status, since, windows: own?.windows };
  });
}

const keyOf = ({ host, check }) => JSON.stringify([host, check]);

function describeAll(rows) {
  if (!rows.length) return null;
  const hosts = new Set(rows.map(({ host }) => host)).size;
  const counts = WORST_FIRST.map((status) => [status, rows.filter((row) => row.status === status).length]);
  const states = counts.filter(([, number]) => number).map(([status, number]) => `${whole(number)} ${status}`);
  return `${count(rows.length, "check")} of ${count(hosts, "host")}: ${states.join(", ")}`;
}

/* ---------- List ---------- */

const rankOf = ({ status }) => WORST_FIRST.indexOf(status);

function List({ rows, range, bars }) {
  const [query, setQuery] = useQuery();
  const { find = "", status = "", type = "", host = "", group = "", sort = "status" } = query;
  const words = find.toLowerCase();
  const found = rows.filter(
    (row) =>
      (!status || (status === "failing" ? rankOf(row) < 2 : row.status === status)) &&
      (!type || row.type === type) &&
      (!host || row.host === host) &&
      [row.check, row.host, row.text ?? "", row.type].some((text) => text.toLowerCase().includes(words)),
  );
  const groups = groupRows(found, group);
  const values = (name) => [...new Set(rows.map((row) => row[name]))].sort();
  const filters = html`
    <div class="filters">
      <${SearchField} label="Filter checks" value=${find} onSearch=${(text) => setQuery({ find: text })} />
      <${SelectField} seen=${false} label="Status" value=${status} onChange=${(value) => setQuery({ status: value })} choices=${[["", "Any status"], ["failing", "Failing"], ...WORST_FIRST]} />
      <${SelectField} seen=${false} label="Type" value=${type} onChange=${(value) => setQuery({ type: value })} choices=${[["", "Any type"], ...values("type").map((name) => [name, typeName(name)])]} />
      <${SelectField} seen=${false} label="Host" value=${host} onChange=${(value) => setQuery({ host: value })} choices=${[["", "Any host"], ...values("host")]} />
      <${SelectField} seen=${false} label="Group by" value=${group} onChange=${(value) => setQuery({ group: value })} choices=${[["", "No groups"], ["host", "By host"], ["type", "By type"]]} />
      <${Choices} label="Bars over" value=${range} onChange=${(value) => setQuery({ range: value })} choices=${WINDOWS} />
      <a class="button plain small" href=${apiUrl(`/checks/availability${queryString({ host, format: "csv" })}`)}>CSV</a>
      <span class="quiet" role="status">${found.length === rows.length ? count(rows.length, "check") : `${whole(found.length)} of ${count(rows.length, "check")}`}</span>
    </div>
  `;
  return html`
    <${Panel} title="All checks" class="checks" actions=${filters}>
      ${groups.map(
        ([name, own]) => html`
          <div key=${name} class="group">
            ${group && html`<h3>${group === "type" ? typeName(name) : name} <span class="quiet">${describeAll(own)?.split(": ")[1]}</span></h3>`}
            <${Table} caption=${name ? `Checks of ${name}` : "Checks"} columns=${columnsOf(range, bars, group)} rows=${own} keyOf=${keyOf} sort=${sort} onSort=${(next) => setQuery({ sort: next })} rowProps=${(row) => ({ "data-status": row.status })} />
          </div>
        `,
      )}
      ${!found.length && html`<${Empty}>No check matches.</${Empty}>`}
    </${Panel}>
  `;
}

/** Return [name, rows] of each group, those with what fails first. */
function groupRows(rows, group) {
  const sorted = [...rows].sort((a, b) => rankOf(a) - rankOf(b) || a.check.localeCompare(b.check));
  if (!group) return sorted.length ? [["", sorted]] : [];
  const groups = new Map();
  for (const row of sorted) groups.set(row[group], [...(groups.get(row[group]) ?? []), row]);
  return [...groups].sort(([a, [first]], [b, [second]]) => rankOf(first) - rankOf(second) || a.localeCompare(b));
}

const typeName = (type) => type.replaceAll("_", " ");

const columnsOf = (range, bars, group) => [
  {
    key: "check",
    title: "Check",
    class: "about",
    sort: ({ check }) => check,
    render: ({ host, check, type, status, since, text }) => html`
      <${Link} to=${checkPath(host, check)} class="name">${check}</${Link}>
      <span class="quiet">${[group !== "host" && host, group !== "type" && typeName(type)].filter(Boolean).join(" · ")}</span>
      <span class="phone-only"><${CheckStatus} ...${{ status, since }} /></span>
      ${status !== "ok" && text && html`<span class="phone-only">${withLocalTimes(text)}</span>`}
    `,
  },
  {
    key: "status",
    title: "Status",
    class: "nowrap",
    hideOnPhone: true,
    sort: rankOf,
    render: ({ status, since }) => html`<${CheckStatus} ...${{ status, since }} />`,
  },
  {
    key: "text",
    title: "Result",
    class: "result",
    hideOnPhone: true,
    render: ({ text }) => withLocalTimes(text),
  },
  {
    key: "latency",
    title: "Latency",
    numeric: true,
    hideOnPhone: true,
    sort: ({ checkLatencyMs }) => checkLatencyMs,
    render: ({ checkLatencyMs }) =>
      isDefined(checkLatencyMs) ? milliseconds(checkLatencyMs) : html`<${Missing} why="Latency: not measured." />`,
  },
  {
    key: "certificate",
    title: "Expires",
    hint: "Days until the certificate expires",
    numeric: true,
    hideOnPhone: true,
    sort: ({ certificateDays }) => certificateDays,
    render: ({ certificateDays: days }) =>
      isDefined(days) &&
      html`<span class="number" data-sign=${days < EXPIRES_SOON_DAYS ? "down" : undefined}>${whole(Math.floor(days))} d</span>`,
  },
  ...WINDOWS.map(([window, title]) => ({
    key: window,
    title,
    hint: `Availability over ${title}`,
    numeric: true,
    hideOnPhone: window !== range,
    sort: ({ windows }) => windows?.[window].availability,
    render: ({ windows }) => html`<${Availability} window=${windows?.[window]} />`,
  })),
  {
    key: "bars",
    title: "Availability",
    class: "bars",
    render: ({ check, windows }) =>
      windows?.[range]?.bars.length > 0 &&
      bars &&
      html`<${AvailabilityBars} times=${bars} bars=${windows[range].bars} title=${`Availability of ${check} over ${range}`} />`,
  },
];
