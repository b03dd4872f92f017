import { BotwatchError } from "./errors.js";
import type { components } from "./generated/api.js";
import { HttpClient } from "./http.js";
import type { Settings } from "./settings.js";

type Schemas = components["schemas"];
/** The current state of everything: the answer of `GET /api/monitoring`. */
export type Dashboard = Schemas["Overview"];
/** An alert. */
export type Alert = Schemas["Alert"];
/** A report, with the dashboard when it was built and what it recommends. */
export type Report = Schemas["Report"];

/** What a report covers: the latest 24 hours, or the last complete day, week or month. */
export type Period = "day" | "daily" | "weekly" | "monthly";

const REPORTS = "/api/monitoring/reports";
const REPORT_POLL_MS = 300;

/** The dashboard's API, and its latest answer, read again every few seconds. */
export class DashboardReader {
  latest: Dashboard | null = null;
  private readonly client: HttpClient;
  private timer: NodeJS.Timeout | null = null;
  private isAway = false;

  constructor(private readonly settings: Settings) {
    this.client = new HttpClient(settings.url, settings.token, settings.timeoutMs);
  }

  /** Read now and from now on; a refusal is thrown, a dashboard that does not respond is said. */
  async start(): Promise<void> {
    if (this.timer) return;
    await this.read();
    this.timer = setInterval(() => void this.read().catch(() => undefined), this.settings.pollMs).unref();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  /** Acknowledge an alert; an error that nobody awaits is said, and does not end the bot. */
  acknowledge(id: string, by: string, comment?: string): Promise<Alert> {
    const path = `/api/monitoring/alerts/${encodeURIComponent(id)}/acknowledge`;
    const done = this.client.post<Alert>(path, { by, ...(comment === undefined ? {} : { comment }) });
    done.catch((error: unknown) => this.settings.warn(`the alert ${id} was not acknowledged: ${String(error)}`));
    return done;
  }

  /** Have a report built, wait for it and return it. */
  async report(kind: "monitoring" | "performance", period: Period, bots: string[], timeoutMs: number): Promise<Report> {
    const from = new Date(Date.now() - 86_400_000).toISOString();
    const span = period === "day" ? { from } : { period };
    let entry = await this.client.post<Schemas["ReportEntry"]>(REPORTS, { kind, bots, formats: ["html"], ...span });
    const deadline = Date.now() + timeoutMs;
    while (!["done", "failed"].includes(entry.state) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, REPORT_POLL_MS));
      entry = await this.client.get(`${REPORTS}/${entry.reportId}/entry`);
    }
    if (entry.state !== "done") {
      const reason = entry.error ?? `it is still ${entry.state} after ${timeoutMs / 1000} s`;
      throw new BotwatchError(`the report ${entry.reportId} was not built: ${reason}`);
    }
    return this.client.get(`${REPORTS}/${entry.reportId}`);
  }

  private async read(): Promise<void> {
    try {
      this.latest = await this.client.get<Dashboard>("/api/monitoring");
      this.isAway = false;
    } catch (error) {
      if (error instanceof BotwatchError && error.name === "RefusedError") throw error;
      if (!this.isAway) this.settings.warn(String(error));
      this.isAway = true;
    }
  }
}
