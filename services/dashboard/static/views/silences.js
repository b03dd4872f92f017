// Silences and maintenance: what mutes alerts now, in the coming days, and by which file.

import { apiUrl, call, queryString, useApi } from "../app/api.js";
import { count, date, dateAndTime, dayAndTime, duration } from "../app/format.js";
import { usePages } from "../app/pages.js";
import { can } from "../app/preferences.js";
import { useQuery } from "../app/router.js";
import { isBefore, now } from "../app/store.js";
import { FormDialog } from "../components/dialog.js";
import { Empty, Loaded, Loading, Problem } from "../components/feedback.js";
import { Choices } from "../components/fields.js";
import { focusHeading, Page, Panel } from "../components/layout.js";
import { Matchers, matcherText } from "../components/matchers.js";
import { MuteCalendar } from "../components/mute_calendar.js";
import { describeEnd, SilenceDialog } from "../components/silence_dialog.js";
import { StatusDot, Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useMemo, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 15_000;
const DAY_MS = 86_400_000;
const SPANS = [
  ["7", "7 days"],
  ["14", "14 days"],
  ["31", "31 days"],
];
const TONES = { active: "medium", pending: "low", expired: "none" };
const NEW = { matchers: [{ name: "", value: "", isRegex: false, isEqual: true }] };

const isMuteChange = (messages) => messages.some(({ change }) => change === "muted" || change === "unmuted");
const endsEarlier = (one, other) =>
  isBefore(one.endsAt, other.endsAt) || (one.endsAt === other.endsAt && one.id < other.id);

export default function Silences() {
  const [query, setQuery] = useQuery();
  const [dialog, setDialog] = useState(null); // { kind: "edit" | "end", silence }
  const [said, setSaid] = useState("");
  const isExpired = query.show === "expired";
  const path = `/silences?state=${isExpired ? "expired" : "active,pending"}`;
  const pages = usePages(path, { every: REFRESH_MS, on: isMuteChange, isAfter: endsEarlier });
  const days = SPANS.some(([value]) => value === query.days) ? query.days : "14";
  const begin = useMemo(() => new Date(new Date(now()).setHours(0, 0, 0, 0)), [days]);
  const end = new Date(begin.getTime() + Number(days) * DAY_MS);
  const calendar = useApi(`/maintenance${queryString({ from: begin.toISOString(), to: end.toISOString() })}`, {
    every: REFRESH_MS * 2,
  });
  const finish = (text) => {
    setSaid(text);
    pages.refresh();
    calendar.refresh();
  };
  const create = html`<button type="button" onClick=${() => setDialog({ kind: "edit", silence: null })}>New silence</button>`;
  return html`
    <${Page} title="Silences and maintenance" about="What keeps alerts from being notified. Muted alerts still open, resolve, and are shown." actions=${can("operate") && create}>
      <p class="said" role="status">${said}</p>
      <${List} ...${{ pages, isExpired, setQuery, open: setDialog, csv: path }} />
      <${Panel} title="Calendar" about=${calendar.data && `${date(calendar.data.from)} to ${date(calendar.data.to)}`} actions=${html`<${Choices} label="Span of the calendar" value=${days} onChange=${(value) => setQuery({ days: value })} choices=${SPANS} />`}>
        <${Loaded} from=${calendar} what="The calendar">${(data) => html`<${MuteCalendar} ...${data} />`}</${Loaded}>
      </${Panel}>
      ${calendar.data && html`<${Configured} ...${calendar.data} />`}
      <${Dialogs} dialog=${dialog} close=${() => setDialog(null)} finish=${finish} />
    </${Page}>
  `;
}

function Dialogs({ dialog, close, finish }) {
  if (!dialog) return null;
  const { kind, silence } = dialog;
  if (kind === "end") return html`<${EndDialog} silence=${silence} onDone=${finish} onClose=${close} />`;
  const given = silence ? { silence } : NEW;
  const text = (stored) => `${silence && kind === "edit" ? "Saved: silenced" : "Silenced"} ${describeEnd(stored)}.`;
  return html`<${SilenceDialog} ...${given} onDone=${(stored) => finish(text(stored))} onClose=${close} />`;
}

function EndDialog({ silence, onDone, onClose }) {
  const submit = async (by) => {
    await call("DELETE", `/silences/${encodeURIComponent(silence.id)}${queryString({ by })}`);
    onDone("The silence has ended. Alerts that it muted notify again.");
    focusHeading();
  };
  return html`
    <${FormDialog} title="End the silence" about="Open alerts that it mutes notify again at once." submit="End it" onSubmit=${submit} onClose=${onClose}>
      <p><${Matchers} matchers=${silence.matchers} /></p>
    </${FormDialog}>
  `;
}

/* ---------- Silences ---------- */

const COLUMNS = [
  {
    key: "matchers",
    title: "Alerts that match",
    render: ({ matchers, status }) => html`
      <${Matchers} matchers=${matchers} />
      ${status.error && html`<p class="fault">Matches nothing: ${status.error}</p>`}
    `,
  },
  {
    key: "when",
    title: "When",
    class: "nowrap",
    render: ({ startsAt, endsAt, status: { state } }) => html`
      <${StatusDot} status=${state} tone=${TONES[state]} />${state === "active" && html` <span class="quiet">${duration((Date.parse(endsAt) - now()) / 1000)} left</span>`}<br />
      <span title=${`${dateAndTime(startsAt)} to ${dateAndTime(endsAt)}`}>${dayAndTime(startsAt)} to ${dayAndTime(endsAt)}</span>
    `,
  },
  {
    key: "who",
    title: "By",
    class: "person",
    hideOnPhone: true,
    render: ({ createdBy, createdAt, endedBy }) => html`
      ${createdBy}<br /><span class="quiet"><${Age} at=${createdAt} /></span>
      ${endedBy && html`<br /><span class="quiet">ended by ${endedBy}</span>`}
    `,
  },
  { key: "comment", title: "Comment", hideOnPhone: true, render: ({ comment }) => comment || "–" },
];

function List({ pages, isExpired, setQuery, open, csv }) {
  const { items, error, hasMore, more } = pages;
  const buttons = {
    key: "do",
    title: "Actions",
    class: "nowrap",
    render: (silence) => html`<${Buttons} ...${{ silence, open }} />`,
  };
  const actions = html`
    <${Choices} label="Which silences" value=${isExpired ? "expired" : ""} onChange=${(show) => setQuery({ show })} choices=${[["", "Now and to come"], ["expired", "Expired"]]} />
    <a class="button plain small" href=${`${apiUrl(csv)}&format=csv`} download>CSV</a>
  `;
  const empty = isExpired
    ? "No silence has expired yet."
    : "No silence is active or to come. Silence an alert from the list of alerts, or make one here.";
  return html`
    <${Panel} title="Silences" class="silences" about=${items && count(items.length, "silence")} actions=${actions}>
      ${items === null && (error ? html`<${Problem} error=${error}>The silences could not be loaded:</${Problem}>` : html`<${Loading} />`)}
      ${items && html`<${Table} caption="Silences" columns=${can("operate") ? [...COLUMNS, buttons] : COLUMNS} rows=${items} keyOf=${({ id }) => id} empty=${empty} />`}
      ${hasMore && html`<p class="more"><button type="button" class="plain" onClick=${more}>Load more</button></p>`}
    </${Panel}>
  `;
}

function Buttons({ silence, open }) {
  const about = silence.matchers.map(matcherText).join(", ");
  const button = (kind, text) =>
    html`<button type="button" class="plain small" aria-label=${`${text} the silence of ${about}`} onClick=${() => open({ kind, silence })}>${text}</button>`;
  return html`<span class="actions">${silence.status.state === "expired" ? button("again", "Repeat") : [button("edit", "Edit"), button("end", "End")]}</span>`;
}

/* ---------- What is configured ---------- */

const describeMatch = (match) => {
  const conditions = Object.entries(match).map(([name, value]) => `${name}: ${[value].flat().join(" or ")}`);
  return conditions.join(", ") || "all alerts";
};

const PLACE = {
  key: "place",
  title: "Configured in",
  hideOnPhone: true,
  render: ({ place }) => html`<code>${place.file}: ${place.path}</code>`,
};

const WINDOW_COLUMNS = [
  {
    key: "name",
    title: "Window",
    render: ({ name, activeUntil }) => html`
      <strong>${name}</strong> ${activeUntil && html`<${Tag} tone="medium">active until <${Time} at=${activeUntil} /></${Tag}>`}
    `,
  },
  { key: "match", title: "Mutes", render: ({ match }) => describeMatch(match) },
  {
    key: "when",
    title: "When",
    render: ({ cron, durationSeconds, timeZone, from, until }) =>
      cron
        ? html`<code class="nowrap">${cron}</code> for ${duration(durationSeconds)}, ${timeZone}`
        : `${dateAndTime(from)} to ${dateAndTime(until)}`,
  },
  PLACE,
];

const INHIBITION_COLUMNS = [
  { key: "source", title: "While this is open", render: ({ source }) => describeMatch(source) },
  { key: "target", title: "these are muted", render: ({ target }) => describeMatch(target) },
  { key: "equal", title: "if these labels agree", render: ({ equal }) => equal.join(", ") || "–" },
  PLACE,
];

const Configured = ({ windows, inhibitions }) => html`
  <${Panel} title="Maintenance windows" about="configured, read-only">
    ${windows.length === 0 && html`<${Empty}>None. Add planned times under <code>maintenance</code> in <code>notifications.yml</code>, and reload the configuration.</${Empty}>`}
    ${windows.length > 0 && html`<${Table} caption="Maintenance windows" columns=${WINDOW_COLUMNS} rows=${windows} keyOf=${({ place }) => place.path} />`}
  </${Panel}>
  ${
    inhibitions.length > 0 &&
    html`<${Panel} title="Inhibitions" about="configured, read-only">
      <${Table} caption="Inhibitions" columns=${INHIBITION_COLUMNS} rows=${inhibitions} keyOf=${({ place }) => place.path} />
    </${Panel}>`
  }
`;
