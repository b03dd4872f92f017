import { BotwatchError, type Fault, FullError, RefusedError, UnreachableError } from "./errors.js";

const FULL_STATUSES = [429, 503, 507];

interface ErrorBody {
  error?: string;
  faults?: Fault[];
}

/** A server of Botwatch at a base URL; every request has a time-out. */
export class HttpClient {
  private readonly base: string;

  constructor(
    url: string,
    private readonly token: string,
    private readonly timeoutMs: number,
  ) {
    if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) {
      throw new TypeError(`expected a URL like http://localhost:3001, got ${JSON.stringify(url)}`);
    }
    this.base = url.replace(/\/+$/, "");
  }

  /** Return the response to a GET. */
  get<T>(path: string): Promise<T> {
    return this.request("GET", path);
  }

  /** Return the response to a POST of `body` as JSON. */
  post<T>(path: string, body: unknown): Promise<T> {
    return this.request("POST", path, JSON.stringify(body));
  }

  private async request<T>(method: string, path: string, body?: string): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const signal = AbortSignal.timeout(this.timeoutMs);
    try {
      const response = await fetch(this.base + path, {
        method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      if (!response.ok) throw refusal(this.base + path, response.status, text);
      return JSON.parse(text) as T;
    } catch (error) {
      if (error instanceof BotwatchError) throw error;
      if (error instanceof SyntaxError) throw new BotwatchError(`${this.base}${path} sent an unexpected response`);
      throw new UnreachableError(`${this.base} is not responding: ${reasonOf(error)}`);
    }
  }
}

function refusal(url: string, status: number, text: string): BotwatchError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // A proxy's page: the status says enough.
  }
  const kind = FULL_STATUSES.includes(status) ? FullError : RefusedError;
  return new kind(`${url} answered ${status}: ${body.error ?? "rejected"}`, status, body.faults ?? []);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  // An attempt at several addresses has no message of its own.
  const [first] = cause instanceof AggregateError ? (cause.errors as Error[]) : [];
  return first?.message || cause.message || cause.name;
}
