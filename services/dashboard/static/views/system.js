// Status of Botwatch: its parts, how far they are behind, jobs, databases, disk, backups.

import { call, useApi } from "../app/api.js";
import { can, VERSION } from "../app/environment.js";
import { bytes, count, date, isDefined, ratio, whole } from "../app/format.js";
import { Loaded } from "../components/feedback.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { StatusDot } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html, useState } from "../vendor/preact/preact.js";

const REFRESH_MS = 5_000;

export default function System() {
  const answer = useApi("/system", { every: REFRESH_MS });
  return html`
    <${Page} title="Status of Botwatch" about=${`Version ${VERSION}`}>
      <${Loaded} from=${answer} what="The status of Botwatch">
        ${(system) => html`
          <${Parts} parts=${system.parts} redis=${system.redis} />
          <${Flow} ...${system} />
          <${Jobs} jobs=${system.jobs} />
          <${Backups} newest=${system.backup} />
          <${Storage} ...${system} />
        `}
      </${Loaded}>
    </${Page}>
  `;
}

function Parts({ parts, redis }) {
  const rows = Object.entries(parts).map(([name, part]) => ({ name, ...part }));
  const columns = [
    { key: "name", title: "Part", render: ({ name }) => name },
    {
      key: "status",
      title: "Status",
      render: ({ status }) =>
        html`<${StatusDot} status=${status} label=${status === "up" ? "up" : "not responding"} />`,
    },
    {
      key: "since",
      title: "Since",
      render: ({ status, startedAt, seenAt }) => html`<${Age} at=${status === "up" ? startedAt : seenAt} suffix="" />`,
    },
    { key: "host", title: "Host", hideOnPhone: true, render: ({ host }) => host },
    { key: "pid", title: "Process", numeric: true, hideOnPhone: true, render: ({ pid }) => pid },
    { key: "seen", title: "Last seen", numeric: true, render: ({ seenAt }) => html`<${Age} at=${seenAt} />` },
  ]; // prettier-ignore
  const why = redis.fault ? `Parts are unknown: ${redis.fault}.` : "No part has reported.";
  return html`<${Panel} title="Parts"><${Table} caption="Parts of Botwatch" columns=${columns} rows=${rows} keyOf=${({ name }) => name} empty=${why} /></${Panel}>`;
}

function Flow({ redis, log, notifications, watchdog }) {
  const pending = Object.entries(notifications).filter(([, number]) => number);
  const facts = [
    [
      "Redis",
      redis.fault ? html`<${StatusDot} status="critical" label=${redis.fault} />` : `up, ${ratio(redis.latencyMs)} ms`,
    ],
    ["Record log", log ? count(log.entries, "entry", "entries") : "unknown"],
    ...Object.entries(log?.groups ?? {}).map(([name, group]) => [`Lag of ${name}`, describeLag(group)]),
    [
      "Deliveries pending",
      pending.length ? pending.map(([name, number]) => `${name}: ${whole(number)}`).join(", ") : "none",
    ],
    ["Watchdog, last beat", html`<${Age} at=${watchdog.heardAt} none="none yet" />`],
  ];
  return html`<${Panel} title="Flow of records and notifications"><${Facts} facts=${facts} /></${Panel}>`;
}

function describeLag({ lag, pending }) {
  const behind = isDefined(lag) ? `${whole(lag)} behind` : "unknown";
  return pending ? `${behind}, ${whole(pending)} pending` : behind;
}

function Jobs({ jobs }) {
  const rows = Object.entries(jobs).map(([name, job]) => ({ name, ...job }));
  const columns = [
    { key: "name", title: "Job", sort: ({ name }) => name, render: ({ name }) => name },
    {
      key: "status",
      title: "Status",
      render: ({ status, failures }) =>
        html`<${StatusDot} status=${status} />${failures ? html` <span class="quiet">${count(failures, "failure")}</span>` : ""}`,
    },
    { key: "last", title: "Last success", render: ({ lastSuccessAt }) => html`<${Age} at=${lastSuccessAt} />` },
    {
      key: "took",
      title: "Took",
      numeric: true,
      hideOnPhone: true,
      render: ({ durationMs }) => (isDefined(durationMs) ? describeMs(durationMs) : "–"),
    },
    { key: "next", title: "Due", hideOnPhone: true, render: ({ nextDueAt }) => html`<${Time} at=${nextDueAt} />` },
    {
      key: "result",
      class: "long",
      title: "Result",
      render: ({ error, result }) => (error ? html`<span class="down">${error}</span>` : describeResult(result)),
    },
  ]; // prettier-ignore
  return html`<${Panel} title="Jobs"><${Table} caption="Background jobs" columns=${columns} rows=${rows} keyOf=${({ name }) => name} empty="The jobs part has not run yet." /></${Panel}>`;
}

