// Requests to the dashboard's API, and the snapshots: fetched at intervals, and soon after a change that may change the
// overall status.

import { showSignedOut } from "./access.js";
import { isConnected, reconnectNow } from "./socket.js";
import { addTrends, applySnapshot, beginSnapshot, publish } from "./store.js";

/** Where the page is served: "/", or the prefix of a proxy. */
export const { base: BASE } = document.body.dataset;
const API = `${BASE}api/monitoring`;
const READ_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 15_000;

/** Return the JSON at `path`, which is relative to /api/monitoring; throw unless the status is 2xx. */
export async function read(path) {
  const response = await fetch(API + path, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
  checkSignedIn(response);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

function checkSignedIn({ status }) {
  if (status === 401) showSignedOut();
}

/** Send a request that the API may refuse; throw with its error and its validation errors. */
export async function call(method, path, body) {
  const response = await fetch(API + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  }).catch((error) => {
    throw new Error(`Request failed: ${error.message}`);
  });
  checkSignedIn(response);
  const answer = await response.json();
  if (!response.ok) throw new Error([answer.error, ...(answer.faults ?? []).map((fault) => fault.message)].join("; "));
  return answer;
}

/* ---------- Snapshots ---------- */

const REFETCH_MS = 15_000;
const REFETCH_DISCONNECTED_MS = 5_000;
const SOON_MS = 400;
export const RETRY_MS = 1_500;

export let lastError = null; // why the last request failed; null when it succeeded
let timer = 0;
let isFetching = false;
let isOutdated = false; // something changed that the answer under way may not contain

export async function refetch() {
  clearTimeout(timer);
  isFetching = true;
  isOutdated = false;
  beginSnapshot();
  let error = null;
  try {
    applySnapshot(await fetchSnapshot());
    reconnectNow(); // the server is back: the WebSocket need not wait any longer
  } catch (raised) {
    error = raised;
  } finally {
    lastError = error;
    publish("fetched", error);
    isFetching = false;
    const interval = isConnected ? REFETCH_MS : REFETCH_DISCONNECTED_MS;
    timer = setTimeout(refetch, error ? RETRY_MS : isOutdated ? SOON_MS : interval);
  }
}

/** Return a snapshot with the bots of all pages. */
async function fetchSnapshot() {
  const snapshot = await read("");
  while (snapshot.page.next !== null) {
    const { performance, page } = await read(`?trends=false&after=${encodeURIComponent(snapshot.page.next)}`);
    snapshot.performance = Object.fromEntries([
      ...Object.entries(snapshot.performance),
      ...Object.entries(performance),
    ]);
    snapshot.page = page;
  }
  return snapshot;
}

/** Fetch soon, once for many changes; further changes do not postpone it. */
export function scheduleRefetch() {
  if (isOutdated) return;
  isOutdated = true;
  if (isFetching) return;
  clearTimeout(timer);
  timer = setTimeout(refetch, SOON_MS);
}

/** Fetch one bot's trends, which a snapshot of many bots leaves out. */
export async function fetchTrends(bot) {
  addTrends(bot, await read(`/trends?bot=${encodeURIComponent(bot)}`));
}
