// Botwatch's page: draws the shell, and connects the WebSocket.

import { html, render } from "../vendor/preact/preact.js";
import { preferences } from "./preferences.js";
import { href } from "./router.js";
import { Shell } from "./shell.js";
import { connect } from "./socket.js";

/** Links of notices that were sent before alerts had a path of their own: `/#ID`. */
function followOldLink() {
  const id = location.hash.slice(1);
  if (id && id !== "main") location.replace(href(`/alerts/${id}`));
}

const showTheme = ({ theme }) => {
  document.documentElement.dataset.theme = theme;
};

followOldLink();
window.addEventListener("hashchange", followOldLink);
showTheme(preferences.get());
preferences.subscribe(showTheme);
document.getElementById("not-started").remove();
render(html`<${Shell} />`, document.getElementById("app"));
connect();
