// What the overview shows while no bot has reported: how to send a first record.

import { RECORDS_URL } from "../app/environment.js";
import { Empty } from "../components/feedback.js";
import { html } from "../vendor/preact/preact.js";

export const FirstRecord = () => html`
  <${Empty}>
    <p>No bot has reported yet. Three ways to send a first record:</p>
    <p>Over HTTP, with the ingest token if one is set (<code>-H 'Authorization: Bearer …'</code>):</p>
    <pre>${`curl ${RECORDS_URL}/api/v1/records -H 'Content-Type: application/json' \\
  -d '{"kind": "equity", "bot": "my-bot", "equity": 12500}'`}</pre>
    <p>Over Redis, kept until it is read; the address is printed when Botwatch starts:</p>
    <pre>${`redis-cli -u "$REDIS_URL" XADD bot:metrics:stream '*' data '{"kind": "equity", "bot": "my-bot", "equity": 12500}'`}</pre>
    <p>From Python, with the client of this repository:</p>
    <pre>${`from botwatch import MonitoringController

monitor = MonitoringController(bot="my-bot", api_url="${RECORDS_URL}")
monitor.log_performance_metrics(portfolioValue=12500)`}</pre>
  </${Empty}>
`;
