/**
 * Traces that people already have: the same events as the kernel, trace-cmd and perf print them give the same facts.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { DoctorError } from "#src/source/error.js";
import type { TraceFacts } from "#src/source/trace-facts.js";
import { readRecordedTrace } from "#src/trace/recorded.js";

const work = mkdtempSync(join(tmpdir(), "irqbypass-recorded-"));
after(() => rmSync(work, { recursive: true, force: true }));

interface Event {
  readonly task: string;
  readonly tid: number;
  readonly cpu: number;
  readonly at: number;
  readonly system: string;
  readonly name: string;
  readonly text: string;
}

/** How each tool prints an event. */
const PRINTERS: Readonly<Record<string, (event: Event) => string>> = {
  "trace_pipe of the kernel": ({ task, tid, cpu, at, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(7)} [${pad(cpu)}] d.h1. ${at.toFixed(6).padStart(12)}: ${name}: ${text}`,
  "the kernel with thread groups": ({ task, tid, cpu, at, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(7)} ( 4711) [${pad(cpu)}] ..... ${at.toFixed(6).padStart(12)}: ${name}: ${text}`,
  "trace-cmd report": ({ task, tid, cpu, at, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(5)} [${pad(cpu)}] ${at.toFixed(6).padStart(12)}: ${`${name}:`.padEnd(21)} ${text}`,
  "trace-cmd report with flags": ({ task, tid, cpu, at, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(5)} [${pad(cpu)}] d.h1. ${at.toFixed(9)}: ${`${name}:`.padEnd(21)} ${text}`,
  "trace-cmd report with systems": ({ task, tid, cpu, at, system, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(6)} [${cpu}] ${at.toFixed(9)}: ${system}:${name}: ${text}`,
  "a file with CR LF": ({ task, tid, cpu, at, name, text }) =>
    `${task.padStart(16)}-${String(tid).padEnd(6)} [${cpu}] d..1. ${at.toFixed(6)}: ${name}: ${text}\r`,
  "perf script": ({ task, tid, cpu, at, system, name, text }) =>
    `${task.padStart(16)} ${String(tid).padStart(5)} [${pad(cpu)}] ${at.toFixed(6).padStart(12)}: ${`${system}:${name}`.padStart(30)}: ${text}`,
  "perf script with process ids": ({ task, tid, cpu, at, system, name, text }) =>
    `${task.padStart(16)} 4711/${tid} [${pad(cpu)}] ${at.toFixed(9)}:          1 ${system}:${name}: ${text}`,
};

const pad = (cpu: number) => String(cpu).padStart(3, "0");

function event(name: string, text: string, at: number, tid = 4711, task = "qemu-system-x86"): Event {
  return { task, tid, cpu: 3, at, system: name.startsWith("irq_") ? "irq" : "kvm", name, text };
}

const EVENTS: readonly Event[] = [
  event("kvm_apicv_inhibit_changed", "set reason=2, inhibits=0x4 ABSENT", 100.25),
  event("kvm_apicv_inhibit_changed", "cleared reason=2, inhibits=0x0", 100.5),
  event("kvm_msi_set_irq", "dst 0 vec 49 (Fixed|physical|edge)", 101, 4712, "CPU 0/KVM"),
  event(
    "kvm_pi_irte_update",
    "PI is enabled and being updated for irq 130, vcpu 0, gsi: 0x18, gvec: 0x31",
    101.001,
    4712,
    "CPU 0/KVM",
  ),
  event("kvm_pi_irte_update", "PI is disabled for irq 131, vcpu -1, gsi: 0x19, gvec: 0x31", 102),
  event("irq_handler_entry", "irq=131 name=vfio-msix[1](0000:3b:00.0)", 102.5, 0, "<idle>"),
  event("kvm_msi_set_irq", "dst 0 vec 65 (Fixed|physical|edge)", 103, 99, "vhost-4711"),
  event("kvm_exit", "reason EXTERNAL_INTERRUPT rip 0xffffffff81000000 info 0 0", 103.25),
];

async function read(text: string): Promise<TraceFacts> {
  const file = join(work, "trace.txt");
  writeFileSync(file, text);
  return await readRecordedTrace(file);
}

const HEADS = [
  "# tracer: nop\n#\n# entries-in-buffer/entries-written: 8/8   #P:4\n#\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n#              | |         |   |||||     |         |\n",
  "version = 7\nCPU 1 is empty\ncpus=4\n",
  "",
];

test("every printer gives the same facts", async () => {
  const all: [string, TraceFacts][] = [];
  for (const [name, print] of Object.entries(PRINTERS))
    for (const head of HEADS) all.push([name, await read(`${head}${EVENTS.map(print).join("\n")}\n`)]);
  const [, first] = all[0]!;
  for (const [name, facts] of all) assert.deepEqual(facts, first, name);
  assert.equal(first.generation, "Linux 6.17 on, every change");
  assert.deepEqual(
    first.posting.map(({ hostIrq, set }) => [hostIrq, set]),
    [
      [130, true],
      [131, false],
    ],
  );
  assert.deepEqual(first.handled, [
    { irq: 131, name: "vfio-msix[1](0000:3b:00.0)", count: 1, sinceChange: 1 },
  ]);
  assert.deepEqual(
    first.inhibits.map(({ set, inhibits, names, tid }) => [set, inhibits, names, tid]),
    [
      [true, 4, ["ABSENT"], 4711],
      [false, 0, null, 4711],
    ],
  );
  assert.equal(first.injections, 1);
  assert.deepEqual(first.followed, [
    "kvm:kvm_apicv_inhibit_changed",
    "kvm:kvm_msi_set_irq",
    "kvm:kvm_pi_irte_update",
    "irq:irq_handler_entry",
  ]);
  assert.ok(Math.abs(first.seconds - 3) < 1e-6);
});

test("every generation of the update is known without its format", async () => {
  const target = "vcpu 0, gsi: 0x18, gvec: 0x31";
  const texts: readonly (readonly [string, string, number | null])[] = [
    [
      `VT-d PI is enabled and being updated for this irq, ${target}, pi_desc_addr: 0x105c6c000`,
      "Linux 4.4 on, without the host interrupt",
      null,
    ],
    [
      `VT-d PI is disabled for irq 130, ${target}, pi_desc_addr: 0x105c6c000`,
      "Linux 4.x to 6.10, VT-d PI",
      130,
    ],
    [
      `PI is disabled for irq 130, ${target}, pi_desc_addr: 0x105c6c000`,
      "Linux 6.11 to 6.16, with an address",
      130,
    ],
    [`PI is disabled for irq 130, ${target}`, "Linux 6.17 on, every change", 130],
  ];
  for (const [text, generation, irq] of texts) {
    const facts = await read(`${PRINTERS["perf script"]!(event("kvm_pi_irte_update", text, 5))}\n`);
    assert.equal(facts.generation, generation);
    assert.equal(facts.posting[0]?.hostIrq, irq);
  }
  const odd = await read(`${PRINTERS["perf script"]!(event("kvm_pi_irte_update", "posting irq 130", 5))}\n`);
  assert.deepEqual([odd.generation, odd.posting], [null, []]);
  assert.ok(odd.notes.some((note) => note.includes("posting irq 130")));
});

test("bare fields of an event whose format a tool could not work out are read", async () => {
  const print = PRINTERS["trace-cmd report"]!;
  const facts = await read(
    [
      event("kvm_apicv_inhibit_changed", "[FAILED TO PARSE] reason=9 set=1 inhibits=0x200", 1),
      event("kvm_apicv_inhibit_changed", " reason=8 set=0 inhibits=0x200", 2),
      event("kvm_apicv_update_request", "[FAILED TO PARSE] activate=0 bit=0x4", 3),
      event("kvm_apicv_inhibit_changed", "[FAILED TO PARSE] reason=9 set=1", 4),
    ]
      .map(print)
      .join("\n"),
  );
  assert.deepEqual(
    facts.inhibits.map(({ set, reason, name, inhibits }) => [set, reason, name, inhibits]),
    [
      [true, 9, "reason 9", 512],
      [false, 8, "reason 8", 512],
      [true, 4, "PIT_REINJ", null],
    ],
  );
  assert.ok(facts.notes.some((note) => note.startsWith("kvm_apicv_inhibit_changed: 1 events")));
});

test("gaps of both kinds are counted, and lines out of order are put in order", async () => {
  const print = PRINTERS["trace-cmd report"]!;
  const update = (set: string, at: number) =>
    print(event("kvm_pi_irte_update", `PI is ${set} for irq 130, vcpu 0, gsi: 0x18, gvec: 0x31`, at));
  const facts = await read(
    `${update("disabled", 9)}\nCPU:3 [12 EVENTS DROPPED]\nCPU:2 [LOST 3 EVENTS]\nCPU:1 [EVENTS DROPPED]\n${update("enabled and being updated", 10)}\n${update("disabled", 9.5)}\n`,
  );
  assert.equal(facts.posting[0]?.set, true);
  assert.equal(facts.lost, 15);
});

test("what is no trace is refused, with what to give instead", async () => {
  const refused = async (text: string) =>
    await read(text).then(
      () => assert.fail("was read"),
      (error: unknown) => {
        assert.ok(error instanceof DoctorError, String(error));
        assert.equal(error.code, "EINVAL");
        return error.message;
      },
    );
  assert.match(await refused(""), /no line of it/);
  assert.match(await refused("# tracer: nop\nhello\n"), /no line of it/);
  assert.match(await refused("\u0017\bDtracing6\n"), /trace-cmd report/);
  assert.match(await refused("PERFILE2\n"), /perf script/);
  await assert.rejects(readRecordedTrace(work), /EINVAL: .* is no file/);
  await assert.rejects(readRecordedTrace(join(work, "none")), /ENOENT: /);
  await assert.rejects(readRecordedTrace("/dev/zero"), /EINVAL: .* is no file/);
});

test("a pipe is read to its end", async () => {
  const fifo = join(work, "fifo");
  execFileSync("mkfifo", [fifo]);
  const text = `${EVENTS.map(PRINTERS["trace-cmd report"]!).join("\n")}\n`;
  writeFileSync(join(work, "text"), text);
  const writer = spawn("sh", ["-c", `cat "${join(work, "text")}" > "${fifo}"; sleep 0.1`]);
  const facts = await readRecordedTrace(fifo);
  assert.equal(facts.posting.length, 2);
  await once(writer, "exit");
});

test("an interrupt ends it", async () => {
  writeFileSync(join(work, "long"), `${PRINTERS["perf script"]!(EVENTS[0]!)}\n`.repeat(20_000));
  await assert.rejects(readRecordedTrace(join(work, "long"), AbortSignal.abort()), /EINTR/);
});

test("any text gives facts or a refusal", async () => {
  const seeds = Object.values(PRINTERS).flatMap((print) => EVENTS.map(print));
  const near = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(), fc.string({ unit: "binary", maxLength: 12 }))
    .map(([seed, a, b, put]) => seed.slice(0, a % seed.length) + put + seed.slice(b % seed.length));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(near, fc.string({ unit: "binary" })), { maxLength: 12 }),
      async (lines) => {
        try {
          const facts = await read(lines.join("\n"));
          for (const { hostIrq } of facts.posting)
            assert.ok(hostIrq === null || Number.isSafeInteger(hostIrq));
        } catch (error) {
          assert.ok(error instanceof DoctorError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
