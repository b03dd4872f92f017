// Hosts: how each stands now, the worst first.

import { useApi } from "../app/api.js";
import { bytes, count, duration, isDefined, ratio, whole } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { isBefore, useLive } from "../app/store.js";
import { hostPath } from "../components/availability.js";
import { Empty, Loaded } from "../components/feedback.js";
import { SearchField, SelectField } from "../components/fields.js";
import { Page, Panel } from "../components/layout.js";
import { StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age } from "../components/time.js";
import { Missing } from "../components/values.js";
import { html, useEffect, useRef, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 60_000;
const STATES = ["CRITICAL", "WARNING", "UNKNOWN", "HEALTHY"];
const LABELS = { CRITICAL: "Critical", WARNING: "Warning", UNKNOWN: "Unknown", HEALTHY: "Healthy" };
const HIGH_USAGE = [
  [95, "critical"],
  [80, "medium"],
  [0, "good"],
];

export default function Hosts() {
  const [query, setQuery] = useQuery();
  const { find = "", status = "", sort = "status" } = query;
  const answer = useApi("/health", { every: REFRESH_MS });
  const hosts = useLiveHosts(answer.data);
  const words = find.toLowerCase();
  const rows = hosts.filter(
    (row) =>
      (!status || row.systemHealth === status) &&
      [row.host, ...(row.reasons ?? [])].some((text) => text.toLowerCase().includes(words)),
  );
  const filters = html`
    <div class="filters">
      <${SearchField} label="Filter hosts" value=${find} onSearch=${(text) => setQuery({ find: text })} />
      <${SelectField} seen=${false} label="Status" value=${status} onChange=${(value) => setQuery({ status: value })} choices=${[["", "Any status"], ...STATES.map((state) => [state, LABELS[state]])]} />
      <span class="quiet" role="status">${rows.length === hosts.length ? count(rows.length, "host") : `${whole(rows.length)} of ${count(hosts.length, "host")}`}</span>
    </div>
  `;
  return html`
    <${Page} title="Hosts">
      <${Loaded} from=${answer} what="The hosts">
        ${() =>
          hosts.length
            ? html`<${Panel} title="All hosts" class="hosts" actions=${filters}><${Table} caption="Hosts" columns=${COLUMNS} rows=${byRank(rows)} keyOf=${({ host }) => host} sort=${sort} onSort=${(next) => setQuery({ sort: next })} empty="No host matches." /></${Panel}>`
            : html`<${Empty}>No host has reported yet. The collector samples the host that it runs on; <code>docs/health.md</code> says how to add others.</${Empty}>`}
      </${Loaded}>
    </${Page}>
  `;
}

/** Return the latest health record of each host, also those that came live. */
export function useLiveHosts(known) {
  const [live] = useState(() => new Map());
  const [, draw] = useState(0);
  useLive((messages) => {
    const found = messages.filter(({ type, record }) => type === "record" && record.kind === "health");
    for (const { record } of found)
      if (!isBefore(record.timestamp, live.get(record.host)?.timestamp)) live.set(record.host, record);
    if (found.length) draw((last) => last + 1);
  });
  const names = [...new Set([...Object.keys(known ?? {}), ...live.keys()])];
  return names.map((host) => {
    const [stored, newer] = [known?.[host], live.get(host)];
    const record = newer && !isBefore(newer.timestamp, stored?.timestamp) ? newer : stored;
    return { ...record, systemHealth: record.systemHealth ?? "UNKNOWN" };
  });
}

const rankOf = ({ systemHealth }) => STATES.indexOf(systemHealth);
const byRank = (rows) => [...rows].sort((a, b) => rankOf(a) - rankOf(b) || a.host.localeCompare(b.host));

export const HostStatus = ({ host: { systemHealth } }) =>
  html`<${StatusDot} status=${systemHealth} label=${LABELS[systemHealth]} />`;

/** A usage in percent with its bar. */
export function Usage({ value, name, title }) {
  const fill = useRef(null);
  useEffect(() => {
    if (fill.current) fill.current.style.width = `${Math.min(100, value ?? 0)}%`;
  }, [value]);
  if (!isDefined(value)) return html`<${Missing} why=${`${name}: not measured by the collector.`} />`;
  const [, tone] = HIGH_USAGE.find(([from]) => value >= from);
  return html`
    <div class="usage" title=${title}>
      ${whole(value)}%
      <div class="meter" role="meter" aria-label=${name} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(value)} data-tone=${tone}><div ref=${fill}></div></div>
    </div>
  `;
}

/** Return when the first file system will be full, and which; null if none fills. */
export function diskForecast({ diskFullDays, disks }) {
  if (!isDefined(diskFullDays)) return null;
  const first = disks?.find(({ fullDays }) => fullDays === diskFullDays);
  const time = diskFullDays < 10 ? duration(diskFullDays * 86_400) : `${whole(diskFullDays)} days`;
  return `in ${time}${first ? ` (${first.mount})` : ""}`;
}

export const freeOf = (free, total) =>
  isDefined(free) && isDefined(total) ? `${bytes(free)} of ${bytes(total)} free` : "";

const fullest = ({ disks = [], diskUsage }) =>
  disks.reduce((most, disk) => (disk.usage > (most?.usage ?? -1) ? disk : most), null) ?? { usage: diskUsage };

const COLUMNS = [
  {
    key: "host",
    title: "Host",
    class: "about",
    sort: ({ host }) => host,
    render: (row) => html`
      <${Link} to=${hostPath(row.host)} class="name">${row.host}</${Link}>
      <span class="phone-only"><${HostStatus} host=${row} /></span>
      ${(row.reasons ?? []).map((reason) => html`<span class="reasons quiet" key=${reason}>${reason}</span>`)}
    `,
  },
  {
    key: "status",
    title: "Status",
    class: "nowrap",
    hideOnPhone: true,
    sort: rankOf,
    render: (row) => html`<${HostStatus} host=${row} />`,
  },
  {
    key: "cpu",
    title: "CPU",
    numeric: true,
    sort: ({ cpuUsage }) => cpuUsage,
    render: ({ cpuUsage, cpuCores }) =>
      html`<${Usage} value=${cpuUsage} name="CPU" title=${cpuCores ? count(cpuCores, "core") : ""} />`,
  },
  {
    key: "memory",
    title: "Memory",
    numeric: true,
    sort: ({ memoryUsage }) => memoryUsage,
    render: ({ memoryUsage, memoryAvailableBytes, memoryTotalBytes }) =>
      html`<${Usage} value=${memoryUsage} name="Memory" title=${freeOf(memoryAvailableBytes, memoryTotalBytes)} />`,
  },
  {
    key: "disk",
    title: "Fullest disk",
    numeric: true,
    sort: (row) => fullest(row).usage,
    render: (row) => {
      const { usage, mount = "", freeBytes, totalBytes } = fullest(row);
      const title = [mount, freeOf(freeBytes, totalBytes)].filter(Boolean).join(": ");
      return html`<${Usage} value=${usage} name=${`Disk ${mount}`} title=${title} />`;
    },
  },
  {
    key: "full",
    title: "Disk full",
    hideOnPhone: true,
    sort: ({ diskFullDays }) => diskFullDays,
    render: (row) =>
      diskForecast(row) ?? html`<${Missing} why="No file system is filling up, or its history is too short." />`,
  },
  {
    key: "load",
    title: "Load, 5 min",
    numeric: true,
    hideOnPhone: true,
    sort: ({ load5 }) => load5,
    render: ({ load5 }) => (isDefined(load5) ? ratio(load5) : html`<${Missing} why="Load: not measured." />`),
  },
  {
    key: "uptime",
    title: "Uptime",
    numeric: true,
    hideOnPhone: true,
    sort: ({ uptimeSeconds }) => uptimeSeconds,
    render: ({ uptimeSeconds }) => (isDefined(uptimeSeconds) ? duration(uptimeSeconds) : "–"),
  },
  {
    key: "seen",
    title: "Last seen",
    numeric: true,
    hideOnPhone: true,
    render: ({ timestamp }) => html`<${Age} at=${timestamp} />`,
  },
]; // prettier-ignore
