import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseEventFormat } from "#src/parse/trace-format.js";
import { LineCutter, parseTraceLine } from "#src/parse/trace-line.js";
import { FormatError } from "#src/source/error.js";
import { FOLLOWED, type MatchedFormat, type TraceFinding } from "#src/trace/events.js";
import { FORMATS_618, formatFile, OTHER_FORMATS, PI_FORMATS } from "./trace.fake.js";

function match(name: string, file: string): MatchedFormat | null {
  const event = FOLLOWED.find((one) => one.name === name);
  assert.ok(event !== undefined);
  return event.match(parseEventFormat(file));
}

function posting(file: string): MatchedFormat {
  const matched = match("kvm_pi_irte_update", file);
  assert.ok(matched !== null);
  return matched;
}

test("each generation of kvm_pi_irte_update is read in its own words", () => {
  const target = "gsi: 0x18, gvec: 0x31";
  const cases: [keyof typeof PI_FORMATS, RegExp, string, Partial<TraceFinding>][] = [
    [
      "first",
      /4\.4/,
      `VT-d PI is enabled and being updated for this irq, vcpu 0, ${target}, pi_desc_addr: 0x105c6c000`,
      { hostIrq: null, vcpu: 0, set: true },
    ],
    [
      "second",
      /4\.x to 6\.10/,
      `VT-d PI is disabled for irq 130, vcpu 2, ${target}, pi_desc_addr: 0x105c6c000`,
      { hostIrq: 130, vcpu: 2, set: false },
    ],
    [
      "third",
      /6\.11 to 6\.16/,
      `PI is enabled and being updated for irq 130, vcpu 7, ${target}, pi_desc_addr: 0x105c6c000`,
      { hostIrq: 130, vcpu: 7, set: true },
    ],
    [
      "fourth",
      /6\.17/,
      `PI is disabled for irq 130, vcpu -1, ${target}`,
      { hostIrq: 130, vcpu: -1, set: false },
    ],
  ];
  for (const [name, generation, text, expected] of cases) {
    const matched = posting(PI_FORMATS[name]);
    assert.match(matched.generation!, generation);
    assert.deepEqual(matched.read(text), { kind: "posting", gsi: 24, guestVector: 0x31, ...expected });
    // The text of another generation is not read as if it were this one's.
    for (const [other, , foreign] of cases) {
      if (other !== name) assert.equal(matched.read(foreign), null, `${name} reads ${other}`);
    }
  }
});

test("a generation that nobody knows is not matched", () => {
  for (const [fields, print] of [
    [["u32 host_irq", "u32 gsi", "u32 gvec", "bool set"], '"PI is %s for irq %u, gsi: 0x%x", REC->set'],
    [["u32 host_irq", "int vcpu_id", "u32 gsi", "u32 gvec", "bool set"], '"posting %s: irq %u", REC->set'],
    [["int vcpu_id", "u32 gsi", "u32 gvec", "bool set"], '"PI is %s for irq %u", REC->set'],
  ] as const) {
    assert.equal(match("kvm_pi_irte_update", formatFile("kvm_pi_irte_update", fields, print)), null);
  }
  assert.equal(
    match("irq_handler_entry", formatFile("irq_handler_entry", ["int irq"], '"irq=%d", REC->irq')),
    null,
  );
});

test("names of inhibits come from the kernel's own list, and nowhere else", () => {
  const named = match("kvm_apicv_inhibit_changed", OTHER_FORMATS["kvm/kvm_apicv_inhibit_changed"]!)!;
  assert.deepEqual(named.read("set reason=2, inhibits=0x6 HYPERV|ABSENT"), {
    kind: "inhibit",
    set: true,
    reason: 2,
    name: "ABSENT",
    inhibits: 6,
    names: ["HYPERV", "ABSENT"],
  });
  const old = match(
    "kvm_apicv_inhibit_changed",
    formatFile(
      "kvm_apicv_inhibit_changed",
      ["int reason", "bool set", "unsigned long inhibits"],
      '"%s reason=%u, inhibits=0x%lx", REC->set ? "set" : "cleared", REC->reason, REC->inhibits',
    ),
  )!;
  const finding = old.read("cleared reason=2, inhibits=0x0");
  assert.deepEqual(finding, {
    kind: "inhibit",
    set: false,
    reason: 2,
    name: "reason 2",
    inhibits: 0,
    names: null,
  });
});

