// API tokens, for admins: create, show the secret once, revoke.

import { call, useApi } from "../app/api.js";
import { now } from "../app/store.js";
import { html, useRef, useState } from "../vendor/preact/preact.js";
import { FormDialog } from "./dialog.js";
import { Loaded } from "./feedback.js";
import { SelectField, TextField, Toggle } from "./fields.js";
import { focusHeading, Panel } from "./layout.js";
import { SecretDialog } from "./secret.js";
import { StatusDot } from "./status.js";
import { Table } from "./table.js";
import { Age, Time } from "./time.js";

const REFRESH_MS = 15_000;
const DAY_MS = 86_400_000;
const SCOPES = [
  ["ingest", "ingest: send records and alerts"],
  ["read", "read: see the page's data, the WebSocket and /metrics"],
  ["operate", "operate: acknowledge, silence, retire bots"],
  ["admin", "admin: manage configuration, users, tokens and backups"],
  ["calendar", "calendar: subscribe to the calendars, with the token in the address"],
];
const EXPIRIES = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "1 year"],
  ["", "never"],
];
const TONES = { active: "good", expired: "medium", revoked: "none" };

export function Tokens() {
  const answer = useApi("/tokens", { every: REFRESH_MS });
  const [dialog, setDialog] = useState(null);
  const [showsAll, setShowsAll] = useState(false);
  const close = () => setDialog(null);
  const create = () =>
    setDialog(html`<${CreateToken} onClose=${close} onDone=${answer.refresh} showSecret=${showSecret} />`);
  const showSecret = ({ name, secret }) =>
    setDialog(
      html`<${SecretDialog} title=${`Token ${name}`} about="Programs send it as Authorization: Bearer …" secret=${secret} onClose=${close} />`,
    );
  const revoke = (token) =>
    setDialog(html`<${RevokeToken} token=${token} onClose=${close} onDone=${answer.refresh} />`);
  const actions = html`
    <${Toggle} label="Show revoked and expired" checked=${showsAll} onChange=${setShowsAll} />
    <button type="button" class="small" onClick=${create}>Create a token</button>
  `;
  return html`
    <${Panel} title="API tokens" actions=${actions}>
      <${Loaded} from=${answer} what="The tokens">
        ${(tokens) => html`<${Table} caption="API tokens, newest first" columns=${columns(revoke)} rows=${tokens.filter(({ state }) => showsAll || state === "active").toReversed()} keyOf=${({ id }) => id} empty="No active token. Bots, collectors and scripts need one where ACCESS=required." />`}
      </${Loaded}>
      ${dialog}
    </${Panel}>
  `;
}

const columns = (revoke) => [
  {
    key: "name",
    title: "Token",
    render: ({ id, name }) => html`<strong>${name}</strong> <span class="quiet">${id}</span>`,
  },
  { key: "state", title: "State", render: ({ state }) => html`<${StatusDot} status=${state} tone=${TONES[state]} />` },
  { key: "scopes", title: "May", render: (token) => html`<${Rights} ...${token} />` },
  { key: "used", title: "Last used", render: ({ lastUsedAt }) => html`<${Age} at=${lastUsedAt} />` },
  {
    key: "expires",
    title: "Expires",
    hideOnPhone: true,
    render: ({ expiresAt }) => html`<${Time} at=${expiresAt} full none="never" />`,
  },
  {
    key: "created",
    title: "Created",
    hideOnPhone: true,
    render: ({ createdAt, createdBy, revokedAt, revokedBy }) => html`
      <${Time} at=${createdAt} /> <span class="quiet">by ${createdBy}</span>
      ${revokedAt && html`<br /><span class="quiet">revoked <${Time} at=${revokedAt} /> by ${revokedBy}</span>`}
    `,
  },
  {
    key: "do",
    title: "Actions",
    render: (token) =>
      token.state === "active" &&
      html`<button type="button" class="plain small" aria-label=${`Revoke ${token.name}`} onClick=${() => revoke(token)}>Revoke</button>`,
  },
];

function Rights({ scopes, bots, hosts, actForOthers }) {
  const limits = [
    bots.length && `bots ${bots.join(", ")}`,
    hosts.length && `hosts ${hosts.join(", ")}`,
    actForOthers && "for others",
  ].filter(Boolean);
  return html`${scopes.join(", ")}${limits.length > 0 && html`<br /><span class="quiet">${limits.join("; ")}</span>`}`;
}

const names = (text) => text.split(/[\s,]+/).filter(Boolean);

function CreateToken({ onClose, onDone, showSecret }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["ingest"]);
  const [bots, setBots] = useState("");
  const [hosts, setHosts] = useState("");
  const [days, setDays] = useState("365");
  const [actForOthers, setActForOthers] = useState(false);
  const created = useRef(null);
  const toggle = (scope, isOn) => setScopes((last) => (isOn ? [...last, scope] : last.filter((one) => one !== scope)));
  const sends = scopes.includes("ingest");
  const create = async () => {
    created.current = await call("POST", "/tokens", {
      name: name.trim(),
      scopes,
      ...(sends ? { bots: names(bots), hosts: names(hosts) } : {}),
      ...(days ? { expiresAt: new Date(now() + Number(days) * DAY_MS).toISOString() } : {}),
      actForOthers,
    });
    onDone();
  };
  const close = () => (created.current ? showSecret(created.current) : onClose());
  return html`
    <${FormDialog} title="Create a token" submit="Create" anonymous onSubmit=${create} onClose=${close}>
      <${TextField} label="Name" value=${name} onInput=${setName} autocomplete="off" maxlength="64" hint="What it is for, such as bots-on-box-1." />
      <fieldset>
        <legend>It may</legend>
        ${SCOPES.map(([scope, text]) => html`<${Toggle} key=${scope} label=${text} checked=${scopes.includes(scope)} onChange=${(isOn) => toggle(scope, isOn)} />`)}
      </fieldset>
      ${
        sends &&
        html`
          <${TextField} label="Bots" optional value=${bots} onInput=${setBots} autocomplete="off" placeholder="scalper-*, grid-1" hint="Names or patterns of bots whose records it may send. Neither bots nor hosts: all bots." />
          <${TextField} label="Hosts" optional value=${hosts} onInput=${setHosts} autocomplete="off" hint="Of a collector: hosts whose health and checks it may send." />
        `
      }
      <${SelectField} label="Expires after" value=${days} choices=${EXPIRIES} onChange=${setDays} />
      ${scopes.includes("operate") && html`<${Toggle} label="It acts for others: a request may name who acknowledges" checked=${actForOthers} onChange=${setActForOthers} />`}
    </${FormDialog}>
  `;
}

function RevokeToken({ token, onClose, onDone }) {
  const revoke = async () => {
    await call("DELETE", `/tokens/${encodeURIComponent(token.id)}`);
    onDone();
    focusHeading();
  };
  return html`<${FormDialog} title=${`Revoke ${token.name}`} about="Every part refuses it within two seconds. That cannot be undone." submit="Revoke" danger anonymous onSubmit=${revoke} onClose=${onClose} />`;
}
