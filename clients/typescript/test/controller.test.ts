import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import {
  EnterpriseMonitoringController,
  EnterpriseSystemHealthMonitor,
  InvalidRecordError,
  type Options,
  RefusedError,
} from "../src/index.js";
import { FakeServer, until } from "./fake_server.js";

const DASHBOARD = {
  summary: { status: "WARNING", reasons: [] },
  health: {
    calm: { host: "calm", systemHealth: "HEALTHY", cpuUsage: 5 },
    busy: { host: "busy", systemHealth: "CRITICAL", cpuUsage: 97.5, memoryUsage: 20, reasons: ["CPU"] },
  },
  checks: { busy: { binance: { type: "exchange", status: "critical" } } },
};
const METRICS = { portfolioValue: 12500, totalPnL: 2500, maxDrawdown: 8.5, totalTrades: 150 };
let server: FakeServer;
let said: string[];

beforeEach(async () => {
  said = [];
  server = await new FakeServer().start();
  server.answer = (asked) => (asked.path === "/api/monitoring" ? [200, DASHBOARD] : [202, {}]);
});
afterEach(() => server.stop());

function options(further: Options = {}): Options {
  const warn = (message: string) => said.push(message);
  return { bot: "b", url: server.url, ingestionUrl: server.url, token: "bw_1", timeoutMs: 200, warn, ...further };
}

test("metrics are sent with the token, and the dashboard is there after the start", async () => {
  const monitor = new EnterpriseMonitoringController(options());
  assert.equal(monitor.getCurrentDashboard(), null);
  await monitor.startMonitoring();
  const id = await monitor.logPerformanceMetrics(METRICS);
  assert.equal(await monitor.flush(), true);
  assert.equal(monitor.getCurrentDashboard()?.summary.status, "WARNING");
  const [beat, metrics] = server.records;
  assert.deepEqual([beat?.kind, beat?.intervalSeconds], ["heartbeat", 10]);
  assert.deepEqual([metrics?.id, metrics?.bot, metrics?.portfolioValue], [id, "b", 12500]);
  assert.ok(server.asked.every((one) => one.token === "Bearer bw_1"));
  await monitor.close();
  assert.equal(server.records.at(-1)?.status, "stopped");
});

test("records of one turn of the event loop are one request", async () => {
  const monitor = new EnterpriseMonitoringController(options());
  for (let number = 0; number < 1200; number++) monitor.log("metric", { name: "n", value: number });
  assert.equal(await monitor.flush(), true);
  assert.deepEqual(
    server.records.map((one) => one.value),
    [...Array(1200).keys()],
  );
  assert.equal(server.asked.length, 3);
  assert.deepEqual(monitor.stats, { logged: 1200, sent: 1200, pending: 0, dropped: 0, refused: 0, error: null });
});

test("a record that is not valid is refused at the call, with the path of each fault", async () => {
  const monitor = new EnterpriseMonitoringController(options());
  const wrong = { symbol: "X", side: "buy", quantity: 0, status: "sent", orderId: "" } as never;
  assert.throws(
    () => monitor.log("order", wrong),
    (error: InvalidRecordError) => {
      assert.deepEqual(
        error.faults.map((one) => one.path),
        ["$.quantity", "$.status", "$.orderId", "$.type"].filter((path) => error.message.includes(path)),
      );
      return error.message.includes("$.quantity: expected more than 0, got 0");
    },
  );
  await assert.rejects(monitor.logPerformanceMetrics({ portfolioValue: Number.NaN }), InvalidRecordError);
  assert.equal(monitor.stats.logged, 0);
});

test("a server that hangs or is full holds nothing up, and loses nothing", async () => {
  const monitor = new EnterpriseMonitoringController(options({ timeoutMs: 50 }));
  server.answer = () => null;
  const ids = Array.from({ length: 100 }, (_, value) => monitor.log("metric", { name: "n", value }));
  await until(() => monitor.stats.error !== null, "an error");
  server.answer = () => [503, { error: "the log is full" }];
  assert.equal(await monitor.flush(100), false);
  assert.match(monitor.stats.error ?? "", /the log is full|not responding/);
  server.answer = () => [202, {}];
  assert.equal(await monitor.flush(), true);
  assert.deepEqual([...new Set(server.records.map((one) => one.id))], ids);
  assert.equal(said.length, 2);
  assert.match(said[1] ?? "", /records are sent again; dropped meanwhile: 0/);
});

