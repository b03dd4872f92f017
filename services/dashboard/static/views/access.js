// Users and tokens: who and what may do what, for admins.

import { Page } from "../components/layout.js";
import { Tokens } from "../components/tokens.js";
import { Users } from "../components/users.js";
import { html } from "../vendor/preact/preact.js";

export default function Access() {
  return html`
    <${Page} title="Users and tokens" about="Each change is in the audit log.">
      <${Users} />
      <${Tokens} />
    </${Page}>
  `;
}
