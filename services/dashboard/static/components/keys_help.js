// The dialog that lists the keys of a view, and turns them off.

import { areKeysOn, setKeysOn } from "../app/keys.js";
import { usePreferences } from "../app/preferences.js";
import { html } from "../vendor/preact/preact.js";
import { Dialog } from "./dialog.js";
import { Toggle } from "./fields.js";

/** `keys` are [key, what it does]. */
export function KeysHelp({ keys, onClose }) {
  usePreferences();
  return html`
    <${Dialog} title="Keys" onClose=${onClose}>
      <dl class="keys">${keys.map(([key, text]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
      <${Toggle} label="Keys act without Ctrl or Alt" checked=${areKeysOn()} onChange=${setKeysOn} />
      <p class="buttons"><button type="button" onClick=${onClose}>Close</button></p>
    </${Dialog}>
  `;
}
