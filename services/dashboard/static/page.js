// Botwatch's page: the whole picture from /api/monitoring, then what changes from the WebSocket.

import { drawChecks } from "./checks.js";
import { h, missing, reconcile, say, setNodes, setText, sign, svg } from "./elements.js";
import {
  FAMILIES, NAMES, definition, difference, doubt, duration, isComputed, isDefined, label, milliseconds, money, number,
  plain, ratio, reason, signed, takeFigures, whole, written,
} from "./figures.js";

const { base: BASE } = document.body.dataset; // where the page is: "/", or below a proxy's prefix
const REFETCH_MS = 15_000;
const REFETCH_NOT_LIVE_MS = 5_000;
const SOON_MS = 400;
const RETRY_MS = 1_500;
const STALE_MS = 4_000; // the broadcaster says once a second that it lives
const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
const WINDOW_MS = 3_600_000;
const MOST_POINTS = 600;
const GAP_MS = 120_000;
const PATIENCE_S = { bot: [60, 300], host: [180, 600] }; // late, silent; a host is looked at once a minute
const RECENT = 20;
const FEW_BOTS = 10; // fewer need no filter
const MOST_ALERTS = 25;
const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];

const $ = (id) => document.getElementById(id);

const ON_CARD = ["currentDrawdown", "maxDrawdown", "sharpeRatio", "winRate", "profitFactor", "totalTrades"];
const MOST_DIFFERENCES = 3;

const OPERATORS = { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" };
/** What an alert's value is and how it is beyond its limit, as the server writes them: [measure, value, limit]. */
function comparison({ measure, valueText, operator, limitText }) {
  return [measure, valueText, limitText ? `(alert ${OPERATORS[operator] ?? operator} ${limitText})` : ""];
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let power = 0;
  for (; value >= 1024 && power < units.length - 1; power += 1) value /= 1024;
  return `${number(power && value < 100 ? 1 : 0)(value)} ${units[power]}`;
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/* ---------- Figures ---------- */

/** Write a figure into `element`; an undefined one is a dash that says why. */
function setFigure(element, name, value, why) {
  const text = isDefined(value) ? written(name, value) : null;
  setNodes(element, text ?? why, () => [text ?? missing(why)]);
}

/** Write a bot's figure: with what is to be known of it, and with the computed one where the two differ. */
function setBotFigure(element, bot, name) {
  if (!isDefined(bot[name])) {
    setFigure(element, name, null, `${label(name)}: ${reason(bot, name)}`);
    return;
  }
  const text = written(name, bot[name]);
  const remarks = remarksOn(bot, name);
  setNodes(element, JSON.stringify([text, remarks]), () => [text, ...remarks.map((remark) => sign(...remark))]);
}

/** What is to be known of a figure that is shown: [class, text, meaning] each. */
function remarksOn(bot, name) {
  const both = difference(bot, name);
  const little = doubt(bot, name);
  return [
    ...(little ? [["mark", "≈", little]] : []),
    ...(bot.source === "reported" && isComputed(bot, name)
      ? [["mark", "c", "Computed by Botwatch from the bot's raw records; the bot does not report it."]] : []),
    ...(both ? [["other", `≠ ${written(name, both.computed)}`, `The bot reports ${
      written(name, both.reported)}; Botwatch computes ${written(name, both.computed)} from its raw records.`]] : []),
  ];
}

/* ---------- State ---------- */

let board = null; // what /api/monitoring answered, kept up to date by the WebSocket
let skew = 0; // this machine's clock minus the server's, ms
let lastId = null;
let lastUpdate = null;
let linked = false; // whether the WebSocket is open
let heardAt = 0; // when it last said something
let nextTry = null;
let reconnecting = 0;
const dirty = new Set();

const now = () => Date.now() - skew;
/** Whether one moment is before another; an undefined one is before all. Their text has no fixed precision. */
const before = (one, other) => Boolean(other) && !(Date.parse(one) >= Date.parse(other));
const ageOf = (iso) => (now() - Date.parse(iso)) / 1000;

let scheduled = false;
function redraw(...sections) {
  for (const section of sections) dirty.add(section);
  if (scheduled) return;
  scheduled = true;
  setTimeout(draw, 150); // no animation frame: a tab in the background has none, and its title must say what is wrong
}

function draw() {
  scheduled = false;
  const sections = new Set(dirty);
  dirty.clear();
  if (!board) return;
  if (sections.has("overall")) drawOverall();
  if (sections.has("alerts")) drawAlerts();
  if (sections.has("bots")) drawBots();
  if (sections.has("checks")) drawChecks(board.checks);
  if (sections.has("hosts")) drawHosts();
  if (sections.has("system")) drawSystem();
  tick();
}

/* ---------- Reading the API ---------- */

let fetching = false;
let fetchAgain = 0;
let wanted = false; // whether something changed that the answer under way may not know of
let meanwhile = []; // alerts that came live since the last answer was asked for

async function refetch() {
  clearTimeout(fetchAgain);
  fetching = true;
  wanted = false;
  meanwhile = [];
  let failed = false;
  try {
    const fresh = await read(`${BASE}api/monitoring`);
    while (fresh.page.next !== null) {
      const { performance, page } = await read(`${BASE}api/monitoring?trends=false&after=${encodeURIComponent(fresh.page.next)}`);
      fresh.performance = Object.fromEntries([...Object.entries(fresh.performance), ...Object.entries(performance)]);
      fresh.page = page;
    }
    take(fresh);
    refetchSilences();
    if (nextTry) connect(); // the server is back: the WebSocket need not wait any longer
    $("notice").hidden = true;
  } catch (error) {
    failed = true;
    setText($("notice"), `The dashboard cannot be read (${error.message}); trying again. ${lastSeenWords()}`);
    $("notice").hidden = false;
  } finally {
    fetching = false;
    fetchAgain = setTimeout(refetch, failed ? RETRY_MS : wanted ? SOON_MS : linked ? REFETCH_MS : REFETCH_NOT_LIVE_MS);
  }
}

async function read(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  return response.json();
}

const toPoints = (points) => points.map(([at, value]) => [Date.parse(at), value]);

/** Only cards in view, or nearly so, are kept up to date, and get their trends where the API leaves them out. */
const inView = new IntersectionObserver((entries) => {
  for (const { target: card, isIntersecting } of entries) {
    card.isInView = isIntersecting;
    if (!isIntersecting || card.hasTrends || !board || board.page.trends) continue;
    card.hasTrends = true;
    fetchTrends(card.dataset.bot).catch(() => setTimeout(() => {
      card.hasTrends = false;
      inView.unobserve(card);
      inView.observe(card); // again, if it is still there and in view
    }, RETRY_MS));
  }
  redraw("bots");
}, { rootMargin: "400px" });

async function fetchTrends(bot) {
  const series = await read(`${BASE}api/monitoring/trends?bot=${encodeURIComponent(bot)}`);
  const live = entry(board.trends, bot, () => new Map());
  for (const [name, points] of Object.entries(series)) {
    const known = live.get(name) ?? [];
    const since = known[0]?.[0] ?? Infinity;
    live.set(name, [...toPoints(points).filter(([at]) => at < since), ...known]);
  }
  redraw("bots");
}

/** After a change that may change the status: fetch soon, but not for each of many changes. */
function refetchSoon() {
  if (wanted) return; // soon already; putting it off with each change would put it off for ever
  wanted = true;
  if (fetching) return;
  clearTimeout(fetchAgain);
  fetchAgain = setTimeout(refetch, SOON_MS);
}

const byName = (object) => new Map(Object.entries(object ?? {}));

/** Return what `map` has under `key`; what is not there is made and kept. */
function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

function take(fresh) {
  skew = Date.now() - Date.parse(fresh.timestamp);
  const last = board;
  // Names come from outside: `__proto__` is a key of a Map like any other, but not of an object.
  for (const section of ["performance", "health", "checks", "trends"]) fresh[section] = byName(fresh[section]);
  for (const bot of fresh.performance.values()) bot.metrics = byName(bot.metrics);
  for (const [host, checks] of fresh.checks) fresh.checks.set(host, byName(checks));
  for (const [bot, figures] of fresh.trends) {
    const series = byName(figures);
    for (const [name, points] of series) series.set(name, toPoints(points));
    fresh.trends.set(bot, series);
  }
  if (last) keepNewer(fresh, last);
  board = fresh;
  for (const alert of meanwhile) {
    const known = [...board.alerts.active, ...board.alerts.recent].find((other) => other.id === alert.id);
    if (!before(alert.updatedAt, known?.updatedAt)) placeAlert(alert);
  }
  lastUpdate = Date.now();
  redraw("overall", "alerts", "bots", "checks", "hosts", "system");
}

/** What came live since the server looked is not taken back; what the server has forgotten is. */
function keepNewer(fresh, last) {
  const looked = Date.parse(fresh.timestamp) - REFETCH_MS;
  for (const [name, bot] of last.performance) {
    const known = fresh.performance.get(name);
    const newer = known ? before(known.lastSeen, bot.lastSeen) || before(known.computedAt, bot.computedAt)
      : Date.parse(bot.lastSeen) > looked;
    if (newer) fresh.performance.set(name, bot);
  }
  for (const [host, checks] of fresh.checks) {
    for (const [name, check] of checks) {
      const known = last.checks.get(host)?.get(name);
      if (before(check.timestamp, known?.timestamp)) checks.set(name, known);
    }
  }
  for (const [bot, figures] of last.trends) {
    if (!fresh.performance.has(bot)) continue;
    const series = entry(fresh.trends, bot, () => new Map());
    for (const [name, points] of figures) {
      const known = entry(series, name, () => []);
      const end = known.at(-1)?.[0] ?? -Infinity;
      known.push(...points.filter(([at]) => at > end));
    }
  }
}

/* ---------- Live ---------- */

function socketAddress() {
  const { websocketUrl, websocketPort } = document.body.dataset;
  const secure = location.protocol === "https:" ? "wss" : "ws";
  const address = new URL(websocketUrl || `${secure}://${location.hostname}:${websocketPort}/monitoring`);
  address.searchParams.set("alive", "true");
  if (lastId !== null) address.searchParams.set("since", lastId);
  return address;
}

function connect(attempt = 0) {
  clearTimeout(reconnecting);
  nextTry = null;
  let socket;
  let failures = attempt;
  try {
    socket = new WebSocket(socketAddress());
  } catch (error) {
    setText($("link-text"), `not live: ${error.message}`);
    return;
  }
  socket.addEventListener("open", () => {
    failures = 0;
    linked = true;
    heardAt = Date.now();
    if (!$("notice").hidden) refetchSoon();
    tick();
  });
  socket.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    heardAt = lastUpdate = Date.now();
    for (const message of Array.isArray(frame) ? frame : [frame]) receive(message);
  });
  socket.addEventListener("close", () => {
    const wait = BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)] * (0.75 + Math.random() / 2);
    linked = false;
    nextTry = Date.now() + wait;
    reconnecting = setTimeout(connect, wait, failures + 1);
    refetchSoon();
    tick();
  });
}

