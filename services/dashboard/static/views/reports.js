// Reports: those that are kept, one that is asked for now, and those by schedule.

import { apiUrl, call, readPage, useApi } from "../app/api.js";
import { bytes, isDefined } from "../app/format.js";
import { can, timeZone } from "../app/preferences.js";
import { Link, navigate } from "../app/router.js";
import { FormDialog } from "../components/dialog.js";
import { Empty, Loaded, Problem } from "../components/feedback.js";
import { fromInput, SelectField, TextField, Toggle } from "../components/fields.js";
import { focusHeading, Page, Panel } from "../components/layout.js";
import { StatusDot, Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useState } from "../vendor/preact/preact.js";

const IDLE_MS = 15_000;
const BUSY_MS = 1_500;
const PERIODS = [
  ["daily", "Last complete day"],
  ["weekly", "Last complete week"],
  ["monthly", "Last complete month"],
  ["custom", "From … to …"],
];
const KINDS = [
  ["monitoring", "Everything"],
  ["performance", "Trading only"],
];
const WORDS = { pending: "waiting", running: "being built", done: "built", failed: "failed" };
const TONES = { pending: "medium", running: "low", done: "good", failed: "critical" };

export const isUnfinished = ({ state }) => state === "pending" || state === "running";
export const reportPath = (id) => `/reports/${encodeURIComponent(id)}`;

/** The state of a report that is asked for, in words. */
export const ReportState = ({ report: { state, error } }) => html`
  <${StatusDot} status=${state} label=${WORDS[state]} tone=${TONES[state]} />${error && html` <span class="quiet">${error}</span>`}
`;

/** The files of a report; the page opens in a tab of its own. */
export const Downloads = ({ report: { reportId, bytes: sizes, title } }) => html`
  <span class="downloads">
    ${["html", "pdf", "json"]
      .filter((form) => isDefined(sizes[form]))
      .map(
        (form) => html`
          <a key=${form} href=${apiUrl(reportPath(reportId) + (form === "json" ? "" : `/${form}`))} target="_blank" rel="noopener"
            aria-label=${`${title} as ${form.toUpperCase()}, ${bytes(sizes[form])}`}>${form.toUpperCase()}</a>
        `,
      )}
  </span>
`;

/** Where a report was sent, and what went wrong. */
export const Deliveries = ({ report: { deliveries } }) =>
  deliveries.map(
    ({ channel, state, error }) =>
      html`<${Tag} key=${channel} tone=${{ sent: "good", failed: "critical" }[state] ?? "medium"} title=${error}>${channel}: ${state}</${Tag}> `,
  );

export default function Reports() {
  const [isAsking, setAsking] = useState(false);
  const [older, setOlder] = useState({ items: [], next: undefined });
  const [isBusy, setBusy] = useState(false);
  const answer = useApi("/reports?limit=50", { every: isBusy ? BUSY_MS : IDLE_MS });
  const unfinished = Boolean(answer.data?.some(isUnfinished));
  if (unfinished !== isBusy) setBusy(unfinished);
  const next = older.next === undefined && answer.data?.length === 50 ? "/reports?limit=50" : older.next;
  const more = async () => {
    const first = older.next === undefined ? (await readPage("/reports?limit=50")).next : older.next;
    if (!first) return setOlder({ items: older.items, next: null });
    const page = await readPage(first);
    setOlder({ items: [...older.items, ...page.items], next: page.next });
  };
  const ask = can("operate") && html`<button type="button" onClick=${() => setAsking(true)}>New report</button>`;
  return html`
    <${Page} title="Reports" about="What happened in a day, a week, a month, compared with the one before." actions=${ask}>
      <${Loaded} from=${answer} what="The reports">
        ${(reports) => html`<${Kept} reports=${[...reports, ...older.items]} refresh=${answer.refresh} />`}
      </${Loaded}>
      ${next && html`<p><button type="button" class="plain" onClick=${more}>Older reports</button></p>`}
      <${Schedules} />
      ${isAsking && html`<${AskDialog} onClose=${() => setAsking(false)} onAsked=${answer.refresh} />`}
    </${Page}>
  `;
}

function Kept({ reports, refresh }) {
  const [deleting, setDeleting] = useState(null);
  if (!reports.length)
    return html`<${Empty}>No report yet. The first by schedule comes after a whole day; “New report” makes one of any time.</${Empty}>`;
  const columns = [
    {
      key: "title",
      title: "Report",
      render: (report) =>
        html`<${Link} to=${reportPath(report.reportId)}>${report.title}</${Link}>${report.bots.length > 0 && html` <span class="quiet">${report.bots.join(", ")}</span>`}`,
    },
    { key: "state", title: "State", render: (report) => html`<${ReportState} report=${report} />` },
    {
      key: "found",
      title: "Found",
      render: ({ status, recommendations }) =>
        status &&
        html`<${StatusDot} status=${status} /> ${recommendations > 0 && html`<span class="quiet">${recommendations} to do</span>`}`,
    },
    {
      key: "by",
      title: "Asked for by",
      hideOnPhone: true,
      render: ({ schedule, requestedBy }) => (schedule ? `schedule ${schedule}` : requestedBy || "–"),
    },
    { key: "at", title: "When", render: ({ requestedAt }) => html`<${Age} at=${requestedAt} />` },
    { key: "sent", title: "Sent to", hideOnPhone: true, render: (report) => html`<${Deliveries} report=${report} />` },
    { key: "files", title: "Files", render: (report) => html`<${Downloads} report=${report} />` },
    ...(can("operate")
      ? [
          {
            key: "delete",
            title: "",
            render: (report) =>
              html`<button type="button" class="plain" aria-label=${`Delete ${report.title}`} onClick=${() => setDeleting(report)}>Delete</button>`,
          },
        ]
      : []),
  ]; // prettier-ignore
  return html`
    <${Panel} title="Kept" class="reports">
      <${Table} caption="Reports" columns=${columns} rows=${reports} keyOf=${({ reportId }) => reportId} />
    </${Panel}>
    ${deleting && html`<${DeleteDialog} report=${deleting} onClose=${() => setDeleting(null)} onDeleted=${refresh} />`}
  `;
}

