// Checks: what the collectors look at besides their hosts, one panel for each host, what fails on top.

import { h, missing, reconcile, setText } from "./elements.js";
import { isDefined, milliseconds, percent } from "./figures.js";

const GRAVEST_FIRST = ["critical", "warning", "unknown", "ok"];
const TONES = { critical: "CRITICAL", warning: "MEDIUM", unknown: "NONE", ok: "GOOD" };

export function drawChecks(checks) {
  const hosts = [...checks].map(([host, found]) => ({ host, found: sorted([...found.values()]) }))
    .filter(({ found }) => found.length).sort((a, b) => (a.host < b.host ? -1 : 1));
  document.getElementById("no-checks").hidden = hosts.length > 0;
  reconcile(document.getElementById("checks"), hosts, ({ host }) => host, hostView);
}

const sorted = (checks) => checks.sort((a, b) => (
  GRAVEST_FIRST.indexOf(a.status) - GRAVEST_FIRST.indexOf(b.status) || (a.check < b.check ? -1 : 1)));

function hostView({ host }) {
  const counts = h("p", { class: "chips" });
  const list = h("ul", { class: "checks" });
  return {
    root: h("article", { class: "panel", "aria-label": `Checks of ${host}` },
      h("header", { class: "heading" }, h("h3", {}, host), counts), list),
    update({ found }) {
      const counted = GRAVEST_FIRST.map((status) => [status, found.filter((check) => check.status === status).length]);
      reconcile(counts, counted.filter(([, count]) => count), ([status]) => status, ([status]) => {
        const root = h("span", { class: "tag", "data-severity": TONES[status] });
        return { root, update: ([, count]) => setText(root, `${count} ${status}`) };
      });
      reconcile(list, found, (check) => check.check, checkView);
    },
  };
}

function checkView({ check: name }) {
  const dot = h("span", { class: "dot", role: "img" });
  const text = h("span", { class: "text" });
  const latency = h("span", { class: "figure" });
  const availability = h("span", { class: "figure" });
  const age = h("span", { class: "figure age" });
  const root = h("li", { class: "check" }, dot, h("span", { class: "name" }, name), text, latency, availability, age);
  return {
    root,
    update(check) {
      root.dataset.severity = TONES[check.status] ?? "NONE";
      root.title = `${check.type}: ${check.status}`;
      dot.setAttribute("aria-label", check.status);
      setText(text, check.text ?? "");
      setFigure(latency, check.checkLatencyMs, milliseconds, "Latency");
      setFigure(availability, check.availability, percent, "Availability");
      age.dataset.since = check.timestamp;
      age.dataset.words = "% ago";
    },
  };
}

function setFigure(element, value, write, title) {
  element.title = title;
  if (isDefined(value)) setText(element, write(value));
  else element.replaceChildren(missing(`${title}: it has none.`));
}
