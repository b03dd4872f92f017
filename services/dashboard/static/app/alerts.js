// Alerts as the API answered them, with what came live since.

import { useRef, useState } from "../vendor/preact/preact.js";
import { isBefore, now, useLive } from "./store.js";

const KEPT = 500; // live alerts
const RESOLVED_SHOWN_MS = 60_000;

/** Return an alert, or what came live of it if that is newer. */
export const newer = (alert, live) =>
  live && !isBefore(live.updatedAt, alert.updatedAt) ? { ...alert, ...live } : alert;

/**
 * Return the function that remembers changed alerts, and `alerts` with their changes. `null` stays null.
 *
 * With `keepResolved`, one that resolves while it is looked at stays for a minute: a row that vanishes under the
 * pointer makes people click the wrong one.
 */
export function useLiveAlerts(alerts, { keepResolved = false } = {}) {
  const [live, setLive] = useState(() => new Map()); // ID → alert
  const seen = useRef(new Set());
  const remember = (changed) =>
    setLive((last) => new Map([...last, ...changed.map((alert) => [alert.id, alert])].slice(-KEPT)));
  useLive((messages) => {
    const changed = messages.filter(({ type }) => type === "alert").map(({ alert }) => alert);
    if (changed.length) remember(changed);
  });
  if (alerts === null) return [null, remember];
  const current = alerts.map((alert) => newer(alert, live.get(alert.id)));
  if (!keepResolved) return [current, remember];
  const listed = new Set(alerts.map(({ id }) => id));
  const isRecent = ({ resolvedAt }) => now() - Date.parse(resolvedAt) < RESOLVED_SHOWN_MS;
  const left = [...live.values()].filter(
    (alert) => alert.resolvedAt && seen.current.has(alert.id) && !listed.has(alert.id),
  );
  seen.current = new Set([...listed, ...left.map(({ id }) => id)]);
  return [[...current, ...left].filter((alert) => !alert.resolvedAt || isRecent(alert)), remember];
}
