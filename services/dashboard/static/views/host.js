// One host: its figures now and over time, its disks, its checks and open alerts.

import { apiUrl, queryString, useApi } from "../app/api.js";
import { bytes, count, duration, isDefined, milliseconds, number, ratio, whole } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { CheckStatus, checkPath, statusNow, WORST_FIRST } from "../components/availability.js";
import { LineChart } from "../components/charts.js";
import { Empty, Loaded, Problem } from "../components/feedback.js";
import { RANGES, rangeMs, TimeRange } from "../components/fields.js";
import { withGaps } from "../components/histories.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Table } from "../components/table.js";
import { Age } from "../components/time.js";
import { Missing } from "../components/values.js";
import { html, useEffect, useMemo, useState } from "../vendor/preact/preact.js";
import { OpenAlerts } from "./check.js";
import { diskForecast, freeOf, HostStatus, Usage, useLiveHosts } from "./hosts.js";

const REFRESH_MS = 60_000;
const STEPS = { "1h": "1m", "24h": "5m", "7d": "1h", "30d": "3h", "90d": "6h", "1y": "1d" };

const percent = (value) => `${number(1)(value)}%`;
const rate = (value) => `${bytes(value)}/s`;

/** The charts: the lines of each are [field, label]; `disks` has a line for every mount. */
const CHARTS = [
  {
    title: "CPU",
    lines: [
      ["cpuUsage", "CPU"],
      ["cpuIowait", "waiting for I/O"],
      ["cpuSteal", "steal"],
    ],
    write: percent,
    highest: true,
  },
  {
    title: "Load",
    lines: [
      ["load1", "1 min"],
      ["load5", "5 min"],
      ["load15", "15 min"],
    ],
    write: ratio,
  },
  {
    title: "Memory",
    lines: [
      ["memoryUsage", "memory"],
      ["swapUsage", "swap"],
    ],
    write: percent,
  },
  { title: "Disk usage", lines: [["usage", ""]], write: percent },
  {
    title: "Network",
    lines: [
      ["networkReceivedBytesPerSecond", "in"],
      ["networkSentBytesPerSecond", "out"],
    ],
    write: rate,
    writeAxis: rate,
  },
  {
    title: "Disk I/O",
    lines: [
      ["diskReadBytesPerSecond", "read"],
      ["diskWrittenBytesPerSecond", "written"],
    ],
    write: rate,
    writeAxis: rate,
  },
  {
    title: "Stalled tasks (pressure)",
    lines: [
      ["cpuPressure", "CPU"],
      ["memoryPressure", "memory"],
      ["ioPressure", "I/O"],
    ],
    write: percent,
  },
  {
    title: "Processes",
    lines: [
      ["processes", "processes"],
      ["zombies", "zombies"],
    ],
    write: whole,
  },
  {
    title: "Temperature",
    lines: [["temperatureCelsius", "hottest sensor"]],
    write: (value) => `${whole(value)} °C`,
    zero: false,
  },
  { title: "Clock offset", lines: [["clockOffsetMs", "ahead of NTP"]], write: milliseconds },
  { title: "Network latency", lines: [["networkLatency", "median of the exchanges"]], write: milliseconds },
  { title: "Open files", lines: [["openFilesUsage", "of the limit"]], write: percent },
]; // prettier-ignore
const FIELDS = CHARTS.flatMap(({ lines }) => lines.map(([field]) => field)).join();

export default function Host({ params: { host } }) {
  const [{ range = "24h" }, setQuery] = useQuery();
  const answer = useApi("/health", { every: REFRESH_MS });
  const record = useLiveHosts(answer.data).find((one) => one.host === host);
  const choices = html`<${TimeRange} value=${range} onChange=${(value) => setQuery({ range: value, from: null, to: null })} choices=${RANGES} />`;
  const about = html`Host${record && html`, last seen <${Age} at=${record.timestamp} />`} · <${Link} to="/hosts">all hosts</${Link}>`;
  return html`
    <${Page} title=${host} ...${{ about }} actions=${choices}>
      <${Loaded} from=${answer} what="The host">${() => record && html`<${Now} host=${record} />`}</${Loaded}>
      <${OpenAlerts} host=${host} />
      <${Charts} key=${host} ...${{ host, range }} />
      <${HostChecks} host=${host} />
    </${Page}>
  `;
}

/* ---------- Now ---------- */

