// The meaning of a short text: on hover by the browser, on tap and Enter in a tip that is above everything else.

import { observable } from "../app/store.js";
import { html, useEffect, useRef } from "../vendor/preact/preact.js";

const WIDTH = 320;
const shown = observable(null); // { text, left, top }

/** A text that can be asked what it means: `why` says it. */
export function Explained({ class: kind = "explained", why, children }) {
  const open = ({ currentTarget }) => {
    const { left, bottom } = currentTarget.getBoundingClientRect();
    shown.set({ text: why, left: Math.max(8, Math.min(left, innerWidth - WIDTH - 8)), top: bottom + 6 });
  };
  return html`<button type="button" class=${`explained ${kind}`} title=${why} aria-description=${why} onClick=${open}>${children}</button>`;
}

/** The one tip of the page. */
export function Tip() {
  const tip = shown.use();
  const element = useRef(null);
  useEffect(() => {
    if (!tip) return undefined;
    element.current.style.left = `${tip.left}px`;
    element.current.style.top = `${tip.top}px`;
    element.current.showPopover();
    return undefined;
  }, [tip]);
  const onToggle = ({ newState }) => newState === "closed" && shown.set(null);
  return html`<div class="tip" popover="auto" role="status" ref=${element} onToggle=${onToggle}>${tip?.text}</div>`;
}
