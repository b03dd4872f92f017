// Audit: who did what, newest first, for admins. Fetched when the section is opened and when its filter changes.

import { may } from "../access.js";
import { read } from "../api.js";
import { $, h, setTextOrHide } from "../elements.js";
import { dateAndTime } from "../format.js";

const PAGE = 50;
const FILTER_DELAY_MS = 300;

let next = null; // the cursor of the next, older page
let asked = 0;

/** Show the section to those who may read the audit log. */
export function connectAudit() {
  if (!may("admin")) return;
  $("audit").hidden = false;
  $("audit-list").addEventListener("toggle", () => $("audit-list").open && fetchAudit());
  $("audit-more").addEventListener("click", () => fetchAudit(next));
  $("audit-outcome").addEventListener("change", () => fetchAudit());
  let timer = 0;
  for (const id of ["audit-action", "audit-actor"]) {
    $(id).addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(fetchAudit, FILTER_DELAY_MS);
    });
  }
}

/** Fetch the newest entries, or those before the ID `before`; an answer that a later request overtook is dropped. */
async function fetchAudit(before = null) {
  asked += 1;
  const own = asked;
  const query = new URLSearchParams({ limit: PAGE });
  for (const name of ["action", "actor", "outcome"]) {
    const value = $(`audit-${name}`).value.trim();
    if (value) query.set(name, value);
  }
  if (before) query.set("before", before);
  try {
    const page = await read(`/audit?${query}`);
    if (own !== asked) return;
    next = page.next;
    const rows = page.entries.map(auditRow);
    if (before) $("audit-entries").append(...rows);
    else $("audit-entries").replaceChildren(...rows);
    $("audit-more").hidden = next === null;
    $("no-audit").hidden = $("audit-entries").children.length > 0;
    setTextOrHide($("audit-fault"), "");
  } catch (error) {
    if (own === asked) setTextOrHide($("audit-fault"), `The audit log could not be fetched: ${error.message}`);
  }
}

function auditRow({ id, timestamp, actor, address, action, target, outcome, count, before, after }) {
  const times = count > 1 ? `, ${count} times` : "";
  return h(
    "tr",
    { "data-outcome": outcome },
    h("td", {}, String(id)),
    h("td", {}, dateAndTime(timestamp)),
    h("td", {}, actor ?? "–", h("span", { class: "quiet" }, address ? ` from ${address}` : "")),
    h("td", {}, `${action} ${target}`),
    h("td", {}, `${outcome}${times}`),
    h("td", {}, changeOf(before, after)),
  );
}

/** Return what changed as text: the lines of a reload, or both states as JSON. */
function changeOf(before, after) {
  if (after?.changes) return [...(after.faults ?? []), ...after.changes].join("\n");
  return [before, after]
    .filter((state) => state !== null)
    .map((state) => JSON.stringify(state))
    .join(" → ");
}
