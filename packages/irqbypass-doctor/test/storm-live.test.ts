import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  constants,
  cpSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DoctorError } from "#src/source/error.js";
import { LiveSource } from "#src/source/live.js";
import { otherVms } from "#src/storm/host.js";
import { openStormKernel, type StormKernel } from "#src/storm/kernel.js";
import { runStorm, type StormIo } from "#src/storm/storm.js";

/** Why there is no real kernel to measure here, or false. */
async function noKvm(): Promise<string | false> {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    (await openStormKernel()).dispose();
    return false;
  } catch (error) {
    return `no storm on this machine: ${error instanceof Error ? error.message : error}`;
  }
}
const skip = await noKvm();

const io: StormIo = {
  source: new LiveSource(),
  openKernel: openStormKernel,
  pid: process.pid,
  now: () => performance.now(),
  date: () => new Date(),
};

function descriptors(pid: number | "self" = "self"): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return /kvm|eventfd/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
}

test("on a real kernel it measures every step and leaves no descriptor", { skip }, async () => {
  const before = descriptors();
  const report = await runStorm({ upTo: 320, samples: 40, force: true }, io);
  assert.equal(report.ended, "complete");
  assert.deepEqual(
    report.steps.map((step) => step.count),
    [10, 32, 100, 316, 320],
  );
  for (const { up, down, crowded } of report.steps) {
    for (const spread of [up.assign, up.deassign, down!.assign, down!.deassign, crowded.assign]) {
      assert.ok(spread.p10 > 0 && spread.p10 <= spread.median && spread.median <= spread.p90);
    }
  }
  assert.deepEqual(descriptors(), before);
});

test("a real kernel's refusal is an error with its call and number", { skip }, async () => {
  const kernel = await openStormKernel();
  const vm = kernel.createVm();
  const eventfd = kernel.createEventfd();
  try {
    kernel.assign(vm, eventfd);
    assert.throws(
      () => kernel.assign(vm, eventfd),
      (error) =>
        error instanceof DoctorError && error.code === "EBUSY" && /KVM_IRQFD \(assign\)/.test(error.message),
    );
    kernel.deassign(vm, eventfd);
    assert.throws(() => kernel.assign(vm, vm), /EINVAL/);
  } finally {
    kernel.close(vm);
    kernel.close(eventfd);
    kernel.dispose();
  }
  kernel.dispose();
  assert.throws(() => kernel.createVm(), /already closed/);
});

test("a VM of another process is found, and stops the storm", { skip }, async () => {
  const script = `
    const { openStormKernel } = await import(${JSON.stringify(import.meta.resolve("#src/storm/kernel.js"))});
    (await openStormKernel()).createVm();
    console.log("holding");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  try {
    await once(child.stdout, "data");
    assert.ok(otherVms(io.source, process.pid).pids.includes(child.pid!));
    const refuse = (): Promise<StormKernel> => assert.fail("it must not come to opening KVM");
    await assert.rejects(runStorm({ upTo: 10 }, { ...io, openKernel: refuse }), /EBUSY.*hold/);
  } finally {
    child.kill("SIGKILL");
    await gone;
  }
});

test("Ctrl-C ends the command's storm with what it has, and with 130", { skip }, async () => {
  const script = `
    const { doctorCommand } = await import(${JSON.stringify(import.meta.resolve("#src/cli/command.js"))});
    await doctorCommand().parseAsync(["--storm", "15000", "--force"], { from: "user" });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (data) => {
    out += data;
  });
  const closed = once(child, "close");
  // Of this one alone: where many processes run, a look at all of them takes longer than the storm.
  const begun = () =>
    child.exitCode !== null || descriptors(child.pid).some((target) => /kvm-vm/.test(target));
  while (!begun()) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  const [code] = await closed;
  assert.equal(code, 130, out);
  assert.match(out, /Interrupted before the second pass was done/);
});

test("without koffi the error says what to install", {
  skip: process.arch !== "x64" && "x64 only",
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), "irqbypass-storm-"));
  try {
    const source = fileURLToPath(import.meta.resolve("#src/storm/kernel.js"));
    cpSync(join(source, ".."), join(dir, "storm"), { recursive: true });
    cpSync(join(source, "../../source"), join(dir, "source"), { recursive: true });
    writeFileSync(join(dir, "package.json"), '{ "type": "module" }');
    const alone = (await import(pathToFileURL(join(dir, "storm/kernel.js")).href)) as {
      openStormKernel: typeof openStormKernel;
    };
    await assert.rejects(alone.openStormKernel(), /ENOSYS: .*koffi.*npm install koffi/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
