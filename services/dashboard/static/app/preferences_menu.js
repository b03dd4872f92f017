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
      <button type="button" class="plain small icon" popovertarget="preferences" aria-label="Preferences" title="Preferences">
        <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M3 6h7m4 0h3M3 14h3m4 0h7" /><circle cx="12" cy="6" r="2" /><circle cx="8" cy="14" r="2" /></svg>
      </button>
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
