/** docs/errors.md says which code each fault has, and what each code is about. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { ERRNO } from "#src/host/errors.js";
import { CODES, type Fault, OWN_CODES } from "./codes.js";

const text = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");

/** The rows of the table between two marks, each as its cells. */
function table(name: string): string[][] {
  const [, inside = ""] = new RegExp(`<!-- ${name} -->\n([^]*)<!-- /${name} -->`).exec(text) ?? [];
  const lines = inside.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(1).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** How the row of a fault begins. */
const BEGINS: Readonly<Record<Fault, string>> = {
  "in a callback": "a call in a callback",
  "on what has ended": "an object that has ended",
  "an argument has ended": "an object that has ended",
  "of another host": "an eventfd of another host",
  "stale handle": "a handle of what is gone",
  "handle of something else": "a handle of what is gone",
  misspelt: "an argument of a wrong type",
  "wrong type": "an argument of a wrong type",
  "cannot be read": "an argument of a wrong type",
  "out of range": "a number out of its range",
  "no record left": "no record",
  "no descriptor left": "no file descriptor left",
  "may not block": "a call that would block",
};

describe("docs/errors.md", () => {
  const faults = table("faults");

  it("has the code of each fault that the matrix demands", () => {
    for (const [fault, code] of Object.entries(CODES)) {
      const row = faults.find(([what]) => what!.startsWith(BEGINS[fault as Fault]));
      assert.ok(row?.at(1)?.startsWith(`\`${code}\``), `${fault}: ${row?.join(" ")}`);
    }
    const begins = Object.values(BEGINS);
    const numbers = ["a number that is a handle", "a number that is no open"];
    const unknown = faults.filter(([what]) => ![...begins, ...numbers].some((one) => what!.startsWith(one)));
    assert.deepEqual(unknown, []);
  });

  it("has the codes that some numbers have of their own", () => {
    for (const [what, code] of OWN_CODES) assert.ok(text.includes(`\`${code}\``), `${what}: ${code}`);
  });

  it("has a row for every code of an IrqBypassError", () => {
    const codes = table("codes").map(([code]) => code!.slice(1, -1));
    assert.deepEqual(codes.sort(), Object.keys(ERRNO).sort());
  });
});
