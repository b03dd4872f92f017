// Who is on call: now and next, the shifts of four weeks, and whom each step of a policy reaches.

import { queryString, useApi } from "../app/api.js";
import { count, duration, isDefined } from "../app/format.js";
import { usePreferences } from "../app/preferences.js";
import { Link, useQuery } from "../app/router.js";
import { now } from "../app/store.js";
import { Empty, Loaded } from "../components/feedback.js";
import { Page, Panel } from "../components/layout.js";
import { Place } from "../components/place.js";
import { addDays, DAYS, mondayOf, ShiftCalendar } from "../components/shift_calendar.js";
import { Tag } from "../components/status.js";
import { Subscribe } from "../components/subscribe.js";
import { Table } from "../components/table.js";
import { Time } from "../components/time.js";
import { html, useMemo } from "../vendor/preact/preact.js";

const REFRESH_MS = 60_000;
const WEEKS = 4;

export default function OnCall() {
  const answer = useApi("/on-call", { every: REFRESH_MS });
  return html`
    <${Page} title="On call" about="As configured; the page does not change it.">
      <${Loaded} from=${answer} what="Who is on call">
        ${(found) => html`
          ${!found.channelsKnown && html`<p class="notice" role="status">The notifier has not said which channels are enabled, so somebody may be shown as reachable who is not.</p>`}
          ${found.rotations.length > 0 ? html`<${Now} rotations=${found.rotations} /><${Calendar} />` : html`<${NoRotation} />`}
          ${found.policies.map((policy) => html`<${Policy} key=${policy.name} policy=${policy} />`)}
          ${found.people.length > 0 && html`<${People} people=${found.people} />`}
          <${Subscribe} />
        `}
      </${Loaded}>
    </${Page}>
  `;
}

const NoRotation = () => html`
  <${Empty}>
    <p>No rotation is configured: routes and policies notify people and channels by name. To take turns, add to <code>notifications.yml</code>:</p>
    <pre>people:
  ann: { contacts: [phone] }
  bob: { contacts: [desk] }
rotations:
  week: { people: [ann, bob], begins: 2026-01-05, timeZone: Europe/Berlin }</pre>
  </${Empty}>
`;

/* ---------- Now ---------- */

const Now = ({ rotations }) => html`
  <div class="panels">
    ${rotations.map((rotation) => html`<${Rotation} key=${rotation.name} ...${rotation} />`)}
  </div>
`;

function Rotation({ name, now: shift, next, every, handover, timeZone, place }) {
  return html`
    <${Panel} title=${name} class="rotation" about=${`${every}, from ${handover} ${timeZone}`}>
      <p class="person">${shift.person} ${shift.override && html`<${Tag} tone="medium">override</${Tag}>`}</p>
      <p>${shift.until ? html`until <${Time} at=${shift.until} /> <span class="quiet">(for ${duration((Date.parse(shift.until) - now()) / 1000)})</span>` : "No handover is planned."}</p>
      <p>
        ${shift.channel ? html`Notified through <${Channel} name=${shift.channel} />` : html`<strong class="down">Nobody is notified: no contact of ${shift.person} is enabled.</strong>`}
      </p>
      ${next && html`<p>Next: <strong>${next.person}</strong>, <${Time} at=${next.start} full /> ${next.override && html`<${Tag} tone="medium">override</${Tag}>`}</p>`}
      <p class="quiet"><${Place} place=${place} /></p>
    </${Panel}>
  `;
}

const Channel = ({ name }) => html`<${Link} to=${`/channels/${encodeURIComponent(name)}`}>${name}</${Link}>`;

/* ---------- Calendar ---------- */

function Calendar() {
  const [query, setQuery] = useQuery();
  const offset = Number.parseInt(query.weeks, 10) || 0;
  const { zone } = usePreferences();
  const from = useMemo(() => addDays(mondayOf(now()), offset * DAYS), [offset, zone]);
  const path = `/on-call${queryString({ at: new Date(from).toISOString(), days: WEEKS * DAYS })}`;
  const answer = useApi(path, { every: REFRESH_MS });
  const move = (weeks) => setQuery({ weeks: offset + weeks || null });
  const actions = html`
    <button type="button" class="plain small" onClick=${() => move(-WEEKS)}>Earlier</button>
    <button type="button" class="plain small" disabled=${offset === 0} onClick=${() => setQuery({ weeks: null })}>Today</button>
    <button type="button" class="plain small" onClick=${() => move(WEEKS)}>Later</button>
  `;
  return html`
    <${Panel} title="Shifts" about=${`${WEEKS} weeks`} actions=${actions}>
      <${Loaded} from=${answer} what="The calendar">
        ${(found) => html`
          ${found.rotations.map(
            ({ name, shifts, people, overrides }) => html`
              <div class="calendar" key=${name}>
                <h3>${name}</h3>
                <${ShiftCalendar} ...${{ name, shifts, people, from: Date.parse(found.at), weeks: WEEKS }} />
                ${overrides.length > 0 && html`<${Overrides} name=${name} overrides=${overrides} />`}
              </div>
            `,
          )}
        `}
      </${Loaded}>
    </${Panel}>
  `;
}

