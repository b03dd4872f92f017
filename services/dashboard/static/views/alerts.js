// Alerts: the open ones, those that need attention first; and the history, with filters.

import { useLiveAlerts } from "../app/alerts.js";
import { apiUrl, hasAlertChange, queryString } from "../app/api.js";
import { count } from "../app/format.js";
import { useListKeys } from "../app/keys.js";
import { usePages } from "../app/pages.js";
import { can } from "../app/preferences.js";
import { useQuery } from "../app/router.js";
import { isBefore, now } from "../app/store.js";
import { AcknowledgeDialog } from "../components/acknowledge_dialog.js";
import { AlertRow, bySeverity, isOpen, needsAttention, SEVERITIES } from "../components/alert_row.js";
import { Empty, Loading, Problem } from "../components/feedback.js";
import { Choices, rangeMs, SearchField, SelectField, TimeRange } from "../components/fields.js";
import { KeysHelp } from "../components/keys_help.js";
import { Page, Panel } from "../components/layout.js";
import { matchersOf } from "../components/matchers.js";
import { describeEnd, SilenceDialog } from "../components/silence_dialog.js";
import { html, useMemo, useRef, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 15_000;
const MAX_OPEN = 1000;
const MAX_SHOWN = 100; // until "Show all" is pressed
const CATEGORIES = ["PERFORMANCE", "RESOURCE", "CONNECTIVITY", "SECURITY"];
const DEFAULT_RANGE = "7d";
const MINUTE_MS = 60_000;
const NAMED = ["component", "bot", "host", "rule", "label"];
const KEYS = [
  ["j or ↓", "next alert"],
  ["k or ↑", "previous alert"],
  ["Enter", "open the alert"],
  ["a", "acknowledge it, or those that are selected"],
  ["s", "silence it, or those that are selected"],
  ["x", "select it"],
  ["?", "this help"],
];

export default function Alerts() {
  const [query, setQuery] = useQuery();
  const isHistory = query.show === "history";
  const choose = (show) => setQuery({ show, status: null, range: null, from: null, to: null }, { push: true });
  const actions = html`
    <${Choices} label="Which alerts" value=${isHistory ? "history" : ""} onChange=${choose} choices=${[["", "Open"], ["history", "History"]]} />
  `;
  return html`
    <${Page} title="Alerts" actions=${actions}>
      <${isHistory ? History : Open} query=${query} setQuery=${setQuery} />
    </${Page}>
  `;
}

/** Return the parameters of the API that the filters mean. */
const filtersOf = ({ severity, category, text, component, bot, host, rule, label }) => ({
  ...{ severity, category, text, component, bot, host, rule, label },
});

const isLater = (alert, other) =>
  isBefore(alert.timestamp, other.timestamp) || (alert.timestamp === other.timestamp && alert.id < other.id);

/* ---------- Open ---------- */

/** Whether somebody has it, or nobody is notified; of a resolved one, whether that was so. */
const isHandled = ({ assignee, details }) => Boolean(assignee || details.mutedBy);

function Open({ query, setQuery }) {
  const path = `/alerts${queryString({ ...filtersOf(query), status: "ACTIVE,ACKNOWLEDGED", limit: MAX_OPEN })}`;
  const pages = usePages(path, { every: REFRESH_MS, on: hasAlertChange, isAfter: isLater });
  const [alerts, remember] = useLiveAlerts(pages.items, { keepResolved: true });
  const sorted = (alerts ?? []).toSorted(bySeverity);
  const [triggered, handled] = [sorted.filter((alert) => !isHandled(alert)), sorted.filter(isHandled)];
  const work = useWork(sorted, (changed) => {
    remember(changed);
    pages.refresh();
  });
  return html`
    <${Filters} ...${{ query, setQuery, alerts: sorted, csv: path }} />
    <${Problems} pages=${pages} />
    ${alerts === null && !pages.error && html`<${Loading} />`}
    ${
      alerts !== null &&
      html`
        <div ref=${work.list} class="alert-lists">
          <${Panel} title="Need attention" about=${count(triggered.filter(needsAttention).length, "alert")} actions=${html`<${Bulk} alerts=${sorted} work=${work} />`}>
            ${triggered.length === 0 ? html`<${Empty}>${isFiltered(query) ? "No open alert that matches the filters needs attention." : "Nothing needs attention."}</${Empty}>` : html`<${List} alerts=${triggered} work=${work} label="Alerts that need attention" />`}
          </${Panel}>
          ${
            handled.length > 0 &&
            html`<${Panel} title="Acknowledged or muted" about=${count(handled.filter(isOpen).length, "alert")}>
              <${List} alerts=${handled} work=${work} label="Acknowledged or muted alerts" />
            </${Panel}>`
          }
        </div>
      `
    }
    ${work.dialogs}
  `;
}

/* ---------- History ---------- */

function History({ query, setQuery }) {
  const range = query.range ?? DEFAULT_RANGE;
  const since = useMemo(() => {
    if (query.from || range === "all") return query.from ?? null;
    return new Date(Math.floor((now() - rangeMs(range)) / MINUTE_MS) * MINUTE_MS).toISOString();
  }, [query.from, range]);
  const wanted = queryString({ ...filtersOf(query), status: query.status, from: since, to: query.to });
  const pages = usePages(`/alerts${wanted}`, { every: REFRESH_MS * 2, on: hasAlertChange, isAfter: isLater });
  const [alerts, remember] = useLiveAlerts(pages.items);
  const work = useWork(alerts ?? [], remember);
  return html`
    <${Filters} ...${{ query, setQuery, alerts: alerts ?? [], csv: `/alerts${wanted}` }}>
      <${SelectField} seen=${false} label="Status" value=${query.status ?? ""} onChange=${(status) => setQuery({ status })} choices=${[["", "Any status"], ["ACTIVE,ACKNOWLEDGED", "Open"], ["ACKNOWLEDGED", "Acknowledged"], ["RESOLVED", "Resolved"]]} />
      ${!query.from && !query.to && html`<${TimeRange} value=${range} onChange=${(value) => setQuery({ range: value })} choices=${[["24h", "24 h"], ["7d", "7 d"], ["30d", "30 d"], ["90d", "90 d"], ["all", "All"]]} />`}
    </${Filters}>
    <${Problems} pages=${pages} />
    ${alerts === null && !pages.error && html`<${Loading} />`}
    ${
      alerts !== null &&
      html`
        <div ref=${work.list} class="alert-lists">
          <${Panel} title="History" about="newest first" actions=${html`<${Bulk} alerts=${alerts} work=${work} />`}>
            ${alerts.length === 0 ? html`<${Empty}>No alert opened in this time that matches the filters.</${Empty}>` : html`<${List} alerts=${alerts} work=${work} label="Alerts, newest first" all />`}
            ${pages.hasMore && html`<p class="more"><button type="button" class="plain" onClick=${pages.more}>Load more</button></p>`}
          </${Panel}>
        </div>
      `
    }
    ${work.dialogs}
  `;
}

/* ---------- Filters ---------- */

const isFiltered = (query) => ["severity", "category", "text", ...NAMED].some((name) => query[name]);

function Filters({ query, setQuery, alerts, csv, children }) {
  const chosen = (query.severity ?? "").split(",").filter(Boolean);
  const toggle = (severity) => {
    const next = SEVERITIES.filter((one) => (one === severity) !== chosen.includes(one));
    setQuery({ severity: next.length === SEVERITIES.length ? null : next.join(",") });
  };
  return html`
    <div class="filters" role="search" aria-label="Filter the alerts">
      <${SearchField} label="Filter by text" value=${query.text ?? ""} onSearch=${(text) => setQuery({ text })} />
      <div class="choices" role="group" aria-label="Severity">
        ${SEVERITIES.map((severity) => html`<button type="button" key=${severity} aria-pressed=${String(chosen.includes(severity))} onClick=${() => toggle(severity)}>${severity}</button>`)}
      </div>
      <${SelectField} seen=${false} label="Category" value=${query.category ?? ""} onChange=${(category) => setQuery({ category })} choices=${[["", "Any category"], ...CATEGORIES]} />
      <${Known} name="component" none="Any bot or host" ...${{ query, setQuery }} values=${alerts.map(({ component }) => component)} />
      <${Known} name="rule" none="Any rule" ...${{ query, setQuery }} values=${alerts.map(({ details }) => details.rule)} />
      ${children}
      <a class="button plain small" href=${`${apiUrl(csv)}${csv.includes("?") ? "&" : "?"}format=csv`} download>CSV</a>
    </div>
    <${Chips} ...${{ query, setQuery }} />
  `;
}

/** A choice among the values of what is listed. */
function Known({ name, none, query, setQuery, values }) {
  const known = [...new Set([...values, query[name]].filter(Boolean))].sort();
  return html`<${SelectField} seen=${false} label=${none.replace("Any ", "").replace(/^./, (first) => first.toUpperCase())} value=${query[name] ?? ""} onChange=${(value) => setQuery({ [name]: value })} choices=${[["", none], ...known]} />`;
}

/** Filters that came with the address and have no field. */
function Chips({ query, setQuery }) {
  const shown = ["bot", "host", "label", "from", "to"].filter((name) => query[name]);
  if (!shown.length) return null;
  return html`
    <p class="chips">
      ${shown.map((name) => html`<span key=${name} class="chip">${name}: <strong>${query[name]}</strong> <button type="button" class="plain small" aria-label=${`Remove the filter ${name}`} onClick=${() => setQuery({ [name]: null })}>✕</button></span>`)}
    </p>
  `;
}

const Problems = ({ pages: { error, items } }) =>
  error && items === null && html`<${Problem} error=${error}>The alerts could not be loaded:</${Problem}>`;

/* ---------- The list, and what is done with it ---------- */

function List({ alerts, work, label, all = false }) {
  const [isAll, setAll] = useState(all);
  const shown = isAll ? alerts : alerts.slice(0, MAX_SHOWN);
  return html`
    <ul class="alerts" aria-label=${label}>
      ${shown.map((alert) => html`<${AlertRow} key=${alert.id} alert=${alert} isSelected=${work.picked.has(alert.id)} onSelect=${can("operate") ? work.select : undefined} onAcknowledge=${work.acknowledge} onSilence=${work.silence} />`)}
    </ul>
    ${shown.length < alerts.length && html`<p class="more"><button type="button" class="plain" onClick=${() => setAll(true)}>Show all ${alerts.length}</button></p>`}
  `;
}

/** The selection, the dialogs and the keys of a list of alerts; `onChanged(alerts)` is called after a change. */
function useWork(alerts, onChanged) {
  const list = useRef(null);
  const [picked, setPicked] = useState(() => new Set());
  const [dialog, setDialog] = useState(null); // { kind, alerts }
  const [said, setSaid] = useState("");
  const selected = alerts.filter((alert) => picked.has(alert.id) && isOpen(alert));
  const close = () => setDialog(null);
  const open = (kind, chosen) => chosen.length && setDialog({ kind, alerts: chosen });
  const finish = (changed, text) => {
    onChanged(changed);
    setSaid(text);
    setPicked(new Set());
    focusAfter(list, dialog.alerts);
  };
  const select = ({ id }, isSelected) =>
    setPicked((last) => new Set(isSelected ? [...last, id] : [...last].filter((one) => one !== id)));
  const targets = (id, isWanted) =>
    (selected.length ? selected : alerts.filter((one) => one.id === id)).filter(isWanted);
  const active = ({ status }) => status === "ACTIVE";
  const keys = {
    "?": () => setDialog({ kind: "help", alerts: [] }),
    ...(can("operate") && {
      a: (id) => open("acknowledge", targets(id, active)),
      s: (id) => open("silence", targets(id, isOpen)),
      x: (id) => alerts.some((one) => one.id === id && isOpen(one)) && select({ id }, !picked.has(id)),
    }),
  };
  useListKeys(list, keys);
  return {
    ...{ list, picked, selected, select, setPicked, said },
    acknowledge: (alert) => open("acknowledge", [alert]),
    silence: (alert) => open("silence", [alert]),
    acknowledgeSelected: () => open("acknowledge", selected.filter(active)),
    silenceSelected: () => open("silence", selected),
    help: keys["?"],
    dialogs: html`
      ${dialog?.kind === "acknowledge" && html`<${AcknowledgeDialog} alerts=${dialog.alerts} onDone=${finish} onClose=${close} />`}
      ${dialog?.kind === "silence" && html`<${SilenceDialog} matchers=${matchersOf(dialog.alerts)} chosen=${dialog.alerts} onDone=${(silence) => finish([], `Silenced ${describeEnd(silence)}.`)} onClose=${close} />`}
      ${dialog?.kind === "help" && html`<${KeysHelp} keys=${KEYS} onClose=${close} />`}
    `,
  };
}

/** Move the focus to the alert after those that were `handled`: their rows move to the other list. */
function focusAfter(list, handled) {
  const ids = new Set(handled.map(({ id }) => id));
  const rows = [...list.current.querySelectorAll("[data-id]")];
  const first = rows.findIndex(({ dataset }) => ids.has(dataset.id));
  const isNext = (row) => !ids.has(row.dataset.id) && row.parentElement === rows[first]?.parentElement;
  const next = rows.slice(first + 1).find(isNext) ?? rows.findLast(isNext);
  setTimeout(() => {
    const left = [...(list.current?.querySelectorAll("[data-id]") ?? [])];
    const row = left.find(({ dataset }) => dataset.id === (next?.dataset.id ?? handled[0].id));
    (row?.querySelector("a") ?? document.querySelector("h1")).focus();
  });
}

/** Select all, and what can be done with those that are selected. It has its place even when it is empty. */
function Bulk({ alerts, work }) {
  const { selected, setPicked, said } = work;
  if (!can("operate")) return null;
  const open = alerts.filter(isOpen);
  const isAll = selected.length > 0 && selected.length === open.length;
  return html`
    <span class="said quiet" role="status">${selected.length ? `${selected.length} selected` : said}</span>
    <button type="button" class="small" disabled=${!selected.some(({ status }) => status === "ACTIVE")} onClick=${work.acknowledgeSelected}>Acknowledge selected</button>
    <button type="button" class="plain small" disabled=${!selected.length} onClick=${work.silenceSelected}>Silence selected</button>
    <label class="toggle all"><input type="checkbox" checked=${isAll} disabled=${!open.length} onChange=${() => setPicked(new Set(isAll ? [] : open.map(({ id }) => id)))} />Select all</label>
    <button type="button" class="plain small wide-only" onClick=${work.help}>Keys</button>
  `;
}
