// Who is signed in, and what that role may do. The server decides; the page only says so before.

import { $, setText } from "./elements.js";

const { base, user, role, scopes } = document.body.dataset;

/** The name of the signed-in user; "" where access is open. */
export const USER = user;

const MISSING = {
  operate: "Only operators and admins may do this",
  admin: "Only admins may do this",
};
const LOGIN_AFTER_MS = 2_500; // long enough to be read
let isLeaving = false;

export const may = (scope) => scopes.split(" ").includes(scope);

/** Return `button`, disabled with the reason where the scope is missing; it can still be focused, to read why. */
export function restrict(button, scope) {
  if (may(scope)) return button;
  const reason = `${MISSING[scope]}; ${USER} is ${role || "none of them"}.`;
  button.setAttribute("aria-disabled", "true");
  button.setAttribute("aria-description", reason);
  button.title = reason;
  button.addEventListener("click", (event) => event.stopImmediatePropagation(), { capture: true });
  return button;
}

/** Say that the session has ended, and go to the login, which leads back to this page. */
export function showSignedOut() {
  if (isLeaving) return;
  isLeaving = true;
  setText($("signed-out"), "You are signed out. The login page opens in a moment.");
  $("signed-out").hidden = false;
  setTimeout(() => {
    const here = location.pathname.slice(base.length - 1) + location.search;
    location.assign(`${base}login?next=${encodeURIComponent(here)}${location.hash}`);
  }, LOGIN_AFTER_MS);
}
