// A rule tried on the past: what to try, how far it is, and the alerts that it would have opened.

import { call, useApi } from "../app/api.js";
import { count, percent, whole } from "../app/format.js";
import { can } from "../app/preferences.js";
import { botPath, Link, useQuery } from "../app/router.js";
import { html, useEffect, useState } from "../vendor/preact/preact.js";
import { Empty, Loaded } from "./feedback.js";
import { SelectField, TextArea } from "./fields.js";
import { Facts, Panel } from "./layout.js";
import { Severity, Tag } from "./status.js";
import { Table } from "./table.js";
import { Duration, Time } from "./time.js";

const POLL_MS = 1_000;
const FIRST_SHOWN = 20; // alerts
const DAYS = [1, 7, 30, 90].map((days) => [String(days), count(days, "day")]);
const EXAMPLE = `metricName: maxDrawdown
operator: ">"
threshold: 15
severity: HIGH
for: 5m
`;

/** The form and its latest trial, whose ID is the parameter `trial`; `rule` is a loaded rule: name and condition. */
export function RuleTrial({ rule }) {
  const [query, setQuery] = useQuery();
  const written = rule?.written ?? EXAMPLE;
  const [text, setText] = useState(written);
  const [error, setError] = useState(null);
  const [isSent, setSent] = useState(false);
  useEffect(() => setText(written), [written]);
  const days = query.days ?? "30";
  const isDraft = !rule || text.trim() !== rule.written.trim();

  const start = async (event) => {
    event.preventDefault();
    setSent(true);
    try {
      const what = isDraft ? { draft: text } : { rule: rule.name };
      const trial = await call("POST", "/rules/try", { ...what, days: Number(days) });
      setError(null);
      setQuery({ trial: trial.id });
    } catch (failure) {
      setError(failure);
    } finally {
      setSent(false);
    }
  };
  return html`
    <${Panel} title="Try on the past" about="How often it would have fired, on the stored records. Nothing is changed.">
      ${
        can("operate") &&
        html`
          <form class="trial-form" onSubmit=${start}>
            <${TextArea} label="Condition, YAML or JSON" rows="9" spellcheck=${false} value=${text} onInput=${setText} />
            <div class="filters">
              <${SelectField} label="Days" seen=${false} value=${days} choices=${DAYS} onChange=${(value) => setQuery({ days: value })} />
              <button type="submit" disabled=${isSent}>${isDraft ? "Try the draft" : "Try the rule"}</button>
              ${rule && isDraft && html`<button type="button" class="plain" onClick=${() => setText(rule.written)}>As loaded</button>`}
            </div>
          </form>
        `
      }
      ${error && html`<${Faults} error=${error} />`}
      ${query.trial && html`<${Latest} key=${query.trial} id=${query.trial} />`}
    </${Panel}>
  `;
}

const Faults = ({ error }) => html`
  <div class="problem" role="alert">
    ${(error.body?.faults ?? [{ message: error.message }]).map(
      ({ path, message }, index) => html`<p key=${index}>${path && html`<code>${path}</code> `}${message}</p>`,
    )}
  </div>
`;

function Latest({ id }) {
  const [isOver, setOver] = useState(false);
  const answer = useApi(`/rules/try/${encodeURIComponent(id)}`, { every: isOver ? 0 : POLL_MS });
  const status = answer.data?.status;
  useEffect(() => setOver(Boolean(status) && status !== "waiting" && status !== "running"), [status]);
  return html`<div class="trial" aria-live="polite"><${Loaded} from=${answer} what="The trial">${(trial) => html`<${State} trial=${trial} />`}</${Loaded}></div>`;
}

function State({ trial }) {
  const { status, progress, error, result } = trial;
  if (status === "waiting") return html`<p class="quiet" role="status">Waiting for the jobs part…</p>`;
  if (status === "running") return html`<p role="status">Running: ${percent(100 * progress)} done.</p>`;
  if (!result) return html`<div class="problem" role="alert">The trial has no result: ${error}.</div>`;
  return html`<${Result} trial=${trial} result=${result} />`;
}

function Result({ trial, result }) {
  const { alerts, muted, pending, totalSeconds, longestSeconds, firstAt, lastAt } = result;
  const facts = [
    [
      "Alerts",
      html`<strong>${whole(alerts)}</strong>${muted ? html` <span class="quiet">${whole(muted)} muted throughout</span>` : ""}`,
    ],
    ["Pending, did not fire", whole(pending), "The condition held for less than `for`."],
    ["Time firing", html`<${Duration} s=${totalSeconds} />`],
    ["Longest", html`<${Duration} s=${longestSeconds} />`],
    ["First", html`<${Time} at=${firstAt} full />`],
    ["Last", html`<${Time} at=${lastAt} full />`],
  ];
  return html`
    <h3>${trial.isDraft ? "Draft" : "Rule"} ${trial.rule}, last ${count(trial.days, "day")}</h3>
    <${Facts} facts=${facts} />
    <${Coverage} result=${result} />
    ${alerts || pending ? html`<${Subjects} result=${result} /><${Alerts} result=${result} />` : html`<${Empty}>It would not have fired.</${Empty}>`}
  `;
}

