import { hostname } from "node:os";

/** Settings of a client; what is not given comes from the environment. */
export interface Options {
  /** The bot's name; BOTWATCH_BOT, else the name of this host. */
  bot?: string;
  /** The dashboard; BOTWATCH_URL, else http://localhost:3001. */
  url?: string;
  /** Where records go; BOTWATCH_INGESTION_URL, else http://localhost:9090. */
  ingestionUrl?: string;
  /** API token with the scopes `ingest`, `read` and, to acknowledge, `operate`; BOTWATCH_TOKEN. */
  token?: string;
  /** Another token for records alone. */
  ingestionToken?: string;
  /** Of each request. */
  timeoutMs?: number;
  /** How often the dashboard is read after `startMonitoring`. */
  pollMs?: number;
  heartbeatMs?: number;
  /** Records that may wait; beyond, the oldest are dropped. */
  maxPending?: number;
  /** Where warnings go; standard error by default. */
  warn?: (message: string) => void;
}

/** Settings with their defaults. */
export type Settings = Required<Options>;

/** Return the settings with the environment's and the defaults. */
export function settingsOf(options: Options, environ: NodeJS.ProcessEnv = process.env): Settings {
  const token = options.token ?? environ.BOTWATCH_TOKEN ?? "";
  return {
    bot: environ.BOTWATCH_BOT || hostname(),
    url: environ.BOTWATCH_URL || "http://localhost:3001",
    ingestionUrl: environ.BOTWATCH_INGESTION_URL || "http://localhost:9090",
    ingestionToken: token,
    timeoutMs: 5_000,
    pollMs: 5_000,
    heartbeatMs: 10_000,
    maxPending: 10_000,
    warn: (message) => console.warn(`botwatch: ${message}`),
    ...options,
    token,
  };
}