function receive(message) {
  if (message.id !== undefined && message.id !== null) lastId = message.id;
  if (!board) return;
  if (message.type === "record") {
    takeRecord(message.record);
  } else if (message.type === "alert") {
    takeAlert(message.change, message.alert);
  } else if (message.type === "snapshot") {
    message.records.forEach(takeRecord);
    refetchSoon(); // its alerts too: what is open is what the store says
  } else if (message.type === "gap") {
    refetchSoon(); // the API knows what the log no longer holds
  }
}

function takeRecord(record) {
  // A clock that was ahead once must not keep later records out, nor make a dead bot look alive.
  if (Date.parse(record.timestamp) > now()) record.timestamp = new Date(now()).toISOString();
  if (record.kind === "health") {
    const known = board.health.get(record.host);
    if (!before(record.timestamp, known?.timestamp)) board.health.set(record.host, record);
    if (known?.systemHealth !== record.systemHealth) refetchSoon();
    redraw("hosts");
    return;
  }
  if (record.kind === "check") {
    takeCheck(record);
    return;
  }
  const bot = entry(board.performance, record.bot, () => ({ bot: record.bot, metrics: new Map() }));
  const at = Date.parse(record.timestamp);
  const wasRetired = Boolean(bot.retired);
  if (isFromBot(record)) {
    if (!before(record.timestamp, bot.lastSeen)) bot.lastSeen = record.timestamp;
    if (before(bot.lastHeartbeatAt, record.timestamp)) bot.retired = false;
  }
  const taker = TAKERS[record.kind];
  if (taker) taker(bot, record, at);
  if (Boolean(bot.retired) !== wasRetired) refetchSoon(); // its alerts are resolved
  redraw("bots");
}

function takeCheck(record) {
  const checks = entry(board.checks, record.host, () => new Map());
  const known = checks.get(record.check);
  if (before(record.timestamp, known?.timestamp)) return;
  checks.set(record.check, record);
  if (known?.status !== record.status) refetchSoon();
  redraw("checks");
}

/** As in services/dashboard/snapshot.py: computed figures and the word of an operator are no sign of life. */
const isFromBot = ({ kind, source, status }) => (
  kind === "heartbeat" ? !["retired", "expected"].includes(status) : source !== "computed");

const TAKERS = {
  performance: takePerformance,
  equity(bot, record, at) {
    if (before(record.timestamp, bot.equityAt)) return;
    Object.assign(bot, { equity: record.equity, equityAt: record.timestamp });
    addPoint(record.bot, "equity", at, record.equity);
  },
  order(bot, record) { if (!before(record.timestamp, bot.lastOrderAt)) bot.lastOrderAt = record.timestamp; },
  fill(bot, record) { if (!before(record.timestamp, bot.lastFillAt)) bot.lastFillAt = record.timestamp; },
  heartbeat(bot, record) {
    if (before(record.timestamp, bot.lastHeartbeatAt)) return;
    const status = record.status ?? "ok";
    Object.assign(bot, { lastHeartbeatAt: record.timestamp, heartbeatStatus: status, retired: status === "retired" });
  },
  event(bot, record) { if (!before(record.timestamp, bot.lastEvent?.timestamp)) bot.lastEvent = record; },
  metric(bot, record) { bot.metrics.set(record.name, { value: record.value, unit: record.unit ?? "" }); },
};

