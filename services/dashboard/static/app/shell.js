// The frame around every view: navigation, overall status, connection, preferences, and what holds for the whole page.

import { Empty, Loading, Problem } from "../components/feedback.js";
import { Page, pageTitle } from "../components/layout.js";
import { Tip } from "../components/tip.js";
import { Component, html, useEffect, useRef, useState } from "../vendor/preact/preact.js";
import { AlertAnnouncer } from "./announcer.js";
import { hasAlertChange, useApi } from "./api.js";
import { BASE, can, HAS_ACCOUNT, ROLE, USER, VERSION } from "./environment.js";
import { whole } from "./format.js";
import { PreferencesMenu } from "./preferences_menu.js";
import { href, Link, match, usePlace } from "./router.js";
import { GROUPS, ROUTES } from "./routes.js";
import { reconnectNow, showState } from "./socket.js";
import { apiError, connection, setServerTime, signedOut, summary, useTick } from "./store.js";

const SUMMARY_MS = 15_000;
const LOGIN_AFTER_MS = 2_500; // long enough to be read
const STATUS_LABELS = { HEALTHY: "Healthy", WARNING: "Warning", CRITICAL: "Critical", UNKNOWN: "Unknown" };

export function Shell() {
  const { path } = usePlace();
  const [isOpen, setOpen] = useState(false); // the navigation, on a phone
  useSummary();
  useEffect(() => setOpen(false), [path]);
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <${TopBar} ...${{ isOpen, setOpen }} />
    <div class="body">
      <${Navigation} ...${{ path, isOpen }} />
      <main id="main" tabindex="-1">
        <${Notices} />
        <${Boundary} key=${path}><${View} path=${path} /></${Boundary}>
        <footer class="bottom">
          <span>Botwatch ${VERSION}</span>
          <a href=${`${BASE}api/docs`}>API</a> <a href=${`${BASE}health`}>Health</a> <a href=${`${BASE}metrics`}>Metrics</a>
        </footer>
      </main>
    </div>
    <${AlertAnnouncer} />
    <${Tip} />
  `;
}

/** Keep the summary of the whole current, and the title of the page. */
function useSummary() {
  const { data, error } = useApi("/summary", { every: SUMMARY_MS, on: hasAlertChange });
  const title = pageTitle.use();
  useEffect(() => {
    if (!data) return;
    setServerTime(data.timestamp);
    summary.set(data);
    reconnectNow(); // the server is back: the WebSocket need not wait any longer
  }, [data]);
  useEffect(() => apiError.set(error), [error]);
  useEffect(() => {
    const { status, triggeredAlerts } = data ?? {};
    const count = triggeredAlerts ? `(${triggeredAlerts}) ` : "";
    const state = !status || status === "HEALTHY" ? "" : `${STATUS_LABELS[status]} · `;
    document.title = `${count}${state}${title ? `${title} · ` : ""}Botwatch`;
  }, [data, title]);
}

/* ---------- Top ---------- */

function TopBar({ isOpen, setOpen }) {
  return html`
    <header class="top">
      <button type="button" class="plain small menu" aria-expanded=${String(isOpen)} aria-controls="nav" onClick=${() => setOpen(!isOpen)}>Menu</button>
      <${Link} to="/" class="brand" aria-label="Botwatch, overview">
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <rect width="32" height="32" rx="8"></rect>
          <path d="M5 18h5l3-8 5 13 4-9 2 4h3"></path>
        </svg>
        <span>Botwatch</span>
      </${Link}>
      <${OverallStatus} />
      <${ConnectionState} />
      <${PreferencesMenu} />
      ${USER && html`<${User} />`}
    </header>
  `;
}

function OverallStatus() {
  const known = summary.use();
  if (!known) return html`<span class="overall" data-status="LOADING">Loading…</span>`;
  const { status, triggeredAlerts } = known;
  const alerts = triggeredAlerts ? ` · ${whole(triggeredAlerts)} alert${triggeredAlerts === 1 ? "" : "s"}` : "";
  return html`<${Link} to="/alerts" class="overall" data-status=${status}>${STATUS_LABELS[status]}${alerts}</${Link}>`;
}

function ConnectionState() {
  useTick();
  showState();
  const { state, text } = connection.use();
  return html`<p class="connection" id="link" data-state=${state} role="status"><span class="dot" aria-hidden="true"></span><span>${text}</span></p>`;
}

function User() {
  const name = HAS_ACCOUNT
    ? html`<a href=${`${BASE}account`} title="Change the password, two-factor login">${USER}</a>`
    : html`<span>${USER}</span>`;
  return html`
    <div class="who">
      ${name} <span class="quiet">(${ROLE || "custom scopes"})</span>
      ${HAS_ACCOUNT && html`<form method="post" action=${`${BASE}logout`}><button type="submit" class="plain small">Sign out</button></form>`}
    </div>
  `;
}

/* ---------- Navigation ---------- */

function Navigation({ path, isOpen }) {
  const shown = ROUTES.filter(({ nav }) => nav && (!nav.scope || can(nav.scope)));
  return html`
    <nav id="nav" aria-label="Views" class=${isOpen ? "open" : ""}>
      ${GROUPS.map((group) => {
        const links = shown.filter(({ nav }) => nav.group === group);
        return (
          links.length > 0 &&
          html`<p class="group">${group}</p><ul>${links.map((route) => html`<${NavLink} key=${route.path} ...${{ route, path }} />`)}</ul>`
        );
      })}
    </nav>
  `;
}

function NavLink({ route, path }) {
  const isCurrent = route.path === "/" ? path === "/" : path === route.path || path.startsWith(`${route.path}/`);
  return html`<li><${Link} to=${route.path} aria-current=${isCurrent ? "page" : undefined}>${route.nav.label}</${Link}></li>`;
}

/* ---------- Notices ---------- */

function Notices() {
  const error = apiError.use();
  const isSignedOut = signedOut.use();
  const known = summary.use();
  useEffect(() => {
    if (!isSignedOut) return;
    setTimeout(() => {
      const here = location.pathname.slice(BASE.length - 1) + location.search;
      location.assign(`${href("/login")}?next=${encodeURIComponent(here)}`);
    }, LOGIN_AFTER_MS);
  }, [isSignedOut]);
  return html`
    ${isSignedOut && html`<p class="notice" role="alert">You are signed out. The login page opens in a moment.</p>`}
    ${error && !isSignedOut && html`<p class="notice" role="alert">What is shown may be out of date: the dashboard API is unavailable (${error.message}); retrying.</p>`}
    ${known?.access.mode === "open" && html`<p class="open-access">Access is open: anyone who can reach this port can see and change everything. Set <code>ACCESS=required</code> before you publish it.</p>`}
  `;
}

/* ---------- The view ---------- */

const loaded = new Map(); // path pattern → component

function View({ path }) {
  const found = ROUTES.map((route) => [route, match(route.path, path)]).find(([, params]) => params);
  const [route, params] = found ?? [null, null];
  const { scope, label } = route?.nav ?? {};
  const [component, setComponent] = useState(() => loaded.get(route?.path) ?? null);
  const [error, setError] = useState(null);
  const wanted = useRef(null);
  wanted.current = route?.path;
  useEffect(() => {
    if (!route || component) return;
    route
      .load()
      .then((module) => {
        loaded.set(route.path, module.default);
        if (wanted.current === route.path) setComponent(() => module.default);
      })
      .catch(setError);
  }, [route?.path]);
  if (!route) {
    return html`<${Page} title="Not found"><${Empty}>There is no page at <code>${path}</code>. <${Link} to="/">Go to the overview</${Link}>.</${Empty}></${Page}>`;
  }
  if (scope && !can(scope)) {
    return html`<${Page} title=${label}><${Empty}>This is for users with the role ${scope}. <${Link} to="/">Go to the overview</${Link}>.</${Empty}></${Page}>`;
  }
  if (error) return html`<${Problem} error=${error}>The view could not be loaded. Reload the page. </${Problem}>`;
  return component ? html`<${component} params=${params} />` : html`<${Loading} />`;
}

/** Shows what went wrong in a view, and leaves the rest of the page alive. */
class Boundary extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    return error ? html`<${Problem} error=${error}>This view failed. Reload the page.</${Problem}>` : children;
  }
}
