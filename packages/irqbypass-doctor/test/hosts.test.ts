/**
 * Every host under hosts/ gives the report beside it. `UPDATE_REPORTS=1` writes them anew; read the difference.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Report } from "#src/judge/report.js";
import { runDoctor } from "./run.js";
import { HOSTS, hostNames, loadHost, withTree } from "./tree.js";

const update = process.env.UPDATE_REPORTS === "1";

function expectText(path: string, actual: string): void {
  if (update) writeFileSync(path, actual);
  assert.equal(actual, readFileSync(path, "utf8"));
}

describe("every host gives the report beside it", () => {
  for (const name of hostNames()) {
    it(name, async () => {
      const host = loadHost(name);
      await withTree(name, host, async (dir) => {
        const json = await runDoctor(["--from", dir, "--json", ...host.options]);
        assert.equal(json.stderr, "");
        const report = JSON.parse(json.stdout) as Report;
        assert.equal(json.code, report.verdict.exit);
        // Two thousand vectors are a megabyte of JSON; the text shows as much.
        if (name !== "vectors-2000") expectText(join(HOSTS, name, "report.json"), json.stdout);
        for (const columns of [100, 80]) {
          const text = await runDoctor(["--from", dir, ...host.options], { columns });
          assert.equal(text.code, report.verdict.exit);
          const path = join(HOSTS, name, `report-${columns}.txt`);
          if (columns === 100 || existsSync(path)) expectText(path, text.stdout);
          for (const line of text.stdout.split("\n"))
            assert.ok(line.length <= columns, `wider than ${columns}: ${line}`);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
          assert.doesNotMatch(text.stdout, /[\u0000-\u0009\u000b-\u001f\u007f]/);
        }
      });
    });
  }
});

/** What each host must say, apart from the files, so that writing those anew cannot hide a mistake. */
const VERDICTS: Record<string, Record<string, number>> = {
  "intel-posted-6.12": { "posted now": 5 },
  "intel-posted-6.18": { "posted now": 5 },
  "intel-nopost": { "delivered by the host just now": 4, "cannot be": 1 },
  "intel-one-unit-lacks": { "cannot be": 5 },
  "intel-apicv-off": { "cannot be": 5 },
  "intel-posted-msi": { "able, not seen": 5 },
  "intel-intx": { "delivered by the host just now": 1 },
  "intel-old-5.15": { "posted now": 5 },
  "amd-avic-6.18": { "posted now": 5 },
  "amd-inhibited-pit": { "delivered by the host just now": 4, "cannot be": 1 },
  "amd-table-of-another-device": { "able, not seen": 5 },
  "avic-misread-on-intel": { "cannot be": 5 },
  "no-iommu": { "delivered by the host just now": 4, "cannot be": 1 },
  "kvm-without-vmx-or-svm": {},
  "vp-vdpa": { "able, not seen": 1, "delivered by the host just now": 1, "cannot be": 1 },
  "arm64-gicv3": { "delivered by the host just now": 1, "cannot be": 1 },
  "arm64-gicv4": { "able, not seen": 2 },
  "debugfs-not-mounted": { "able, not seen": 5 },
  "not-root": { "able, not seen": 5 },
  "not-root-and-hidden-parameters": { unknown: 5 },
  "userspace-poll": { "delivered by the host just now": 4, "able, not seen": 1 },
  "odd-names": { "posted now": 2 },
  "cpu-goes-offline": { "able, not seen": 5 },
  "traced-posted": { "posted now": 5 },
  paired: { paired: 4, "able, not seen": 1 },
  "probably-posted": { "probably posted": 5 },
  "some-posted": { "posted now": 3, "delivered by the host just now": 1, "able, not seen": 1 },
  "some-posted-which": { "able, not seen": 5 },
  "held-by-no-vm": { "cannot be": 5 },
  "unknown-format": { unknown: 5 },
  "no-device-enabled": {},
  "empty-host": {},
  // The table does not say which vectors of the second device are its posted ones.
  "vectors-2000": { "posted now": 505, "able, not seen": 493, "delivered by the host just now": 1007 },
};

/** The link that each host breaks at the root. */
const BROKEN: Record<string, string> = {
  "intel-nopost": "kernel command line",
  "intel-one-unit-lacks": "posting capability",
  "intel-apicv-off": "module parameters",
  "amd-inhibited-pit": "inhibit reasons",
  "no-iommu": "IOMMU",
  "kvm-without-vmx-or-svm": "CPU virtualisation",
  "arm64-gicv3": "kernel command line",
  "avic-misread-on-intel": "module parameters",
};

describe("what the hosts say", () => {
  it("keeps 2,000 vectors on one page of a hundred lines", () => {
    const text = readFileSync(join(HOSTS, "vectors-2000", "report-100.txt"), "utf8");
    assert.ok(text.split("\n").length < 100);
  });
  it("names every host", () => {
    assert.deepEqual(Object.keys(VERDICTS).sort(), hostNames());
  });
  for (const [name, expected] of Object.entries(VERDICTS)) {
    it(name, async () => {
      const host = loadHost(name);
      await withTree(name, host, async (dir) => {
        const report = JSON.parse(
          (await runDoctor(["--from", dir, "--json", ...host.options])).stdout,
        ) as Report;
        const devices = [...report.vms.flatMap((vm) => vm.devices), ...report.unclaimed];
        const counts: Record<string, number> = {};
        for (const { verdict } of devices.flatMap(({ vectors }) => vectors))
          counts[verdict] = (counts[verdict] ?? 0) + 1;
        assert.deepEqual(counts, expected);
        const broken = BROKEN[name];
        if (broken === undefined) assert.ok(report.chain.every(({ state }) => state !== "broken"));
        else {
          assert.ok(report.verdict.says.includes(`broken link is ${broken}:`), report.verdict.says);
          assert.equal(report.advice[0]?.about, broken);
        }
      });
    });
  }
});
