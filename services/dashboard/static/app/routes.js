// The views by their paths. A view is a component that gets the parameters of its path; it is loaded when it is shown.
//
// The server answers the page at the same paths: VIEW_PATHS in services/dashboard/page.py.

export const ROUTES = [
  { path: "/", nav: { group: "Trading", label: "Overview" }, load: () => import("../views/overview.js") },
  { path: "/alerts", nav: { group: "Alerting", label: "Alerts" }, load: () => import("../views/alerts.js") },
  { path: "/alerts/:id", load: () => import("../views/alert.js") },
  {
    path: "/silences",
    nav: { group: "Alerting", label: "Silences and maintenance" },
    load: () => import("../views/silences.js"),
  },
  { path: "/reports", nav: { group: "Trading", label: "Reports" }, load: () => import("../views/reports.js") },
  { path: "/reports/:id", load: () => import("../views/report.js") },
  {
    path: "/on-call",
    nav: { group: "Alerting", label: "On call" },
    load: () => import("../views/on_call.js"),
  },
  {
    path: "/channels",
    nav: { group: "Alerting", label: "Channels" },
    load: () => import("../views/channels.js"),
  },
  { path: "/channels/:name", load: () => import("../views/channel.js") },
  { path: "/rules", nav: { group: "Alerting", label: "Rules" }, load: () => import("../views/rules.js") },
  { path: "/rules/*name", load: () => import("../views/rule.js") },
  {
    path: "/audit",
    nav: { group: "Administration", label: "Audit", scope: "admin" },
    load: () => import("../views/audit.js"),
  },
  {
    path: "/access",
    nav: { group: "Administration", label: "Users and tokens", scope: "admin" },
    load: () => import("../views/access.js"),
  },
  {
    path: "/checks",
    nav: { group: "Infrastructure", label: "Checks" },
    load: () => import("../views/checks.js"),
  },
  { path: "/checks/:host/*check", load: () => import("../views/check.js") },
  { path: "/hosts", nav: { group: "Infrastructure", label: "Hosts" }, load: () => import("../views/hosts.js") },
  { path: "/hosts/:host", load: () => import("../views/host.js") },
  { path: "/bots/*bot", load: () => import("../views/bot.js") },
  {
    path: "/system",
    nav: { group: "Infrastructure", label: "Status of Botwatch" },
    load: () => import("../views/system.js"),
  },
];

/** The groups of the navigation, in this order. */
export const GROUPS = ["Trading", "Alerting", "Infrastructure", "Administration"];
