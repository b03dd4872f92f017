// The overall status at the top, whether the page is live, and Botwatch's own parts at the bottom.

import { $, factView, h, missing, reconcile, SILENT_AFTER_S, setAge, setNodes, setText } from "../elements.js";
import {
  bytes,
  dateAndTime,
  duration,
  formatMoney,
  isDefined,
  ratio,
  timeOfDay,
  whole,
  withLocalTimes,
} from "../format.js";
import { isConnected, lastMessageAt, nextAttemptAt } from "../socket.js";
import { ageSeconds, dashboard, lastUpdate } from "../store.js";

const STATUS_LABELS = { HEALTHY: "Healthy", WARNING: "Warning", CRITICAL: "Critical", UNKNOWN: "Unknown" };

export function renderStatus() {
  const { summary } = dashboard;
  $("overall").dataset.status = summary.status;
  setText($("status"), STATUS_LABELS[summary.status] ?? summary.status);
  const reasons = summary.reasons.map((text, index) => ({ text, index }));
  reconcile($("reasons"), reasons, ({ index }) => index, reasonView);
  document.title = titleOf(summary);
  renderTotals(summary);
}

function reasonView() {
  const root = h("li");
  return { root, update: ({ text }) => setText(root, withLocalTimes(text)) };
}

function titleOf({ status, triggeredAlerts }) {
  if (status === "HEALTHY") return "Botwatch";
  return `${triggeredAlerts ? `(${triggeredAlerts}) ` : ""}${STATUS_LABELS[status]} · Botwatch`;
}

function renderTotals(summary) {
  const bots = [...dashboard.performance.values()];
  const isSilent = ({ lastSeen, retired }) => lastSeen && !retired && ageSeconds(lastSeen) > SILENT_AFTER_S.bot;
  const silent = bots.filter(isSilent).length;
  const totals = [
    { name: "Portfolio value", ...portfolioTotal(summary, bots) },
    { name: "Active alerts", lines: [whole(summary.triggeredAlerts)], note: handledSummary() },
    { name: "Bots", lines: [whole(bots.length)], note: silent ? `${silent} silent for 5 min` : "" },
    { name: "Hosts", lines: [whole(dashboard.health.size)], note: checksSummary() },
  ];
  reconcile($("totals"), totals, ({ name }) => name, totalView);
}

/** Return the sum of all accounts, or else one of each currency. */
export function portfolioTotal({ portfolioValue, portfolioValueReason, portfolioValues, currency, rates }, bots) {
  const sums = Object.entries(portfolioValues).map(([name, sum]) =>
    name === "unknown" ? `${formatMoney(sum)} (currency unknown)` : formatMoney(sum, name),
  );
  if (!isDefined(portfolioValue))
    return { lines: sums, why: portfolioValueReason, note: sums.length ? portfolioValueReason : "" };
  const valued = bots.filter((bot) => isDefined(bot.portfolioValue)).length;
  const converted = Object.keys(rates).length ? sums.join(" + ") : "";
  const some = valued && valued < bots.length ? `of ${valued} of ${bots.length} bots` : "";
  return { lines: [formatMoney(portfolioValue, currency)], note: [converted, some].filter(Boolean).join(", ") };
}

function totalView({ name }) {
  const value = h("span");
  const note = h("span", { class: "note" });
  return {
    root: h("div", {}, h("dt", {}, name), h("dd", {}, value, note)),
    update({ lines, why, note: text }) {
      setNodes(value, JSON.stringify([lines, why]), () =>
        lines.length ? lines.map((line) => h("span", { class: "line" }, line)) : [missing(why)],
      );
      setText(note, text);
    },
  };
}

function handledSummary() {
  const { active } = dashboard.alerts;
  const muted = active.filter(({ details }) => details.mutedBy).length;
  const acknowledged = active.filter(({ status, details }) => status === "ACKNOWLEDGED" && !details.mutedBy).length;
  return [acknowledged ? `${acknowledged} acknowledged` : "", muted ? `${muted} muted` : ""].filter(Boolean).join(", ");
}

