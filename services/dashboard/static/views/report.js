// One report: its page in a frame that runs no script, its files, and how building and sending it went.

import { apiUrl, useApi } from "../app/api.js";
import { isDefined } from "../app/format.js";
import { can } from "../app/preferences.js";
import { Link, navigate } from "../app/router.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Facts, Page, Panel } from "../components/layout.js";
import { StatusDot } from "../components/status.js";
import { Time } from "../components/time.js";
import { html, useState } from "../vendor/preact/preact.js";
import { DeleteDialog, Deliveries, Downloads, isUnfinished, ReportState, reportPath } from "./reports.js";

const BUSY_MS = 1_000;

export default function Report({ params: { id } }) {
  const [isBusy, setBusy] = useState(true);
  const [isDeleting, setDeleting] = useState(false);
  const answer = useApi(`${reportPath(id)}/entry`, { every: isBusy ? BUSY_MS : 0 });
  const report = answer.data;
  const isOpen = !report || isUnfinished(report) || report.deliveries.some(({ state }) => state === "pending");
  if (isOpen !== isBusy) setBusy(isOpen);
  const actions = html`
    ${report && html`<${Downloads} report=${report} />`}
    ${report && can("operate") && html`<button type="button" class="plain" onClick=${() => setDeleting(true)}>Delete</button>`}
  `;
  return html`
    <${Page} title=${report?.title ?? "Report"} about=${html`<${Link} to="/reports">All reports</${Link}>`} actions=${actions}>
      <${Loaded} from=${answer} what="The report">${(found) => html`<${Body} report=${found} />`}</${Loaded}>
      ${isDeleting && html`<${DeleteDialog} report=${report} onClose=${() => setDeleting(false)} onDeleted=${() => navigate("/reports")} />`}
    </${Page}>
  `;
}

function Body({ report }) {
  const { period } = report;
  const facts = [
    ["State", html`<${ReportState} report=${report} />`],
    report.status && ["Status when it was built", html`<${StatusDot} status=${report.status} />`],
    ["Period", html`<${Time} at=${period.from} full /> to <${Time} at=${period.to} full />`],
    ["Bots", report.bots.join(", ") || "all"],
    ["Asked for by", report.schedule ? `schedule ${report.schedule}` : report.requestedBy || "–"],
    report.expiresAt && ["Kept until", html`<${Time} at=${report.expiresAt} full />`],
    report.deliveries.length > 0 && ["Sent to", html`<${Deliveries} report=${report} />`],
  ].filter(Boolean); // prettier-ignore
  return html`
    <${Panel}><${Facts} facts=${facts} /></${Panel}>
    <${Contents} report=${report} />
  `;
}

function Contents({ report }) {
  if (isUnfinished(report))
    return html`<${Empty}><span role="status">The report is ${report.state === "running" ? "being built" : "waiting for the jobs part"}…</span></${Empty}>`;
  if (report.state === "failed")
    return html`<${Empty}>The report could not be built. Make it again, or see the log of the jobs part.</${Empty}>`;
  if (!isDefined(report.bytes.html)) return html`<${Empty}>This report has no page: open one of its files.</${Empty}>`;
  return html`
    <iframe class="report" title=${report.title} src=${apiUrl(`${reportPath(report.reportId)}/html`)}
      sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>
  `;
} // prettier-ignore
