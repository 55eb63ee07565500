import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DoctorError } from "#src/source/error.js";
import type { TraceFacts } from "#src/source/trace-facts.js";
import { findTraceFiles, followTrace, type TraceIo, type TraceOptions } from "#src/trace/trace.js";
import { FakeTracefs, FORMATS_618, line, OTHER_FORMATS, PI_FORMATS } from "./trace.fake.js";

/** A process that traces beside no other. */
const IO: Omit<TraceIo, "files"> = {
  pid: 321,
  runs: () => false,
  now: () => performance.now() / 1000,
  atExit: () => () => {},
};

interface Run {
  readonly facts: TraceFacts;
  readonly exits: number;
}

/** Follows a fake tree for a moment; `during` runs once recording has begun, at second 100 of the clock. */
async function follow(
  tracefs: FakeTracefs,
  during: () => void = () => {},
  more: Partial<TraceOptions> & { files?: TraceIo["files"] } = {},
): Promise<Run> {
  const exits = new Set<() => void>();
  let offset: number | undefined;
  let looks = 0;
  const io: TraceIo = {
    ...IO,
    files: more.files ?? tracefs.files,
    // The first look at the clock is at the start of the trace: exactly 100.
    now() {
      offset ??= performance.now();
      const since = (performance.now() - offset) / 1000;
      return looks++ === 0 ? 100 : 100 + since;
    },
    atExit(call) {
      exits.add(call);
      return () => exits.delete(call);
    },
  };
  const facts = await followTrace({ seconds: 0.15, started: during, ...more }, io).finally(() => {
    assert.deepEqual(tracefs.instances, [], "the instance is removed");
    assert.equal(exits.size, 0);
  });
  return { facts, exits: exits.size };
}

const fourth = (irq: number, set: boolean, vcpu: number, gsi = 0x18) =>
  `PI is ${set ? "enabled and being updated" : "disabled"} for irq ${irq}, vcpu ${vcpu}, gsi: 0x${gsi.toString(16)}, gvec: 0x31`;

test("the last update of each host interrupt counts, with the handlers before and after it", async () => {
  const tracefs = new FakeTracefs();
  const { facts } = await follow(tracefs, () => {
    tracefs.emit(
      line("kvm_pi_irte_update", fourth(130, true, 0), 100.25) +
        line("kvm_pi_irte_update", fourth(131, true, 1), 100.5) +
        line("irq_handler_entry", "irq=130 name=vfio-msix[0](0000:3b:00.0)") +
        line("irq_handler_entry", "irq=131 name=vfio-msix[1](0000:3b:00.0)") +
        line("kvm_pi_irte_update", fourth(131, false, -1), 100.75) +
        line("irq_handler_entry", "irq=131 name=vfio-msix[1](0000:3b:00.0)") +
        line("irq_handler_entry", "irq=131 name=vfio-msix[1](0000:3b:00.0)") +
        line("irq_handler_entry", "irq=9 name=vp-vdpa[0000:17:00.0]-0\n"),
    );
  });
  assert.equal(facts.generation, "Linux 6.17 on, every change");
  assert.deepEqual(facts.posting, [
    { hostIrq: 130, set: true, vcpu: 0, gsi: 24, guestVector: 0x31, at: 0.25 },
    { hostIrq: 131, set: false, vcpu: -1, gsi: 24, guestVector: 0x31, at: 0.75 },
  ]);
  assert.deepEqual(facts.handled, [
    { irq: 130, name: "vfio-msix[0](0000:3b:00.0)", count: 1, sinceChange: 1 },
    { irq: 131, name: "vfio-msix[1](0000:3b:00.0)", count: 3, sinceChange: 2 },
    { irq: 9, name: "vp-vdpa[0000:17:00.0]-0", count: 1, sinceChange: 1 },
  ]);
  assert.equal(facts.lost, 0);
  assert.deepEqual(facts.notes, []);
  assert.ok(facts.seconds >= 0.15);
  tracefs.dispose();
});

test("an MSI that is decoded for an update of the same thread is no injection", async () => {
  const tracefs = new FakeTracefs();
  const msi = (at: number, tid: number) =>
    line("kvm_msi_set_irq", "dst 0 vec 49 (Fixed|physical|edge)", at, tid);
  const { facts } = await follow(tracefs, () => {
    tracefs.emit(
      msi(101, 7) +
        line("kvm_pi_irte_update", fourth(130, true, 0), 101.00001, 7) +
        // Another thread's, and one long before, are injections.
        msi(102, 8) +
        line("kvm_pi_irte_update", fourth(130, true, 1), 102.00001, 7) +
        msi(103, 7) +
        line("kvm_pi_irte_update", fourth(130, true, 0), 104, 7) +
        msi(105, 9),
    );
  });
  assert.equal(facts.injections, 3);
  tracefs.dispose();
});