function takePerformance(bot, record, at) {
  if (!takeFigures(bot, record, before)) return;
  for (const name of ["portfolioValue", "currentDrawdown"]) {
    // A line must not jump between what is reported and what is computed.
    const shown = isComputed(bot, name) === (record.source === "computed");
    if (shown && isDefined(bot[name])) addPoint(record.bot, name, at, bot[name]);
  }
}

/** Add a point, at most one a second; the oldest leave with the window, and many are thinned out. */
function addPoint(bot, name, at, value) {
  const figures = entry(board.trends, bot, () => new Map());
  const series = entry(figures, name, () => []);
  const last = series.at(-1);
  if (last && at < last[0]) return;
  if (last && Math.floor(at / 1000) === Math.floor(last[0] / 1000)) series.pop();
  series.push([at, value]);
  while (series.length && series[0][0] < now() - WINDOW_MS) series.shift();
  if (series.length > MOST_POINTS) {
    figures.set(name, series.filter((_, index) => index % 2 || index > MOST_POINTS / 2));
  }
}

/** An alert as the server names it among the reasons. */
const sentenceOf = ({ severity, component, message }) => `${severity}: ${component}: ${message}`;

function placeAlert(alert) {
  const { alerts, summary } = board;
  const known = alerts.active.find((other) => other.id === alert.id);
  if (known) summary.reasons = summary.reasons.map((reason) => (reason === sentenceOf(known) ? sentenceOf(alert) : reason));
  alerts.active = alerts.active.filter((other) => other.id !== alert.id);
  if (alert.status !== "RESOLVED") {
    alerts.active.push(alert);
    alerts.active.sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
  }
  alerts.recent = [alert, ...alerts.recent.filter((other) => other.id !== alert.id)];
}

const CHANGES = { // what an alert did, as in "Alert opened"
  opened: "opened", reopened: "opened again", flapping: "opens and ends too often: it stays open for now",
  raised: "is graver now", lowered: "is less grave now", acknowledged: "acknowledged",
  unacknowledged: "no longer acknowledged: the time is over", muted: "muted: nobody is told", unmuted: "no longer muted",
  escalated: "escalated: nobody has acknowledged it", repeated: "still open: told again", resolved: "resolved",
};
const changed = (change) => CHANGES[change] ?? change;

function takeAlert(change, alert) {
  const known = board.alerts.active.find((other) => other.id === alert.id);
  // A new value that was on its way while somebody acknowledged must not undo that.
  if (change === "updated" && (!known || before(alert.updatedAt, known.updatedAt))) return;
  placeAlert(alert);
  meanwhile.push(alert);
  if (change === "updated") {
    redraw("overall", "alerts");
    return;
  }
  setText($("announcement"), `Alert ${changed(change)}: ${alert.severity}, ${alert.component}: ${alert.message}`);
  redraw("alerts", "bots");
  refetchSoon();
}

/* ---------- Overall ---------- */

const STATUS_WORDS = { HEALTHY: "Healthy", WARNING: "Warning", CRITICAL: "Critical", UNKNOWN: "Nothing known yet" };

function drawOverall() {
  const { summary, performance } = board;
  $("overall").dataset.status = summary.status;
  setText($("status"), STATUS_WORDS[summary.status] ?? summary.status);
  reconcile($("reasons"), summary.reasons.map((text, index) => ({ text, index })), ({ index }) => index, () => {
    const root = h("li");
    return { root, update: ({ text }) => setText(root, local(text)) };
  });
  document.title = summary.status === "HEALTHY" ? "Botwatch"
    : `${summary.triggeredAlerts ? `(${summary.triggeredAlerts}) ` : ""}${STATUS_WORDS[summary.status]} · Botwatch`;
  const bots = [...performance.values()];
  const valued = bots.filter((bot) => isDefined(bot.portfolioValue)).length;
  const silent = bots.filter((bot) => bot.lastSeen && !bot.retired && ageOf(bot.lastSeen) > PATIENCE_S.bot[1]).length;
  drawTotals([
    ["Portfolio value", "portfolioValue", summary.portfolioValue, "No bot has a portfolio value yet.",
      valued && valued < bots.length ? `of ${valued} of ${bots.length} bots` : ""],
    ["Active alerts", "", summary.triggeredAlerts, "", handledNote()],
    ["Bots", "", bots.length, "", silent ? `${silent} silent for 5 min` : ""],
    ["Hosts", "", board.health.size, "", checksNote()],
  ]);
}

const needsAttention = ({ status, details }) => status === "ACTIVE" && !details.mutedBy;

function handledNote() {
  const muted = board.alerts.active.filter(({ details }) => details.mutedBy).length;
  const taken = board.alerts.active.filter(({ status, details }) => status === "ACKNOWLEDGED" && !details.mutedBy).length;
  return [taken ? `${taken} acknowledged` : "", muted ? `${muted} muted` : ""].filter(Boolean).join(", ");
}

function checksNote() {
  const checks = [...board.checks.values()].flatMap((found) => [...found.values()]);
  const failing = checks.filter(({ status }) => status === "critical" || status === "warning").length;
  return checks.length ? `${failing || "none"} of ${checks.length} checks ${failing === 1 ? "fails" : "fail"}` : "";
}

function drawTotals(totals) {
  reconcile($("totals"), totals, ([name]) => name, ([name]) => {
    const value = h("span");
    const note = h("span", { class: "note" });
    return {
      root: h("div", {}, h("dt", {}, name), h("dd", {}, value, note)),
      update([, figure, amount, why, remark]) {
        setFigure(value, figure || "totalTrades", amount, why);
        setText(note, remark);
      },
    };
  });
}

/* ---------- Alerts ---------- */

function drawAlerts() {
  const rank = (alert) => SEVERITIES.indexOf(alert.severity);
  const active = [...board.alerts.active].sort((a, b) => rank(a) - rank(b) || Date.parse(b.timestamp) - Date.parse(a.timestamp));
  const triggered = active.filter(needsAttention);
  const handled = active.filter((alert) => !needsAttention(alert));
  const resolved = board.alerts.recent.filter((alert) => alert.status === "RESOLVED")
    .sort((a, b) => Date.parse(b.resolvedAt) - Date.parse(a.resolvedAt)).slice(0, RECENT);
  drawOpen("alerts", triggered);
  drawOpen("handled-alerts", handled);
  $("handled").hidden = handled.length === 0;
  reconcile($("resolved"), resolved, (alert) => alert.id, alertView);
  $("no-alerts").hidden = triggered.length > 0;
  $("no-resolved").hidden = resolved.length > 0;
  const counted = SEVERITIES.map((severity) => [severity, triggered.filter((a) => a.severity === severity).length]);
  reconcile($("severities"), counted.filter(([, count]) => count), ([severity]) => severity, ([severity]) => {
    const root = h("span", { class: "tag", "data-severity": severity });
    return { root, update: ([, count]) => setText(root, `${count} ${severity}`) };
  });
}

/** Hundreds of alerts must not bury the bots below them: the first ones, and a button for the rest. */
function drawOpen(list, alerts) {
  const more = $(`${list}-more`);
  const shown = more.dataset.pressed ? alerts : alerts.slice(0, MOST_ALERTS);
  reconcile($(list), shown, (alert) => alert.id, alertView);
  more.hidden = shown.length === alerts.length;
  setText(more, `Show all ${alerts.length}`);
}

