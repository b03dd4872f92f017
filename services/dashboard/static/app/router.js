// Which view is shown: the path chooses it, the query string keeps its state, and the browser's Back works.

import { html, useMemo } from "../vendor/preact/preact.js";
import { BASE } from "./environment.js";
import { observable } from "./store.js";

/** Where the page is: `path` below the base, starting with "/", and `search`. */
const place = observable(readPlace());
let hasMoved = false; // to another view that has not taken the focus yet

function readPlace() {
  return { path: `/${location.pathname.slice(BASE.length)}`, search: location.search };
}

window.addEventListener("popstate", () => {
  entry = history.state;
  place.set(readPlace());
  restoreScroll(positions.get(entry) ?? 0);
});

export const usePlace = () => place.use();

/** Return whether the page has just moved to another view, once: its heading takes the focus. */
export function takeMove() {
  const moved = hasMoved;
  hasMoved = false;
  return moved;
}

/** Return the address of a path of the page, such as "/alerts?status=open". */
export const href = (path) => BASE + path.replace(/^\//, "");

/** Show another path; `replace` leaves no entry in the history. */
export function navigate(path, { replace = false } = {}) {
  const last = place.get().path;
  if (!replace) entry = newEntry();
  history[replace ? "replaceState" : "pushState"](entry, "", href(path));
  place.set(readPlace());
  if (place.get().path !== last) {
    window.scrollTo(0, 0);
    hasMoved = true;
  }
}

/** A link to a path of the page. */
export function Link({ to, children, ...rest }) {
  const follow = (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    navigate(to);
  };
  return html`<a href=${href(to)} onClick=${follow} ...${rest}>${children}</a>`;
}

/**
 * Return the parameters of the query string as texts, and the function that changes some: null or "" removes one.
 * A change replaces the entry in the history; `{ push: true }` adds one.
 */
export function useQuery() {
  const { search } = place.use();
  const query = useMemo(() => Object.fromEntries(new URLSearchParams(search)), [search]);
  return [query, setQuery];
}

function setQuery(changes, { push = false } = {}) {
  const values = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") values.delete(name);
    else values.set(name, value);
  }
  const text = values.toString();
  navigate(place.get().path + (text && `?${text}`), { replace: !push });
}

/* ---------- Scrolling ---------- */

const RESTORE_MS = 3_000;
const newEntry = () => Math.random();
let entry = history.state ?? newEntry(); // of the history
const positions = new Map(); // entry → how far it was scrolled

history.replaceState(entry, "");
window.addEventListener("scroll", () => positions.set(entry, window.scrollY));

/** Scroll to `top` as soon as the view is long enough: the browser gives up while it is loading. */
function restoreScroll(top) {
  const [until, own] = [Date.now() + RESTORE_MS, entry];
  const user = new AbortController(); // scrolls by herself
  for (const name of ["wheel", "touchstart", "pointerdown", "keydown"])
    window.addEventListener(name, () => user.abort(), { signal: user.signal });
  const step = () => {
    if (user.signal.aborted || entry !== own) return;
    window.scrollTo(0, top);
    if (window.scrollY < top - 1 && Date.now() < until) requestAnimationFrame(step);
    else user.abort();
  };
  requestAnimationFrame(step); // the last view is gone then
}

/* ---------- Patterns ---------- */

/** Return the parameters that `path` has by a pattern such as "/checks/:host/:check" or "/bots/*bot"; null if none. */
export function match(pattern, path) {
  const names = [];
  const source = pattern.replace(/([:*])(\w+)/g, (_, kind, name) => {
    names.push(name);
    return kind === ":" ? "([^/]+)" : "(.+)";
  });
  const found = new RegExp(`^${source}/?$`).exec(path);
  if (!found) return null;
  return Object.fromEntries(names.map((name, index) => [name, decode(found[index + 1])]));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Return the path of a bot's view; a name may contain slashes. */
export const botPath = (bot) => `/bots/${encodeURIComponent(bot).replaceAll("%2F", "/")}`;