const describeMs = (ms) => (ms < 1000 ? `${whole(ms)} ms` : `${ratio(ms / 1000)} s`);
const describeResult = (result) =>
  Object.entries(result)
    .filter(([, number]) => number)
    .map(([name, number]) => `${name}: ${whole(number)}`)
    .join(", ") || "–";

function Storage({ databases, disk }) {
  return html`
    <div class="panels">
      ${Object.entries(databases).map(([name, database]) => html`<${Database} key=${name} ...${{ name, database }} />`)}
      <${Panel} title="Disk of the databases">
        ${disk ? html`<${Facts} facts=${diskFacts(disk)} />` : html`<p class="quiet">Unknown.</p>`}
      </${Panel}>
    </div>
  `;
}

function Database({ name, database: { path, bytes: size, measuredOn, bytesPerDay, tables } }) {
  const rows = Object.entries(tables).map(([table, found]) => ({ table, ...found }));
  const columns = [
    { key: "table", title: "Table", render: ({ table }) => table },
    { key: "rows", title: "Rows", numeric: true, render: (row) => whole(row.rows) },
    { key: "bytes", title: "Size", numeric: true, render: (row) => bytes(row.bytes) },
    {
      key: "grows",
      title: "A day",
      numeric: true,
      render: (row) => (isDefined(row.bytesPerDay) ? bytes(row.bytesPerDay) : "–"),
    },
  ]; // prettier-ignore
  const about = [path, isDefined(size) && bytes(size), isDefined(bytesPerDay) && `${bytes(bytesPerDay)} a day`];
  return html`
    <${Panel} title=${`Database ${name}`} about=${about.filter(Boolean).join(", ")}>
      ${rows.length ? html`<details><summary>Tables, measured on ${date(measuredOn)}</summary><${Table} caption=${`Tables of ${name}`} ...${{ columns, rows }} keyOf=${({ table }) => table} /></details>` : html`<p class="quiet">Tables are measured once a day.</p>`}
    </${Panel}>
  `;
}

const diskFacts = ({ level, freeBytes, totalBytes, paused }) => [
  ["Level", html`<${StatusDot} status=${level} tone=${{ ok: "good", low: "medium" }[level] ?? "critical"} />`],
  ["Free", `${bytes(freeBytes)} of ${bytes(totalBytes)}`],
  ...(paused?.length ? [["Paused", [paused].flat().join(", ")]] : []),
];

/* ---------- Backups ---------- */

function Backups({ newest }) {
  const isAdmin = can("admin"); // the others see the newest one
  const answer = useApi(isAdmin ? "/backups" : null, { every: REFRESH_MS });
  const [said, setSaid] = useState("");
  const request = async () => {
    try {
      await call("POST", "/backups");
      setSaid("Requested; it is listed here when it is done.");
    } catch (error) {
      setSaid(`Not requested: ${error.message}.`);
    }
  };
  const rows = answer.data ?? (newest ? [newest] : []);
  const columns = [
    { key: "id", title: "Backup", render: ({ id }) => id },
    { key: "made", title: "Made", render: ({ createdAt }) => html`<${Age} at=${createdAt} />` },
    { key: "bytes", title: "Size", numeric: true, render: (row) => bytes(row.bytes) },
    {
      key: "verified",
      title: "Verified",
      render: (row) => (row.error ? html`<span class="down">${row.error}</span>` : html`<${Verified} ...${row} />`),
    },
    { key: "encrypted", title: "Encrypted", hideOnPhone: true, render: ({ encrypted }) => (encrypted ? "yes" : "no") },
    {
      key: "uploaded",
      title: "Uploaded",
      hideOnPhone: true,
      render: ({ uploadedAt }) => html`<${Age} at=${uploadedAt} none="no" />`,
    },
  ]; // prettier-ignore
  const make = isAdmin && html`<button type="button" class="plain small" onClick=${request}>Back up now</button>`;
  return html`
    <${Panel} title="Backups" actions=${html`<span class="quiet" role="status">${said}</span> ${make}`}>
      <${Table} caption="Backups" columns=${columns} rows=${rows} keyOf=${({ id }) => id} empty=${html`None yet. Make one with <code>botwatch backup create</code>.`} />
    </${Panel}>
  `;
}

const Verified = ({ verifiedAt, verifiedBy }) =>
  verifiedAt ? html`<${Age} at=${verifiedAt} />, by ${verifiedBy}` : "not yet";
