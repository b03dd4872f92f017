// Requests to the API below /api/monitoring, and the hook with which views read it.

import { useCallback, useEffect, useRef, useState } from "../vendor/preact/preact.js";
import { BASE } from "./environment.js";
import { lastUpdate, signedOut, useLive, useOutdated } from "./store.js";

const API = `${BASE}api/monitoring`;
const READ_TIMEOUT_MS = 15_000;
const CALL_TIMEOUT_MS = 60_000;
const RETRY_MS = 1_500;
const SOON_MS = 400;
const KEPT = 60; // answers

/** Return the address of an API path such as "/alerts", for links and downloads. */
export const apiUrl = (path) => API + path;

/** Return a query string of what is defined and not empty: "" or "?a=1&b=x". */
export function queryString(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** An answer of the API that is no success: `status`, `body` (the problem), and a text for people. */
export class ApiError extends Error {
  constructor(status, body) {
    const faults = (body?.faults ?? []).map(({ path, message }) =>
      path ? `${path.replace(/^\$\.?/, "")}: ${message}` : message,
    );
    super(faults.length ? faults.join("; ") : (body?.error ?? body?.detail ?? `status ${status}`));
    this.status = status;
    this.body = body;
    /** Whether the same request may succeed later. */
    this.isUnavailable = status === 0 || status >= 500;
  }
}

async function request(method, path, body, timeout) {
  const response = await fetch(API + path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(timeout),
  }).catch((error) => {
    throw new ApiError(0, { error: error.name === "TimeoutError" ? "no answer in time" : "Botwatch is not reachable" });
  });
  if (response.status === 401) signedOut.set(true);
  const isJson = /[/+]json/.test(response.headers.get("Content-Type") ?? "");
  const answer = isJson ? await response.json().catch(() => null) : null;
  if (!response.ok) throw new ApiError(response.status, answer);
  return { answer, next: nextPage(response.headers.get("Link")) };
}

/** Return the path of the next page in a `Link` header (RFC 8288), relative to the API; null without one. */
function nextPage(link) {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? "")?.[1];
  if (!target) return null;
  const address = new URL(target, location.href);
  return (
    address.pathname.slice(address.pathname.indexOf("/api/monitoring") + "/api/monitoring".length) + address.search
  );
}

/** Return the JSON at `path`; throw ApiError unless the status is a success. */
export const read = async (path) => (await request("GET", path, undefined, READ_TIMEOUT_MS)).answer;

/** Return a page of a list: `{ items, next }`; `next` is the path of the next page, or null. */
export async function readPage(path) {
  const { answer, next } = await request("GET", path, undefined, READ_TIMEOUT_MS);
  return { items: answer, next };
}

/** Send a request that changes something; throw ApiError with the API's texts if it is refused. */
export const call = async (method, path, body) => (await request(method, path, body, CALL_TIMEOUT_MS)).answer;

/* ---------- Hook ---------- */

const answers = new Map(); // path → last answer: a view that is opened again is drawn at once

async function attempt(path) {
  try {
    const { items: data, next } = await readPage(path);
    answers.delete(path);
    answers.set(path, { data, next });
    if (answers.size > KEPT) answers.delete(answers.keys().next().value);
    lastUpdate.set(Date.now());
    return { data, next, error: null };
  } catch (error) {
    return { data: null, next: null, error };
  }
}

/** Return whether a list of messages has an alert that opened, changed or was resolved. */
export const hasAlertChange = (messages) =>
  messages.some(({ type, change }) => type === "alert" && change !== "updated");

/**
 * Read `path` and keep it current: `{ data, next, error, isLoading, refresh }`; `next` is as of `readPage`.
 *
 * It is read again `every` ms, after missed messages, and soon after live messages for which `on(messages)` is true.
 * While another path is read, the last answer stays; a `path` of null reads nothing.
 */
export function useApi(path, { every = 0, on = null } = {}) {
  const [state, setState] = useState({ path: null, data: null, next: null, error: null });
  const timer = useRef(0);
  const wanted = useRef(path);
  const flight = useRef(null); // the request under way: its path, and whether something changed since it was sent
  wanted.current = path;

  const refresh = useCallback(async () => {
    clearTimeout(timer.current);
    const asked = wanted.current;
    if (asked === null) return;
    if (flight.current?.path === asked) {
      flight.current.isOutdated = true; // its answer may be older than what changed
      return;
    }
    const own = { path: asked, isOutdated: false };
    flight.current = own;
    const { data, next, error } = await attempt(asked);
    if (flight.current !== own || wanted.current !== asked) return;
    flight.current = null;
    const isUnavailable = Boolean(error?.isUnavailable);
    setState((last) => (isUnavailable ? { ...last, error } : { path: asked, data, next, error }));
    const wait = own.isOutdated ? SOON_MS : isUnavailable ? RETRY_MS : every;
    if (wait) timer.current = setTimeout(refresh, wait);
  }, [every]);

  useEffect(() => {
    const known = path === null ? null : answers.get(path);
    if (known) setState({ path, ...known, error: null });
    refresh();
    return () => {
      clearTimeout(timer.current);
      flight.current = null;
    };
  }, [path, refresh]);
  useOutdated(refresh);
  useLive((messages) => {
    if (!on?.(messages)) return;
    clearTimeout(timer.current);
    if (flight.current) flight.current.isOutdated = true;
    else timer.current = setTimeout(refresh, SOON_MS);
  });
  const { data, next, error } = state;
  return { data, next, error, isLoading: state.path !== path && !error, refresh };
}
