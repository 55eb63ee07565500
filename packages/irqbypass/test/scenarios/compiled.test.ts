// The compiled fast path has the same schedules as the TypeScript one, state by state, and its twins fail in the same way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exploreSubject, type Subject } from "atomics-explorer";
import { scenarios } from "#scenarios/support/scenarios.js";

const originals = new Map<string, Subject>();
for (const subject of await scenarios(["posting", "signal", "epoll"]))
  originals.set(partOf(subject), subject);
const compiled = (await scenarios(["wasm"])).filter((subject) => originals.has(partOf(subject)));

/** Its name without the file's. */
function partOf({ name }: Subject): string {
  return name.slice(name.indexOf("/") + 1);
}

test("there is a compiled version of each scenario that posts, harvests or counts", () => {
  const parts = compiled.filter(({ twin }) => !twin).map(partOf);
  assert.deepEqual(parts.sort(), [
    "add",
    "deassign",
    "death",
    "fence",
    "halt",
    "harvest",
    "level",
    "migration",
    "reroute",
    "switched",
    "unregister",
  ]);
});

for (const subject of compiled) {
  test(`${subject.name} goes as in TypeScript`, async () => {
    const original = originals.get(partOf(subject))!;
    const [found, expected] = [await exploreSubject(subject), await exploreSubject(original)];
    assert.deepEqual(found.tally, expected.tally);
    assert.equal(found.violation?.message, expected.violation?.message);
  });
}
