// Says what happens to alerts: to screen readers, and on CRITICAL by notification and sound where that is wanted.

import { html, useState } from "../vendor/preact/preact.js";
import { describeChange } from "./format.js";
import { preferences } from "./preferences.js";
import { href } from "./router.js";
import { useLive } from "./store.js";

const CALLING = new Set(["opened", "reopened", "raised", "unacknowledged", "escalated"]);
const SAID = new Set([...CALLING, "resolved"]);
const SOUND = { notes: [880, 660, 880], seconds: 0.18, volume: 0.2 };

export function AlertAnnouncer() {
  const [text, setText] = useState("");
  useLive((messages) => {
    const changes = messages.filter(({ type, change }) => type === "alert" && SAID.has(change));
    if (!changes.length) return;
    const sentences = changes.map(({ change, alert }) => `Alert ${describeChange(change)}: ${sentence(alert)}`);
    setText(sentences.slice(0, 3).join(". ") + (sentences.length > 3 ? `. And ${sentences.length - 3} more.` : ""));
    const calling = changes.filter(isCalling).map(({ alert }) => alert);
    if (calling.length) call(calling);
  });
  return html`<p class="unseen" id="announcement" aria-live="polite">${text}</p>`;
}

const sentence = ({ severity, component, message }) => `${severity}: ${component}: ${message}`;

const isCalling = ({ change, alert }) =>
  CALLING.has(change) && alert.severity === "CRITICAL" && alert.status === "ACTIVE" && !alert.details.mutedBy;

function call(alerts) {
  const { notify, sound } = preferences.get();
  if (sound) playSound();
  if (!notify || globalThis.Notification?.permission !== "granted") return;
  const [alert] = alerts;
  const more = alerts.length > 1 ? ` (and ${alerts.length - 1} more)` : "";
  const notice = new Notification(`CRITICAL: ${alert.component}${more}`, { body: alert.message, tag: alert.id });
  notice.addEventListener("click", () => {
    window.focus();
    location.assign(href(`/alerts/${alert.id}`));
  });
}

/** Play three short notes; browsers allow it once the page has been clicked. */
export function playSound() {
  const audio = new AudioContext();
  const volume = audio.createGain();
  volume.gain.value = SOUND.volume;
  volume.connect(audio.destination);
  SOUND.notes.forEach((frequency, index) => {
    const note = audio.createOscillator();
    note.frequency.value = frequency;
    note.connect(volume);
    note.start(audio.currentTime + index * SOUND.seconds);
    note.stop(audio.currentTime + (index + 1) * SOUND.seconds);
  });
  setTimeout(() => audio.close(), SOUND.notes.length * SOUND.seconds * 1000 + 200);
}
