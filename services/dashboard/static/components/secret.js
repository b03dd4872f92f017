// A secret that is shown once, with a button that copies it.

import { html } from "../vendor/preact/preact.js";
import { CopyField } from "./copy_field.js";
import { Dialog } from "./dialog.js";

const ONCE = "It is shown only here and now: Botwatch keeps no copy.";

/** `about` says what it is for. */
export const SecretDialog = ({ title, about, secret, onClose }) => html`
  <${Dialog} ...${{ title, about, onClose }}>
    <${CopyField} label="The secret" value=${secret} hint=${ONCE} />
    <p class="buttons"><button type="button" class="plain" onClick=${onClose}>I have kept it</button></p>
  </${Dialog}>
`;