function alertView(alert) {
  const severity = h("span", { class: "tag" });
  const component = h("span", { class: "component" });
  const message = h("button", { class: "message", type: "button", onclick: () => showDetails(root.alert.id) });
  const value = h("span");
  const since = h("span");
  const flaps = h("span");
  const raised = h("span", { class: "raised" });
  const muted = h("span", { class: "muted" });
  const taken = h("span", { class: "taken" });
  const action = h("button", { type: "button", onclick: () => askAcknowledgement(root.alert) }, "Acknowledge");
  const silence = h("button", { type: "button", class: "plain", onclick: () => askSilence(root.alert) }, "Silence");
  const place = h("p", { class: "do" }, action, silence);
  const fresh = ageOf(alert.timestamp) < 10 && alert.status === "ACTIVE" ? " fresh" : "";
  const root = h("li", { class: `alert${fresh}` },
    h("p", { class: "first" }, severity, component, message),
    h("p", { class: "second" }, value, since, flaps, raised, muted, taken), place);
  return {
    root,
    update(current) {
      root.alert = current;
      root.dataset.severity = current.severity;
      setText(severity, current.severity);
      setText(component, current.component);
      setText(message, current.message);
      writeComparison(value, current);
      writeSince(since, current);
      writeTaken(taken, current);
      writeRemarks(flaps, raised, muted, current);
      place.hidden = current.status === "RESOLVED";
      action.hidden = current.status !== "ACTIVE";
      silence.hidden = Boolean(current.details.silence);
      for (const button of [action, silence]) {
        button.setAttribute("aria-label", `${button.textContent}: ${current.component}: ${current.message}`);
      }
    },
  };
}

function writeComparison(element, { details, message, status }) {
  const [measure, value, limit] = comparison(details);
  const isSaid = message.includes(value) && message.includes(details.limitText);
  element.hidden = !limit || (isSaid && status !== "RESOLVED"); // the message says it
  const [before, after] = [`${measure} `, ` ${status === "RESOLVED" ? "at the end " : ""}${limit}`];
  if (element.textContent !== before + value + after) {
    element.replaceChildren(before, h("strong", {}, value), after);
  }
}

function writeSince(element, alert) {
  if (alert.status === "RESOLVED") {
    const lasted = (Date.parse(alert.resolvedAt) - Date.parse(alert.timestamp)) / 1000;
    setText(element, `resolved ${clock(alert.resolvedAt)} after ${duration(lasted)}`);
  } else {
    element.dataset.since = alert.timestamp;
    element.dataset.words = `since ${clock(alert.timestamp)} (%)`;
  }
  element.title = fullFormat.format(new Date(alert.timestamp));
}

function writeTaken(element, alert) {
  const comment = alert.comment ? ` – “${alert.comment}”` : "";
  const until = alert.acknowledgedUntil && alert.status === "ACKNOWLEDGED" ? ` until ${clock(alert.acknowledgedUntil)}` : "";
  say(element, alert.assignee ? `acknowledged by ${alert.assignee}${until}${comment}` : "");
}

function writeRemarks(flaps, raised, muted, { status, details }) {
  const isOpen = status !== "RESOLVED";
  say(flaps, details.flaps ? `opened again ${details.flaps === 1 ? "once" : `${details.flaps} times`}` : "");
  say(raised, isOpen && details.raisedTo ? `raised to ${details.raisedTo} by escalation` : "");
  say(muted, isOpen ? local(details.mutedBy ?? "") : "");
}

/** A moment: the time of day, with the date when it was not today. */
function clock(iso) {
  const moment = new Date(iso);
  const today = new Date().toDateString() === moment.toDateString();
  return (today ? clockFormat : fullFormat).format(moment);
}

/** Moments that the server writes, by this machine's clock: two clocks in one row mislead. */
const local = (text) => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, (at) => clock(at.replace(" ", "T").replace(" UTC", "Z")));

/* ---------- Acknowledging ---------- */

let asked = null;

function askAcknowledgement(alert) {
  asked = alert;
  setText($("acknowledge-about"), `${alert.severity} · ${alert.component}: ${alert.message}`);
  $("by").value = remembered();
  $("comment").value = $("timeout").value = "";
  $("acknowledge-fault").hidden = true;
  $("acknowledge").showModal();
  ($("by").value ? $("comment") : $("by")).focus();
}

/** Storage may be switched off; then the name is asked for each time. */
function remembered(name) {
  try {
    if (name) localStorage.setItem("botwatch.by", name);
    return localStorage.getItem("botwatch.by") ?? "";
  } catch {
    return "";
  }
}

async function sendAcknowledgement(event) {
  event.preventDefault();
  const path = `${BASE}api/monitoring/alerts/${encodeURIComponent(asked.id)}/acknowledge`;
  const answer = await send("acknowledge", "by", (by) => call("POST", path, {
    by, comment: $("comment").value.trim() || null, timeout: $("timeout").value || null,
  }));
  if (!answer) return;
  takeAlert("acknowledged", answer);
  drawAlerts();
  // Its button is gone: go on with the next alert that needs attention.
  ($("alerts").querySelector(".do button:not([hidden])") ?? $("alerts-title")).focus();
}

/** Send what a dialog asks for; return the answer, or null when it was refused: the dialog says why. */
async function send(dialog, nameField, request) {
  const fault = (text) => sayFault(`${dialog}-fault`, text);
  const by = $(nameField).value.trim();
  if (!by) {
    fault("Please say who you are: others see who takes care of it.");
    $(nameField).focus();
    return null;
  }
  $(`${dialog}-send`).disabled = true;
  try {
    const answer = await request(by);
    remembered(by);
    $(dialog).close();
    return answer;
  } catch (error) {
    fault(error.message);
    refetchSoon();
    return null;
  } finally {
    $(`${dialog}-send`).disabled = false;
  }
}

/** Ask the API; what it refuses is an error that says why. */
async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  }).catch((error) => { throw new Error(`It could not be sent: ${error.message}`); });
  const answer = await response.json();
  if (!response.ok) throw new Error([answer.error, ...(answer.faults ?? []).map((fault) => fault.message)].join("; "));
  return answer;
}

const sayFault = (id, text) => say($(id), text);

/* ---------- Silences ---------- */

function askSilence(alert) {
  asked = alert;
  setText($("silence-about"), `${alert.component}: ${alert.message}. The alert stays on this page; nobody is told of it.`);
  $("silence-by").value = remembered();
  $("silence-comment").value = "";
  sayFault("silence-fault", "");
  $("silence").showModal();
  ($("silence-by").value ? $("silence-comment") : $("silence-by")).focus();
}

/** What a silence of an alert goes by: its rule, its bot or host, its labels. */
function matchersOf({ details }) {
  const { rule: alertname, bot, host, labels } = details;
  return Object.entries({ ...labels, alertname, ...(bot ? { bot } : { host }) }).map(([name, value]) => ({ name, value }));
}

async function sendSilence(event) {
  event.preventDefault();
  const made = await send("silence", "silence-by", (createdBy) => call("POST", `${BASE}api/monitoring/silences`, {
    matchers: matchersOf(asked), createdBy, comment: $("silence-comment").value.trim(),
    endsAt: new Date(now() + Number($("silence-hours").value) * 3_600_000).toISOString(),
  }));
  if (made) refetchSilences();
}

/* ---------- Retiring and forgetting bots ---------- */

