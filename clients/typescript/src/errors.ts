/** What is wrong with one field: its JSON path, and what was expected there. */
export interface Fault {
  path: string;
  message: string;
}

/** A request failed; `status` is the HTTP status, if there was one. */
export class BotwatchError extends Error {
  override name = "BotwatchError";

  constructor(
    message: string,
    readonly status: number | null = null,
    readonly faults: readonly Fault[] = [],
  ) {
    super([message, faults.map((one) => `${one.path}: ${one.message}`).join("; ")].filter(Boolean).join(": "));
  }
}

/** A record is not valid; nothing was sent. */
export class InvalidRecordError extends BotwatchError {
  override name = "InvalidRecordError";

  constructor(faults: readonly Fault[]) {
    super("not valid; nothing was sent", null, faults);
  }
}

/** The server rejected a request: it is wrong, or not allowed. */
export class RefusedError extends BotwatchError {
  override name = "RefusedError";
}

/** There was no response. */
export class UnreachableError extends BotwatchError {
  override name = "UnreachableError";
}

/** The server responded that it cannot accept anything now: it is full or overloaded. */
export class FullError extends BotwatchError {
  override name = "FullError";
}