test("inhibits, AMD's log, gaps and unread texts are told", async () => {
  const tracefs = new FakeTracefs();
  const { facts } = await follow(tracefs, () => {
    tracefs.emit(
      line("kvm_apicv_inhibit_changed", "set reason=2, inhibits=0x4 ABSENT", 100.5, 55) +
        line("kvm_apicv_inhibit_changed", "cleared reason=2, inhibits=0x0", 100.75, 55) +
        line("kvm_avic_ga_log", "vmid=1, vcpuid=0") +
        line("kvm_avic_ga_log", "vmid=1, vcpuid=1") +
        "CPU:1 [LOST 17 EVENTS]\n" +
        line("kvm_pi_irte_update", "something quite new") +
        line("kvm_pi_irte_update", "something quite new again") +
        line("sched_switch", "not asked for"),
    );
  });
  assert.deepEqual(facts.inhibits, [
    { set: true, reason: 2, name: "ABSENT", inhibits: 4, names: ["ABSENT"], tid: 55, at: 0.5 },
    { set: false, reason: 2, name: "ABSENT", inhibits: 0, names: null, tid: 55, at: 0.75 },
  ]);
  assert.equal(facts.gaLog, 2);
  assert.equal(facts.lost, 17);
  assert.deepEqual(facts.notes, [
    "kvm_pi_irte_update: 2 events have a text that does not fit their format and were left aside; " +
      "the first: something quite new",
  ]);
  tracefs.dispose();
});

test("old generations are followed too, without a host interrupt by GSI", async () => {
  for (const [format, text, hostIrq] of [
    [
      PI_FORMATS.first,
      "VT-d PI is enabled and being updated for this irq, vcpu 3, gsi: 0x19, gvec: 0x41, pi_desc_addr: 0x1000",
      null,
    ],
    [
      PI_FORMATS.second,
      "VT-d PI is enabled and being updated for irq 77, vcpu 3, gsi: 0x19, gvec: 0x41, pi_desc_addr: 0x1000",
      77,
    ],
    [
      PI_FORMATS.third,
      "PI is enabled and being updated for irq 77, vcpu 3, gsi: 0x19, gvec: 0x41, pi_desc_addr: 0x1000",
      77,
    ],
  ] as const) {
    const tracefs = new FakeTracefs({ ...OTHER_FORMATS, "kvm/kvm_pi_irte_update": format });
    const { facts } = await follow(tracefs, () => tracefs.emit(line("kvm_pi_irte_update", text, 100.25)));
    assert.deepEqual(facts.posting, [
      { hostIrq, set: true, vcpu: 3, gsi: 0x19, guestVector: 0x41, at: 0.25 },
    ]);
    tracefs.dispose();
  }
});

test("the instance is set up before it records, and stopped before it goes", async () => {
  const tracefs = new FakeTracefs();
  await follow(tracefs, () => {
    assert.deepEqual(tracefs.instances, ["irqbypass-doctor-321"]);
    assert.equal(tracefs.control("trace_clock"), "mono");
    for (const event of Object.keys(FORMATS_618))
      assert.equal(tracefs.control(`events/${event}/enable`), "1");
    assert.match(tracefs.control("events/irq/irq_handler_entry/filter"), /vfio/);
  });
  const paths = tracefs.written.map(([path, text]) => `${path.split("/").slice(2).join("/")}=${text}`);
  assert.ok(paths.indexOf("trace_clock=mono") < paths.indexOf("events/kvm/kvm_pi_irte_update/enable=1"));
  assert.deepEqual(paths.slice(-2), ["tracing_on=0", "events/enable=0"]);
  tracefs.dispose();
});

