// The users of the page, for admins: add, change the role, disable, reset the password, end sessions.

import { call, useApi } from "../app/api.js";
import { USER } from "../app/environment.js";
import { whole } from "../app/format.js";
import { html, useRef, useState } from "../vendor/preact/preact.js";
import { FormDialog } from "./dialog.js";
import { Loaded } from "./feedback.js";
import { SelectField, TextField } from "./fields.js";
import { Panel } from "./layout.js";
import { SecretDialog } from "./secret.js";
import { StatusDot } from "./status.js";
import { Table } from "./table.js";
import { Age } from "./time.js";

const ROLES = [
  ["viewer", "viewer: sees everything"],
  ["operator", "operator: acknowledges, silences, tests channels"],
  ["admin", "admin: manages users, tokens, configuration"],
];
const REFRESH_MS = 15_000;

const pathOf = (name, rest = "") => `/users/${encodeURIComponent(name)}${rest}`;

export function Users() {
  const answer = useApi("/users", { every: REFRESH_MS });
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const show = (kind, user) =>
    setDialog(html`<${kind} user=${user} onClose=${close} onDone=${answer.refresh} showSecret=${showSecret} />`);
  const showSecret = (user, password) =>
    setDialog(
      html`<${SecretDialog} title=${`Password of ${user}`} about=${`Give it to ${user}, who can change it on the account page.`} secret=${password} onClose=${close} />`,
    );
  return html`
    <${Panel} title="Users" actions=${html`<button type="button" class="small" onClick=${() => show(AddUser)}>Add a user</button>`}>
      <${Loaded} from=${answer} what="The users">
        ${(users) => html`<${Table} caption="Users" columns=${columns(show)} rows=${users} keyOf=${({ name }) => name} empty="There is no user yet. Add an admin first, then set ACCESS=required." />`}
      </${Loaded}>
      ${dialog}
    </${Panel}>
  `;
}

const columns = (show) => [
  {
    key: "name",
    title: "User",
    render: ({ name, disabled }) => html`
      <strong>${name}</strong>${name === USER && html` <span class="quiet">(you)</span>`}
      ${disabled && html`<br /><${StatusDot} status="disabled" />`}
    `,
  },
  { key: "role", title: "Role", render: ({ role }) => role },
  { key: "totp", title: "Two-factor login", hideOnPhone: true, render: ({ totp }) => (totp ? "on" : "off") },
  {
    key: "login",
    title: "Last login",
    hideOnPhone: true,
    render: ({ lastLoginAt }) => html`<${Age} at=${lastLoginAt} />`,
  },
  { key: "sessions", title: "Sessions", numeric: true, hideOnPhone: true, render: ({ sessions }) => whole(sessions) },
  {
    key: "do",
    title: "Actions",
    render: (user) =>
      html`<div class="actions">${actionsOf(user).map(([text, kind]) => html`<button key=${text} type="button" class="plain small" aria-label=${`${text}: ${user.name}`} onClick=${() => show(kind, user)}>${text}</button>`)}</div>`,
  },
];

const actionsOf = (user) => [
  ["Role", ChangeRole],
  [user.disabled ? "Enable" : "Disable", Disable],
  ["Password", ResetPassword],
  ...(user.sessions ? [["End sessions", EndSessions]] : []),
  ...(user.totp ? [["Remove two-factor", RemoveTotp]] : []),
];

function AddUser({ onClose, onDone, showSecret }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [password, setPassword] = useState("");
  const added = useRef(null);
  const add = async () => {
    added.current = await call("POST", "/users", { name: name.trim(), role, ...(password ? { password } : {}) });
    onDone();
  };
  const close = () => (added.current?.password ? showSecret(added.current.name, added.current.password) : onClose());
  return html`
    <${FormDialog} title="Add a user" submit="Add" anonymous onSubmit=${add} onClose=${close}>
      <${TextField} label="Name" value=${name} onInput=${setName} autocomplete="off" maxlength="64" hint="Small letters, digits and . _ @ + -" />
      <${SelectField} label="Role" value=${role} choices=${ROLES} onChange=${setRole} />
      <${TextField} label="Password" optional type="password" value=${password} onInput=${setPassword} autocomplete="new-password" hint="12 characters at least. Without one it is generated and shown once." />
    </${FormDialog}>
  `;
}

function ChangeRole({ user, onClose, onDone }) {
  const [role, setRole] = useState(user.role);
  const change = async () => {
    await call("PATCH", pathOf(user.name), { role });
    onDone();
  };
  return html`
    <${FormDialog} title=${`Role of ${user.name}`} submit="Change" anonymous onSubmit=${change} onClose=${onClose}>
      <${SelectField} label="Role" value=${role} choices=${ROLES} onChange=${setRole} hint="Open sessions have it at once." />
    </${FormDialog}>
  `;
}

/** Ask before a change of one request; `act(user)` sends it. */
const asking = ({ title, about, submit, danger, act }) =>
  function Ask({ user, onClose, onDone }) {
    const send = async () => {
      await act(user);
      onDone();
    };
    return html`<${FormDialog} title=${title(user)} about=${about(user)} submit=${submit(user)} danger=${danger(user)} anonymous onSubmit=${send} onClose=${onClose} />`;
  };

const Disable = asking({
  title: ({ name, disabled }) => `${disabled ? "Enable" : "Disable"} ${name}`,
  about: ({ disabled }) =>
    disabled ? "The user can sign in again." : "The user can no longer sign in; open sessions end.",
  submit: ({ disabled }) => (disabled ? "Enable" : "Disable"),
  danger: ({ disabled }) => !disabled,
  act: ({ name, disabled }) => call("PATCH", pathOf(name), { disabled: !disabled }),
});

const EndSessions = asking({
  title: ({ name }) => `End the sessions of ${name}`,
  about: ({ sessions }) => `${whole(sessions)} open: the user must sign in again.`,
  submit: () => "End sessions",
  danger: () => true,
  act: ({ name }) => call("DELETE", pathOf(name, "/sessions")),
});

const RemoveTotp = asking({
  title: ({ name }) => `Remove two-factor login of ${name}`,
  about: () => "Such as when the phone is lost. The password alone is then enough, until it is set up again.",
  submit: () => "Remove",
  danger: () => true,
  act: ({ name }) => call("PATCH", pathOf(name), { totp: false }),
});

function ResetPassword({ user, onClose, onDone, showSecret }) {
  const changed = useRef(null);
  const reset = async () => {
    changed.current = await call("POST", pathOf(user.name, "/password"), {});
    onDone();
  };
  const close = () => (changed.current ? showSecret(user.name, changed.current.password) : onClose());
  return html`<${FormDialog} title=${`New password for ${user.name}`} about="It is generated and shown once. Open sessions of the user end." submit="Reset" danger anonymous onSubmit=${reset} onClose=${close} />`;
}
