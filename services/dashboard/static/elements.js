// Elements: making them, and changing only what changed, so that selections and assistive technology stay undisturbed.
//
// Names, messages and comments come from bots and people: they reach the page only as text nodes and
// attributes, never as markup.

/** Make an element; children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set text only where it changed: assistive technology and selections stay undisturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Write what there is to say; an element without words is not there. */
export function say(element, text) {
  setText(element, text);
  element.hidden = !text;
}

/** A sign that says in its title what it means. */
export const sign = (kind, text, why) => h("span", { class: kind, role: "img", title: why, "aria-label": why }, text);
export const missing = (why) => sign("undefined", "–", why);

/** Replace what is in `element` only where it changed; `nodes` makes it. */
export function setNodes(element, key, nodes) {
  if (element.drawn === key) return;
  element.drawn = key;
  element.replaceChildren(...nodes());
}

/** Keep the children of `container` in step with `items`, reusing an item's element by its key. */
export function reconcile(container, items, keyOf, create) {
  const known = container.views ?? (container.views = new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, view] of known) {
    if (!wanted.has(key)) {
      view.root.remove();
      known.delete(key);
    }
  }
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  items.forEach((item, index) => {
    const key = keyOf(item);
    if (!known.has(key)) known.set(key, create(item));
    const view = known.get(key);
    if (container.children[index] !== view.root) container.insertBefore(view.root, container.children[index] ?? null);
    view.update(item);
  });
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true }); // it moved
}
