// A text that cannot be changed, with a button that copies it.

import { html, useRef, useState } from "../vendor/preact/preact.js";

/** `hint` is shown until the text was copied. */
export function CopyField({ label, value, hint = "" }) {
  const field = useRef(null);
  const [said, setSaid] = useState("");
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(value);
      setSaid("Copied.");
    } catch {
      setSaid("The browser did not allow it: press Ctrl+C.");
    }
  };
  return html`
    <p class="secret">
      <input ref=${field} readonly value=${value} aria-label=${label} onFocus=${(event) => event.target.select()} />
      <button type="button" aria-label=${`Copy: ${label}`} onClick=${copy}>Copy</button>
    </p>
    <p class="hint" role="status">${said || hint}</p>
  `;
}
