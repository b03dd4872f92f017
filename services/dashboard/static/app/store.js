// What all views share: the overall status, the connection, and what the WebSocket sends. There is one store.

import { useEffect, useRef, useState } from "../vendor/preact/preact.js";

/** A value that components follow with `use()`. */
export function observable(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    use() {
      const [shown, setShown] = useState(value);
      useEffect(() => {
        setShown(value); // it may have changed between the first drawing and this
        listeners.add(setShown);
        return () => listeners.delete(setShown);
      }, []);
      return shown;
    },
  };
}

/** The answer of `GET /api/monitoring/summary`; null before the first. */
export const summary = observable(null);
/** Why the API cannot be read; null when it can. */
export const apiError = observable(null);
/** The WebSocket: `state` is "connecting", "live", "stale", "lost" or "failed"; `text` says it. */
export const connection = observable({ state: "connecting", text: "Connecting…" });
/** When anything was last received, ms; null before that. */
export const lastUpdate = observable(null);
/** Whether the session has ended: the page says so, and goes to the login. */
export const signedOut = observable(false);

/* ---------- Time ---------- */

let clockOffset = 0; // this machine's clock minus the server's, ms

/** Return the server's time, ms. */
export const now = () => Date.now() - clockOffset;

export function setServerTime(iso) {
  clockOffset = Date.now() - Date.parse(iso);
}

/** Return whether a time is before another; a missing one is before all. */
export const isBefore = (time, other) => Boolean(other) && !(Date.parse(time) >= Date.parse(other));

const seconds = observable(0);
setInterval(() => seconds.set(seconds.get() + 1), 1000);

/** Draw the component again each second. */
export const useTick = () => seconds.use();

/* ---------- Messages ---------- */

const handlers = new Set();
const outdated = new Set();

/** Hand on messages of the WebSocket, several at a time. */
export function publishMessages(messages) {
  for (const handler of [...handlers]) handler(messages);
}

/** Say that the API knows more than what was received: views fetch again. */
export function publishOutdated() {
  for (const refresh of [...outdated]) refresh();
}

/**
 * Call `handler` with the messages that came live, a list at most every 150 ms:
 * `{ type: "record", record }` and `{ type: "alert", change, alert }`.
 */
export function useLive(handler) {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const receive = (messages) => latest.current(messages);
    handlers.add(receive);
    return () => handlers.delete(receive);
  }, []);
}

/** Call `refresh` when messages were missed. */
export function useOutdated(refresh) {
  const latest = useRef(refresh);
  latest.current = refresh;
  useEffect(() => {
    const call = () => latest.current();
    outdated.add(call);
    return () => outdated.delete(call);
  }, []);
}