const BOT_ACTIONS = {
  retire: {
    title: "Retire", method: "POST", path: "/retire",
    about: "Its open alerts are resolved and its silence opens none. All its data stays, and it comes back with its next record.",
  },
  unretire: { title: "Un-retire", method: "POST", path: "/unretire", about: "It is expected to report again: its silence opens alerts." },
  forget: {
    title: "Forget", method: "DELETE", path: "",
    about: "All its records and figures are deleted and its open alerts are resolved. There is no way back.",
  },
};

let botAsked = null;

function askBotAction(name, action) {
  const { title, about } = BOT_ACTIONS[action];
  botAsked = { name, action };
  setText($("bot-action-title"), `${title} ${name}?`);
  setText($("bot-action-about"), about);
  setText($("bot-action-send"), title);
  $("bot-action-send").classList.toggle("danger", action === "forget");
  $("bot-action-by").value = remembered();
  sayFault("bot-action-fault", "");
  $("bot-action").showModal();
  ($("bot-action-by").value ? $("bot-action-cancel") : $("bot-action-by")).focus();
}

async function sendBotAction(event) {
  event.preventDefault();
  const { name, action } = botAsked;
  const { method, path } = BOT_ACTIONS[action];
  const done = await send("bot-action", "bot-action-by", (by) => call(
    method, `${BASE}api/monitoring/bots/${encodeURIComponent(name)}${path}?by=${encodeURIComponent(by)}`,
  ));
  if (!done) return;
  if (action === "forget") board.performance.delete(name);
  else board.performance.get(name).retired = done.retired;
  drawBots();
  refetchSoon();
  // Its card has gone, or to the end of the list: keyboards go on from the heading.
  if (action === "forget") $("bots-title").focus();
}

/** What is silenced now or will be; it changes seldom, and so is asked for with the rest, not live. */
async function refetchSilences() {
  try {
    const [active, pending] = await Promise.all(
      ["active", "pending"].map((state) => call("GET", `${BASE}api/monitoring/silences?state=${state}`)),
    );
    reconcile($("silences"), [...active, ...pending], (silence) => silence.id, silenceView);
    $("silenced").hidden = !active.length && !pending.length;
  } catch {
    // The notice at the top says what is wrong; the last list stays.
  }
}

function matcherWords({ name, value, isRegex, isEqual }) {
  const [yes, no] = isRegex ? ["is like", "is not like"] : ["=", "≠"];
  return `${name} ${isEqual ? yes : no} ${value}`;
}

function silenceView({ id }) {
  const what = h("span", { class: "component" });
  const span = h("span");
  const author = h("span");
  const end = h("button", { type: "button", class: "plain", onclick: () => endSilence(id, end) }, "End");
  const root = h("li", { class: "alert", "data-severity": "NONE" },
    h("p", { class: "first" }, what), h("p", { class: "second" }, span, author), h("p", { class: "do" }, end));
  return {
    root,
    update(silence) {
      setText(what, silence.matchers.map(matcherWords).join(", "));
      const from = silence.status.state === "pending" ? `from ${clock(silence.startsAt)} ` : "";
      const { error } = silence.status;
      setText(span, `${from}until ${clock(silence.endsAt)}${error ? ` – matches nothing: ${error}` : ""}`);
      setText(author, `by ${silence.createdBy}${silence.comment ? ` – “${silence.comment}”` : ""}`);
      end.setAttribute("aria-label", `End the silence of ${what.textContent}`);
    },
  };
}

async function endSilence(id, button) {
  button.disabled = true;
  try {
    await call("DELETE", `${BASE}api/monitoring/silences/${encodeURIComponent(id)}?by=${encodeURIComponent(remembered())}`);
    sayFault("silences-fault", "");
    await refetchSilences();
  } catch (error) {
    sayFault("silences-fault", error.message);
  } finally {
    button.disabled = false;
  }
}

/* ---------- One alert ---------- */

async function showDetails(id) {
  const body = $("details-body");
  setText($("details-title"), "Alert");
  body.replaceChildren(h("p", { class: "about" }, "Loading…"));
  $("details").dataset.alert = id;
  if (!$("details").open) $("details").showModal();
  try {
    const response = await fetch(`${BASE}api/monitoring/alerts/${encodeURIComponent(id)}`, { signal: AbortSignal.timeout(10_000) });
    const answer = await response.json();
    if ($("details").dataset.alert !== id) return; // another one was asked for meanwhile
    if (!response.ok) throw new Error(answer.error);
    setText($("details-title"), answer.message);
    body.replaceChildren(...detailsOf(answer));
  } catch (error) {
    body.replaceChildren(h("p", { class: "fault" }, error.message));
  }
}

/** What to do about it; only pages over HTTP are linked. */
function runbookOf({ links }) {
  const address = links?.runbook ?? "";
  if (!/^https?:/.test(address)) return [];
  return [h("p", {}, h("a", { href: address, target: "_blank", rel: "noreferrer" }, "What to do: the runbook"))];
}

function detailsOf(alert) {
  const { details } = alert;
  const rows = [
    ["Severity", alert.severity], ["Status", alert.status], ["Category", alert.category],
    [details.host ? "Host" : "Bot", alert.component], ["Rule", details.rule],
    [details.measure, comparison(details).slice(1).join(" ")],
    ["Opened", fullFormat.format(new Date(alert.timestamp))],
    ...(alert.resolvedAt ? [["Resolved", fullFormat.format(new Date(alert.resolvedAt))]] : []),
    ...(details.flaps ? [["Opened again", `${details.flaps}×`]] : []),
    ...(details.raisedTo ? [["Raised", `to ${details.raisedTo} by escalation`]] : []),
    ...(details.mutedBy && !alert.resolvedAt ? [["Muted", local(details.mutedBy)]] : []),
    ...Object.entries(details.labels ?? {}), ["Id", alert.id],
  ];
  const happened = alert.timeline.map((event) => h("li", {}, [
    clock(event.timestamp), changed(event.change), asItWas(event), event.by ? `by ${event.by}` : "", event.comment ? `“${local(event.comment)}”` : "",
  ].filter(Boolean).join(" · ")));
  return [
    h("dl", { class: "rows" }, ...rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    ...(runbookOf(details)),
    h("h3", {}, "What happened"), h("ul", {}, ...happened),
    h("h3", {}, "Who was told"), alert.notifications.length ? h("ul", {}, ...alert.notifications.map(deliveryView))
      : h("p", { class: "about" }, "Nobody: no channel takes it."),
  ];
}

/** What an alert said when it changed. */
function asItWas({ message, valueText, limitText }) {
  if (!message) return "";
  const isSaid = !limitText || message.includes(valueText);
  return isSaid ? message : `${message} (${valueText}, limit ${limitText})`;
}

function deliveryView(delivery) {
  const { channel, change, state, attempts, reason: why } = delivery;
  return h("li", { "data-state": state },
    h("p", {}, h("strong", {}, channel), ` ${changed(change)}`),
    h("p", { class: "about" }, h("span", { class: "state" }, deliveryState(delivery)),
      ...[attempts > 1 ? `${attempts} attempts` : "", why].filter(Boolean).map((words) => ` · ${words}`)));
}

/** How a delivery stands, in words. */
function deliveryState({ state, attempts, createdAt, sentAt, heldUntil, nextAttemptAt, lastError }) {
  const because = lastError ? `: ${lastError}` : "";
  if (state === "SENT") return `sent ${clock(sentAt ?? createdAt)}`;
  if (state === "FAILED") return `failed${because}`;
  if (state === "SUPPRESSED") return `kept back${because}`;
  if (attempts) return `waits for a retry at ${clock(nextAttemptAt)}${because}`;
  return heldUntil && Date.parse(heldUntil) > now() ? `held until ${clock(heldUntil)}` : "about to be sent";
}

/** Links in notices end in `#<id of the alert>`. */
function followLink() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && !$(id)) showDetails(id);
}

