// Rules: what is loaded, how each stands on all bots and hosts, and how often it fired.

import { apiUrl, hasAlertChange, useApi } from "../app/api.js";
import { count, whole } from "../app/format.js";
import { Link, useQuery } from "../app/router.js";
import { Empty, Loaded } from "../components/feedback.js";
import { SearchField, SelectField } from "../components/fields.js";
import { Page, Panel } from "../components/layout.js";
import { Place } from "../components/place.js";
import { RuleTrial, rulePath } from "../components/rule_trial.js";
import { Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { html } from "../vendor/preact/preact.js";

export const REFRESH_MS = 10_000;

export default function Rules() {
  const answer = useApi("/rules", { every: REFRESH_MS, on: hasAlertChange });
  return html`
    <${Page} title="Rules" about=${answer.data && describeAll(answer.data)} actions=${html`<a class="button plain small" href=${apiUrl("/rules?format=csv")}>CSV</a>`}>
      <${Loaded} from=${answer} what="The rules">${(rules) => html`<${List} rules=${rules} />`}</${Loaded}>
      <${RuleTrial} />
    </${Page}>
  `;
}

function describeAll(rules) {
  const firing = rules.filter(({ states }) => states.firing).length;
  const warned = rules.filter(({ warning }) => warning).length;
  return [
    `${count(rules.length, "rule")} loaded`,
    firing && `${whole(firing)} firing`,
    warned && `${count(warned, "warning")}`,
  ]
    .filter(Boolean)
    .join(", ");
}

const SHOWN = [
  ["", "All rules"],
  ["firing", "Firing"],
  ["pending", "Pending"],
  ["fired", "Fired in 30 days"],
  ["silent", "Never fired in 30 days"],
  ["warning", "With a warning"],
];
const IS_SHOWN = {
  firing: ({ states }) => states.firing > 0,
  pending: ({ states }) => states.pending > 0,
  fired: ({ fired }) => fired.month > 0,
  silent: ({ fired }) => fired.month === 0,
  warning: ({ warning, neverSeen }) => Boolean(warning) || neverSeen.length > 0,
};

function List({ rules }) {
  const [query, setQuery] = useQuery();
  const wanted = (query.q ?? "").toLowerCase();
  const rows = rules.filter(
    (rule) =>
      (IS_SHOWN[query.show]?.(rule) ?? true) &&
      (!wanted || [rule.name, ...rule.levels, ...rule.figures, ...rule.bots].join(" ").toLowerCase().includes(wanted)),
  );
  return html`
    <${Panel}>
      <div class="filters">
        <${SearchField} label="Search rules" value=${query.q} onSearch=${(q) => setQuery({ q })} />
        <${SelectField} label="Which rules" seen=${false} value=${query.show} choices=${SHOWN} onChange=${(show) => setQuery({ show })} />
      </div>
      <${Table} caption="Loaded rules" columns=${COLUMNS} rows=${rows} keyOf=${({ name }) => name} sort=${query.sort ?? ""} onSort=${(sort) => setQuery({ sort })} empty=${rules.length ? "No rule matches the filters." : html`<${None} />`} />
    </${Panel}>
  `;
}

const None = () =>
  html`<${Empty}>No rule is loaded. Add conditions to <code>performance_logger.json</code> and reload the configuration; <code>docs/rules.md</code> describes them.</${Empty}>`;

/** How many bots and hosts are in which state. */
export const States = ({ states: { firing, pending, ok, noData } }) => html`
  <span class="rule-states">
    ${firing > 0 && html`<${Tag} tone="critical">${whole(firing)} firing</${Tag}>`}
    ${pending > 0 && html`<${Tag} tone="medium">${whole(pending)} pending</${Tag}>`}
    ${ok > 0 && html`<${Tag} tone="good">${whole(ok)} ok</${Tag}>`}
    ${noData > 0 && html`<${Tag}>${whole(noData)} no data</${Tag}>`}
    ${firing + pending + ok + noData === 0 && html`<${Tag}>no data</${Tag}>`}
  </span>
`;

/** Why a rule may never fire. `neverSeen` is up to a minute older than the states: the first values may have arrived. */
export function Warnings({ rule: { warning, neverSeen, subjects, states } }) {
  if (warning) return html`<p class="rule-warning">${warning}</p>`;
  const hasArrived = subjects === 0 && states.ok + states.pending + states.firing > 0;
  return neverSeen.length > 0 && !hasArrived && html`<p class="quiet">No value yet of ${neverSeen.join(", ")}.</p>`;
}

const COLUMNS = [
  {
    key: "name",
    title: "Rule",
    sort: ({ name }) => name,
    render: (rule) => html`
      <strong><${Link} to=${rulePath(rule.name)}>${rule.name}</${Link}></strong>
      ${rule.levels.map((line) => html`<br /><span key=${line}>${line}</span>`)}
      <${Warnings} rule=${rule} />
    `,
  },
  {
    key: "state",
    title: "State",
    hint: "Bots and hosts by state; at most five seconds old",
    sort: ({ states }) => states.firing * 1e6 + states.pending,
    render: ({ states }) => html`<${States} states=${states} />`,
  },
  {
    key: "day",
    title: "24 h",
    hint: "Alerts in the last 24 hours",
    numeric: true,
    hideOnPhone: true,
    sort: ({ fired }) => fired.day,
    render: ({ fired }) => whole(fired.day),
  },
  {
    key: "week",
    title: "7 d",
    hint: "Alerts in the last 7 days",
    numeric: true,
    hideOnPhone: true,
    sort: ({ fired }) => fired.week,
    render: ({ fired }) => whole(fired.week),
  },
  {
    key: "month",
    title: "30 d",
    hint: "Alerts in the last 30 days",
    numeric: true,
    sort: ({ fired }) => fired.month,
    render: ({ fired }) => whole(fired.month),
  },
  {
    key: "applies",
    title: "Applies to",
    class: "nowrap",
    hideOnPhone: true,
    render: ({ bots, labels }) =>
      [...bots, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)].join(" ") || "all",
  },
  {
    key: "place",
    title: "Configured in",
    hideOnPhone: true,
    render: ({ place }) => (place ? html`<${Place} place=${place} />` : html`<span class="quiet">built in</span>`),
  },
];