const OVERRIDE_COLUMNS = [
  { key: "person", title: "Override", render: ({ person }) => person },
  { key: "start", title: "From", render: ({ start }) => html`<${Time} at=${start} full />` },
  { key: "end", title: "Until", render: ({ end }) => html`<${Time} at=${end} full />` },
  { key: "place", title: "Configured in", hideOnPhone: true, render: ({ place }) => html`<${Place} place=${place} />` },
];

const Overrides = ({ name, overrides }) => html`
  <${Table} caption=${`Overrides of ${name}`} columns=${OVERRIDE_COLUMNS} rows=${overrides} keyOf=${({ place }) => place.path} />
`;

/* ---------- Policies ---------- */

const STEP_COLUMNS = [
  {
    key: "after",
    title: "After",
    class: "nowrap",
    render: ({ afterSeconds }) => (afterSeconds ? duration(afterSeconds) : "at once"),
  },
  {
    key: "notifies",
    title: "Notifies",
    render: ({ notifies }) =>
      html`<ul>${notifies.map((target) => html`<li key=${target.name}><${Target} ...${target} /></li>`)}</ul>`,
  },
  {
    key: "severity",
    title: "Severity",
    hideOnPhone: true,
    render: ({ raisesSeverity }) => (raisesSeverity ? "raised by one" : "unchanged"),
  },
];

function Target({ name, kind, person, channel, fallback }) {
  const who =
    kind === "rotation"
      ? html`<strong>${person}</strong> <span class="quiet">(rotation ${name})</span>`
      : html`<strong>${name}</strong>`;
  if (!channel) return html`${who}: <span class="down">no enabled channel</span>`;
  const via = kind === "channel" && channel === name ? "" : html` through <${Channel} name=${channel} />`;
  return html`${who}${via}${fallback.length > 0 && html` <span class="quiet">then ${fallback.join(", ")}</span>`}`;
}

function Policy({ policy }) {
  const { name, place, rounds, pauseSeconds, acknowledgeTimeoutSeconds, routes, steps } = policy;
  const facts = [
    count(rounds, "round"),
    rounds > 1 && isDefined(pauseSeconds) && `${duration(pauseSeconds)} between rounds`,
    isDefined(acknowledgeTimeoutSeconds) && `an acknowledgement holds ${duration(acknowledgeTimeoutSeconds)}`,
    routes.length ? `used by ${routes.join(", ")}` : "used by no route",
  ];
  return html`
    <${Panel} title=${`Policy ${name}`} about=${facts.filter(Boolean).join(" · ")}>
      <${Table} caption=${`Steps of the policy ${name}, and whom they reach now`} columns=${STEP_COLUMNS} rows=${steps} keyOf=${(step) => steps.indexOf(step)} />
      <p class="quiet"><${Place} place=${place} /></p>
    </${Panel}>
  `;
}

/* ---------- People ---------- */

const PEOPLE_COLUMNS = [
  { key: "name", title: "Person", render: ({ name }) => name },
  {
    key: "contacts",
    title: "Contacts, in order",
    render: ({ contacts }) =>
      contacts.map((name, index) => html`${index > 0 && ", "}<${Channel} key=${name} name=${name} />`),
  },
  {
    key: "reachable",
    title: "Reachable",
    render: ({ reachable }) => (reachable ? "yes" : html`<strong class="down">no: none is enabled</strong>`),
  },
  { key: "place", title: "Configured in", hideOnPhone: true, render: ({ place }) => html`<${Place} place=${place} />` },
];

const People = ({ people }) => html`
  <${Panel} title="People">
    <${Table} caption="People and their contacts" columns=${PEOPLE_COLUMNS} rows=${people} keyOf=${({ name }) => name} />
  </${Panel}>
`;
