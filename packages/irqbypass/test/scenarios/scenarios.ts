/** The tests of scenarios: each holds, and each of its twins is caught and shows the same when it is replayed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exploreSubject, replayId, reportText, type Subject } from "atomics-explorer";
import { SCENARIOS } from "#scenarios/support/scenarios.js";

export function testSubjects(subjects: readonly Subject[]): void {
  for (const subject of subjects) {
    test(`${subject.name}${subject.twin ? " is caught" : " holds"}`, async (t) => {
      const report = await exploreSubject(subject);
      t.diagnostic(reportText(report).split("\n").slice(1).join(" ").trim());
      assert.ok(report.passed, reportText(report));
      if (!subject.twin) return;
      // A twin that is not what the code calls any more is wrong in a way of its own.
      assert.doesNotMatch(report.violation!.message, /is not a function|Cannot read|is not defined/);
      const again = await replayId(report.violation!.id, "steps", SCENARIOS);
      assert.notEqual(again.violation, undefined, "its schedule shows nothing when it is run again");
    });
  }
}
