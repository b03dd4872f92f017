// What the server says of this page and its user, in the attributes of <body> and in one JSON element.

const { base, user, hasAccount, role, scopes, version, websocketUrl, websocketPort, recordsUrl } =
  document.body.dataset;

/** Where the page is served: "/", or the prefix of a proxy; ends with a slash. */
export const BASE = base;
/** The name of the signed-in user; "" where access is open. */
export const USER = user;
/** Whether the user has a password and a session here, and is not named by a proxy. */
export const HAS_ACCOUNT = hasAccount === "true";
/** "viewer", "operator", "admin", or "" where the scopes are those of no role. */
export const ROLE = role;
export const VERSION = version;
/** The address of the ingestion API, without a path. */
export const RECORDS_URL = recordsUrl;
export const WEBSOCKET = { url: websocketUrl, port: websocketPort };
/** Names, units, definitions of metrics, and the sentences for reasons and warnings. */
export const DEFINITIONS = JSON.parse(document.getElementById("definitions").textContent);

const granted = new Set(scopes.split(" "));

/** Return whether this user may do what needs `scope`: "read", "operate" or "admin". The server decides again. */
export const can = (scope) => granted.has(scope);