test("the event of 5.6 to 5.17 tells the first reason that is set, and that none is left", () => {
  const fields = ["bool activate", "unsigned long bit"];
  const print = '"%s bit=%lu", REC->activate ? "activate" : "deactivate", REC->bit';
  const inhibits = FOLLOWED.find(({ name }) => name === "kvm_apicv_inhibit_changed")!;
  const early = inhibits.elsewhere!;
  assert.equal(early.name, "kvm_apicv_update_request");
  const { read } = early.match(parseEventFormat(formatFile(early.name, fields, print)))!;
  const common = { kind: "inhibit", inhibits: null, names: null };
  assert.deepEqual(read("deactivate bit=4"), { ...common, set: true, reason: 4, name: "PIT_REINJ" });
  assert.deepEqual(read("activate bit=4"), { ...common, set: false, reason: 4, name: "PIT_REINJ" });
  assert.deepEqual(read("deactivate bit=30"), { ...common, set: true, reason: 30, name: "reason 30" });
  assert.equal(read("deactivate bit=-1"), null);
  assert.equal(early.match(parseEventFormat(formatFile(early.name, fields, '"bit %lu", REC->bit'))), null);
});

test("handlers, MSIs and the log of AMD's IOMMU are read", () => {
  const handler = match("irq_handler_entry", OTHER_FORMATS["irq/irq_handler_entry"]!)!;
  assert.deepEqual(handler.read("irq=42 name=vfio-msix[3](0000:3b:00.0)"), {
    kind: "handler",
    irq: 42,
    name: "vfio-msix[3](0000:3b:00.0)",
  });
  assert.deepEqual(handler.read("irq=9 name=iwlwifi: default queue, 2"), {
    kind: "handler",
    irq: 9,
    name: "iwlwifi: default queue, 2",
  });
  const msi = match("kvm_msi_set_irq", OTHER_FORMATS["kvm/kvm_msi_set_irq"]!)!;
  assert.deepEqual(msi.read("dst 1f vec 65 (Fixed|physical|edge)"), {
    kind: "msi",
    destination: 31,
    vector: 65,
  });
  assert.deepEqual(msi.read("dst 0 vec 49 (LowPrio|logical|edge|rh)"), {
    kind: "msi",
    destination: 0,
    vector: 49,
  });
  const log = match("kvm_avic_ga_log", OTHER_FORMATS["kvm/kvm_avic_ga_log"]!)!;
  assert.deepEqual(log.read("vmid=1, vcpuid=0"), { kind: "ga log" });
});

test("format files give fields without the common ones, arrays included", () => {
  const file = formatFile(
    "x",
    ["char comm[16]", "__data_loc char[] name", "unsigned long long a"],
    '"%s \\"%d\\"", REC->a',
  );
  assert.deepEqual(parseEventFormat(file), {
    name: "x",
    fields: ["comm", "name", "a"],
    text: '%s \\"%d\\"',
    args: ", REC->a",
  });
});

