// The WebSocket to the broadcaster: there is one. It reconnects by itself, resumes after the last message, and applies
// what it receives to the store.

import { isDefined } from "./format.js";
import { isComputed, NAMES } from "./metrics.js";
import { addPoint, applyAlert, dashboard, entry, isBefore, markUpdated, now, publish } from "./store.js";

/* ---------- Connection ---------- */

const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
const REVOKED = 4401; // the same request would be refused again
const CONNECT_TIMEOUT_MS = 10_000; // browsers wait for minutes

export let isConnected = false;
export let lastMessageAt = 0; // ms; the broadcaster sends something once a second
export let nextAttemptAt = null; // ms; null unless it waits to reconnect
let lastId = null; // of the last message with an ID
let reconnecting = 0;

export async function connect(attempt = 0) {
  clearTimeout(reconnecting);
  nextAttemptAt = null;
  let socket;
  let failures = attempt;
  try {
    const address = socketAddress();
    if (document.body.dataset.user) {
      const ticket = await fetchTicket();
      if (ticket === null) {
        reconnectLater(failures);
        return;
      }
      address.searchParams.set("ticket", ticket);
    }
    socket = new WebSocket(address);
  } catch (error) {
    publish("connection-failed", error);
    return;
  }
  const connecting = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
  socket.addEventListener("open", () => {
    clearTimeout(connecting);
    failures = 0;
    isConnected = true;
    lastMessageAt = Date.now();
    publish("connected");
  });
  socket.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    lastMessageAt = Date.now();
    markUpdated();
    for (const message of Array.isArray(frame) ? frame : [frame]) handleMessage(message);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    clearTimeout(connecting);
    if (code === REVOKED) {
      isConnected = false;
      publish("refused", reason);
      return;
    }
    reconnectLater(failures);
  });
}

function reconnectLater(failures) {
  const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] * (0.75 + Math.random() / 2);
  isConnected = false;
  nextAttemptAt = Date.now() + wait;
  reconnecting = setTimeout(connect, wait, failures + 1);
  publish("disconnected");
}

/** Return a one-time ticket, or null; a browser sends no headers with a WebSocket, and cookies to this host only. */
async function fetchTicket() {
  const address = `${document.body.dataset.base}api/monitoring/websocket-ticket`;
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  const response = await fetch(address, { method: "POST", signal }).catch(() => null);
  return response?.ok ? (await response.json()).ticket : null;
}

/** Connect at once if it waits to reconnect. */
export function reconnectNow() {
  if (nextAttemptAt) connect();
}

function handleMessage(message) {
  if (message.id !== undefined && message.id !== null) lastId = message.id;
  applyMessage(message);
}

function socketAddress() {
  const { websocketUrl, websocketPort } = document.body.dataset;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const address = new URL(websocketUrl || `${scheme}://${location.hostname}:${websocketPort}/monitoring`);
  address.searchParams.set("alive", "true");
  if (lastId !== null) address.searchParams.set("since", lastId);
  return address;
}

/* ---------- Messages ---------- */

/** Apply a message; those before the first snapshot are dropped, for the snapshot contains them. */
export function applyMessage(message) {
  if (!dashboard) return;
  if (message.type === "record") {
    applyRecord(message.record);
  } else if (message.type === "alert") {
    applyAlert(message.change, message.alert);
  } else if (message.type === "snapshot") {
    message.records.forEach(applyRecord);
    publish("outdated"); // its alerts too: the API says which are open
  } else if (message.type === "gap") {
    publish("outdated"); // the API knows what the log no longer holds
  }
}

function applyRecord(record) {
  // A clock that was ahead once must neither keep later records out nor make a dead bot look alive.
  if (Date.parse(record.timestamp) > now()) record.timestamp = new Date(now()).toISOString();
  if (record.kind === "health") applyHealth(record);
  else if (record.kind === "check") applyCheck(record);
  else applyBotRecord(record);
}

function applyHealth(record) {
  const known = dashboard.health.get(record.host);
  if (!isBefore(record.timestamp, known?.timestamp)) dashboard.health.set(record.host, record);
  if (known?.systemHealth !== record.systemHealth) publish("outdated");
  publish("change", "hosts");
}

function applyCheck(record) {
  const checks = entry(dashboard.checks, record.host, () => new Map());
  const known = checks.get(record.check);
  if (isBefore(record.timestamp, known?.timestamp)) return;
  checks.set(record.check, record);
  if (known?.status !== record.status) publish("outdated");
  publish("change", "checks");
}

