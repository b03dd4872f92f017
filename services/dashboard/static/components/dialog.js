// Dialogs: to read, to confirm, and to fill in.

import { USER } from "../app/environment.js";
import { loadName, saveName } from "../app/preferences.js";
import { html, useId, useLayoutEffect, useRef, useState } from "../vendor/preact/preact.js";
import { TextField } from "./fields.js";

/** A dialog above the page; Escape closes it, and the focus returns to where it was. */
export function Dialog({ title, about, onClose, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  // Before it is painted: until then it is in the page, but closed, and a quick key or click would miss it.
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.focus?.({ preventScroll: true });
  }, []);
  return html`
    <dialog class=${wide ? "wide" : ""} ref=${element} aria-labelledby=${id} onClose=${onClose}>
      <h2 id=${id}>${title}</h2>
      ${about && html`<p class="about">${about}</p>`}
      ${children}
    </dialog>
  `;
}

/**
 * A dialog with a form. `onSubmit(by)` sends it and may throw: the dialog then shows why and stays. `by` is who acts:
 * the signed-in user, or the name that is asked for where access is open, unless the form is `anonymous`.
 */
export function FormDialog({
  title,
  about,
  submit,
  danger = false,
  wide,
  anonymous = false,
  onSubmit,
  onClose,
  children,
}) {
  const [by, setBy] = useState(USER || loadName());
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const isNamed = Boolean(USER) || anonymous;
  const send = async (event) => {
    event.preventDefault();
    const name = by.trim();
    if (!name && !isNamed) {
      setError("Enter your name or e-mail address.");
      return;
    }
    setBusy(true);
    setError("");
    try {
      await onSubmit(name);
      if (!isNamed) saveName(name);
      onClose();
    } catch (raised) {
      setError(raised.message);
      setBusy(false);
    }
  };
  return html`
    <${Dialog} ...${{ title, about, onClose, wide }}>
      <form onSubmit=${send} novalidate>
        ${!isNamed && html`<${TextField} label="Your name or e-mail address" value=${by} onInput=${setBy} autocomplete="email" maxlength="256" />`}
        ${children}
        ${error && html`<p class="fault" role="alert">${error}</p>`}
        <p class="buttons">
          <button type="button" class="plain" onClick=${onClose}>Cancel</button>
          <button type="submit" class=${danger ? "danger" : ""} disabled=${isBusy}>${submit}</button>
        </p>
      </form>
    </${Dialog}>
  `;
}
