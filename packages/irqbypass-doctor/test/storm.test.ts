import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { stormText } from "#src/report/storm-text.js";
import { DoctorError } from "#src/source/error.js";
import { LiveSource } from "#src/source/live.js";
import type { Source } from "#src/source/source.js";
import { consumerRegistration, freeDescriptors, openFilesLimit, otherVms } from "#src/storm/host.js";
import { runStorm, type StormIo, type StormReport } from "#src/storm/storm.js";
import { FakeKernel, seeded } from "./storm-kernel.fake.js";

const made: string[] = [];
after(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

const LIMITS = "Limit                     Soft Limit           Hard Limit           Units     \n";
const POSTING = "sys/module/kvm_intel/parameters/enable_device_posted_irqs";

/** A host of these files; a value that starts with "-> " is a link. */
function host(files: Record<string, string>): Source {
  const root = mkdtempSync(join(tmpdir(), "irqbypass-storm-"));
  made.push(root);
  const all = {
    "proc/sys/kernel/osrelease": "6.18.4\n",
    "proc/self/limits": `${LIMITS}Max open files            20000                20000                files     \n`,
    "proc/self/fd/0": "-> /dev/null",
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), join(root, path));
    else writeFileSync(join(root, path), text);
  }
  return new LiveSource(root);
}

function io(source: Source, kernel: FakeKernel): StormIo {
  return {
    source,
    openKernel: async () => kernel,
    pid: 4242,
    now: () => performance.now(),
    date: () => new Date("2026-01-02T03:04:05.678Z"),
  };
}

const random = seeded(3);
const tree = {
  assign: () => 1500 + random() * 300,
  deassign: (_host: number, own: number) => 50_000 + own * 20 + random() * 4000,
};
const list = {
  assign: (standing: number, own: number) => 1500 + standing * 4 + own * 1 + random() * 300,
  deassign: (standing: number, own: number) => 50_000 + standing * 4 + own * 20 + random() * 4000,
};

test("a kernel with the list is told from one without, by the cost of assign", async () => {
  const source = host({ [POSTING]: "Y\n" });
  const bad = await runStorm({ upTo: 3000 }, io(source, new FakeKernel(list)));
  assert.equal(bad.verdict, "list");
  assert.equal(bad.exit, 1);
  const good = await runStorm({ upTo: 3000 }, io(source, new FakeKernel(tree)));
  assert.equal(good.verdict, "no list", good.says);
  assert.equal(good.exit, 0);
  // The other list, of one VM's irqfds, is found and kept apart.
  assert.ok(good.vm.deassign !== null && good.vm.deassign.low > 10 && good.vm.deassign.high < 30);
  assert.match(stormText(good, 80), /walks the irqfds of its own VM, here \d+ ns for each/);
});

test("where the parameter says N the storm says that it cannot show the list", async () => {
  const report = await runStorm({ upTo: 1000 }, io(host({ [POSTING]: "N\n" }), new FakeKernel(tree)));
  assert.equal(report.verdict, "cannot show");
  assert.equal(report.exit, 2);
  assert.match(report.says, /enable_device_posted_irqs is N/);
});

test("it refuses while another process holds a VM, says why, and touches nothing", async () => {
  const kernel = new FakeKernel(tree);
  const source = host({
    [POSTING]: "Y\n",
    "proc/77/fd/9": "-> anon_inode:kvm-vm",
    "proc/78/fd/9": "-> anon_inode:kvm-vcpu:0",
    "proc/4242/fd/9": "-> anon_inode:kvm-vm",
  });
  await assert.rejects(runStorm({ upTo: 100 }, io(source, kernel)), (error) => {
    assert.ok(error instanceof DoctorError);
    assert.equal(error.code, "EBUSY");
    assert.match(error.message, /process 77 holds a VM.*mutex.*--force/);
    return true;
  });
  assert.equal(kernel.calls, 0);
  const forced = await runStorm({ upTo: 100, force: true }, io(source, kernel));
  assert.match(forced.notes.join(), /Forced: process 77 holds a VM/);
  assert.equal(kernel.open, 0);
  assert.equal(kernel.disposed, 1);
});

test("a process that cannot be looked into counts as one that may hold a VM", async () => {
  const real = host({ "proc/77/fd/9": "-> anon_inode:kvm-vm", "proc/1/fd/9": "-> /dev/null" });
  const blind: Source = {
    name: real.name,
    list: (path) =>
      /^proc\/\d+\/fd$/.test(path) ? { state: "unreadable", path, code: "EACCES" } : real.list(path),
    read: (path) => real.read(path),
    link: (path) => real.link(path),
  };
  assert.deepEqual(otherVms(blind, 4242), { pids: [], hidden: [77], unlisted: undefined });
  await assert.rejects(
    runStorm({ upTo: 10 }, io(blind, new FakeKernel(tree))),
    /process 77 cannot be looked into and may hold a VM.*needs CAP_SYS_PTRACE/,
  );
  const unused: Source = {
    ...blind,
    read: (path) =>
      path === "sys/module/kvm_amd/refcnt" ? { state: "read", path, value: "0\n" } : real.read(path),
  };
  assert.deepEqual(otherVms(unused, 4242), { pids: [], hidden: [], unlisted: undefined });
});

