// A secret that is shown once, with a button that copies it.

import { html, useRef, useState } from "../vendor/preact/preact.js";
import { Dialog } from "./dialog.js";

/** `about` says what it is for. */
export function SecretDialog({ title, about, secret, onClose }) {
  const field = useRef(null);
  const [said, setSaid] = useState("");
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(secret);
      setSaid("Copied.");
    } catch {
      setSaid("The browser did not allow it: press Ctrl+C.");
    }
  };
  return html`
    <${Dialog} ...${{ title, about, onClose }}>
      <p class="secret">
        <input ref=${field} readonly value=${secret} aria-label="The secret" onFocus=${(event) => event.target.select()} />
        <button type="button" onClick=${copy}>Copy</button>
      </p>
      <p class="hint" role="status">${said || "It is shown only here and now: Botwatch keeps no copy."}</p>
      <p class="buttons"><button type="button" class="plain" onClick=${onClose}>I have kept it</button></p>
    </${Dialog}>
  `;
}
