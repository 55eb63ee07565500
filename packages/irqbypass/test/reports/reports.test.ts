/**
 * Situations as people who write VMMs and device models have reported them, each in our own words, on the software VM and on a real
 * guest of KVM: what arrives is the same.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { changeReports } from "./changes.js";
import { otherReports } from "./others.js";
import { Bench, type Platform, type Report, realKvm, software } from "./platform.js";
import { vectorReports } from "./vectors.js";

const REPORTS: readonly Report[] = [...vectorReports, ...otherReports, ...changeReports];

async function play(report: Report, platform: Platform): Promise<void> {
  await report.play(new Bench(platform));
  assert.deepEqual(platform.host.audit().findings, []);
}

describe("on a software VM", () => {
  for (const report of REPORTS) it(report.says, () => play(report, software()));
});

describe("on a real guest of KVM", kvmTests, () => {
  for (const report of REPORTS) it(report.says, () => play(report, realKvm()));
});
