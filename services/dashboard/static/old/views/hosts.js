// Hosts: usage as meters, everything else as a list; and the checks of each host, failing ones first.

import {
  $,
  factView,
  h,
  missing,
  reconcile,
  renderCounts,
  renderLastSeen,
  setAge,
  setText,
  setTextOrHide,
} from "../elements.js";
import { bytes, duration, isDefined, milliseconds, number, percent, ratio, whole } from "../format.js";
import { dashboard } from "../store.js";

export function renderHosts() {
  const hosts = [...dashboard.health.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  $("no-hosts").hidden = hosts.length > 0;
  reconcile($("hosts"), hosts, (host) => host.host, hostView);
}

const HEALTH_TONES = { CRITICAL: "CRITICAL", WARNING: "MEDIUM", HEALTHY: "GOOD" };

function hostView({ host: name }) {
  const status = h("span", { class: "tag" });
  const seen = h("span", { class: "seen" });
  const why = h("p", { class: "why" });
  const meters = h("div", { class: "meters" });
  const facts = h("dl", { class: "facts" });
  const root = h(
    "article",
    { class: "host", "aria-label": `Host ${name}` },
    h("header", {}, h("h3", {}, name, " ", status), seen),
    why,
    meters,
    facts,
  );
  return {
    root,
    update(host) {
      const health = host.systemHealth ?? "UNKNOWN";
      status.dataset.severity = HEALTH_TONES[health] ?? "NONE";
      setText(status, health);
      renderLastSeen(seen, host.timestamp, "host");
      setTextOrHide(why, (host.reasons ?? []).join("; "));
      reconcile(meters, metersOf(host), (meter) => meter.name, meterView);
      reconcile(facts, factsOf(host), ([fact]) => fact, factView);
    },
  };
}

function metersOf(host) {
  const disks = host.disks?.length ? host.disks : [{ mount: "", usage: host.diskUsage }];
  const free = (available, total) =>
    isDefined(available) && isDefined(total) ? `${bytes(available)} of ${bytes(total)} free` : "";
  return [
    { name: "CPU", usage: host.cpuUsage, note: host.cpuCores ? `${host.cpuCores} cores` : "" },
    { name: "Memory", usage: host.memoryUsage, note: free(host.memoryAvailableBytes, host.memoryTotalBytes) },
    ...disks.map((disk) => ({
      name: `Disk ${disk.mount}`.trim(),
      usage: disk.usage,
      note: free(disk.freeBytes, disk.totalBytes),
    })),
  ];
}

function meterView({ name }) {
  const fill = h("div");
  const bar = h(
    "div",
    { class: "bar", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 },
    fill,
  );
  const value = h("span");
  const heading = h("span", { class: "name" }, name);
  const root = h("div", { class: "meter" }, heading, bar, value);
  return {
    root,
    update({ usage, note }) {
      root.title = note;
      const known = isDefined(usage);
      fill.style.width = known ? `${Math.min(100, usage)}%` : "0";
      bar.dataset.level = usage >= 95 ? "critical" : usage >= 80 ? "warning" : "good";
      if (known) {
        bar.setAttribute("aria-valuenow", usage);
        setText(value, `${tenths(usage)}%`);
      } else value.replaceChildren(missing(`${name}: not measured by the collector.`));
    },
  };
}

const PRESSURES = ["cpuPressure", "memoryPressure", "ioPressure"];
const tenths = number(1);
const share = (value) => (isDefined(value) ? tenths(value) : "–");

function factsOf(host) {
  const rate = (value) => (isDefined(value) ? `${bytes(value)}/s` : null);
  const loads = [host.load1, host.load5, host.load15];
  const stalls = PRESSURES.map((name) => host[name]);
  return [
    ["Load 1, 5, 15 min", loads.every(isDefined) ? loads.map(ratio).join("  ") : null],
    ["Stalled: CPU, memory, I/O", stalls.some(isDefined) ? `${stalls.map(share).join(" · ")}%` : null],
    ["Disk full", formatDiskForecast(host), "no file system is filling up, or its history is too short."],
    ["Read-only disks", formatReadOnlyDisks(host)],
    ["Clock", formatClock(host)],
    ["Temperature", isDefined(host.temperatureCelsius) ? `${number(0)(host.temperatureCelsius)} °C` : null],
    ["OOM kills, last sample", isDefined(host.oomKills) ? whole(host.oomKills) : null],
    ["Network in", rate(host.networkReceivedBytesPerSecond)],
    ["Network out", rate(host.networkSentBytesPerSecond)],
    ["Network latency", isDefined(host.networkLatency) ? milliseconds(host.networkLatency) : null],
    ["Processes", isDefined(host.processes) ? whole(host.processes) : null],
    ["Uptime", isDefined(host.uptimeSeconds) ? duration(host.uptimeSeconds) : null],
  ];
}

/** Return when the first file system will be full, and which. */
function formatDiskForecast({ diskFullDays, disks }) {
  if (!isDefined(diskFullDays)) return null;
  const first = disks?.find(({ fullDays }) => fullDays === diskFullDays);
  const time = diskFullDays < 10 ? duration(diskFullDays * 86_400) : `${whole(diskFullDays)} days`;
  return `in ${time}${first ? ` (${first.mount})` : ""}`;
}

function formatReadOnlyDisks({ readOnlyDisks, disks }) {
  if (!readOnlyDisks) return isDefined(readOnlyDisks) ? "none" : null;
  return (
    (disks ?? [])
      .filter((disk) => disk.readOnly)
      .map((disk) => disk.mount)
      .join(", ") || whole(readOnlyDisks)
  );
}

function formatClock({ clockOffsetMs: offset, clockSynchronised: isSynchronised }) {
  const off = isDefined(offset) ? `${milliseconds(Math.abs(offset))} ${offset < 0 ? "behind" : "ahead"}` : "";
  const by = isDefined(isSynchronised) ? (isSynchronised ? "synchronised by NTP" : "not synchronised by NTP") : "";
  return [off, by].filter(Boolean).join(", ") || null;
}

/* ---------- Checks ---------- */

const WORST_FIRST = ["critical", "warning", "unknown", "ok"];
const TONES = { critical: "CRITICAL", warning: "MEDIUM", unknown: "NONE", ok: "GOOD" };

export function renderChecks() {
  const hosts = [...dashboard.checks]
    .map(([host, checks]) => ({ host, checks: [...checks.values()].sort(byStatus) }))
    .filter(({ checks }) => checks.length)
    .sort((a, b) => (a.host < b.host ? -1 : 1));
  $("no-checks").hidden = hosts.length > 0;
  reconcile($("checks"), hosts, ({ host }) => host, hostChecksView);
}

const byStatus = (a, b) =>
  WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status) || (a.check < b.check ? -1 : 1);