/* ---------- Bots ---------- */

function drawBots() {
  const retired = (bot) => Number(Boolean(bot.retired));
  const bots = [...board.performance.values()].sort((a, b) => retired(a) - retired(b) || (a.bot < b.bot ? -1 : 1));
  $("no-bots").hidden = bots.length > 0;
  const wanted = $("bot-filter").value.trim().toLowerCase();
  const shown = bots.filter(({ bot }) => bot.toLowerCase().includes(wanted));
  $("bots-find").hidden = bots.length < FEW_BOTS && !wanted;
  setText($("bots-found"), wanted ? `${shown.length} of ${bots.length}` : "");
  reconcile($("bots"), shown, (bot) => bot.bot, botView);
}

function botView({ bot: name }) {
  const open = h("span", { class: "tag" });
  const seen = h("span", { class: "seen" });
  const worth = h("span", { class: "value" });
  const gain = h("span", { class: "gain" });
  const chart = chartView(name);
  const figures = Object.fromEntries(ON_CARD.map((figure) => [figure, h("dd")]));
  const grid = h("dl", { class: "figures" }, ...ON_CARD.map((figure) => h("div", {},
    h("dt", { title: definition(figure).text }, label(figure)), figures[figure])));
  const legend = h("p", { class: "legend" });
  const differs = h("p", { class: "differs" });
  const event = h("p", { class: "event" });
  const all = allFiguresView(name);
  const action = (what) => h("button", { type: "button", class: "plain", "aria-label": `${BOT_ACTIONS[what].title} ${name}`,
    onclick: () => askBotAction(name, what) }, BOT_ACTIONS[what].title);
  const [retire, unretire, forget] = Object.keys(BOT_ACTIONS).map(action);
  const root = h("article", { class: "bot", "aria-label": `Bot ${name}`, "data-bot": name },
    h("header", {}, h("h3", {}, name, " ", open), seen),
    h("p", { class: "worth" }, worth, gain), chart.root, grid, legend, differs, event, all.root,
    h("p", { class: "bot-actions" }, retire, unretire, forget));
  inView.observe(root);
  let isDrawn = false;
  return {
    root,
    update(bot) {
      if (isDrawn && !root.isInView) return;
      isDrawn = true;
      root.classList.toggle("retired", Boolean(bot.retired));
      retire.hidden = Boolean(bot.retired);
      unretire.hidden = !bot.retired;
      writeBotAlerts(open, name);
      writeSeen(seen, bot.lastSeen, bot.retired ? "retired" : "bot");
      setBotFigure(worth, bot, "portfolioValue");
      writeGain(gain, bot);
      for (const figure of ON_CARD) setBotFigure(figures[figure], bot, figure);
      writeLegend(legend, bot, all.root.open ? NAMES : ["totalPnL", ...ON_CARD]);
      writeDifferences(differs, bot);
      writeEvent(event, bot.lastEvent);
      chart.update(board.trends.get(name) ?? new Map());
      all.update(bot);
    },
  };
}

/** Say what the marks beside the figures `shown` mean, where there are any. */
function writeLegend(element, bot, shown) {
  const all = bot.source === "computed" ? "All figures are computed by Botwatch" : "";
  const some = !all && shown.some((name) => isComputed(bot, name)) ? "c: computed by Botwatch" : "";
  const little = shown.some((name) => doubt(bot, name)) ? "≈: low confidence" : "";
  setText(element, [all, some, little].filter(Boolean).join(" · "));
  element.hidden = !element.textContent;
}

function writeDifferences(element, bot) {
  const names = Object.keys(bot.differences ?? {}).filter((name) => difference(bot, name));
  const sentences = names.slice(0, MOST_DIFFERENCES).map((name) => {
    const both = difference(bot, name);
    return `${label(name)} ${written(name, both.reported)} reported, ${written(name, both.computed)} computed`;
  });
  if (names.length > MOST_DIFFERENCES) sentences.push(`and ${names.length - MOST_DIFFERENCES} more`);
  const head = names.length === 1 ? "1 figure differs" : `${names.length} figures differ`;
  setText(element, `${head} from what Botwatch computes: ${sentences.join("; ")}.`);
  element.hidden = !names.length;
}

/** The latest event that the bot, or Botwatch about it, has reported. */
function writeEvent(element, event) {
  element.dataset.level = event?.level ?? "";
  say(element, event ? `${clock(event.timestamp)} ${event.title}${event.text ? `: ${event.text}` : ""}` : "");
}

function writeBotAlerts(element, name) {
  const alerts = board.alerts.active.filter((alert) => alert.component === name);
  element.hidden = alerts.length === 0;
  element.dataset.severity = SEVERITIES.find((severity) => alerts.some((alert) => alert.severity === severity)) ?? "NONE";
  setText(element, alerts.length === 1 ? "1 alert" : `${alerts.length} alerts`);
}

function writeSeen(element, lastSeen, subject) {
  if (lastSeen) {
    element.dataset.since = lastSeen;
    element.dataset.words = subject === "retired" ? "retired, seen % ago" : "seen % ago";
    element.dataset.subject = subject;
    element.title = fullFormat.format(new Date(lastSeen));
  } else {
    setText(element, "never seen");
  }
}

function writeGain(element, bot) {
  const value = bot.totalPnL;
  element.dataset.sign = value > 0 ? "up" : value < 0 ? "down" : "none";
  if (!isDefined(value)) {
    const why = `${label("totalPnL")}: ${reason(bot, "totalPnL")}`;
    setNodes(element, why, () => ["P&L ", missing(why)]);
    return;
  }
  const start = bot.portfolioValue - value;
  const share = isDefined(bot.portfolioValue) && start > 0 ? ` (${signed((value / start) * 100)}%)` : "";
  const text = `${value > 0 ? "▲" : value < 0 ? "▼" : "■"} ${signed(value)}${share}`;
  const remarks = remarksOn(bot, "totalPnL");
  setNodes(element, JSON.stringify([text, remarks]), () => [text, ...remarks.map((remark) => sign(...remark))]);
  element.title = "Total P&L, and as a share of the portfolio value without it";
}

/* ---------- All figures of a bot ---------- */

function allFiguresView(bot) {
  const activity = h("dl", { class: "rows" });
  let values = null; // made when first opened: hundreds of bots have ten thousands of them
  const open = () => {
    if (!root.open) return;
    values ??= makeAllFigures(bot, root, activity);
    redraw("bots");
  };
  const root = h("details", { ontoggle: open }, h("summary", {}, "All figures"));
  return {
    root,
    update(known) {
      if (!root.open || !values) return;
      for (const [name, value] of Object.entries(values)) setBotFigure(value, known, name);
      activity.replaceChildren(...activityRows(known));
    },
  };
}

