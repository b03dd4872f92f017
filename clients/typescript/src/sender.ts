import { BotwatchError, RefusedError } from "./errors.js";
import type { HttpClient } from "./http.js";

const BATCH_RECORDS = 500;
const [FIRST_WAIT_MS, MAX_WAIT_MS] = [200, 5_000];
const INVALID_STATUSES = [400, 413, 422];

/** What became of the records that were logged; `dropped` and `refused` are lost. */
export interface Stats {
  logged: number;
  sent: number;
  /** Wait to be sent. */
  pending: number;
  /** Dropped because too many waited, the oldest first. */
  dropped: number;
  /** Refused by Botwatch as not valid. */
  refused: number;
  /** Why nothing can be sent at present. */
  error: string | null;
}

/** Sends records in batches while the bot goes on; what waits is in memory and bounded. */
export class Sender {
  private queue: object[] = [];
  private inFlight = 0;
  private counts = { logged: 0, sent: 0, dropped: 0, refused: 0 };
  private error: BotwatchError | null = null;
  private running: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private waitMs = FIRST_WAIT_MS;

  constructor(
    private readonly client: HttpClient,
    private readonly maxPending: number,
    private readonly warn: (message: string) => void,
  ) {
    // A script that ends sends what it logged last; timers alone do not keep it alive.
    process.once("beforeExit", () => this.sendNow());
  }

  get stats(): Stats {
    return { ...this.counts, pending: this.queue.length, error: this.error?.message ?? null };
  }

  /** Add a record, and drop the oldest if too many wait. */
  put(record: object): void {
    this.counts.logged += 1;
    if (this.queue.length >= this.maxPending) {
      this.queue.splice(this.inFlight, 1);
      if (this.counts.dropped++ === 0) this.warn("too many records wait to be sent: the oldest are dropped");
    }
    this.queue.push(record);
    if (!this.timer) this.sendNow();
  }

  /** Wait until everything is sent, for at most `timeoutMs`; return whether it is. */
  async flush(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (this.queue.length && Date.now() < deadline) {
      this.sendNow();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, deadline - Date.now());
      });
      await Promise.race([this.running, late]);
      clearTimeout(timer);
      if (this.error)
        await new Promise((resolve) => setTimeout(resolve, Math.min(FIRST_WAIT_MS, deadline - Date.now())));
    }
    return !this.queue.length;
  }

  /** Send no more. */
  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private sendNow(): void {
    this.stop();
    if (!this.queue.length) return;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  private async run(): Promise<void> {
    // What is logged in this turn of the event loop makes one batch.
    await Promise.resolve();
    while (this.queue.length) {
      const batch = this.queue.slice(0, BATCH_RECORDS);
      this.inFlight = batch.length;
      try {
        await this.send(batch);
      } catch (error) {
        if (!(error instanceof BotwatchError)) throw error;
        this.retryLater(error);
        return;
      } finally {
        this.inFlight = 0;
      }
      this.queue.splice(0, batch.length);
      this.noteSuccess();
    }
  }

  /** Send records; those that are refused as not valid are left out, and counted. */
  private async send(batch: object[]): Promise<void> {
    try {
      await this.client.post("/api/v1/records", batch);
      this.counts.sent += batch.length;
    } catch (error) {
      if (!(error instanceof RefusedError) || !INVALID_STATUSES.includes(error.status ?? 0)) throw error;
      if (batch.length === 1) {
        this.counts.refused += 1;
        this.warn(`a record was refused and is lost: ${error.message}`);
        return;
      }
      const middle = batch.length >> 1;
      await this.send(batch.slice(0, middle));
      await this.send(batch.slice(middle));
    }
  }

  private retryLater(error: BotwatchError): void {
    if (!this.error) this.warn(`records cannot be sent; they wait, and sending is retried: ${error.message}`);
    this.error = error;
    this.timer = setTimeout(() => this.sendNow(), this.waitMs).unref();
    this.waitMs = Math.min(2 * this.waitMs, MAX_WAIT_MS);
  }

  private noteSuccess(): void {
    if (this.error) this.warn(`records are sent again; dropped meanwhile: ${this.counts.dropped}`);
    this.error = null;
    this.waitMs = FIRST_WAIT_MS;
  }
}