test("the oldest records are dropped, and counted", async () => {
  const monitor = new EnterpriseMonitoringController(options({ maxPending: 10, timeoutMs: 50 }));
  server.answer = () => [503, {}];
  for (let value = 0; value < 25; value++) monitor.log("metric", { name: "n", value });
  assert.deepEqual([monitor.stats.pending, monitor.stats.dropped], [10, 15]);
  server.answer = () => [202, {}];
  assert.equal(await monitor.flush(), true);
  assert.deepEqual(
    server.records.slice(-10).map((one) => one.value),
    [15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
  );
});

test("one refused record does not hold up the others", async () => {
  const monitor = new EnterpriseMonitoringController(options());
  server.answer = (asked) => {
    const wrong = (asked.body as { name?: string }[]).some((one) => one.name === "wrong");
    return wrong ? [400, { error: "not valid", faults: [{ path: "$", message: "no" }] }] : [202, {}];
  };
  for (let value = 0; value < 20; value++) monitor.log("metric", { name: value === 7 ? "wrong" : "right", value });
  assert.equal(await monitor.flush(), true);
  assert.deepEqual([monitor.stats.sent, monitor.stats.refused], [19, 1]);
});

test("a wrong token is thrown at the start; an absent server is said, and the bot goes on", async () => {
  server.answer = () => [401, { error: "no such token" }];
  const monitor = new EnterpriseMonitoringController(options());
  await assert.rejects(
    monitor.startMonitoring(),
    (error: RefusedError) => error instanceof RefusedError && error.status === 401,
  );
  await server.stop();
  const lonely = new EnterpriseMonitoringController(options());
  await lonely.startMonitoring();
  await lonely.logPerformanceMetrics(METRICS);
  lonely.stopMonitoring();
  assert.match(said.join("\n"), /is not responding: .*ECONNREFUSED/);
  await server.start();
});

test("health is the worst host's, or a given one's", async () => {
  const monitor = new EnterpriseSystemHealthMonitor(options());
  assert.equal(monitor.getCurrentHealthStatus(), null);
  await monitor.startMonitoring();
  const health = monitor.getCurrentHealthStatus();
  assert.deepEqual(
    [health?.host, health?.cpu.usage, health?.memory.usage, health?.disk.usage],
    ["busy", 97.5, 20, null],
  );
  assert.equal(health?.checks.binance?.status, "critical");
  assert.equal(monitor.getCurrentHealthStatus("calm")?.cpu.usage, 5);
  assert.equal(monitor.getCurrentHealthStatus("nobody"), null);
  monitor.stopMonitoring();
});

test("an acknowledgement that fails and that nobody awaits does not end the bot", async () => {
  server.answer = () => [404, { error: "no alert has the ID 'x'" }];
  const monitor = new EnterpriseSystemHealthMonitor(options());
  void monitor.acknowledgeAlert("a/1", "admin@company.com", "on it");
  await until(() => said.length > 0, "a warning");
  assert.match(said[0] ?? "", /the alert a\/1 was not acknowledged: RefusedError: .* no alert has the ID 'x'/);
  assert.deepEqual(server.asked[0]?.body, { by: "admin@company.com", comment: "on it" });
  assert.equal(server.asked[0]?.path, "/api/monitoring/alerts/a%2F1/acknowledge");
});

test("a report is asked for, waited for and returned", async () => {
  const entry = { reportId: "r-1", state: "running", error: null };
  let polls = 0;
  server.answer = (asked) => {
    if (asked.path.endsWith("/entry")) return [200, { ...entry, state: ++polls > 1 ? "done" : "running" }];
    if (asked.method === "POST") return [202, entry];
    return [200, { reportId: "r-1", dashboard: DASHBOARD, recommendations: [{ text: "Lower the size." }] }];
  };
  const monitor = new EnterpriseMonitoringController(options());
  const report = await monitor.generateMonitoringReport();
  assert.deepEqual(
    [report.reportId, report.dashboard.summary.status, report.recommendations?.[0]?.text],
    ["r-1", "WARNING", "Lower the size."],
  );
  server.answer = () => [202, { ...entry, state: "failed", error: "the disk is full" }];
  await assert.rejects(monitor.generatePerformanceReport("weekly"), /r-1 was not built: the disk is full/);
  assert.deepEqual(server.asked.at(-1)?.body, {
    kind: "performance",
    bots: ["b"],
    formats: ["html"],
    period: "weekly",
  });
});