/** Append the families of figures to `root`; return the element of each value. */
function makeAllFigures(bot, root, activity) {
  const values = Object.fromEntries(NAMES.map((name) => [name, h("dd")]));
  const families = FAMILIES.flatMap(({ title, figures }) => [
    h("h4", {}, title), h("dl", { class: "rows" }, ...figures.flatMap((figure) => [term(bot, figure), values[figure.wire]])),
  ]);
  root.append(...families, h("h4", {}, "Activity"), activity);
  return values;
}

const term = (bot, figure) => h("dt", {}, h("button", {
  type: "button", class: "term", title: figure.text, "aria-label": `${figure.label}: what it means`,
  onclick: () => explain(bot, figure),
}, figure.label));

function activityRows(bot) {
  const worth = h("dd");
  setFigure(worth, "equity", bot.equity, "Equity: none has been reported.");
  const moments = [["Last order", bot.lastOrderAt], ["Last fill", bot.lastFillAt], ["Last heartbeat", bot.lastHeartbeatAt]]
    .map(([name, at]) => [name, h("dd", {}, at ? clock(at) : missing(`${name}: none has come.`))]);
  const metrics = [...bot.metrics]
    .map(([name, { value, unit }]) => [name, h("dd", {}, `${plain(value)} ${unit}`.trim())]);
  return [["Equity", worth], ...moments, ...metrics].flatMap(([name, value]) => [h("dt", {}, name), value]);
}

/** Show what a figure means, and what is known of it. */
function explain(name, { wire, label: title, text, unit, source, undefined: when }) {
  const bot = board.performance.get(name) ?? {};
  const own = isComputed(bot, wire) ? null : bot[wire];
  const value = (found, otherwise) => (isDefined(found) ? written(wire, found) : otherwise);
  const little = doubt(bot, wire);
  const rows = [
    ["Reported by the bot", value(own, "not reported")],
    ["Computed by Botwatch", value(bot.computedFigures?.[wire], bot.computedFigures && !isDefined(own) ? reason(bot, wire) : "–")],
    ...(little ? [["Confidence", little]] : []),
    ["Made from", source], ["Undefined when", when], ["On the wire", `${wire}, ${unit}`],
  ];
  setText($("definition-title"), title);
  $("definition-body").replaceChildren(h("p", { class: "about" }, text),
    h("dl", { class: "rows" }, ...rows.flatMap(([row, found]) => [h("dt", {}, row), h("dd", {}, found)])));
  $("definition").showModal();
}

/* ---------- Charts ---------- */

const WIDTH = 600;
const HEIGHT = 96;

function chartView(bot) {
  const area = svg("path", { class: "area" });
  const stroke = svg("path", { class: "stroke" });
  const grid = [0, HEIGHT / 2, HEIGHT].map((y) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
  const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  const image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, ...grid, area, stroke, cursor);
  const [title, top, from, until] = [h("span"), h("span"), h("span"), h("span")];
  const none = h("p", { class: "none" }, "No equity in the last hour");
  const root = h("div", { class: "chart" }, h("p", { class: "axis" }, title, top),
    h("div", { class: "plot" }, image, none), h("p", { class: "axis" }, from, until));
  let drawn = null;

  const readout = (event) => {
    if (!drawn) return;
    const box = image.getBoundingClientRect();
    const at = drawn.from + ((event.clientX - box.left) / box.width) * (drawn.until - drawn.from);
    const nearest = drawn.points.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    const x = drawn.x(nearest[0]);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    setText(top, `${money(nearest[1])} at ${clockFormat.format(nearest[0])}`);
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    if (drawn) setText(top, drawn.range);
  };
  image.addEventListener("pointermove", readout);
  image.addEventListener("pointerleave", leave);

  return {
    root,
    update(trends) {
      const name = trends.get("equity")?.length ? "equity" : "portfolioValue";
      drawn = scale(trends.get(name) ?? []);
      none.hidden = drawn !== null;
      image.toggleAttribute("hidden", drawn === null);
      setText(title, drawn ? label(name) : "");
      setText(from, drawn ? minuteFormat.format(drawn.from) : "");
      setText(until, drawn ? "now" : "");
      if (!drawn) {
        setText(top, "");
        return;
      }
      stroke.setAttribute("d", drawn.line);
      area.setAttribute("d", drawn.area);
      image.setAttribute("aria-label", `${label(name)} of ${bot}, last hour: ${drawn.range}`);
      if (cursor.getAttribute("visibility") === "hidden") setText(top, drawn.range);
    },
  };
}

/** Lay out points over the time from the first to now; the line breaks where nothing came for two minutes. */
function scale(all) {
  const until = now();
  const points = all.filter(([at]) => at >= until - WINDOW_MS && at <= until + 60_000);
  if (!points.length) return null;
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const from = points[0][0];
  const span = Math.max(until - from, 10_000);
  const height = high - low || Math.abs(high) * 0.01 || 1;
  const x = (at) => Math.min(WIDTH, ((at - from) / span) * WIDTH);
  const y = (value) => (high === low ? HEIGHT / 2 : 4 + (1 - (value - low) / height) * (HEIGHT - 8));
  const runs = [[]];
  points.forEach((point, index) => {
    if (index && point[0] - points[index - 1][0] > GAP_MS) runs.push([]);
    runs.at(-1).push(point);
  });
  const path = (run) => run.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return {
    points, from, until: from + span, x,
    line: runs.map((run) => path(run) + (run.length === 1 ? "h.1" : "")).join(""),
    area: runs.map((run) => `${path(run)}L${x(run.at(-1)[0]).toFixed(1)} ${HEIGHT}L${x(run[0][0]).toFixed(1)} ${HEIGHT}Z`).join(""),
    range: low === high ? money(low) : `${money(low)} – ${money(high)}`,
  };
}

/* ---------- Hosts ---------- */

