// A test message through a channel, and what its receiver answered.

import { call } from "../app/api.js";
import { clock } from "../app/format.js";
import { html, useState } from "../vendor/preact/preact.js";

/** Return the last test by a channel's name, which of them is running, and the function that starts one. */
export function useChannelTests() {
  const [tests, setTests] = useState({}); // name → { isRunning, tone, text }
  const put = (name, test) => setTests((last) => ({ ...last, [name]: test }));
  const start = async (name) => {
    put(name, { isRunning: true, tone: "none", text: `Sending a test message through ${name}…` });
    try {
      const answer = await call("POST", `/channels/${encodeURIComponent(name)}/test`);
      put(name, { isRunning: false, tone: answer.delivered ? "good" : "critical", text: describe(answer) });
    } catch (error) {
      put(name, { isRunning: false, tone: "critical", text: `${name}: no test was sent: ${error.message}` });
    }
  };
  return { tests, start };
}

function describe({ channel, delivered, destination, response, error }) {
  const to = destination ? ` to ${destination}` : "";
  const at = clock(Date.now());
  return delivered
    ? `${channel}: delivered${to} at ${at}. The receiver answered: ${response ?? "nothing"}`
    : `${channel}: not delivered${to} at ${at}: ${error}`;
}

export const TestButton = ({ name, test, onTest, label = "Send a test" }) => html`
  <button type="button" class="plain small" disabled=${test?.isRunning} aria-label=${`${label} through ${name}`} onClick=${() => onTest(name)}>${label}</button>
`;

/** The results, read aloud as they come. */
export const TestResults = ({ tests }) => html`
  <div role="status" class="test-results">
    ${Object.entries(tests).map(([name, { tone, text }]) => html`<p key=${name} class="test-result" data-tone=${tone}>${text}</p>`)}
  </div>
`;
