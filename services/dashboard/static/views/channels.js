// Channels: where notifications go, whether that works, and a test of each.

import { useApi } from "../app/api.js";
import { count, whole } from "../app/format.js";
import { can } from "../app/preferences.js";
import { Link, useQuery } from "../app/router.js";
import { TestButton, TestResults, useChannelTests } from "../components/channel_test.js";
import { Loaded } from "../components/feedback.js";
import { Page, Panel } from "../components/layout.js";
import { Place } from "../components/place.js";
import { StatusDot, Tag } from "../components/status.js";
import { Table } from "../components/table.js";
import { Age, Time } from "../components/time.js";
import { html } from "../vendor/preact/preact.js";

export const REFRESH_MS = 5_000;

export default function Channels() {
  const answer = useApi("/channels", { every: REFRESH_MS });
  return html`
    <${Page} title="Channels" about="As configured; the page does not change them.">
      <${Loaded} from=${answer} what="The channels">${(found) => html`<${List} found=${found} />`}</${Loaded}>
    </${Page}>
  `;
}

function List({ found }) {
  const [query, setQuery] = useQuery();
  const { tests, start } = useChannelTests();
  const columns = can("operate") ? [...COLUMNS, testColumn(tests, start)] : COLUMNS;
  return html`
    <${NotifierState} found=${found} />
    <${TestResults} tests=${tests} />
    <${Panel}>
      <${Table}
        caption="Channels"
        columns=${columns}
        rows=${found.channels}
        keyOf=${({ name }) => name}
        sort=${query.sort ?? ""}
        onSort=${(sort) => setQuery({ sort })}
        empty=${html`<${NoChannel} />`}
      />
    </${Panel}>
  `;
}

/** Says that nothing is sent while the notifier is not running. */
export function NotifierState({ found: { notifier, publishedAt } }) {
  if (notifier === "running") return null;
  if (notifier === "unknown")
    return html`<p class="notice" role="status">The state of the channels is unknown: the notifier has not published it.</p>`;
  return html`<p class="notice" role="alert">The notifier is not running: nothing is sent. Its last sign of life was <${Age} at=${publishedAt} />. Look at <${Link} to="/system">the status of Botwatch</${Link}>.</p>`;
}

const NoChannel = () => html`
  <p>No channel is configured: alerts open, but nobody is notified. Add one to <code>notifications.yml</code>, reload the configuration, and send a test here:</p>
  <pre>channels:
  ops: { url: "\${ALERT_SLACK}" }</pre>
`;

const TONES = {
  idle: "good",
  sending: "low",
  paused: "high",
  "rate-limited": "medium",
  disabled: "none",
  unknown: "none",
};

/** What a channel does now, in a word, and why. */
export function ChannelState({ channel: { state, pausedUntil, failingSince, error, disabledBecause, alert } }) {
  return html`
    <${StatusDot} status=${state} label=${failingSince ? "failing" : state} tone=${failingSince ? "critical" : TONES[state]} />
    ${alert && html` <${Link} to=${`/alerts/${alert}`}><${Tag} tone="high">alert</${Tag}></${Link}>`}
    ${failingSince && html`<br /><span class="quiet">since <${Time} at=${failingSince} />: ${error}</span>`}
    ${pausedUntil && html`<br /><span class="quiet">sends again at <${Time} at=${pausedUntil} /></span>`}
    ${disabledBecause && html`<br /><span class="quiet">${disabledBecause}</span>`}
  `;
}

const COLUMNS = [
  {
    key: "name",
    title: "Channel",
    sort: ({ name }) => name,
    render: ({ name, place }) => html`
      <strong><${Link} to=${`/channels/${encodeURIComponent(name)}`}>${name}</${Link}></strong>
      <br /><${Place} place=${place} />
    `,
  },
  {
    key: "state",
    class: "long",
    title: "State",
    sort: ({ state }) => state,
    render: (channel) => html`<${ChannelState} channel=${channel} />`,
  },
  {
    key: "destination",
    title: "Sends to",
    class: "destination",
    hideOnPhone: true,
    render: ({ type, destination }) =>
      html`${destination ?? "–"}${type && html`<br /><span class="quiet">${type}</span>`}`,
  },
  {
    key: "pending",
    title: "Pending",
    numeric: true,
    sort: ({ pending }) => pending,
    render: ({ pending }) => whole(pending),
  },
  {
    key: "success",
    title: "Last success",
    hideOnPhone: true,
    sort: ({ lastSuccessAt }) => Date.parse(lastSuccessAt ?? ""),
    render: ({ lastSuccessAt }) => html`<${Age} at=${lastSuccessAt} />`,
  },
  {
    key: "error",
    title: "Last error",
    hideOnPhone: true,
    sort: ({ lastErrorAt }) => Date.parse(lastErrorAt ?? ""),
    render: ({ lastError, lastErrorAt }) =>
      lastError ? html`<${Age} at=${lastErrorAt} /><br /><span class="quiet">${lastError}</span>` : "none",
  },
  {
    key: "routes",
    title: "Used by",
    class: "nowrap",
    hideOnPhone: true,
    render: ({ routes }) => (routes.length ? count(routes.length, "route") : "no route"),
  },
];

const testColumn = (tests, start) => ({
  key: "test",
  title: "Test",
  render: ({ name, enabled }) =>
    enabled === false ? "" : html`<${TestButton} name=${name} test=${tests[name]} onTest=${start} />`,
});