function drawHosts() {
  const hosts = [...board.health.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
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
  const root = h("article", { class: "host", "aria-label": `Host ${name}` },
    h("header", {}, h("h3", {}, name, " ", status), seen), why, meters, facts);
  return {
    root,
    update(host) {
      const health = host.systemHealth ?? "UNKNOWN";
      status.dataset.severity = HEALTH_TONES[health] ?? "NONE";
      setText(status, health);
      writeSeen(seen, host.timestamp, "host");
      setText(why, (host.reasons ?? []).join("; "));
      why.hidden = !host.reasons?.length;
      reconcile(meters, metersOf(host), (meter) => meter.name, meterView);
      reconcile(facts, factsOf(host), ([fact]) => fact, factView);
    },
  };
}

function metersOf(host) {
  const disks = host.disks?.length ? host.disks : [{ mount: "", usage: host.diskUsage }];
  const free = (available, total) => (isDefined(available) && isDefined(total) ? `${bytes(available)} of ${bytes(total)} free` : "");
  return [
    { name: "CPU", usage: host.cpuUsage, note: host.cpuCores ? `${host.cpuCores} cores` : "" },
    { name: "Memory", usage: host.memoryUsage, note: free(host.memoryAvailableBytes, host.memoryTotalBytes) },
    ...disks.map((disk) => ({ name: `Disk ${disk.mount}`.trim(), usage: disk.usage, note: free(disk.freeBytes, disk.totalBytes) })),
  ];
}

function meterView({ name }) {
  const fill = h("div");
  const bar = h("div", { class: "bar", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
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
      if (known) bar.setAttribute("aria-valuenow", usage);
      if (known) setText(value, `${number(1)(usage)}%`);
      else value.replaceChildren(missing(`${name}: the collector does not measure it.`));
    },
  };
}

const PRESSURES = ["cpuPressure", "memoryPressure", "ioPressure"];
const share = (value) => (isDefined(value) ? number(1)(value) : "–");

function factsOf(host) {
  const rate = (value) => (isDefined(value) ? `${bytes(value)}/s` : null);
  const loads = [host.load1, host.load5, host.load15];
  const stalls = PRESSURES.map((name) => host[name]);
  return [
    ["Load 1, 5, 15 min", loads.every(isDefined) ? loads.map(ratio).join("  ") : null],
    ["Stalled: CPU, memory, I/O", stalls.some(isDefined) ? `${stalls.map(share).join(" · ")}%` : null],
    ["Disk full", fullWords(host), "no file system fills, or for how long is not known yet."],
    ["Read-only disks", readOnlyWords(host)],
    ["Clock", clockWords(host)],
    ["Temperature", isDefined(host.temperatureCelsius) ? `${number(0)(host.temperatureCelsius)} °C` : null],
    ["OOM kills, last sample", isDefined(host.oomKills) ? whole(host.oomKills) : null],
    ["Network in", rate(host.networkReceivedBytesPerSecond)],
    ["Network out", rate(host.networkSentBytesPerSecond)],
    ["Network latency", isDefined(host.networkLatency) ? milliseconds(host.networkLatency) : null],
    ["Processes", isDefined(host.processes) ? whole(host.processes) : null],
    ["Uptime", isDefined(host.uptimeSeconds) ? duration(host.uptimeSeconds) : null],
  ];
}

/** When the first file system is full, and which. */
function fullWords({ diskFullDays, disks }) {
  if (!isDefined(diskFullDays)) return null;
  const first = disks?.find(({ fullDays }) => fullDays === diskFullDays);
  const time = diskFullDays < 10 ? duration(diskFullDays * 86_400) : `${whole(diskFullDays)} days`;
  return `in ${time}${first ? ` (${first.mount})` : ""}`;
}

function readOnlyWords({ readOnlyDisks, disks }) {
  if (!readOnlyDisks) return isDefined(readOnlyDisks) ? "none" : null;
  return (disks ?? []).filter((disk) => disk.readOnly).map((disk) => disk.mount).join(", ") || whole(readOnlyDisks);
}

function clockWords({ clockOffsetMs: offset, clockSynchronised: kept }) {
  const off = isDefined(offset) ? `${milliseconds(Math.abs(offset))} ${offset < 0 ? "behind" : "ahead"}` : "";
  const by = isDefined(kept) ? (kept ? "kept by NTP" : "not kept by NTP") : "";
  return [off, by].filter(Boolean).join(", ") || null;
}

function factView([name]) {
  const value = h("dd");
  return {
    root: h("div", {}, h("dt", {}, name), value),
    update([, text, why = "not measured."]) {
      if (isDefined(text)) setText(value, text);
      else value.replaceChildren(missing(`${name}: ${why}`));
    },
  };
}

/* ---------- System ---------- */

function drawSystem() {
  const { system } = board;
  const parts = Object.entries(system.parts).map(([name, part]) => ({ name, ...part }));
  reconcile($("parts"), parts, (part) => part.name, ({ name }) => {
    const note = h("small");
    const root = h("li", { class: "part" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "name" }, name), note);
    return {
      root,
      update(part) {
        root.dataset.status = part.status;
        root.title = `${part.host}, process ${part.pid}, started ${fullFormat.format(new Date(part.startedAt))}`;
        note.dataset.since = part.status === "up" ? part.startedAt : part.seenAt;
        note.dataset.words = part.status === "up" ? "up %" : "gone for %";
      },
    };
  });
  $("no-parts").hidden = parts.length > 0;
  reconcile($("facts"), systemFacts(system, Date.parse(board.timestamp)), ([fact]) => fact, factView);
  setText($("version"), `Botwatch ${system.version}`);
}

function systemFacts({ redis, log, databases, notifications, watchdog }, at) {
  const heardAt = Date.parse(watchdog.heardAt);
  const groups = Object.entries(log?.groups ?? {});
  const pending = Object.values(notifications).reduce((sum, count) => sum + count, 0);
  return [
    ["Redis", redis.fault ?? (redis.status === "up" ? `up, ${ratio(redis.latencyMs)} ms` : "away")],
    ["Log entries", log ? whole(log.entries) : null],
    ...groups.map(([name, { lag, pending: held }]) => [
      `Reader ${name}`, `${isDefined(lag) ? `${whole(lag)} behind` : "lag unknown"}${held ? `, ${whole(held)} in work` : ""}`]),
    ["Notices to send", whole(pending)],
    ["Watchdog", Number.isNaN(heardAt) ? "not heard yet" : `heard ${duration(Math.max(0, at - heardAt) / 1000)} ago`],
    ...Object.entries(databases).map(([name, file]) => [`Store ${name}`, isDefined(file.bytes) ? bytes(file.bytes) : null]),
  ];
}

/* ---------- The passing of time ---------- */

const lastSeenWords = () => (lastUpdate ? `Last update ${clockFormat.format(lastUpdate)}.` : "Nothing received yet.");

/** Once a second: every age on the page, and whether it is live. */
function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const age = ageOf(element.dataset.since);
    setText(element, element.dataset.words.replace("%", duration(age)));
    const [late, silent] = PATIENCE_S[element.dataset.subject] ?? [];
    if (late || element.dataset.age) element.dataset.age = age > silent ? "silent" : age > late ? "late" : "fresh";
  }
  const isStale = linked && Date.now() - heardAt > STALE_MS;
  const state = isStale ? "stale" : linked ? "live" : nextTry ? "lost" : $("link").dataset.state;
  $("link").dataset.state = state;
  if (isStale) setText($("link-text"), `Stale: nothing received for ${duration((Date.now() - heardAt) / 1000)}. ${lastSeenWords()}`);
  else if (linked) setText($("link-text"), "Live");
  else if (state === "lost") setText($("link-text"), `Not live: reconnecting. ${lastSeenWords()}`);
}

$("acknowledge-form").addEventListener("submit", sendAcknowledgement);
$("acknowledge-cancel").addEventListener("click", () => $("acknowledge").close());
$("silence-form").addEventListener("submit", sendSilence);
$("silence-cancel").addEventListener("click", () => $("silence").close());
$("bot-action-form").addEventListener("submit", sendBotAction);
$("bot-action-cancel").addEventListener("click", () => $("bot-action").close());
$("definition-close").addEventListener("click", () => $("definition").close());
for (const more of document.querySelectorAll(".more")) {
  more.addEventListener("click", () => {
    more.dataset.pressed = "true";
    drawAlerts();
  });
}
$("bot-filter").addEventListener("input", () => redraw("bots"));
$("details-close").addEventListener("click", () => $("details").close());
$("details").addEventListener("close", () => history.replaceState(null, "", location.pathname));
window.addEventListener("hashchange", followLink);
setInterval(() => { tick(); redraw("bots"); }, 1000);
await refetch();
connect();
followLink();
