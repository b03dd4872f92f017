// The WebSocket to the broadcaster: there is one. It reconnects by itself and resumes after the last message.

import { BASE, USER, WEBSOCKET } from "./environment.js";
import { duration, timeOfDay } from "./format.js";
import { connection, lastUpdate, publishMessages, publishOutdated, signedOut } from "./store.js";

const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
const REVOKED = 4401; // the same request would be refused again
const CONNECT_TIMEOUT_MS = 10_000; // browsers wait for minutes
const STALE_MS = 4_000; // the broadcaster sends something once a second
const DELIVERY_MS = 150;

let isConnected = false;
let lastMessageAt = 0; // ms
let nextAttemptAt = null; // ms; null unless it waits to reconnect
let lastId = null; // of the last message with an ID
let reconnecting = 0;
let waiting = []; // messages that views have not got yet
let delivery = 0;

export async function connect(attempt = 0) {
  clearTimeout(reconnecting);
  nextAttemptAt = null;
  let failures = attempt;
  let socket;
  try {
    const address = socketAddress();
    if (USER) {
      const ticket = await fetchTicket();
      if (ticket === null) {
        reconnectLater(failures);
        return;
      }
      address.searchParams.set("ticket", ticket);
    }
    socket = new WebSocket(address);
  } catch (error) {
    connection.set({ state: "failed", text: `Not live: ${error.message}` });
    return;
  }
  const connecting = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
  socket.addEventListener("open", () => {
    clearTimeout(connecting);
    failures = 0;
    isConnected = true;
    lastMessageAt = Date.now();
    showState();
  });
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data);
    lastMessageAt = Date.now();
    lastUpdate.set(lastMessageAt);
    for (const message of Array.isArray(frame) ? frame : [frame]) receive(message);
  });
  socket.addEventListener("close", ({ code }) => {
    clearTimeout(connecting);
    isConnected = false;
    if (code === REVOKED) signedOut.set(true);
    else reconnectLater(failures);
  });
}

function reconnectLater(failures) {
  const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] * (0.75 + Math.random() / 2);
  isConnected = false;
  nextAttemptAt = Date.now() + wait;
  reconnecting = setTimeout(connect, wait, failures + 1);
  showState();
}

/** Connect at once if it waits to reconnect. */
export function reconnectNow() {
  if (nextAttemptAt) connect();
}

/** Return a one-time ticket, or null; a browser sends no headers with a WebSocket, and cookies to this host only. */
async function fetchTicket() {
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  const address = `${BASE}api/monitoring/websocket-ticket`;
  const response = await fetch(address, { method: "POST", signal }).catch(() => null);
  if (response?.status === 401) signedOut.set(true);
  return response?.ok ? (await response.json()).ticket : null;
}

function socketAddress() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const address = new URL(WEBSOCKET.url || `${scheme}://${location.hostname}:${WEBSOCKET.port}/monitoring`);
  address.searchParams.set("alive", "true");
  if (lastId !== null) address.searchParams.set("since", lastId);
  return address;
}

/* ---------- Messages ---------- */

function receive(message) {
  if (message.id !== undefined && message.id !== null) lastId = message.id;
  if (message.type === "record" || message.type === "alert") waiting.push(message);
  else if (message.type === "snapshot" || message.type === "gap") publishOutdated();
  // No animation frame: a hidden tab has none, but needs its title.
  if (waiting.length && !delivery) delivery = setTimeout(deliver, DELIVERY_MS);
}

function deliver() {
  const messages = waiting;
  waiting = [];
  delivery = 0;
  publishMessages(messages);
}

/* ---------- State ---------- */

export function showState() {
  const silence = Date.now() - lastMessageAt;
  if (isConnected && silence <= STALE_MS) setConnection("live", "Live");
  else if (isConnected)
    setConnection("stale", `Stale: nothing received for ${duration(silence / 1000)}. ${describeLast()}`);
  else if (nextAttemptAt) setConnection("lost", `Not live: reconnecting. ${describeLast()}`);
}

function setConnection(state, text) {
  if (connection.get().text !== text) connection.set({ state, text });
}

const describeLast = () => (lastUpdate.get() ? `Last update ${timeOfDay(lastUpdate.get())}.` : "Nothing received yet.");
