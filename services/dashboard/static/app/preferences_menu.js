// The menu with what each person sets for this browser.

import { SelectField, Toggle } from "../components/fields.js";
import { html, useState } from "../vendor/preact/preact.js";
import { playSound } from "./announcer.js";
import { setPreference, usePreferences } from "./preferences.js";

const THEMES = [
  ["auto", "as the system"],
  ["dark", "dark"],
  ["light", "light"],
];
const ZONES = [
  ["local", "local time"],
  ["utc", "UTC"],
];

export function PreferencesMenu() {
  const { theme, zone, notify, sound } = usePreferences();
  const [refusal, setRefusal] = useState("");
  const setNotify = async (isWanted) => {
    const permission = isWanted ? await askPermission() : "granted";
    setRefusal(permission === "granted" ? "" : "The browser does not allow notifications from this page.");
    setPreference("notify", isWanted && permission === "granted");
  };
  const setSound = (isWanted) => {
    setPreference("sound", isWanted);
    if (isWanted) playSound();
  };
  return html`
    <div class="preferences">
      <button type="button" class="plain small" popovertarget="preferences">Preferences</button>
      <div id="preferences" popover="auto" role="group" aria-label="Preferences">
        <${SelectField} label="Colours" value=${theme} choices=${THEMES} onChange=${(value) => setPreference("theme", value)} />
        <${SelectField} label="Times" value=${zone} choices=${ZONES} onChange=${(value) => setPreference("zone", value)} />
        <${Toggle} label="Notify on CRITICAL alerts" checked=${notify} onChange=${setNotify} />
        <${Toggle} label="Sound on CRITICAL alerts" checked=${sound} onChange=${setSound} />
        ${refusal && html`<p class="fault" role="alert">${refusal}</p>`}
        <p class="hint">Kept in this browser.</p>
      </div>
    </div>
  `;
}

const askPermission = async () => (globalThis.Notification ? Notification.requestPermission() : "denied");
