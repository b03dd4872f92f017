// The sections of the view of a bot, and the rows of metrics that they share.

import { queryString } from "../app/api.js";
import { FAMILIES } from "../app/metrics.js";
import { Link, usePlace, useQuery } from "../app/router.js";
import { Panel } from "../components/layout.js";
import { MetricName, MetricValue } from "../components/values.js";
import { html } from "../vendor/preact/preact.js";

const SECTIONS = [
  ["", "Performance"],
  ["trades", "Trades"],
  ["positions", "Positions"],
  ["execution", "Execution"],
  ["comparison", "Reported and computed"],
  ["details", "Details"],
];

/** A link to a section of this view; the range of the charts stays. */
export function SectionLink({ section, children, ...rest }) {
  const [{ range, from, to, hide }] = useQuery();
  const { path } = usePlace();
  return html`<${Link} to=${path + queryString({ tab: section, range, from, to, hide })} ...${rest}>${children}</${Link}>`;
}

export const Sections = ({ shown }) => html`
  <nav class="sections" aria-label="Sections of the bot">
    ${SECTIONS.map(
      ([section, title]) =>
        html`<${SectionLink} key=${section} section=${section} aria-current=${section === shown ? "page" : undefined}>${title}</${SectionLink}>`,
    )}
  </nav>
`;

export function Families({ bot }) {
  return html`
    <div class="families">
      ${FAMILIES.map(({ title, figures }) => html`<${Family} key=${title} ...${{ title, bot, names: figures.map(({ wire }) => wire) }} />`)}
    </div>
  `;
}

/** The metrics of a family: name, with its definition, and value, with how far it can be relied on. */
export const Family = ({ title, names, bot }) => html`
  <${Panel} title=${title}>
    <dl class="metric-rows">
      ${names.map(
        (name) =>
          html`<div key=${name}><dt><${MetricName} name=${name} /></dt><dd><${MetricValue} name=${name} bot=${bot} /></dd></div>`,
      )}
    </dl>
  </${Panel}>
`;