test("the limit of descriptors cuts the storm and says so", async () => {
  const limits = `${LIMITS}Max open files            400                  400                  files     \n`;
  const kernel = new FakeKernel(tree);
  const report = await runStorm({}, io(host({ [POSTING]: "Y\n", "proc/self/limits": limits }), kernel));
  assert.ok(report.upTo < 400 && report.upTo > 300);
  assert.equal(kernel.mostStanding, report.upTo + 1);
  assert.match(report.notes.join(), /Asked for 10,000 irqfds; the limit of open files allows \d+/);
  const none = limits.replaceAll("400 ", "40  ");
  await assert.rejects(
    runStorm({}, io(host({ "proc/self/limits": none }), kernel)),
    /EINVAL.*ulimit -n 11000/,
  );
});

test("counts out of range are refused", async () => {
  for (const upTo of [0, -1, 1.5, Number.NaN, 1_000_001]) {
    await assert.rejects(runStorm({ upTo }, io(host({}), new FakeKernel(tree))), /EINVAL.*1 to 1,000,000/);
  }
});

test("interrupted, it reports what it has and judges nothing", async () => {
  const controller = new AbortController();
  const kernel = new FakeKernel(list);
  kernel.before = () => {
    if (kernel.standing > 500) controller.abort();
  };
  const report = await runStorm(
    { upTo: 3000, signal: controller.signal },
    io(host({ [POSTING]: "Y\n" }), kernel),
  );
  assert.equal(report.ended, "interrupted");
  assert.equal(report.verdict, "could not tell");
  assert.equal(report.steps.length, 4);
  assert.equal(kernel.open, 0);
  assert.equal(kernel.disposed, 1);
  assert.match(stormText(report, 80), /\(interrupted\)/);
});

test("a call that fails is thrown on, with everything closed", async () => {
  const kernel = new FakeKernel(tree);
  kernel.before = (call) => {
    if (call === 1500) throw new DoctorError("EIO", "the storm's KVM_IRQFD (assign) failed with errno 12");
  };
  await assert.rejects(runStorm({ upTo: 3000 }, io(host({}), kernel)), /errno 12/);
  assert.equal(kernel.open, 0);
  assert.equal(kernel.disposed, 1);
});

test("registration of consumers is read from what tells it, newest first", () => {
  const state = (files: Record<string, string>) => consumerRegistration(host(files)).state;
  assert.equal(state({ [POSTING]: "Y\n" }), "yes");
  assert.equal(state({ [POSTING]: "N\n" }), "no");
  assert.equal(state({ [POSTING.replace("intel", "amd")]: "Y\n" }), "yes");
  assert.equal(state({ [POSTING]: "auto\n" }), "unknown");
  assert.equal(state({ "sys/module/kvm_intel/parameters/enable_apicv": "Y\n" }), "unknown");
  // No IOMMU rules it out from 6.16 on, and only there.
  assert.equal(state({ "sys/class/iommu/smmu3.0x1/x": "" }), "no");
  assert.equal(state({ "sys/class/iommu/dmar0/x": "" }), "unknown");
  assert.equal(state({ "sys/class/iommu/x": "", "proc/sys/kernel/osrelease": "6.15.9\n" }), "unknown");
  assert.equal(state({}), "unknown");
});

test("limits are read as the kernel writes them", () => {
  const line = (soft: string) => `${LIMITS}Max open files            ${soft}   20000   files     \n`;
  assert.equal(openFilesLimit(line("1024")), 1024);
  assert.equal(openFilesLimit(line("unlimited")), Number.MAX_SAFE_INTEGER);
  assert.equal(openFilesLimit(""), null);
  assert.equal(openFilesLimit(line("many")), null);
  assert.equal(freeDescriptors(host({})), 19_999);
});

test("the text fits its width, also where nothing was measured", async () => {
  const report = await runStorm({ upTo: 10_000 }, io(host({ [POSTING]: "Y\n" }), new FakeKernel(list)));
  const empty: StormReport = { ...report, steps: [], vm: { assign: null, deassign: null } };
  for (const columns of [60, 80, 100, 200]) {
    for (const text of [stormText(report, columns), stormText(empty, columns)]) {
      const wide = text.split("\n").filter((line) => line.length > Math.max(columns, 66));
      assert.deepEqual(wide, [], `at ${columns}`);
    }
  }
  const text = stormText(report, 80);
  assert.match(text, /^This kernel shows the list of kernel bugzilla 217379\.$/m);
  assert.match(text, /^Linux 6\.18\.4, 2026-01-02 03:04:05 UTC, up to 10,000 irqfds/m);
  assert.match(text, /^ {3}10,000 .*█/m);
  assert.match(text, /An assign walks it too/);
});