test("lines are parsed whatever the task is called", () => {
  const parsed = { cpu: 3, at: 1234.56789, event: "irq_handler_entry", text: "irq=42 name=a: b" };
  const rest = "1234.567890: irq_handler_entry: irq=42 name=a: b";
  for (const [head, tid] of [
    ["            qemu-4711    [003] d.h1.", 4711],
    ["         CPU 0/KVM-4712    [003] d.h1.", 4712],
    ["   a-1 [000] d-9-5       [003] .....", 5],
    ["           <...>-99      [003] d.h1", 99],
    ["          <idle>-0       [003] dNh2.", 0],
    ["           qemu-4711  ( 4700) [003] d.h1.", 4711],
    ["           qemu-4711  (-------) [003] d.h1.", 4711],
    ["           qemu-4711  [003]", 4711],
  ] as const) {
    assert.deepEqual(parseTraceLine(`${head}  ${rest}`), { ...parsed, tid }, head);
  }
  // A counter instead of a time, and an event without text.
  assert.deepEqual(parseTraceLine("  x-1  [000] ..... 77: kvm_entry:"), {
    tid: 1,
    cpu: 0,
    at: 77,
    event: "kvm_entry",
    text: "",
  });
});

test("gaps are counted, other lines are no events", () => {
  assert.deepEqual(parseTraceLine("CPU:2 [LOST 1234 EVENTS]"), { lost: 1234 });
  assert.deepEqual(parseTraceLine("CPU:2 [LOST EVENTS]"), { lost: 0 });
  for (const other of ["", "# tracer: nop", "#           TASK-PID", "-0", "CPU 1 is empty"]) {
    assert.equal(parseTraceLine(other), null, other);
  }
});

test("lines are put together however the stream is cut", () => {
  const whole = "first\nsecond\n\nthird\n";
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: whole.length })), (cuts) => {
      const cutter = new LineCutter();
      const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const lines = at.slice(1).flatMap((end, i) => cutter.push(whole.slice(at[i], end)));
      assert.deepEqual(lines, ["first", "second", "", "third"]);
    }),
  );
  const cutter = new LineCutter();
  for (let i = 0; i < 100; i += 1) assert.deepEqual(cutter.push("x".repeat(10_000)), []);
  assert.ok(cutter.push("\n")[0]!.length < 20_000);
});

/** Any text, and texts that come near to what a kernel prints. */
const nearly = (seeds: readonly string[]) =>
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(), fc.string()).map(([seed, from, to, put]) => {
      const [a, b] = [from % (seed.length + 1), to % (seed.length + 1)];
      return seed.slice(0, Math.min(a, b)) + put + seed.slice(Math.max(a, b));
    }),
  );

test("any bytes of a format file give a format or a FormatError", () => {
  fc.assert(
    fc.property(nearly(Object.values(FORMATS_618)), (file) => {
      try {
        const format = parseEventFormat(file);
        for (const event of FOLLOWED) event.match(format);
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("any text of a line or of an event gives a finding or null", () => {
  const readers = Object.entries({ ...FORMATS_618, ...PI_FORMATS }).map(([key, file]) => {
    const name = key.includes("/") ? key.split("/")[1]! : "kvm_pi_irte_update";
    return match(name, file)!;
  });
  const texts = [
    "           qemu-4711    [003] d.h1.  1234.567890: irq_handler_entry: irq=42 name=vfio-msix[0](0000:3b:00.0)",
    "VT-d PI is disabled for irq 130, vcpu 2, gsi: 0x18, gvec: 0x31, pi_desc_addr: 0x105c6c000",
    "PI is disabled for irq 130, vcpu -1, gsi: 0x18, gvec: 0x31",
    "set reason=2, inhibits=0x6 HYPERV|ABSENT",
    "dst 1f vec 65 (Fixed|physical|edge)",
    "CPU:2 [LOST 1234 EVENTS]",
  ];
  fc.assert(
    fc.property(nearly(texts), (text) => {
      parseTraceLine(text);
      for (const { read } of readers) {
        const finding = read(text);
        if (finding === null) continue;
        for (const value of Object.values(finding)) {
          if (typeof value === "number") assert.ok(Number.isFinite(value));
        }
      }
    }),
    { numRuns: 3000 },
  );
  // No text makes the line's pattern slow.
  parseTraceLine(`${"a-1 ".repeat(20_000)}[003]`);
  parseTraceLine(`x-1 ${"( ".repeat(20_000)}`);
  parseTraceLine(`x-1 [001] ${" ".repeat(50_000)}x`);
});