test("what a kernel lacks or formats otherwise is noted, and the rest is followed", async () => {
  const { "kvm/kvm_avic_ga_log": _, ...some } = FORMATS_618;
  const tracefs = new FakeTracefs({ ...some, "kvm/kvm_pi_irte_update": "who knows" });
  tracefs.beforeWrite = (path) => {
    if (path.endsWith("/filter")) throw new Error("EINVAL");
    if (path.endsWith("kvm_msi_set_irq/enable")) throw new Error("EBUSY");
    if (path.endsWith("trace_clock")) throw new Error("EINVAL");
  };
  const { facts } = await follow(tracefs, () => {
    // The kernel's own clock: times count from the first event.
    tracefs.emit(
      line("irq_handler_entry", "irq=1 name=x", 7) +
        line("kvm_apicv_inhibit_changed", "set reason=9, inhibits=0x200", 9.5),
    );
  });
  assert.deepEqual(facts.followed, ["kvm:kvm_apicv_inhibit_changed", "irq:irq_handler_entry"]);
  assert.equal(facts.generation, null);
  assert.equal(facts.inhibits[0]!.at, 2.5);
  assert.equal(facts.inhibits[0]!.name, "reason 9");
  assert.match(
    facts.notes[0]!,
    /kvm_pi_irte_update has a format that is not known \(who knows\), so the trace cannot/,
  );
  assert.match(facts.notes[1]!, /irq_handler_entry could not be filtered/);
  assert.match(facts.notes[2]!, /kvm_msi_set_irq could not be started/);
  assert.match(facts.notes[3]!, /kvm_avic_ga_log is not in this kernel/);
  assert.equal(facts.notes.length, 4);
  tracefs.dispose();
});

test("where nothing can be followed it says why, and leaves nothing", async () => {
  const tracefs = new FakeTracefs({});
  await assert.rejects(
    follow(tracefs),
    /ENOENT: --trace found no event to follow.*kvm_pi_irte_update is not in this/,
  );
  tracefs.dispose();
});

test("an abort ends it at once, and leaves nothing", async () => {
  const tracefs = new FakeTracefs();
  const controller = new AbortController();
  const began = performance.now();
  await assert.rejects(
    follow(tracefs, () => setTimeout(() => controller.abort(), 20), {
      seconds: 60,
      signal: controller.signal,
    }),
    (error) => error instanceof DoctorError && error.code === "EINTR",
  );
  assert.ok(performance.now() - began < 30_000);
  await assert.rejects(
    follow(tracefs, () => assert.fail(), { signal: controller.signal }),
    /EINTR/,
  );
  assert.deepEqual(
    tracefs.written.filter(([path]) => path.endsWith("enable")).length,
    Object.keys(FORMATS_618).length + 1,
  );
  tracefs.dispose();
});

test("a callback or a read that throws leaves nothing", async () => {
  const tracefs = new FakeTracefs();
  const broken = () => {
    throw new Error("broken callback");
  };
  await assert.rejects(follow(tracefs, broken), /broken callback/);
  const files: TraceIo["files"] = {
    ...tracefs.files,
    openPipe: () => ({ read: () => assert.fail("EIO on the pipe"), close() {} }),
  };
  await assert.rejects(follow(tracefs, undefined, { files }), /EIO on the pipe/);
  const noPipe: TraceIo["files"] = { ...tracefs.files, openPipe: () => assert.fail("no pipe") };
  await assert.rejects(
    follow(tracefs, undefined, { files: noPipe }),
    /EIO: --trace could not open .*trace_pipe/,
  );
  tracefs.dispose();
});

test("the end of the process removes the instance", async () => {
  const tracefs = new FakeTracefs();
  let exit: () => void = () => assert.fail("nothing registered");
  const io: TraceIo = {
    ...IO,
    files: tracefs.files,
    atExit(call) {
      exit = call;
      return () => {};
    },
  };
  const running = followTrace({ seconds: 0.1 }, io);
  assert.equal(tracefs.instances.length, 1);
  exit();
  assert.deepEqual(tracefs.instances, []);
  await running;
  tracefs.dispose();
});

test("instances of killed doctors are removed, those in use and other people's stay", async () => {
  const tracefs = new FakeTracefs();
  for (const name of ["irqbypass-doctor-1", "irqbypass-doctor-2", "irqbypass-doctor-77", "mine"]) {
    mkdirSync(join(tracefs.root, "instances", name));
  }
  const busy = Object.assign(new Error("busy"), { code: "EBUSY" });
  const files: TraceIo["files"] = {
    ...tracefs.files,
    removeInstance(path) {
      if (path.endsWith("-2")) throw busy;
      tracefs.files.removeInstance(path);
    },
  };
  const io: TraceIo = { ...IO, files, runs: (pid) => pid === 77 };
  const facts = await followTrace({ seconds: 0.01 }, io);
  assert.deepEqual(tracefs.instances.sort(), ["irqbypass-doctor-2", "irqbypass-doctor-77", "mine"]);
  assert.match(facts.notes[0]!, /removed .*irqbypass-doctor-1, which no doctor had open/);
  tracefs.dispose();
});

