// What docs/verification.md says of scenarios is so: they are there, and bounded or long where it says so, and nowhere else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { scenarios } from "#scenarios/support/scenarios.js";

const doc = readFileSync(new URL("../../../docs/verification.md", import.meta.url), "utf8");
const shipped = (await scenarios()).filter(({ twin }) => !twin);

test("the scenarios that docs/verification.md names are there", () => {
  const named = [...doc.matchAll(/`([a-z-]+\/[a-zA-Z]+)`/g)].map(([, name]) => name!);
  const names = named.filter((name) => !name.startsWith("irqbypass/")); // entry points
  assert.ok(names.length > 40);
  for (const name of new Set(names))
    assert.ok(
      shipped.some((one) => one.name === name),
      name,
    );
});

test("it marks as bounded and as long what is, each time", () => {
  for (const { name, settings, long } of shipped) {
    const bounded = settings.preemptions !== undefined || typeof settings.timeouts === "number";
    const mark = long ? " (`--long`)" : bounded ? " (bounded)" : "";
    for (const [, after] of doc.matchAll(new RegExp(`^\\|.*\`${name}\`( \\([^)]*\\))?`, "gm")))
      assert.equal(after ?? "", mark, name);
  }
});

test("the nine interleavings that Linux comments on each have a scenario", () => {
  const section = doc.split("## The nine interleavings")[1]!.split("\n## ")[0]!;
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| in Linux"));
  assert.equal(rows.length, 9);
  for (const row of rows) assert.match(row, /\| `[a-z]+\/[a-zA-Z]+`.*\|$/);
});
