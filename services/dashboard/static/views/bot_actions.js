// Retiring, un-retiring and forgetting a bot.

import { call } from "../app/api.js";
import { can } from "../app/preferences.js";
import { navigate } from "../app/router.js";
import { FormDialog } from "../components/dialog.js";
import { html, useState } from "../vendor/preact/preact.js";

const ACTIONS = {
  retire: {
    title: "Retire",
    scope: "operate",
    method: "POST",
    path: "/retire",
    about:
      "Resolves its open alerts and stops expecting it to report. Its data is kept, and its next record un-retires it.",
  },
  unretire: {
    title: "Un-retire",
    scope: "operate",
    method: "POST",
    path: "/unretire",
    about: "Expects it to report again: a silent bot opens alerts.",
  },
  forget: {
    title: "Forget",
    scope: "admin",
    method: "DELETE",
    path: "",
    about: "Deletes all its records and metrics and resolves its open alerts. This cannot be undone.",
  },
};

export function BotActions({ name, isRetired, onDone }) {
  const [asked, ask] = useState(null);
  const shown = [isRetired ? "unretire" : "retire", "forget"].filter((action) => can(ACTIONS[action].scope));
  const submit = async (by) => {
    const { method, path } = ACTIONS[asked];
    await call(method, `/bots/${encodeURIComponent(name)}${path}?by=${encodeURIComponent(by)}`);
    if (asked === "forget") navigate("/");
    else onDone();
  };
  const { title, about } = ACTIONS[asked] ?? {};
  return html`
    ${shown.map((action) => html`<button type="button" key=${action} class="plain" onClick=${() => ask(action)}>${ACTIONS[action].title}</button>`)}
    ${
      asked &&
      html`<${FormDialog} title=${`${title} ${name}?`} about=${about} submit=${title} danger=${asked === "forget"} onSubmit=${submit} onClose=${() => ask(null)} />`
    }
  `;
}
