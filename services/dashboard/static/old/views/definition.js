// What a metric means: the dialog with its definition, and with the reported and the computed value.

import { $, descriptionRows, h, setText } from "../elements.js";
import { isDefined } from "../format.js";
import { formatMetric, isComputed, lowConfidence, undefinedReason } from "../metrics.js";
import { dashboard } from "../store.js";

export function openDefinition(name, { wire, label, text, unit, source, undefined: when }) {
  const bot = dashboard.performance.get(name) ?? {};
  const reported = isComputed(bot, wire) ? null : bot[wire];
  const valueOr = (value, otherwise) => (isDefined(value) ? formatMetric(wire, value, bot.currency) : otherwise);
  const notComputed = bot.computedFigures && !isDefined(reported) ? undefinedReason(bot, wire) : "–";
  const warning = lowConfidence(bot, wire);
  const rows = [
    ["Reported by the bot", valueOr(reported, "not reported")],
    ["Computed by Botwatch", valueOr(bot.computedFigures?.[wire], notComputed)],
    ...(warning ? [["Confidence", warning]] : []),
    ["Computed from", source],
    ["Undefined when", when],
    ["On the wire", `${wire}, ${unit}`],
  ];
  setText($("definition-title"), label);
  $("definition-body").replaceChildren(
    h("p", { class: "about" }, text),
    h("dl", { class: "rows" }, ...descriptionRows(rows)),
  );
  $("definition").showModal();
}

$("definition-close").addEventListener("click", () => $("definition").close());
