import { type Alert, type Dashboard, DashboardReader } from "./dashboard.js";
import { type Options, settingsOf } from "./settings.js";

type Host = Dashboard["health"][string];
type Checks = Dashboard["checks"][string];
const BEST_FIRST = ["HEALTHY", "UNKNOWN", "WARNING", "CRITICAL"];

/** The health of a host; what is not measured is null. */
export interface HealthStatus {
  host: string;
  status: Host["systemHealth"];
  reasons: string[];
  timestamp: Host["timestamp"];
  /** Usage in percent. */
  cpu: { usage: number | null; cores: number | null };
  memory: { usage: number | null; totalBytes: number | null; availableBytes: number | null };
  /** Of the fullest file system, in percent. */
  disk: { usage: number | null };
  /** To the exchanges, in milliseconds. */
  network: { latency: number | null };
  /** The host's checks by name. */
  checks: Checks;
}

/** Asks for the health of hosts, which the collector samples. */
export class EnterpriseSystemHealthMonitor {
  private readonly reader: DashboardReader;

  constructor(options: Options = {}) {
    this.reader = new DashboardReader(settingsOf(options));
  }

  /** Read the dashboard now and from now on; throws RefusedError for a wrong token. */
  async startMonitoring(): Promise<void> {
    await this.reader.start();
  }

  /** Leave the dashboard alone. */
  stopMonitoring(): void {
    this.reader.stop();
  }

  /** Return the health of `host`, by default of the worst one, as last read; null if it has never reported. */
  getCurrentHealthStatus(host?: string): HealthStatus | null {
    const hosts = this.reader.latest?.health ?? {};
    const rank = (name: string) => BEST_FIRST.indexOf(hosts[name]?.systemHealth ?? "HEALTHY");
    const chosen = host ?? Object.keys(hosts).sort((a, b) => rank(b) - rank(a) || a.localeCompare(b))[0];
    const found = chosen === undefined ? undefined : hosts[chosen];
    if (chosen === undefined || !found) return null;
    return {
      host: chosen,
      status: found.systemHealth,
      reasons: found.reasons ?? [],
      timestamp: found.timestamp,
      cpu: { usage: found.cpuUsage ?? null, cores: found.cpuCores ?? null },
      memory: {
        usage: found.memoryUsage ?? null,
        totalBytes: found.memoryTotalBytes ?? null,
        availableBytes: found.memoryAvailableBytes ?? null,
      },
      disk: { usage: found.diskUsage ?? null },
      network: { latency: found.networkLatency ?? null },
      checks: this.reader.latest?.checks[chosen] ?? {},
    };
  }

  /** Acknowledge an alert as `by`, and return it. */
  acknowledgeAlert(id: string, by: string, comment?: string): Promise<Alert> {
    return this.reader.acknowledge(id, by, comment);
  }
}