function Now({ host }) {
  return html`
    <${Panel} title="Now" class="hosts host-head">
      <p><${HostStatus} host=${host} />${(host.reasons ?? []).map((reason) => html`<span class="reasons" key=${reason}>${reason}</span>`)}</p>
      <${Facts} facts=${factsOf(host)} />
    </${Panel}>
    ${host.disks?.length > 0 && html`<${Panel} title="Disks" class="hosts"><${Table} caption="Disks" columns=${DISK_COLUMNS} rows=${host.disks} keyOf=${({ mount }) => mount} /></${Panel}>`}
  `;
}

const PRESSURES = ["cpuPressure", "memoryPressure", "ioPressure"];
const tenths = number(1);

function factsOf(host) {
  const loads = [host.load1, host.load5, host.load15];
  const stalls = PRESSURES.map((name) => host[name]);
  const free = freeOf(host.memoryAvailableBytes, host.memoryTotalBytes);
  const facts = [
    ["CPU", html`<${Usage} value=${host.cpuUsage} name="CPU" />`, host.cpuCores && count(host.cpuCores, "core")],
    ["Memory", html`<${Usage} value=${host.memoryUsage} name="Memory" title=${free} />`, free],
    ["Load 1, 5, 15 min", loads.every(isDefined) ? loads.map(ratio).join("  ") : null],
    [
      "Stalled: CPU, memory, I/O",
      stalls.some(isDefined) ? `${stalls.map((value) => (isDefined(value) ? tenths(value) : "–")).join(" · ")}%` : null,
    ],
    ["Disk full", diskForecast(host), "no file system is filling up, or its history is too short"],
    ["Read-only disks", readOnlyDisks(host)],
    ["Clock", formatClock(host)],
    ["Temperature", isDefined(host.temperatureCelsius) ? `${whole(host.temperatureCelsius)} °C` : null],
    ["OOM kills, last sample", isDefined(host.oomKills) ? whole(host.oomKills) : null],
    ["Network in", isDefined(host.networkReceivedBytesPerSecond) ? rate(host.networkReceivedBytesPerSecond) : null],
    ["Network out", isDefined(host.networkSentBytesPerSecond) ? rate(host.networkSentBytesPerSecond) : null],
    ["Network latency", isDefined(host.networkLatency) ? milliseconds(host.networkLatency) : null],
    ["Processes", isDefined(host.processes) ? whole(host.processes) : null],
    ["Uptime", isDefined(host.uptimeSeconds) ? duration(host.uptimeSeconds) : null],
  ]; // prettier-ignore
  return facts.map(([name, value, why]) => [
    name,
    value ?? html`<${Missing} why=${`${name}: ${why || "not measured by the collector"}.`} />`,
    value ? why : undefined,
  ]);
}

function readOnlyDisks({ readOnlyDisks: number, disks }) {
  if (!number) return isDefined(number) ? "none" : null;
  const mounts = (disks ?? []).filter((disk) => disk.readOnly).map((disk) => disk.mount);
  return mounts.join(", ") || whole(number);
}

function formatClock({ clockOffsetMs: offset, clockSynchronised: isSynchronised }) {
  const off = isDefined(offset) ? `${milliseconds(Math.abs(offset))} ${offset < 0 ? "behind" : "ahead"}` : "";
  const by = isDefined(isSynchronised) ? (isSynchronised ? "synchronised by NTP" : "not synchronised by NTP") : "";
  return [off, by].filter(Boolean).join(", ") || null;
}

const DISK_COLUMNS = [
  {
    key: "mount",
    title: "Mount",
    render: ({ mount, readOnly }) => html`${mount}${readOnly && html` <span class="down">read-only</span>`}`,
  },
  {
    key: "usage",
    title: "Usage",
    numeric: true,
    render: ({ mount, usage }) => html`<${Usage} value=${usage} name=${`Disk ${mount}`} />`,
  },
  {
    key: "free",
    title: "Free",
    numeric: true,
    render: ({ freeBytes, totalBytes }) => freeOf(freeBytes, totalBytes).replace(" free", ""),
  },
  {
    key: "inodes",
    title: "Inodes used",
    numeric: true,
    hideOnPhone: true,
    render: ({ inodeUsage }) => (isDefined(inodeUsage) ? percent(inodeUsage) : "–"),
  },
  {
    key: "full",
    title: "Full",
    render: ({ fullDays, mount }) =>
      diskForecast({ diskFullDays: fullDays, disks: [] }) ??
      html`<${Missing} why=${`${mount} is not filling up, or its history is too short.`} />`,
  },
]; // prettier-ignore