function hostChecksView({ host }) {
  const counts = h("p", { class: "chips" });
  const list = h("ul", { class: "checks" });
  return {
    root: h(
      "article",
      { class: "panel", "aria-label": `Checks of ${host}` },
      h("header", { class: "heading" }, h("h3", {}, host), counts),
      list,
    ),
    update({ checks }) {
      const countOf = (status) => checks.filter((check) => check.status === status).length;
      renderCounts(counts, WORST_FIRST, countOf, (status) => TONES[status]);
      reconcile(list, checks, (check) => check.check, checkView);
    },
  };
}

function checkView({ check: name }) {
  const dot = h("span", { class: "dot", role: "img" });
  const text = h("span", { class: "text" });
  const latency = h("span", { class: "figure" });
  const availability = h("span", { class: "figure" });
  const age = h("span", { class: "figure age" });
  const root = h("li", { class: "check" }, dot, h("span", { class: "name" }, name), text, latency, availability, age);
  return {
    root,
    update(check) {
      root.dataset.severity = TONES[check.status] ?? "NONE";
      root.title = `${check.type}: ${check.status}`;
      dot.setAttribute("aria-label", check.status);
      setText(text, check.text ?? "");
      setValue(latency, check.checkLatencyMs, milliseconds, "Latency");
      setValue(availability, check.availability, percent, "Availability");
      setAge(age, check.timestamp, "% ago");
    },
  };
}

function setValue(element, value, format, title) {
  element.title = title;
  if (isDefined(value)) setText(element, format(value));
  else element.replaceChildren(missing(`${title}: not measured.`));
}