function checksSummary() {
  const checks = [...dashboard.checks.values()].flatMap((found) => [...found.values()]);
  const failing = checks.filter(({ status }) => status === "critical" || status === "warning").length;
  return checks.length ? `${failing || "none"} of ${checks.length} checks failing` : "";
}

/* ---------- Connection ---------- */

const STALE_MS = 4_000; // the broadcaster sends something once a second

export function renderConnection() {
  const silence = Date.now() - lastMessageAt;
  const isStale = isConnected && silence > STALE_MS;
  const state = isStale ? "stale" : isConnected ? "live" : nextAttemptAt ? "lost" : $("link").dataset.state;
  $("link").dataset.state = state;
  if (isStale) {
    setText($("link-text"), `Stale: nothing received for ${duration(silence / 1000)}. ${formatLastUpdate()}`);
  } else if (isConnected) {
    setText($("link-text"), "Live");
  } else if (state === "lost") {
    setText($("link-text"), `Not live: reconnecting. ${formatLastUpdate()}`);
  }
}

export function showConnectionError(error) {
  setText($("link-text"), `Not live: ${error.message}`);
}

/** Show the notice at the top while the API cannot be read; `error` is null when it can. */
export function renderFetchError(error) {
  $("notice").hidden = !error;
  if (error) {
    setText($("notice"), `The dashboard API is unavailable (${error.message}); retrying. ${formatLastUpdate()}`);
  }
}

const formatLastUpdate = () => (lastUpdate ? `Last update ${timeOfDay(lastUpdate)}.` : "Nothing received yet.");

/* ---------- System ---------- */

export function renderSystem() {
  const { system, timestamp } = dashboard;
  const parts = Object.entries(system.parts).map(([name, part]) => ({ name, ...part }));
  reconcile($("parts"), parts, (part) => part.name, partView);
  $("no-parts").hidden = parts.length > 0;
  reconcile($("facts"), systemFacts(system, Date.parse(timestamp)), ([fact]) => fact, factView);
}

function partView({ name }) {
  const note = h("small");
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const root = h("li", { class: "part" }, dot, h("span", { class: "name" }, name), note);
  return {
    root,
    update(part) {
      root.dataset.status = part.status;
      root.title = `${part.host}, process ${part.pid}, started ${dateAndTime(part.startedAt)}`;
      if (part.status === "up") setAge(note, part.startedAt, "up %");
      else setAge(note, part.seenAt, "down for %");
    },
  };
}

function describeBackup(backup, at) {
  const age = duration(Math.max(0, at - Date.parse(backup.createdAt)) / 1000);
  return `${age} ago, ${bytes(backup.bytes)}, verified`;
}

function systemFacts({ redis, log, databases, notifications, watchdog, backup }, at) {
  const lastBeatAt = Date.parse(watchdog.heardAt);
  const groups = Object.entries(log?.groups ?? {});
  const pending = Object.values(notifications).reduce((sum, count) => sum + count, 0);
  return [
    ["Redis", redis.fault ?? (redis.status === "up" ? `up, ${ratio(redis.latencyMs)} ms` : "down")],
    ["Log entries", log ? whole(log.entries) : null],
    ...groups.map(([name, group]) => [`Reader ${name}`, describeGroup(group)]),
    ["Notifications pending", whole(pending)],
    [
      "Watchdog",
      Number.isNaN(lastBeatAt) ? "no beat yet" : `last beat ${duration(Math.max(0, at - lastBeatAt) / 1000)} ago`,
    ],
    ["Last backup", backup ? describeBackup(backup, at) : "none yet"],
    ...Object.entries(databases).map(([name, file]) => [
      `Database ${name}`,
      isDefined(file.bytes) ? bytes(file.bytes) : null,
    ]),
  ];
}

function describeGroup({ lag, pending }) {
  const behind = isDefined(lag) ? `${whole(lag)} behind` : "lag unknown";
  return pending ? `${behind}, ${whole(pending)} pending` : behind;
}
