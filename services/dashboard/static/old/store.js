// The store: the snapshot of /api/monitoring, kept current by live records and alerts. There is one.
//
// Views read `dashboard` and never change it. What others must know of is published as an event:
// `change` (sections to render), `outdated` (the API knows more), `alert` (an alert changed live),
// `connected`, `disconnected`, `connection-failed`, `fetched` (an error, or null).

const WINDOW_MS = 3_600_000; // trends
const MAX_POINTS = 600;
const REFETCH_MARGIN_MS = 15_000;

export let dashboard = null;
export let lastUpdate = null;
let clockOffset = 0; // this machine's clock minus the server's, ms
let alertsSinceRequest = []; // live alerts that the answer under way may not contain

/* ---------- Events ---------- */

const listeners = new Map();

export const subscribe = (event, listener) => entry(listeners, event, () => []).push(listener);

export function publish(event, ...values) {
  for (const listener of listeners.get(event) ?? []) listener(...values);
}

/* ---------- Time ---------- */

/** Return the server's time, ms. */
export const now = () => Date.now() - clockOffset;

/** Return whether a time is before another; a missing one is before all. Times have no fixed precision as texts. */
export const isBefore = (time, other) => Boolean(other) && !(Date.parse(time) >= Date.parse(other));

export const ageSeconds = (iso) => (now() - Date.parse(iso)) / 1000;

export function markUpdated() {
  lastUpdate = Date.now();
}

/* ---------- Snapshots ---------- */

/** Remember from now on which alerts come live: the next snapshot may be older than they are. */
export function beginSnapshot() {
  alertsSinceRequest = [];
}

/** Replace the store by a snapshot of the API, and keep what came live since it was made. */
export function applySnapshot(snapshot) {
  clockOffset = Date.now() - Date.parse(snapshot.timestamp);
  useMaps(snapshot);
  if (dashboard) mergeNewer(snapshot, dashboard);
  dashboard = snapshot;
  for (const alert of alertsSinceRequest) {
    const known = [...dashboard.alerts.active, ...dashboard.alerts.recent].find((other) => other.id === alert.id);
    if (!isBefore(alert.updatedAt, known?.updatedAt)) upsertAlert(alert);
  }
  markUpdated();
  publish("change", "status", "alerts", "bots", "checks", "hosts", "system");
}

/** Turn objects by name into maps. Names come from outside: `__proto__` is a key of a Map like any other. */
function useMaps(snapshot) {
  for (const section of ["performance", "health", "checks", "trends"]) snapshot[section] = byName(snapshot[section]);
  for (const bot of snapshot.performance.values()) bot.metrics = byName(bot.metrics);
  for (const [host, checks] of snapshot.checks) snapshot.checks.set(host, byName(checks));
  for (const [bot, trends] of snapshot.trends) {
    const series = byName(trends);
    for (const [name, points] of series) series.set(name, toPoints(points));
    snapshot.trends.set(bot, series);
  }
}

const byName = (object) => new Map(Object.entries(object ?? {}));

/** Return the trend points of the API as [ms, value]. */
const toPoints = (points) => points.map(([at, value]) => [Date.parse(at), value]);

/** Return what `map` has under `key`; make and keep it if there is nothing. */
export function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

/** Keep what is newer in the last snapshot; what the server has forgotten goes. */
function mergeNewer(snapshot, last) {
  const oldest = Date.parse(snapshot.timestamp) - REFETCH_MARGIN_MS;
  for (const [name, bot] of last.performance) {
    const known = snapshot.performance.get(name);
    const isNewer = known
      ? ["lastSeen", "computedAt", "lastHeartbeatAt"].some((field) => isBefore(known[field], bot[field]))
      : Date.parse(bot.lastSeen) > oldest;
    if (isNewer) snapshot.performance.set(name, bot);
  }
  for (const [host, record] of snapshot.health) {
    const known = last.health.get(host);
    if (isBefore(record.timestamp, known?.timestamp)) snapshot.health.set(host, known);
  }
  for (const [host, checks] of snapshot.checks) {
    for (const [name, check] of checks) {
      const known = last.checks.get(host)?.get(name);
      if (isBefore(check.timestamp, known?.timestamp)) checks.set(name, known);
    }
  }
  for (const [bot, trends] of last.trends) {
    if (!snapshot.performance.has(bot)) continue;
    const series = entry(snapshot.trends, bot, () => new Map());
    for (const [name, points] of trends) {
      const known = entry(series, name, () => []);
      const end = known.at(-1)?.[0] ?? -Infinity;
      known.push(...points.filter(([at]) => at > end));
    }
  }
}

/* ---------- Trends ---------- */

/** Put a bot's trends of the API before the live points. */
export function addTrends(bot, trends) {
  const live = entry(dashboard.trends, bot, () => new Map());
  for (const [name, points] of Object.entries(trends)) {
    const known = live.get(name) ?? [];
    const start = known[0]?.[0] ?? Infinity;
    live.set(name, [...toPoints(points).filter(([at]) => at < start), ...known]);
  }
  publish("change", "bots");
}

/** Add a live point, at most one a second; old points leave the window, and too many are thinned out. */
export function addPoint(bot, name, at, value) {
  const trends = entry(dashboard.trends, bot, () => new Map());
  const series = entry(trends, name, () => []);
  const last = series.at(-1);
  if (last && at < last[0]) return;
  if (last && Math.floor(at / 1000) === Math.floor(last[0] / 1000)) series.pop();
  series.push([at, value]);
  while (series.length && series[0][0] < now() - WINDOW_MS) series.shift();
  if (series.length > MAX_POINTS) {
    trends.set(
      name,
      series.filter((_, index) => index % 2 || index > MAX_POINTS / 2),
    );
  }
}

/* ---------- Alerts ---------- */

/** Apply an alert that changed live. */
export function applyAlert(change, alert) {
  const known = dashboard.alerts.active.find((other) => other.id === alert.id);
  // A new value that was on its way during an acknowledgement must not undo it.
  if (change === "updated" && (!known || isBefore(alert.updatedAt, known.updatedAt))) return;
  upsertAlert(alert);
  alertsSinceRequest.push(alert);
  if (change === "updated") {
    publish("change", "status", "alerts");
    return;
  }
  publish("alert", change, alert);
  publish("change", "alerts", "bots");
  publish("outdated");
}

function upsertAlert(alert) {
  const { alerts, summary } = dashboard;
  const known = alerts.active.find((other) => other.id === alert.id);
  if (known) {
    const [last, current] = [reasonOf(known), reasonOf(alert)];
    summary.reasons = summary.reasons.map((reason) => (reason === last ? current : reason));
  }
  alerts.active = alerts.active.filter((other) => other.id !== alert.id);
  if (alert.status !== "RESOLVED") {
    alerts.active.push(alert);
    alerts.active.sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
  }
  alerts.recent = [alert, ...alerts.recent.filter((other) => other.id !== alert.id)];
}

/** Return an alert as the server writes it among the reasons of the overall status. */
const reasonOf = ({ severity, component, message }) => `${severity}: ${component}: ${message}`;

/* ---------- Bots ---------- */

export function setRetired(name, retired) {
  dashboard.performance.get(name).retired = retired;
}

export function removeBot(name) {
  dashboard.performance.delete(name);
}
