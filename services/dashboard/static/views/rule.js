// One rule: its condition, how it stands on each bot and host, what mutes it, and a trial on the past.

import { hasAlertChange, useApi } from "../app/api.js";
import { whole } from "../app/format.js";
import { href, Link, useQuery } from "../app/router.js";
import { now, useTick } from "../app/store.js";
import { Empty, Loaded } from "../components/feedback.js";
import { SearchField, SelectField } from "../components/fields.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { Place } from "../components/place.js";
import { RuleTrial, Subject, subjectKey } from "../components/rule_trial.js";
import { Severity, StatusDot, Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Duration, Time } from "../components/time.js";
import { html } from "../vendor/preact/preact.js";
import { States, Warnings } from "./rules.js";

const REFRESH_MS = 5_000;

export default function Rule({ params: { name } }) {
  const answer = useApi(`/rules/${encodeURIComponent(name)}`, { every: REFRESH_MS, on: hasAlertChange });
  const place = answer.data && (answer.data.place ? html`<${Place} place=${answer.data.place} />` : "built in");
  return html`
    <${Page} title=${`Rule ${name}`} about=${place}>
      <${Loaded} from=${answer} what="The rule">
        ${(rule) => html`
          <${Condition} rule=${rule} />
          <${Subjects} rule=${rule} />
          <${RuleTrial} rule=${rule} />
        `}
      </${Loaded}>
    </${Page}>
  `;
}

function Condition({ rule }) {
  const { levels, category, bots, labels, runbook, keepFiringFor, fired, written, mutes, states, description } = rule;
  const applies = [...bots, ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join(" ");
  const facts = [
    ["State", html`<${States} states=${states} />`],
    ["Applies to", applies || "all"],
    ["Keeps firing for", keepFiringFor ?? "–"],
    ["Category", category],
    ["Alerts in 24 h, 7 d, 30 d", `${whole(fired.day)}, ${whole(fired.week)}, ${whole(fired.month)}`],
    [
      "Runbook",
      runbook
        ? html`<a href=${runbook.includes("://") ? runbook : href(`/runbooks/${runbook}`)}>${runbook}</a>`
        : "none",
    ],
  ];
  return html`
    <${Panel} title="Condition" actions=${html`<${Link} class="button plain small" to=${`/alerts?rule=${encodeURIComponent(rule.name)}&status=all`}>Its alerts</${Link}>`}>
      ${levels.map((line) => html`<p class="rule-level" key=${line}>${line}</p>`)}
      <${Warnings} rule=${rule} />
      <${Facts} facts=${facts} />
      <p class="quiet">Message: ${description}</p>
      ${mutes.length > 0 && html`<${Mutes} mutes=${mutes} />`}
      <details><summary>As written</summary><pre tabindex="0">${written}</pre></details>
    </${Panel}>
  `;
}

const Mutes = ({ mutes }) => html`
  <h3>Mutes</h3>
  <ul class="plain-list">
    ${mutes.map(
      ({ name, silence, place, isActive, nextChangeAt }) => html`
        <li key=${silence ?? place.path}>
          <${Tag} tone=${isActive ? "medium" : "none"}>${isActive ? "active" : "not now"}</${Tag}>
          ${silence ? " silence " : " maintenance window "}${name}, ${isActive ? "until" : "from"} <${Time} at=${nextChangeAt} full />
          ${place && html` <${Place} place=${place} />`}
        </li>
      `,
    )}
  </ul>
`;

const STATE_CHOICES = [["", "All states"], "firing", "pending", "ok", "no data"];
const TONES = { firing: "critical", pending: "medium", ok: "good", "no data": "none" };

function Subjects({ rule }) {
  const [query, setQuery] = useQuery();
  const { subjectStates, subjectsLeftOut } = rule;
  const wanted = (query.q ?? "").toLowerCase();
  const rows = subjectStates.filter(
    (one) =>
      (!query.state || one.state === query.state) &&
      (!wanted || [one.bot ?? one.host, ...Object.values(one.labels)].join(" ").toLowerCase().includes(wanted)),
  );
  return html`
    <${Panel} title="State by bot and host" about="At most five seconds old">
      <div class="filters">
        <${SearchField} label="Search bots and hosts" value=${query.q} onSearch=${(q) => setQuery({ q })} />
        <${SelectField} label="State" seen=${false} value=${query.state} choices=${STATE_CHOICES} onChange=${(state) => setQuery({ state })} />
      </div>
      <${Table} caption="State by bot and host, the most urgent first" columns=${SUBJECT_COLUMNS} rows=${rows} keyOf=${subjectKey} sort=${query.sort ?? ""} onSort=${(sort) => setQuery({ sort })} empty=${subjectStates.length ? "None matches the filters." : html`<${NoData} rule=${rule} />`} />
      ${subjectsLeftOut > 0 && html`<p class="quiet">and ${whole(subjectsLeftOut)} more, less urgent.</p>`}
    </${Panel}>
  `;
}

const NoData = ({ rule: { figures } }) =>
  html`<${Empty}>No value of <code>${figures.join(", ")}</code> has arrived yet from a bot or host that the rule applies to.</${Empty}>`;

const SUBJECT_COLUMNS = [
  {
    key: "name",
    title: "Bot or host",
    sort: ({ bot, host }) => bot ?? host,
    render: (row) => html`<${Subject} ...${row} />`,
  },
  {
    key: "state",
    title: "State",
    class: "nowrap",
    render: ({ state, alert, mutedBy }) => html`
      <${StatusDot} status=${state} tone=${TONES[state]} />
      ${alert && html` <${Link} to=${`/alerts/${encodeURIComponent(alert)}`}>alert</${Link}>`}
      ${mutedBy && html` <${Tag} title=${mutedBy}>muted</${Tag}>`}
    `,
  },
  {
    key: "value",
    title: "Value",
    numeric: true,
    sort: ({ value }) => value,
    render: ({ valueText }) => valueText ?? "–",
  },
  {
    key: "limit",
    title: "Limit",
    numeric: true,
    hideOnPhone: true,
    render: ({ limitText, severity }) =>
      html`${limitText ?? "–"}${severity && html` <${Severity} value=${severity} />`}`,
  },
  {
    key: "since",
    title: "Since",
    class: "nowrap",
    hideOnPhone: true,
    sort: ({ since }) => Date.parse(since ?? ""),
    render: ({ since }) => html`<${Age} at=${since} none="–" />`,
  },
  { key: "next", title: "Next", render: (row) => html`<${Next} ...${row} />` },
];

/** When a pending alert fires, or one whose value is normal again resolves. */
function Next({ state, firesAt, resolvesAt, text }) {
  useTick();
  const left = (at) => html`<${Duration} s=${Math.max(0, (Date.parse(at) - now()) / 1000)} />`;
  if (state === "pending") return html`fires in ${left(firesAt)}`;
  if (resolvesAt) return html`resolves in ${left(resolvesAt)}`;
  return text ? html`<span class="quiet">${text}</span>` : "–";
}
