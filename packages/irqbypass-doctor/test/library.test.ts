/**
 * The library: the report that `--json` prints, without a terminal, and refusals as errors.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DoctorError, inspectHost, prometheusText, textReport, visibleJson } from "#src/index.js";
import { runDoctor } from "./run.js";
import { hostNames, loadHost, withTree } from "./tree.js";

describe("inspectHost", () => {
  it("gives the report that --json prints, of a capture and of a host that is mounted", async () => {
    for (const name of hostNames().filter((one) => one !== "vectors-2000")) {
      await withTree(name, loadHost(name), async (dir) => {
        const { stdout, code } = await runDoctor(["--from", dir, "--json"]);
        const report = await inspectHost({ from: dir });
        assert.equal(`${visibleJson(report, 2)}\n`, stdout);
        assert.equal(report.verdict.exit, code);
      });
    }
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      const report = await inspectHost({
        root: join(dir, "1"),
        interval: 0.1,
        pid: 4242,
        device: "0000:3b:00.0",
      });
      assert.equal(report.verdict.exit, 1);
      assert.match(textReport(report, { width: 80, colour: false }), /intremap=nopost/);
      assert.match(prometheusText(report), /irqbypass_exit_code 1/);
    });
  });

  it("inspects this host", { skip: process.platform !== "linux" && "not Linux" }, async () => {
    const report = await inspectHost({ interval: 0.1 });
    assert.equal(report.format, "irqbypass-doctor/1");
  });

  it("refuses with an error that has a code", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      const root = join(dir, "1");
      for (const [options, code] of [
        [{ from: dir, root }, "EINVAL"],
        [{ from: dir, interval: 2 }, "EINVAL"],
        [{ from: dir, trace: 2 }, "EINVAL"],
        [{ from: dir, writeDevid: true }, "EINVAL"],
        [{ root, interval: 0 }, "EINVAL"],
        [{ root, interval: Number.NaN }, "EINVAL"],
        [{ root, trace: 1e9 }, "EINVAL"],
        [{ root, pid: 0.5 }, "EINVAL"],
        [{ root, pid: 99_999, interval: 3600 }, "ENOENT"],
        [{ root, device: "0000:99:00.0", interval: 3600 }, "ENOENT"],
        [{ root, writeDevid: true }, "ENOENT"],
        [{ root: join(dir, "nowhere") }, "ENOENT"],
        [{ from: join(dir, "nowhere") }, "ENOENT"],
        [{ root, interval: 3600, signal: AbortSignal.timeout(50) }, "EINTR"],
      ] as const) {
        await assert.rejects(
          inspectHost(options),
          (error) =>
            error instanceof DoctorError && error.code === code && error.message.startsWith(`${code}: `),
          JSON.stringify(options),
        );
      }
    });
  });

  it("leaves no descriptor open", { skip: process.platform !== "linux" && "no /proc" }, async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      const open = () => readdirSync("/proc/self/fd").length;
      await inspectHost({ from: dir });
      const before = open();
      for (let i = 0; i < 5; i += 1) {
        await inspectHost({ from: dir });
        await inspectHost({ root: join(dir, "1"), interval: 0.1 });
        await inspectHost({ root: join(dir, "1"), pid: 99_999 }).catch(() => {});
        await inspectHost({ from: join(dir, "1") }).catch(() => {});
      }
      assert.equal(open(), before);
    });
  });
});
