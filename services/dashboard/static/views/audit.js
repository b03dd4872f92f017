// Audit: who did what, newest first, for admins.

import { apiUrl, queryString, read, useApi } from "../app/api.js";
import { whole } from "../app/format.js";
import { useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { Change } from "../components/change.js";
import { Loaded, Problem } from "../components/feedback.js";
import { rangeMs, SearchField, SelectField } from "../components/fields.js";
import { Page, Panel } from "../components/layout.js";
import { StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { Time } from "../components/time.js";
import { html, useEffect, useMemo, useState } from "../vendor/preact/preact.js";

const PAGE = 50;
const REFRESH_MS = 15_000;
const MINUTE_MS = 60_000;
const OUTCOMES = [["", "Any outcome"], "ok", "denied", "failed"];
const RANGES = [
  ["", "Any time"],
  ["24h", "Last 24 h"],
  ["7d", "Last 7 d"],
  ["30d", "Last 30 d"],
  ["90d", "Last 90 d"],
];
const TONES = { ok: "good", denied: "high", failed: "critical" };

export default function Audit() {
  const [query, setQuery] = useQuery();
  const { action, actor, target, outcome, range } = query;
  const since = useMemo(
    () => range && new Date(Math.floor((now() - rangeMs(range)) / MINUTE_MS) * MINUTE_MS).toISOString(),
    [range],
  );
  const filters = { action, actor, target, outcome, since };
  const download = (format) => apiUrl(`/audit${queryString({ ...filters, format })}`);
  const actions = html`
    <a class="button plain small" href=${download("csv")}>CSV</a>
    <a class="button plain small" href=${download("jsonl")}>JSON lines</a>
  `;
  return html`
    <${Page} title="Audit" about=${html`Every administrative action. <code>botwatch audit verify</code> proves that none was changed or removed.`} actions=${actions}>
      <div class="filters" role="search">
        <${SearchField} label="Action, such as user." value=${action} onSearch=${(value) => setQuery({ action: value })} />
        <${SearchField} label="Actor" value=${actor} onSearch=${(value) => setQuery({ actor: value })} />
        <${SearchField} label="Target" value=${target} onSearch=${(value) => setQuery({ target: value })} />
        <${SelectField} label="Outcome" seen=${false} value=${outcome} choices=${OUTCOMES} onChange=${(value) => setQuery({ outcome: value })} />
        <${SelectField} label="Time" seen=${false} value=${range} choices=${RANGES} onChange=${(value) => setQuery({ range: value })} />
      </div>
      <${Entries} path=${`/audit${queryString({ ...filters, limit: PAGE })}`} isFiltered=${Object.values(filters).some(Boolean)} />
    </${Page}>
  `;
}

function Entries({ path, isFiltered }) {
  const answer = useApi(path, { every: REFRESH_MS });
  const [known, setKnown] = useState({ path: null, entries: [], next: null });
  const [error, setError] = useState(null);
  useEffect(() => {
    if (answer.data && !answer.isLoading) setKnown((last) => withNewest(last, path, answer.data));
  }, [answer.data, answer.isLoading]);
  const more = async () => {
    setError(null);
    try {
      const page = await read(`${path}&before=${known.next}`);
      setKnown((last) =>
        last.next === known.next ? { ...last, entries: [...last.entries, ...page.entries], next: page.next } : last,
      );
    } catch (raised) {
      setError(raised);
    }
  };
  return html`
    <${Panel}>
      <${Loaded} from=${answer} what="The audit log">
        ${() => html`
          <${Table} caption="Audit log, newest first" columns=${COLUMNS} rows=${known.entries} keyOf=${({ id }) => id} empty=${isFiltered ? "No entry matches the filters." : "Nothing was done yet."} />
          ${known.next !== null && html`<p><button type="button" class="plain" onClick=${more}>Load older</button></p>`}
        `}
      </${Loaded}>
      ${error && html`<${Problem} error=${error}>Older entries could not be loaded:</${Problem}>`}
    </${Panel}>
  `;
}

/** Return what is known with the newest page: entries never change, so that only new ones are added on top. */
function withNewest(last, path, page) {
  const top = last.path === path ? (last.entries[0]?.id ?? 0) : 0;
  const hasGap = page.entries.length > 0 && page.entries.at(-1).id > top;
  if (!top || hasGap) return { path, ...page };
  return { ...last, entries: [...page.entries.filter(({ id }) => id > top), ...last.entries] };
}

const COLUMNS = [
  { key: "id", title: "Entry", numeric: true, hideOnPhone: true, render: ({ id }) => whole(id) },
  { key: "at", title: "Time", class: "nowrap", render: ({ timestamp }) => html`<${Time} at=${timestamp} />` },
  {
    key: "actor",
    title: "Who",
    render: ({ actor, address }) => html`${actor}${address && html`<span class="quiet"> from ${address}</span>`}`,
  },
  { key: "action", title: "Action", render: ({ action, target }) => html`<strong>${action}</strong> ${target}` },
  {
    key: "outcome",
    title: "Outcome",
    class: "nowrap",
    render: ({ outcome, count }) => html`
      <${StatusDot} status=${outcome} tone=${TONES[outcome]} />${count > 1 && html`<span class="quiet">, ${whole(count)} times</span>`}
    `,
  },
  {
    key: "change",
    title: "Change",
    class: "long",
    render: ({ before, after }) => html`<${Change} ...${{ before, after }} />`,
  },
];
