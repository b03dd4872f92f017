// Where to subscribe to the calendars of shifts and maintenance windows, and the link that needs no sign-in.

import { call, useApi } from "../app/api.js";
import { USER } from "../app/environment.js";
import { html, useState } from "../vendor/preact/preact.js";
import { CopyField } from "./copy_field.js";
import { Loaded } from "./feedback.js";
import { Panel } from "./layout.js";
import { Age } from "./time.js";

const PATH = "/calendar-link";
const ONCE = "Shown only now: it has a secret, of which Botwatch keeps no copy.";

export function Subscribe() {
  const answer = useApi(PATH);
  const [created, setCreated] = useState(null);
  const [fault, setFault] = useState("");
  const change = async (method) => {
    setFault("");
    try {
      const link = await call(method, PATH);
      setCreated(method === "POST" ? link : null);
      answer.refresh();
    } catch (error) {
      setFault(error.message);
    }
  };
  return html`
    <${Panel} title="Subscribe" about="In Google, Apple or Outlook calendars: “from URL”.">
      <${Loaded} from=${answer} what="The calendar link">
        ${(link) => html`
          ${USER ? html`<${OwnLink} link=${link} created=${created} change=${change} />` : html`<${Addresses} link=${link} />`}
          ${fault && html`<p class="fault" role="alert">${fault}</p>`}
        `}
      </${Loaded}>
    </${Panel}>
  `;
}

const Addresses = ({ link, hint }) => html`
  <h3>Shifts</h3>
  <${CopyField} label="Address of the shifts" value=${link.onCall} hint=${hint} />
  <h3>Maintenance windows</h3>
  <${CopyField} label="Address of the maintenance windows" value=${link.maintenance} hint=${hint} />
`;

const OwnLink = ({ link, created, change }) => html`
  ${created && html`<${Addresses} link=${created} hint=${ONCE} />`}
  <p class="about">
    ${
      link.createdAt
        ? html`Your link was created <${Age} at=${link.createdAt} />, last used <${Age} at=${link.lastUsedAt} />. A new one ends it.`
        : "Calendar programs cannot sign in: their address has a secret of yours, which opens these calendars and nothing else."
    }
  </p>
  <p class="buttons">
    <button type="button" class="small" onClick=${() => change("POST")}>${link.createdAt ? "Create a new link" : "Create a link"}</button>
    ${link.createdAt && html` <button type="button" class="plain small" onClick=${() => change("DELETE")}>End the link</button>`}
  </p>
`;
