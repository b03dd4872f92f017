// Botwatch's page: fetches a snapshot, connects the WebSocket, and renders what changes.

import { showSignedOut } from "./access.js";
import { lastError, refetch, scheduleRefetch } from "./api.js";
import { $, renderAges } from "./elements.js";
import { connect } from "./socket.js";
import { dashboard, publish, subscribe } from "./store.js";
import { refreshAccounts } from "./views/accounts.js";
import { announceAlert, connectShowAll, openDetailsFromLink, renderAlerts } from "./views/alerts.js";
import { connectAudit } from "./views/audit.js";
import { renderBots } from "./views/bots.js";
import { renderChecks, renderHosts } from "./views/hosts.js";
import { connectPortfolio, renderPortfolio } from "./views/portfolio.js";
import { refetchSilences } from "./views/silences.js";
import { renderConnection, renderFetchError, renderStatus, renderSystem, showConnectionError } from "./views/status.js";

const RENDER_DELAY_MS = 150;
const RENDERERS = {
  status: renderStatus,
  alerts: renderAlerts,
  bots: renderBots,
  checks: renderChecks,
  hosts: renderHosts,
  system: renderSystem,
};

/* ---------- Rendering ---------- */

let isScheduled = false;
const changed = new Set();

/** Render sections soon, several changes at a time. No animation frame: a hidden tab has none, but needs its title. */
function scheduleRender(...sections) {
  for (const section of sections) changed.add(section);
  if (isScheduled) return;
  isScheduled = true;
  setTimeout(renderChanged, RENDER_DELAY_MS);
}

function renderChanged() {
  isScheduled = false;
  const sections = new Set(changed);
  changed.clear();
  if (!dashboard) return;
  for (const [section, render] of Object.entries(RENDERERS)) if (sections.has(section)) render();
  tick();
}

function tick() {
  renderAges();
  renderConnection();
}

/* ---------- Start ---------- */

subscribe("change", scheduleRender);
subscribe("outdated", scheduleRefetch);
subscribe("alert", announceAlert);
subscribe("fetched", (error) => {
  renderFetchError(error);
  if (error) return;
  refetchSilences();
  refreshAccounts();
  renderPortfolio();
});
subscribe("connected", () => {
  if (lastError) scheduleRefetch();
  tick();
});
subscribe("disconnected", () => {
  scheduleRefetch();
  tick();
});
subscribe("connection-failed", showConnectionError);
subscribe("refused", (reason) => {
  showSignedOut();
  showConnectionError(new Error(reason || "signed out"));
});

$("not-started").remove();
connectShowAll();
connectAudit();
connectPortfolio();
$("bot-filter").addEventListener("input", () => publish("change", "bots"));
window.addEventListener("hashchange", openDetailsFromLink);
setInterval(() => {
  tick();
  publish("change", "bots");
}, 1000);
await refetch();
connect();
openDetailsFromLink();
