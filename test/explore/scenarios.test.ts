// Every scenario of the package holds, and each of its twins is caught.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exploreSubject, replayId, reportText, subjects } from "#src/explore/index.js";

for (const subject of await subjects([])) {
  test(`${subject.name}${subject.twin ? " is caught" : " holds"}`, async (t) => {
    const report = exploreSubject(subject);
    t.diagnostic(reportText(report).split("\n").slice(1).join(" ").trim());
    assert.ok(report.passed, reportText(report));
    if (!subject.twin) return;
    const again = await replayId(report.violation!.id);
    assert.notEqual(again.violation, undefined, "its schedule shows nothing when it is run again");
  });
}