/** Asks whether a report is to be deleted. */
export function DeleteDialog({ report, onClose, onDeleted }) {
  const remove = async () => {
    await call("DELETE", reportPath(report.reportId));
    onDeleted();
    focusHeading();
  };
  return html`
    <${FormDialog} title="Delete this report?" about=${`${report.title}: the page, the PDF and the figures are deleted.`}
      submit="Delete" danger onSubmit=${remove} onClose=${onClose} />
  `;
}

/** Return the parts of a comma list. */
const words = (text) =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean); // prettier-ignore

function AskDialog({ onClose, onAsked }) {
  const [asked, setAsked] = useState({
    period: "daily",
    kind: "monitoring",
    bots: "",
    zone: timeZone(),
    html: true,
    pdf: true,
  });
  const [chosen, setChosen] = useState([]);
  const channels = useApi("/channels");
  const set = (name) => (value) => setAsked({ ...asked, [name]: value });
  const submit = async (by) => {
    const isCustom = asked.period === "custom";
    const entry = await call("POST", "/reports", {
      period: asked.period,
      from: isCustom && asked.from ? fromInput(asked.from) : undefined,
      to: isCustom && asked.to ? fromInput(asked.to) : undefined,
      timeZone: asked.zone.trim() || "UTC",
      kind: asked.kind,
      bots: words(asked.bots),
      formats: ["html", "pdf"].filter((form) => asked[form]),
      channels: chosen,
      requestedBy: by,
    });
    onAsked();
    navigate(reportPath(entry.reportId));
  };
  const toggle = (name) => (isOn) => setChosen(isOn ? [...chosen, name] : chosen.filter((one) => one !== name));
  const known = (channels.data?.channels ?? []).map(({ name }) => name).filter((name) => !name.startsWith("watchdog:"));
  return html`
    <${FormDialog} title="New report" about="It takes some seconds; you can leave the page." submit="Make the report" onSubmit=${submit} onClose=${onClose}>
      <${SelectField} label="Period" value=${asked.period} onChange=${set("period")} choices=${PERIODS} />
      ${
        asked.period === "custom" &&
        html`
          <${TextField} label=${`From (${timeZone()})`} type="datetime-local" value=${asked.from ?? ""} onInput=${set("from")} />
          <${TextField} label=${`To (${timeZone()})`} optional type="datetime-local" value=${asked.to ?? ""} onInput=${set("to")} hint="Until now if it is empty." />
        `
      }
      <${SelectField} label="Contents" value=${asked.kind} onChange=${set("kind")} choices=${KINDS} />
      <${TextField} label="Bots" optional value=${asked.bots} onInput=${set("bots")} hint="Names or patterns such as scalper-*, separated by commas; all if it is empty." />
      <${TextField} label="Time zone" value=${asked.zone} onInput=${set("zone")} hint="Where days begin." />
      <fieldset>
        <legend>Files</legend>
        <${Toggle} label="Page (HTML)" checked=${asked.html} onChange=${set("html")} />
        <${Toggle} label="PDF" checked=${asked.pdf} onChange=${set("pdf")} />
      </fieldset>
      ${
        known.length > 0 &&
        html`
          <fieldset>
            <legend>Send to</legend>
            ${known.map((name) => html`<${Toggle} key=${name} label=${name} checked=${chosen.includes(name)} onChange=${toggle(name)} />`)}
          </fieldset>
        `
      }
    </${FormDialog}>
  `;
}

function Schedules() {
  const { data, error } = useApi("/reports/schedules");
  if (error) return html`<${Problem} error=${error}>The schedules could not be loaded:</${Problem}>`;
  if (!data) return null;
  const columns = [
    { key: "name", title: "Schedule", render: ({ name }) => name },
    {
      key: "period",
      title: "Period",
      render: ({ period, kind }) => `${period}${kind === "performance" ? ", trading only" : ""}`,
    },
    { key: "bots", title: "Bots", hideOnPhone: true, render: ({ bots }) => bots.join(", ") || "all" },
    { key: "at", title: "At", render: ({ at, timeZone: zone }) => `${at} ${zone}` },
    { key: "next", title: "Next", render: ({ nextAt }) => html`<${Time} at=${nextAt} full />` },
    { key: "channels", title: "Sent to", render: ({ channels }) => channels.join(", ") || "nobody" },
    {
      key: "place",
      title: "Configured in",
      hideOnPhone: true,
      render: ({ path }) => html`<code>${data.file}: ${path}</code>`,
    },
  ]; // prettier-ignore
  return html`
    <${Panel} title="By schedule" about=${`Reports are kept for ${data.retentionDays} days (${data.file}: ${data.path}.retentionDays).`}>
      <${Table} caption="Reports by schedule" columns=${columns} rows=${data.schedules} keyOf=${({ name }) => name}
        empty=${`No schedule. Add one in ${data.file} under ${data.path}.schedules.`} />
    </${Panel}>
  `;
}
