// What the dialogs with a form have in common: who sends it, and what the API answers.

import { USER } from "./access.js";
import { $, setTextOrHide } from "./elements.js";
import { publish } from "./store.js";

const NAME_KEY = "botwatch.by";

/** Return the name of the signed-in user, or else the one that was last used; storage may be disabled. */
export function loadName() {
  if (USER) return USER;
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

function saveName(name) {
  if (USER) return;
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // The name is asked for each time.
  }
}

/** Show an error, or hide it where `text` is empty. */
export const showError = (id, text) => setTextOrHide($(id), text);

/** Open a dialog with the user's name filled in; focus that field if it is empty, else `next`. */
export function openForm(dialog, nameField, next) {
  $(nameField).value = loadName();
  for (const element of $(dialog).querySelectorAll(".by")) element.hidden = Boolean(USER);
  showError(`${dialog}-fault`, "");
  $(dialog).showModal();
  ($(nameField).value ? $(next) : $(nameField)).focus();
}

/** Send a dialog's request; return the answer, or null if it was refused: the dialog then shows why. */
export async function send(dialog, nameField, request) {
  const by = $(nameField).value.trim();
  if (!by) {
    showError(`${dialog}-fault`, "Enter your name or e-mail address.");
    $(nameField).focus();
    return null;
  }
  $(`${dialog}-send`).disabled = true;
  try {
    const answer = await request(by);
    saveName(by);
    $(dialog).close();
    return answer;
  } catch (error) {
    showError(`${dialog}-fault`, error.message);
    publish("outdated");
    return null;
  } finally {
    $(`${dialog}-send`).disabled = false;
  }
}

/** Connect the form and the cancel button of a dialog. */
export function connectForm(dialog, onSubmit) {
  $(`${dialog}-form`).addEventListener("submit", (event) => {
    event.preventDefault();
    onSubmit();
  });
  $(`${dialog}-cancel`).addEventListener("click", () => $(dialog).close());
}
