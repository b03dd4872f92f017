// Matchers of silences: as text, for an alert, and to edit.

import { html } from "../vendor/preact/preact.js";

/** Operator → [isRegex, isEqual], as in Alertmanager. */
const OPERATORS = { "=": [false, true], "!=": [false, false], "=~": [true, true], "!~": [true, false] };
const KNOWN_LABELS = ["alertname", "bot", "host", "severity", "category", "component", "metric", "check", "type"];
const MEANINGS = { "=": "is", "!=": "is not", "=~": "matches the pattern", "!~": "does not match the pattern" };

export const operatorOf = ({ isRegex = false, isEqual = true }) =>
  Object.keys(OPERATORS).find((name) => OPERATORS[name][0] === isRegex && OPERATORS[name][1] === isEqual);

/** Return a matcher as text: `bot=~"scalper-.*"`. */
export const matcherText = (matcher) => `${matcher.name}${operatorOf(matcher)}${JSON.stringify(matcher.value)}`;

export const Matchers = ({ matchers }) => html`
  <span class="matchers">${matchers.map((matcher) => html`<code key=${matcherText(matcher)}>${matcherText(matcher)}</code> `)}</span>
`;

const isEqualTo = (name, value) => ({ name, value, isRegex: false, isEqual: true });

/** Return the labels that tell an alert from others: its rule, its bot or host, and those of its records; or as posted. */
const identityOf = ({ details }) => {
  const { rule: alertname, bot, host, labels, external } = details;
  if (external) return labels;
  return { ...labels, alertname, ...(bot ? { bot } : { host }) };
};

/** Escape a text for RE2. */
const quote = (text) => text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");

/**
 * Return matchers for a silence of these alerts: the labels that all of them have, with `=` where their values agree
 * and `=~` where they differ.
 */
export function matchersOf(alerts) {
  const identities = alerts.map(identityOf);
  const shared = Object.keys(identities[0]).filter((name) => identities.every((one) => one[name]));
  return shared.map((name) => {
    const values = [...new Set(identities.map((one) => one[name]))];
    if (values.length === 1) return isEqualTo(name, values[0]);
    return { name, value: values.map(quote).join("|"), isRegex: true, isEqual: true };
  });
}

/** Edit a list of matchers, all of which must match. */
export function MatchersField({ matchers, onChange }) {
  const change = (index, changes) =>
    onChange(matchers.map((matcher, place) => (place === index ? { ...matcher, ...changes } : matcher)));
  return html`
    <fieldset class="matchers-field">
      <legend>Alerts that match all of these</legend>
      <datalist id="known-labels">${KNOWN_LABELS.map((name) => html`<option key=${name} value=${name}></option>`)}</datalist>
      ${matchers.map(
        (matcher, index) => html`
          <div key=${index} class="matcher">
            <input aria-label=${`Label ${index + 1}`} list="known-labels" placeholder="label" value=${matcher.name} maxlength="128" onInput=${({ target }) => change(index, { name: target.value.trim() })} />
            <select aria-label=${`Operator ${index + 1}`} value=${operatorOf(matcher)} onChange=${({ target }) => {
              const [isRegex, isEqual] = OPERATORS[target.value];
              change(index, { isRegex, isEqual });
            }}>
              ${Object.keys(OPERATORS).map((name) => html`<option key=${name} value=${name} title=${MEANINGS[name]} selected=${name === operatorOf(matcher)}>${name}</option>`)}
            </select>
            <input aria-label=${`Value ${index + 1}`} placeholder="value" value=${matcher.value} maxlength="1024" onInput=${({ target }) => change(index, { value: target.value })} />
            <button type="button" class="plain small" aria-label=${`Remove matcher ${index + 1}`} disabled=${matchers.length === 1} onClick=${() => onChange(matchers.filter((_, place) => place !== index))}>✕</button>
          </div>
        `,
      )}
      <button type="button" class="plain small" onClick=${() => onChange([...matchers, isEqualTo("", "")])}>Add a matcher</button>
    </fieldset>
  `;
}