/* ---------- Over time ---------- */

function Charts({ host, range }) {
  const [{ from: zoomFrom, to: zoomTo }, setQuery] = useQuery();
  const [end, setEnd] = useState(now);
  useEffect(() => {
    setEnd(now());
    const timer = setInterval(() => setEnd(now()), REFRESH_MS);
    return () => clearInterval(timer);
  }, [range]);
  const isZoomed = Boolean(zoomFrom && zoomTo);
  const [from, to] = isZoomed ? [Number(zoomFrom), Number(zoomTo)] : [end - rangeMs(range), end];
  const step = isZoomed ? "" : STEPS[range];
  const query = queryString({ host, from: Math.round(from), to: Math.round(to), step, fields: FIELDS });
  const { data, error } = useApi(`/health/history${query}`);
  const shown = useMemo(() => (data ? CHARTS.map((chart) => [chart, seriesOf(chart, data)]) : []), [data]);
  if (error && !data) {
    return error.status === 404
      ? html`<${Empty}>No record of a host named <code>${host}</code>. <${Link} to="/hosts">See all hosts</${Link}>.</${Empty}>`
      : html`<${Problem} error=${error}>The history could not be loaded:</${Problem}>`;
  }
  const onZoom = (begin, until) => setQuery({ from: begin, to: until }, { push: true });
  const actions = html`
    ${isZoomed && html`<button type="button" class="plain small" onClick=${() => setQuery({ from: null, to: null })}>Whole range</button>`}
    <a class="button plain small" href=${apiUrl(`/health/history${query}&format=csv`)}>CSV</a>
  `;
  return html`
    <${Panel} plain title="Over time" about="drag over a chart to zoom in" ...${{ actions }}>
      <div class="panels">
        ${shown
          .filter(([, series]) => series.some(({ points }) => points.length))
          .map(
            ([{ title, write, writeAxis, zero = true }, series]) =>
              html`<${Panel} key=${title} title=${title}><${LineChart} ...${{ title, series, from, to, write, writeAxis, zero, onZoom }} height=${160} /></${Panel}>`,
          )}
      </div>
      ${data && !data.series.length && html`<${Empty}>No sample in this range.</${Empty}>`}
    </${Panel}>
  `;
}

/** Return the lines of a chart that have any value, and the highest of the first where steps are long. */
function seriesOf({ lines, highest }, { timestamps, series, resolution }) {
  const times = timestamps.map(Date.parse);
  const points = (values) =>
    withGaps(times.map((at, index) => [at, values[index]]).filter(([, value]) => value !== null));
  const found = lines.flatMap(([field, label]) =>
    series
      .filter((one) => one.field === field)
      .map((one) => ({ label: one.mount ?? label, points: points(one.mean), field, max: one.max })),
  );
  const [first] = found;
  const isLong = highest && first && resolution === "hour";
  return isLong ? [first, { label: "highest", points: points(first.max), dash: [3, 3] }, ...found.slice(1)] : found;
}

/* ---------- Checks ---------- */

const CHECK_COLUMNS = (host) => [
  {
    key: "check",
    title: "Check",
    render: ({ check }) => html`<${Link} to=${checkPath(host, check)}>${check}</${Link}>`,
  },
  { key: "status", title: "Status", render: (row) => html`<${CheckStatus} status=${statusNow(row)} />` },
  { key: "text", title: "Result", hideOnPhone: true, render: ({ text }) => text },
  { key: "at", title: "Latest", numeric: true, render: ({ timestamp }) => html`<${Age} at=${timestamp} />` },
]; // prettier-ignore

function HostChecks({ host }) {
  const { data } = useApi(`/checks${queryString({ host })}`, { every: REFRESH_MS });
  const rank = (row) => WORST_FIRST.indexOf(statusNow(row));
  const rows = Object.values(data?.[host] ?? {}).sort((a, b) => rank(a) - rank(b) || a.check.localeCompare(b.check));
  if (!rows.length) return null;
  return html`<${Panel} title="Checks"><${Table} caption=${`Checks of ${host}`} columns=${CHECK_COLUMNS(host)} rows=${rows} keyOf=${({ check }) => check} /></${Panel}>`;
}
