// What each person sets for this browser: colours, time zone, notification and sound. Kept in its storage.

import { observable } from "./store.js";

export { can } from "./environment.js";

const KEY = "botwatch.preferences";
const NAME_KEY = "botwatch.by";
const DEFAULTS = { theme: "auto", zone: "local", notify: false, sound: false };

/** Return what is stored under a key; storage may be disabled. */
function load(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function save(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // It holds until the page is left.
  }
}

function loadPreferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(load(KEY)) };
  } catch {
    return DEFAULTS;
  }
}

export const preferences = observable(loadPreferences());

/** Return the preferences: `theme` (auto, dark, light), `zone` (local, utc), `notify`, `sound`. */
export const usePreferences = () => preferences.use();

export function setPreference(name, value) {
  preferences.set({ ...preferences.get(), [name]: value });
  save(KEY, JSON.stringify(preferences.get()));
}

const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone; // slow: not for every time that is written

/** Return the IANA name of the time zone that times are written in. */
export const timeZone = () => (preferences.get().zone === "utc" ? "UTC" : LOCAL_ZONE);

/** Return the name that was last used where access is open. */
export const loadName = () => load(NAME_KEY) ?? "";
export const saveName = (name) => save(NAME_KEY, name);
