// Says why the page does not start, and loads it again. A classic script without imports: it runs where the modules
// of main.js could not be loaded. main.js removes the notice, with which all of this ends.

const RETRY_MS = 5_000;
const notice = document.getElementById("not-started");

function showWhy(event) {
  const { target, message } = event;
  const isScript = target instanceof HTMLScriptElement;
  if (!notice.isConnected || !(isScript || message)) return;
  const reason = isScript ? `${new URL(target.src).pathname} or a script that it needs could not be loaded` : message;
  notice.textContent = `The page could not start: ${reason}. It is loaded again when the server answers.`;
  notice.classList.add("failed");
  setTimeout(reload, RETRY_MS);
}

async function reload() {
  if (!notice.isConnected) return;
  const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
  else setTimeout(reload, RETRY_MS);
}

// Errors of elements do not bubble: they are seen on the way down.
window.addEventListener("error", showWhy, { capture: true });
