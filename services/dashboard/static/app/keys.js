// Keys of a list: j and k or the arrows move through it, others act on the row that has the focus.

import { useEffect, useRef } from "../vendor/preact/preact.js";
import { preferences, setPreference } from "./preferences.js";

/** Whether keys without Ctrl or Alt act; people who dictate turn them off. Source: WCAG 2.1, 2.1.4. */
export const areKeysOn = () => preferences.get().keys !== false;
export const setKeysOn = (isOn) => setPreference("keys", isOn);

const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
const isTyping = ({ target }) =>
  target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") ||
  document.querySelector("dialog[open]");

/**
 * Follow the keyboard in the rows of `list` (a ref): elements with `data-id` and a link. The arrows move only from row
 * to row, j and k also into the list. `actions` is key → function of the ID of the row with the focus, or null.
 */
export function useListKeys(list, actions) {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || !areKeysOn()) return;
      const row = document.activeElement?.closest?.("[data-id]");
      const current = row && list.current?.contains(row) ? row : null;
      const step = STEPS[event.key];
      if (step && (current || !event.key.startsWith("Arrow"))) {
        event.preventDefault();
        focusRow(list.current, current, step);
      } else if (latest.current[event.key]) {
        event.preventDefault();
        latest.current[event.key](current?.dataset.id ?? null);
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function focusRow(list, current, step) {
  const rows = [...(list?.querySelectorAll("[data-id]") ?? [])];
  const next = current ? rows[rows.indexOf(current) + step] : rows[step > 0 ? 0 : rows.length - 1];
  const link = next?.querySelector("a");
  link?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
}
