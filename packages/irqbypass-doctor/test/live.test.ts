/**
 * The doctor on the machine that runs the tests: where it has /dev/kvm, on a process that is a VM.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Report } from "#src/judge/report.js";
import { runDoctor } from "./run.js";

/** Why no VM can be made here, or false. */
function noKvm(): string | false {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `${process.platform} ${process.arch} is no x86 Linux`;
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return false;
  } catch (error) {
    return `/dev/kvm cannot be opened here: ${error instanceof Error ? error.message : error}`;
  }
}

interface Vm {
  readonly pid: number;
  readonly irqfds: readonly number[];
  readonly polled: number;
}

/** Runs a VM for the time of `use`. */
async function withVm<T>(use: (vm: Vm) => Promise<T>): Promise<T> {
  const script = fileURLToPath(new URL("./live-vm.js", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  try {
    const lines = createInterface({ input: child.stdout! });
    const first = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
    assert.ok(first !== undefined, "the VM's process ended before it stood");
    return await use(JSON.parse(String(first[0])) as Vm);
  } finally {
    child.stdin!.end();
    await ended;
  }
}

const skip = noKvm();
if (skip !== false) console.log(`skipped: ${skip}`);

describe("a real VM", { skip }, () => {
  it("is found with its eventfds, and told truthfully whether posting can be", {
    timeout: 60_000,
  }, async () => {
    await withVm(async (vm) => {
      const args = ["--pid", String(vm.pid), "--interval", "0.2"];
      const { stdout, stderr, code } = await runDoctor([...args, "--json"]);
      assert.equal(stderr, "");
      const report = JSON.parse(stdout) as Report;
      const found = report.vms.find(({ pid }) => pid === vm.pid);
      assert.ok(found !== undefined);
      assert.equal(found.vcpus, 1);
      const ids = new Map(found.eventfds.map((one) => [one.id, one]));
      for (const id of vm.irqfds) {
        assert.equal(ids.get(id)?.polled, false, `eventfd ${id} is an irqfd and is not polled`);
        assert.equal(ids.get(id)?.count, "0");
      }
      assert.equal(ids.get(vm.polled)?.polled, true);
      assert.equal(ids.get(vm.polled)?.count, "3");
      assert.equal(code, report.verdict.exit);

      // The truth about this machine, from files that the findings do not share code with.
      const flags = readFileSync("/proc/cpuinfo", "utf8");
      if (!/\b(vmx|svm)\b/.test(flags)) {
        const link = report.chain.find(({ name }) => name === "CPU virtualisation");
        assert.equal(link?.state, "broken");
        if (existsSync("/sys/module/kvm_pvm")) assert.match(link.says, /without VMX or SVM/);
        assert.equal(report.verdict.exit, 1);
        assert.match(report.verdict.says, /broken link is CPU virtualisation/);
      }
      const text = (await runDoctor(args, { columns: 80 })).stdout;
      assert.ok(text.includes(`process ${vm.pid}`));
      assert.ok(text.includes(String(vm.irqfds[0])));
    });
  });

  it("is in a capture, which gives the same report without the VM", { timeout: 60_000 }, async () => {
    const parent = mkdtempSync(join(tmpdir(), "irqbypass-live-"));
    const dir = join(parent, "case");
    try {
      const live = await withVm(async (vm) => {
        const run = await runDoctor([
          "--pid",
          String(vm.pid),
          "--interval",
          "0.2",
          "--json",
          "--capture",
          dir,
        ]);
        return { vm, report: JSON.parse(run.stdout) as Report };
      });
      const again = await runDoctor(["--from", dir, "--pid", String(live.vm.pid), "--json"]);
      const report = JSON.parse(again.stdout) as Report;
      assert.deepEqual(report.verdict, live.report.verdict);
      assert.deepEqual(report.vms[0]?.eventfds, live.report.vms[0]?.eventfds);
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it("is gone from the report when it is gone", { timeout: 60_000 }, async () => {
    const pid = await withVm(async (vm) => vm.pid);
    const { code, stderr } = await runDoctor(["--pid", String(pid), "--interval", "0.1"]);
    assert.equal(code, 2);
    assert.match(stderr, /holds no VM/);
  });
});

describe("this machine, whatever it is", { skip: process.platform !== "linux" && "not Linux" }, () => {
  it("gets a report", async () => {
    const { stdout, code } = await runDoctor(["--interval", "0.1", "--json"]);
    const report = JSON.parse(stdout) as Report;
    assert.equal(report.measured.kernel, readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
    assert.equal(code, report.verdict.exit);
    assert.deepEqual(report.strange, []);
  });
});
