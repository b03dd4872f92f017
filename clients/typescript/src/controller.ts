import { randomUUID } from "node:crypto";
import { type Alert, type Dashboard, DashboardReader, type Period, type Report } from "./dashboard.js";
import { RefusedError } from "./errors.js";
import type { Records } from "./generated/records.js";
import { HttpClient } from "./http.js";
import { Sender, type Stats } from "./sender.js";
import { type Options, type Settings, settingsOf } from "./settings.js";
import { validateRecord } from "./validation.js";

const REPORT_TIMEOUT_MS = 120_000;
const CLOSE_TIMEOUT_MS = 5_000;

/** The fields of a record, less those that the client fills in. */
export type Fields<K extends keyof Records> = Omit<Records[K], "kind" | "bot" | "source">;
/** The metrics of a bot; percentages are percent, drawdown and VaR positive, latency milliseconds. */
export type PerformanceMetrics = Fields<"performance">;

/**
 * The monitoring of one bot: sends its records in the background, and asks the dashboard.
 *
 * A `log…` checks the record, returns its id at once and never waits for Botwatch: what cannot be sent waits in memory, at most
 * `maxPending` records, through outages. It throws only InvalidRecordError, with the path of every wrong field.
 */
export class EnterpriseMonitoringController {
  private readonly settings: Settings;
  private readonly reader: DashboardReader;
  private readonly ingestion: HttpClient;
  private readonly sender: Sender;
  private heartbeats: NodeJS.Timeout | null = null;

  constructor(options: Options = {}) {
    this.settings = settingsOf(options);
    this.reader = new DashboardReader(this.settings);
    const { ingestionUrl, ingestionToken, timeoutMs, maxPending, warn } = this.settings;
    this.ingestion = new HttpClient(ingestionUrl, ingestionToken, timeoutMs);
    this.sender = new Sender(this.ingestion, maxPending, warn);
  }

  /** What became of the records that were logged. */
  get stats(): Stats {
    return this.sender.stats;
  }

  /**
   * Send heartbeats and read the dashboard from now on; neither keeps the process alive.
   *
   * Throws RefusedError for a wrong token. If Botwatch does not respond, that is said, and records wait.
   */
  async startMonitoring(): Promise<void> {
    if (this.heartbeats) return;
    await this.checkIngestion();
    await this.reader.start();
    const beat = () => this.log("heartbeat", { status: "ok", intervalSeconds: this.settings.heartbeatMs / 1000 });
    beat();
    this.heartbeats = setInterval(beat, this.settings.heartbeatMs).unref();
  }

  /** Send no further heartbeats, and leave the dashboard alone. */
  stopMonitoring(): void {
    if (this.heartbeats) clearInterval(this.heartbeats);
    this.heartbeats = null;
    this.reader.stop();
  }

  /** Log the bot's metrics, and return the id of the record. */
  async logPerformanceMetrics(metrics: PerformanceMetrics): Promise<string> {
    return this.log("performance", metrics);
  }

  /** Log a record of any kind, and return its id. */
  log<K extends keyof Records>(kind: K, fields: Fields<K>): string {
    const record: Record<string, unknown> = { kind, bot: this.settings.bot, timestamp: new Date(), id: randomUUID() };
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) record[name] = value;
    for (const [name, value] of Object.entries(record)) if (value instanceof Date) record[name] = value.toISOString();
    validateRecord(record);
    this.sender.put(record);
    return String(record.id);
  }

  /** Wait until every record that was logged is sent; return whether all are. */
  flush(timeoutMs: number = CLOSE_TIMEOUT_MS): Promise<boolean> {
    return this.sender.flush(timeoutMs);
  }

  /** Announce that the bot stops on purpose, so that its absence opens no alert, and send what is left. */
  async close(): Promise<void> {
    this.stopMonitoring();
    if (this.stats.logged) this.log("heartbeat", { status: "stopped" });
    const isSent = await this.sender.flush(CLOSE_TIMEOUT_MS);
    this.sender.stop();
    if (!isSent)
      this.settings.warn(`${this.stats.pending} records could not be sent and are lost: ${this.stats.error}`);
  }

  /** Return the state of everything as last read; null before `startMonitoring`, or if it never responded. */
  getCurrentDashboard(): Dashboard | null {
    return this.reader.latest;
  }

  /** Acknowledge an alert as `by`, and return it. */
  acknowledgeAlert(id: string, by: string, comment?: string): Promise<Alert> {
    return this.reader.acknowledge(id, by, comment);
  }

  /** Have a report built of trading, alerts, checks and hosts, by default of all bots, and return it. */
  generateMonitoringReport(period: Period = "day", bots: string[] = []): Promise<Report> {
    return this.reader.report("monitoring", period, bots, REPORT_TIMEOUT_MS);
  }

  /** Have a report built of trading alone, by default of this bot, and return it. */
  generatePerformanceReport(period: Period = "day", bots: string[] = [this.settings.bot]): Promise<Report> {
    return this.reader.report("performance", period, bots, REPORT_TIMEOUT_MS);
  }

  private async checkIngestion(): Promise<void> {
    try {
      await this.ingestion.get("/health");
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      this.settings.warn(`${String(error)}; records wait until it does`);
    }
  }
}
