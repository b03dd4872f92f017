// DOM helpers: create elements, and change only what differs, so that selections and screen readers are undisturbed.
//
// Names, messages and comments come from bots and people: they reach the page only as text nodes and
// attributes, never as markup.

import { dateAndTime, duration, isDefined } from "./format.js";
import { ageSeconds } from "./store.js";

export const $ = (id) => document.getElementById(id);

/** Create an element; children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Create an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set the text where it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set the text; hide the element while it is empty. */
export function setTextOrHide(element, text) {
  setText(element, text);
  element.hidden = !text;
}

/** Create a short text whose meaning is in its title. */
export const explained = (kind, text, why) =>
  h("span", { class: kind, role: "img", title: why, "aria-label": why }, text);

/** Create the dash of a value that is undefined, with the reason. */
export const missing = (why) => explained("undefined", "–", why);

/** Replace the children of `element` if `key` differs from the last call; `create` returns the nodes. */
export function setNodes(element, key, create) {
  if (element.renderedKey === key) return;
  element.renderedKey = key;
  element.replaceChildren(...create());
}

/** Return the rows of a description list. */
export const descriptionRows = (rows) => rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);

/**
 * Make the children of `container` match `items`; the element of an item is reused by its key.
 * `create(item)` returns a view: `{ root, update(item) }`.
 */
export function reconcile(container, items, keyOf, create) {
  if (!container.views) container.views = new Map();
  const { views } = container;
  const wanted = new Set(items.map(keyOf));
  for (const [key, view] of views) {
    if (!wanted.has(key)) {
      view.root.remove();
      views.delete(key);
    }
  }
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  items.forEach((item, index) => {
    const key = keyOf(item);
    if (!views.has(key)) views.set(key, create(item));
    const view = views.get(key);
    if (container.children[index] !== view.root) container.insertBefore(view.root, container.children[index] ?? null);
    view.update(item);
  });
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true }); // it moved
}

/* ---------- Parts of several views ---------- */

/** Show how many there are of each name; `toneOf(name)` is the severity that gives the colour. */
export function renderCounts(element, names, countOf, toneOf) {
  const counts = names.map((name) => [name, countOf(name)]).filter(([, count]) => count);
  const create = ([name]) => {
    const root = h("span", { class: "tag", "data-severity": toneOf(name) });
    return { root, update: ([, count]) => setText(root, `${count} ${name}`) };
  };
  reconcile(element, counts, ([name]) => name, create);
}

/** Create the view of a fact `[name, text, why]`. */
export function factView([name]) {
  const value = h("dd");
  return {
    root: h("div", {}, h("dt", {}, name), value),
    update([, text, why = "not measured."]) {
      if (isDefined(text)) setText(value, text);
      else value.replaceChildren(missing(`${name}: ${why}`));
    },
  };
}

/* ---------- Ages ---------- */

const LATE_AFTER_S = { bot: 60, host: 180 }; // a host is sampled once a minute
export const SILENT_AFTER_S = { bot: 300, host: 600 };

/** Update every element with `data-since`: its text is `data-words` with the age in place of "%". */
export function renderAges() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const age = ageSeconds(element.dataset.since);
    setText(element, element.dataset.words.replace("%", duration(age)));
    const { subject } = element.dataset;
    if (LATE_AFTER_S[subject] || element.dataset.age) {
      element.dataset.age = age > SILENT_AFTER_S[subject] ? "silent" : age > LATE_AFTER_S[subject] ? "late" : "fresh";
    }
  }
}

/** Make `element` show its age: `words` with "%" for the age. */
export function setAge(element, since, words) {
  element.dataset.since = since;
  element.dataset.words = words;
}

/** Show when a bot or host was last seen; `subject` is "bot", "retired" or "host". */
export function renderLastSeen(element, lastSeen, subject) {
  if (!lastSeen) {
    setText(element, "never seen");
    return;
  }
  setAge(element, lastSeen, subject === "retired" ? "retired, seen % ago" : "seen % ago");
  element.dataset.subject = subject;
  element.title = dateAndTime(lastSeen);
}