function applyBotRecord(record) {
  const bot = entry(dashboard.performance, record.bot, () => ({ bot: record.bot, metrics: new Map() }));
  const wasRetired = Boolean(bot.retired);
  if (isFromBot(record)) {
    if (!isBefore(record.timestamp, bot.lastSeen)) bot.lastSeen = record.timestamp;
    if (isBefore(bot.lastHeartbeatAt, record.timestamp)) bot.retired = false;
  }
  APPLIERS[record.kind]?.(bot, record, Date.parse(record.timestamp));
  if (Boolean(bot.retired) !== wasRetired) publish("outdated"); // its alerts are resolved
  publish("change", "bots");
}

/** As in services/dashboard/snapshot.py: computed metrics and an operator's heartbeats are no sign of life. */
const isFromBot = ({ kind, source, status }) =>
  kind === "heartbeat" ? !["retired", "expected"].includes(status) : source !== "computed";

const APPLIERS = {
  performance: applyPerformance,
  equity(bot, record, at) {
    if (isBefore(record.timestamp, bot.equityAt)) return;
    Object.assign(bot, { equity: record.equity, equityAt: record.timestamp });
    bot.currency ??= record.currency;
    addPoint(record.bot, "equity", at, record.equity);
  },
  order(bot, record) {
    if (!isBefore(record.timestamp, bot.lastOrderAt)) bot.lastOrderAt = record.timestamp;
  },
  fill(bot, record) {
    if (!isBefore(record.timestamp, bot.lastFillAt)) bot.lastFillAt = record.timestamp;
  },
  heartbeat(bot, record) {
    if (isBefore(record.timestamp, bot.lastHeartbeatAt)) return;
    const status = record.status ?? "ok";
    Object.assign(bot, { lastHeartbeatAt: record.timestamp, heartbeatStatus: status, retired: status === "retired" });
  },
  event(bot, record) {
    if (!isBefore(record.timestamp, bot.lastEvent?.timestamp)) bot.lastEvent = record;
  },
  metric(bot, record) {
    bot.metrics.set(record.name, { value: record.value, unit: record.unit ?? "" });
  },
};

function applyPerformance(bot, record, at) {
  if (!mergeMetrics(bot, record, isBefore)) return;
  for (const name of ["portfolioValue", "currentDrawdown"]) {
    // A line must not jump between reported and computed values.
    const isShown = isComputed(bot, name) === (record.source === "computed");
    if (isShown && isDefined(bot[name])) addPoint(record.bot, name, at, bot[name]);
  }
}

/* ---------- Performance records ---------- */

const pick = (names, metrics) => Object.fromEntries(names.map((name) => [name, metrics?.[name] ?? null]));
const filterNames = (metrics, isWanted) =>
  Object.fromEntries(Object.entries(metrics ?? {}).filter(([name]) => isWanted(name)));

/**
 * Merge a live performance record into its bot, as services/dashboard/snapshot.py merges the latest records:
 * reported values win, computed ones fill the gaps. Return false for a late record.
 */
export function mergeMetrics(bot, record, isBefore) {
  const isComputedRecord = record.source === "computed";
  const known = isComputedRecord ? bot.computedAt : bot.source === "reported" ? bot.timestamp : null;
  if (isBefore(record.timestamp, known)) return false;
  const previous = bot.source === "reported" ? filterNames(pick(NAMES, bot), (name) => !isComputed(bot, name)) : {};
  const reported = isComputedRecord ? previous : record;
  const computed = isComputedRecord
    ? record
    : {
        ...bot.computedFigures,
        undefined: bot.undefined,
        lowConfidence: bot.lowConfidence,
        differences: bot.differences,
      };
  Object.assign(
    bot,
    pick(NAMES, { ...pick(NAMES, computed), ...filterNames(reported, (name) => isDefined(reported[name])) }),
  );
  bot.computed = NAMES.filter((name) => !isDefined(reported[name]) && isDefined(computed[name]));
  bot.undefined = filterNames(computed.undefined, (name) => !isDefined(bot[name]));
  bot.lowConfidence = filterNames(computed.lowConfidence, (name) => isComputed(bot, name));
  bot.differences = computed.differences ?? {};
  if (isComputedRecord) {
    if (record.currency) bot.currency = record.currency;
    Object.assign(bot, {
      computedAt: record.timestamp,
      computedFigures: pick(NAMES, record),
      disagreements: record.disagreements ?? null,
      benchmark: record.benchmark ?? null,
      tradeMatching: record.tradeMatching ?? null,
      warnings: record.warnings ?? [],
    });
  }
  if (!isComputedRecord || bot.source !== "reported") {
    Object.assign(bot, { timestamp: record.timestamp, source: isComputedRecord ? "computed" : "reported" });
  }
  return true;
}
