import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { faultsOf, KINDS } from "../src/validation.js";

const EXAMPLES = new URL("../../../../shared/schema/examples/", import.meta.url);
const EQUITY = { kind: "equity", bot: "b", equity: 1, timestamp: "2026-01-31T12:00:00Z", id: "1" };

function examples(): Record<string, unknown>[] {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".json"));
  return files.flatMap(
    (name) => JSON.parse(readFileSync(new URL(name, EXAMPLES), "utf8")) as Record<string, unknown>[],
  );
}

test("the server's own examples are valid", () => {
  const bots = examples().filter((one) => KINDS.includes(String(one.kind)) && one.source !== "computed");
  assert.ok(new Set(bots.map((one) => one.kind)).size >= 8);
  for (const one of bots) assert.deepEqual(faultsOf(one), [], JSON.stringify(one));
});

for (const [change, fault] of [
  [{ kind: "profit" }, /^\$\.kind: expected one of .*equity/],
  [{ equity: "1" }, /^\$\.equity: expected a number, got "1"$/],
  [{ equity: Number.POSITIVE_INFINITY }, /^\$\.equity: expected a finite number/],
  [{ bot: "" }, /^\$\.bot: expected 1 to 128 characters/],
  [{ bot: "a\nb" }, /^\$\.bot: expected text that matches/],
  [{ bot: "\ud800" }, /^\$\.bot: expected Unicode text/],
  [{ sequence: 1.5 }, /^\$\.sequence: expected a whole number, got 1\.5$/],
  [{ sequence: -1 }, /^\$\.sequence: expected at least 0/],
  [{ curency: "EUR" }, /^\$\.curency: unknown field$/],
  [{ toString: 1 }, /^\$\.toString: unknown field$/],
  [{ labels: { "1": "x" } }, /^\$\.labels: expected text that matches .* as a name/],
  [
    { labels: Object.fromEntries([...Array(17).keys()].map((n) => [`l${n}`, "x"])) },
    /expected at most 16 entries, got 17/,
  ],
  [{ timestamp: "yesterday" }, /^\$\.timestamp: expected ISO-8601/],
  [{ timestamp: "1999-12-31T23:59:59Z" }, /^\$\.timestamp: expected a time in the years 2000 to 2099/],
  [{ equity: undefined }, /^\$\.equity: expected a number, got undefined$/],
] as [Record<string, unknown>, RegExp][]) {
  test(`a record with ${JSON.stringify(change)} has one fault`, () => {
    const found = faultsOf({ ...EQUITY, ...change }).map((one) => `${one.path}: ${one.message}`);
    assert.equal(found.length, 1, found.join("; "));
    assert.match(found[0] ?? "", fault);
  });
}

test("what is missing is named", () => {
  assert.deepEqual(faultsOf({ kind: "equity", bot: "b" }), [{ path: "$.equity", message: "required, but missing" }]);
});