test("an instance that another doctor removes before it is in use is made again", async () => {
  const tracefs = new FakeTracefs();
  let made = 0;
  let vanishing = 3;
  const files: TraceIo["files"] = {
    ...tracefs.files,
    makeInstance(path) {
      made += 1;
      tracefs.files.makeInstance(path);
      if (made <= vanishing) tracefs.files.removeInstance(path);
    },
    // The kernel's answer where the file was found before the instance went, and opened after it.
    openPipe(path) {
      try {
        return tracefs.files.openPipe(path);
      } catch (error) {
        throw made === 2 ? Object.assign(new Error("gone"), { code: "ENODEV" }) : error;
      }
    },
  };
  const { facts } = await follow(tracefs, undefined, { files });
  assert.equal(made, 4);
  assert.ok(facts.followed.includes("kvm:kvm_pi_irte_update"));
  vanishing = Infinity;
  await assert.rejects(follow(tracefs, undefined, { files }), /^DoctorError: EIO: .*trace_pipe \(ENOENT\)/);
  assert.deepEqual(tracefs.instances, []);
  tracefs.dispose();
});

test("an instance that stays in use is named with the command that removes it", async () => {
  const tracefs = new FakeTracefs();
  let attempts = 0;
  const files: TraceIo["files"] = {
    ...tracefs.files,
    removeInstance() {
      attempts += 1;
      throw Object.assign(new Error("busy"), { code: "EBUSY" });
    },
  };
  const io: TraceIo = { ...IO, files };
  await assert.rejects(followTrace({ seconds: 0.01 }, io), /EBUSY: .*rmdir .*irqbypass-doctor-321/);
  assert.ok(attempts > 3);
  tracefs.dispose();
});

test("without the right to make an instance the error says what to do", async () => {
  const tracefs = new FakeTracefs();
  for (const [code, words] of [
    ["EACCES", /^EACCES: .*needs CAP_DAC_OVERRIDE/],
    ["EPERM", /^EPERM: .*lockdown/],
    ["EROFS", /^EPERM: .*\(EROFS\): it is mounted to be read only/],
    ["ENOENT", /^ENOENT: .*no tracing instances/],
    ["EEXIST", /^EEXIST: .*rmdir/],
    ["ENOMEM", /^EIO: .*ENOMEM/],
  ] as const) {
    const files: TraceIo["files"] = {
      ...tracefs.files,
      makeInstance: () => {
        throw Object.assign(new Error(code), { code });
      },
    };
    await assert.rejects(follow(tracefs, undefined, { files }), (error) =>
      words.test((error as Error).message),
    );
  }
  tracefs.dispose();
});

test("a flood of events neither loses lines nor keeps the clock waiting", async () => {
  const tracefs = new FakeTracefs();
  const one = line("irq_handler_entry", "irq=130 name=vfio-msix[0](0000:3b:00.0)");
  const count = 20_000;
  let given = 0;
  const files: TraceIo["files"] = {
    ...tracefs.files,
    openPipe: () => ({
      read() {
        const many = Math.min(31, count - given);
        given += many;
        return one.repeat(many);
      },
      close() {},
    }),
  };
  const { facts } = await follow(tracefs, undefined, { files, seconds: 0.01 });
  assert.equal(facts.handled[0]!.count, count);
  tracefs.dispose();
});

test("a host without a tracing file system is told how to mount one", () => {
  const root = mkdtempSync(join(tmpdir(), "irqbypass-trace-"));
  try {
    assert.throws(() => findTraceFiles(root), /ENOENT: .*mount -t tracefs tracefs .*sys\/kernel\/tracing/);
    mkdirSync(join(root, "sys/kernel/debug/tracing/events"), { recursive: true });
    assert.equal(findTraceFiles(root).root, join(root, "sys/kernel/debug/tracing"));
    mkdirSync(join(root, "sys/kernel/tracing/events"), { recursive: true });
    assert.equal(findTraceFiles(root).root, join(root, "sys/kernel/tracing"));
  } finally {
    rmSync(root, { recursive: true });
  }
});