/** From when on the answer holds, and what it cannot know. */
function Coverage({ result: { from, recordsFrom, minutesUntil, pauses, records, subjectsSeen } }) {
  if (!recordsFrom)
    return html`<p class="notice">No record that the rule reads is stored: its metric has never arrived, or no bot matches.</p>`;
  return html`
    <p class="quiet">
      ${count(records, "record")} of ${count(subjectsSeen, "bot or host", "bots and hosts")} evaluated.
      ${Date.parse(recordsFrom) > Date.parse(from) && html` Records begin at <${Time} at=${recordsFrom} full />: the answer holds from then on.`}
      ${minutesUntil && html` Until <${Time} at=${minutesUntil} full /> only the last computed metrics of each minute are stored: shorter excursions are missing.`}
      ${pauses > 0 && html` Botwatch was down ${pauses === 1 ? "once" : `${whole(pauses)} times`}, which counts as no absence.`}
    </p>
  `;
}

/** A bot or host with its labels; of a bot, a link. */
export const Subject = ({ bot, host, labels }) => html`
  ${bot ? html`<${Link} to=${botPath(bot)}>${bot}</${Link}>` : html`<${Link} to=${`/hosts/${encodeURIComponent(host)}`}>${host}</${Link}>`}
  ${Object.entries(labels).map(([name, value]) => html` <span class="quiet" key=${name}>${name}=${value}</span>`)}
`;

export const subjectKey = ({ bot, host, labels }) => JSON.stringify([bot, host, labels]);

const SUBJECT_COLUMNS = [
  {
    key: "name",
    title: "Bot or host",
    sort: ({ bot, host }) => bot ?? host,
    render: (row) => html`<${Subject} ...${row} />`,
  },
  {
    key: "alerts",
    title: "Alerts",
    numeric: true,
    sort: ({ alerts }) => alerts,
    render: ({ alerts, isOpen }) => html`${whole(alerts)}${isOpen && html` <${Tag} tone="high">open</${Tag}>`}`,
  },
  {
    key: "pending",
    title: "Pending only",
    numeric: true,
    hideOnPhone: true,
    sort: ({ pending }) => pending,
    render: ({ pending }) => whole(pending),
  },
  {
    key: "total",
    title: "Time firing",
    numeric: true,
    sort: ({ totalSeconds }) => totalSeconds,
    render: ({ totalSeconds }) => html`<${Duration} s=${totalSeconds} />`,
  },
  {
    key: "longest",
    title: "Longest",
    numeric: true,
    hideOnPhone: true,
    sort: ({ longestSeconds }) => longestSeconds,
    render: ({ longestSeconds }) => html`<${Duration} s=${longestSeconds} />`,
  },
  {
    key: "first",
    title: "First",
    hideOnPhone: true,
    sort: ({ firstAt }) => Date.parse(firstAt ?? ""),
    render: ({ firstAt }) => html`<${Time} at=${firstAt} full />`,
  },
  {
    key: "last",
    title: "Last",
    sort: ({ lastAt }) => Date.parse(lastAt ?? ""),
    render: ({ lastAt }) => html`<${Time} at=${lastAt} full />`,
  },
];

function Subjects({ result: { subjects, subjectsLeftOut } }) {
  const [sort, setSort] = useState("-total");
  return html`
    <${Table} caption="Alerts by bot or host" columns=${SUBJECT_COLUMNS} rows=${subjects} keyOf=${subjectKey} sort=${sort} onSort=${setSort} />
    ${subjectsLeftOut > 0 && html`<p class="quiet">and ${whole(subjectsLeftOut)} more.</p>`}
  `;
}

const ALERT_COLUMNS = [
  { key: "opened", title: "Opened", class: "nowrap", render: ({ openedAt }) => html`<${Time} at=${openedAt} full />` },
  { key: "name", title: "Bot or host", render: (row) => html`<${Subject} ...${row} />` },
  {
    key: "severity",
    title: "Severity",
    render: ({ severity, isMuted }) =>
      html`<${Severity} value=${severity} />${isMuted && html` <${Tag} title="A silence or maintenance window would have kept back its notifications.">muted</${Tag}>`}`,
  },
  { key: "value", title: "Value", numeric: true, hideOnPhone: true, render: ({ valueText }) => valueText ?? "–" },
  {
    key: "lasted",
    title: "Lasted",
    numeric: true,
    render: ({ openedAt, resolvedAt }) =>
      resolvedAt ? html`<${Duration} s=${(Date.parse(resolvedAt) - Date.parse(openedAt)) / 1000} />` : "open now",
  },
];

function Alerts({ result: { list, listLeftOut } }) {
  const [isWhole, setWhole] = useState(false);
  if (!list.length) return null;
  const shown = isWhole ? list : list.slice(0, FIRST_SHOWN);
  return html`
    <h3>Alerts, newest first</h3>
    <${Table} caption="Alerts that would have opened" columns=${ALERT_COLUMNS} rows=${shown} keyOf=${(row) => row.openedAt + subjectKey(row)} />
    ${list.length > shown.length && html`<p><button type="button" class="plain" onClick=${() => setWhole(true)}>Show all ${whole(list.length)}</button></p>`}
    ${isWhole && listLeftOut > 0 && html`<p class="quiet">and ${whole(listLeftOut)} older ones.</p>`}
  `;
}

/** The path of a rule's view. */
export const rulePath = (name) => `/rules/${encodeURIComponent(name)}`;
