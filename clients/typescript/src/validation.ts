import { type Fault, InvalidRecordError } from "./errors.js";
import { SCHEMAS } from "./generated/records.js";

/** JSON Schema, as far as the records need it. */
interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  enum?: string[];
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | false;
  propertyNames?: Schema;
  required?: string[];
  maxProperties?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

const schemas = SCHEMAS as Record<string, Schema>;
const EXPECTED: Record<string, string> = {
  string: "text",
  integer: "a whole number",
  number: "a number",
  object: "an object",
};
const TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$/;
const [FIRST, AFTER_LAST] = [Date.UTC(2000), Date.UTC(2100)];

/** Kinds of records. */
export const KINDS = Object.keys(schemas).filter((name) => schemas[name]?.properties?.kind);

/** Throw InvalidRecordError with every fault of a record, if the server would reject it. */
export function validateRecord(record: Record<string, unknown>): void {
  const faults = faultsOf(record);
  if (faults.length) throw new InvalidRecordError(faults);
}

/** Return what is wrong with a record, each fault with the path of its field. */
export function faultsOf(record: Record<string, unknown>): Fault[] {
  const kind = record.kind;
  const schema = typeof kind === "string" && KINDS.includes(kind) ? schemas[kind] : undefined;
  if (!schema) return [{ path: "$.kind", message: `expected one of ${KINDS.join(", ")}, got ${quote(kind)}` }];
  const faults = objectFaults(record, schema, "$");
  for (const name of ["timestamp", "openedAt"]) faults.push(...timeFaults(record[name], `$.${name}`));
  if (kind === "performance") {
    if (record.source === "computed") {
      faults.push({ path: "$.source", message: "`computed` is reserved for Botwatch; omit `source`" });
    } else if (record.portfolioValue === null) {
      faults.push({ path: "$.portfolioValue", message: "required in a performance record" });
    }
  }
  return faults;
}

function valueFaults(value: unknown, given: Schema, path: string): Fault[] {
  const schema = given.$ref ? (schemas[given.$ref.split("/").pop() ?? ""] ?? {}) : given;
  const options = schema.anyOf ?? [schema];
  const fitting = options.find((one) => hasType(value, one));
  if (!fitting) {
    const named = options
      .map((one) => EXPECTED[one.type ?? ""])
      .filter(Boolean)
      .join(" or ");
    const choices = options.flatMap((one) => one.enum ?? []).join(", ");
    const expected = choices ? `one of ${choices}` : named || "another type";
    return [{ path, message: `expected ${expected}, got ${quote(value)}` }];
  }
  if (isObject(value)) return objectFaults(value, fitting, path);
  const limit = limitFault(value, fitting);
  return limit ? [{ path, message: `${limit}, got ${quote(value)}` }] : [];
}

function objectFaults(value: Record<string, unknown>, schema: Schema, path: string): Fault[] {
  const faults: Fault[] = [];
  const fields = schema.properties ?? {};
  for (const [name, one] of Object.entries(value)) {
    const nameFault = schema.propertyNames ? limitFault(name, schema.propertyNames) : "";
    const field = Object.hasOwn(fields, name) ? fields[name] : schema.additionalProperties || undefined;
    if (nameFault) faults.push({ path, message: `${nameFault} as a name, got ${quote(name)}` });
    else if (field) faults.push(...valueFaults(one, field, `${path}.${name}`));
    else faults.push({ path: `${path}.${name}`, message: "unknown field" });
  }
  for (const name of schema.required ?? []) {
    if (!(name in value)) faults.push({ path: `${path}.${name}`, message: "required, but missing" });
  }
  const count = Object.keys(value).length;
  if (count > (schema.maxProperties ?? count)) {
    faults.push({ path, message: `expected at most ${schema.maxProperties} entries, got ${count}` });
  }
  return faults;
}

function hasType(value: unknown, schema: Schema): boolean {
  if (schema.enum) return typeof value === "string" && schema.enum.includes(value);
  switch (schema.type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "object":
    case undefined:
      return isObject(value);
    default:
      return typeof value === schema.type;
  }
}

function limitFault(value: unknown, schema: Schema): string {
  if (typeof value === "string") return textFault(value, schema);
  if (typeof value !== "number") return "";
  if (!Number.isFinite(value)) return "expected a finite number";
  if (value < (schema.minimum ?? value)) return `expected at least ${schema.minimum}`;
  if (value > (schema.maximum ?? value)) return `expected at most ${schema.maximum}`;
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) {
    return `expected more than ${schema.exclusiveMinimum}`;
  }
  return "";
}

function textFault(value: string, schema: Schema): string {
  const length = [...value].length;
  const [least, most] = [schema.minLength ?? 0, schema.maxLength ?? length];
  if (length < least || length > most) return `expected ${least} to ${most} characters`;
  if (!value.isWellFormed()) return "expected Unicode text without lone surrogates";
  if (schema.pattern && !new RegExp(schema.pattern, "u").test(value))
    return `expected text that matches ${schema.pattern}`;
  return "";
}

/** Check what JSON Schema cannot express about a time. */
function timeFaults(value: unknown, path: string): Fault[] {
  let time: number;
  if (typeof value === "string") {
    time = TIME.test(value) ? Date.parse(value.toUpperCase().replace(" ", "T")) : Number.NaN;
    if (Number.isNaN(time)) {
      const message = `expected ISO-8601 with a zone such as 2026-01-31T12:00:00Z, got ${quote(value)}`;
      return [{ path, message }];
    }
  } else if (typeof value === "number") time = value;
  else return [];
  if (FIRST <= time && time < AFTER_LAST) return [];
  return [{ path, message: `expected a time in the years 2000 to 2099, got ${quote(value)}` }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function quote(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
