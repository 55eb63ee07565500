import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { WorkloadError } from "#src/cli/file-schema.js";
import { findJsonFault } from "#src/cli/json-fault.js";
import { checkWorkload, type WorkloadDevice } from "#src/cli/workload.js";
import { DEFAULT_WORKLOAD, parseWorkload, readWorkload } from "#src/cli/workload-file.js";

const VM = { name: "web", kind: "software", vcpus: 1 };
const NIC = { name: "nic0", kind: "nic", vm: "web", vectors: 2, burst: 1, rate: "max" };

function problems(input: unknown): readonly string[] {
  try {
    checkWorkload(input, "w.json");
  } catch (error) {
    assert.ok(error instanceof WorkloadError, String(error));
    return error.problems;
  }
  assert.fail("the workload was taken");
}

function policies({ interrupts }: WorkloadDevice): string[] {
  return interrupts.map((one) => one.bypass);
}

function withNic(changes: object): unknown {
  return { seconds: 1, vms: [VM], devices: [{ ...NIC, ...changes }] };
}

test("the default example is a workload on which every path is seen", () => {
  const workload = readWorkload(DEFAULT_WORKLOAD);
  assert.ok("devices" in workload);
  const { vms, devices } = workload;
  assert.deepEqual(vms.map((vm) => vm.kind).sort(), ["kvm", "software", "software"]);
  assert.deepEqual([...new Set(devices.map((device) => device.kind))].sort(), ["block", "nic"]);
  for (const kind of ["kvm", "software"]) {
    const names = vms.filter((vm) => vm.kind === kind).map((vm) => vm.name);
    const found = devices.filter((device) => names.includes(device.vm)).flatMap(policies);
    assert.ok(found.includes("off") && found.includes("prefer"), `a ${kind} VM has both policies`);
  }
});

test("policies default to prefer, and policies and paces are overridden for single interrupts", () => {
  const input = withNic({ vectors: 4, overrides: [{ interrupts: [3, 1], bypass: "off" }] });
  assert.deepEqual(checkWorkload(input, "w").devices.flatMap(policies), ["prefer", "off", "prefer", "off"]);
  const all = withNic({ bypass: "require", overrides: [{ interrupts: [0], bypass: "prefer" }] });
  assert.deepEqual(checkWorkload(all, "w").devices.flatMap(policies), ["prefer", "require"]);
  const paces = withNic({ overrides: [{ interrupts: [1], burst: 8, rate: 50 }] });
  assert.deepEqual(checkWorkload(paces, "w").devices[0]?.interrupts, [
    { burst: 1, rate: "max", bypass: "prefer" },
    { burst: 8, rate: 50, bypass: "prefer" },
  ]);
});

const REFUSED: readonly [what: string, input: unknown, problem: string][] = [
  [
    "no object",
    7,
    'the file: found 7; allowed: an object with "seconds", "vms" and "devices", or with "storm"',
  ],
  ["burst 0", withNic({ burst: 0 }), "devices[0].burst: found 0; allowed: a whole number from 1 to 4,096"],
  [
    "half a burst",
    withNic({ burst: 1.5 }),
    "devices[0].burst: found 1.5; allowed: a whole number from 1 to 4,096",
  ],
  [
    "a rate in words",
    withNic({ rate: "fast" }),
    'devices[0].rate: found "fast"; allowed: a number from 0.1 to 10,000,000 (signals per second of each interrupt) or "max"',
  ],
  [
    "a negative rate",
    withNic({ rate: -1 }),
    'devices[0].rate: found -1; allowed: a number from 0.1 to 10,000,000 (signals per second of each interrupt) or "max"',
  ],
  [
    "an unknown policy",
    withNic({ bypass: "on" }),
    'devices[0].bypass: found "on"; allowed: "off", "prefer" or "require"',
  ],
  [
    "an unknown field",
    withNic({ brust: 8 }),
    "devices[0].brust: there is no such field; allowed: name, kind, vm, vectors, queues, burst, rate, bypass, overrides",
  ],
  ["an unknown VM", withNic({ vm: "wed" }), 'devices[0].vm: found "wed"; allowed: one of "web"'],
  [
    "queues of a nic",
    withNic({ queues: 2 }),
    'devices[0].queues: a nic device has no queues; allowed: "vectors"',
  ],
  [
    "a block device without queues",
    { seconds: 1, vms: [VM], devices: [{ name: "d", kind: "block", vm: "web", burst: 1, rate: 1 }] },
    "devices[0].queues: found nothing; allowed: a whole number from 1 to 2,048 (virtqueues of a block device)",
  ],
  [
    "an override past the end",
    withNic({ overrides: [{ interrupts: [0, 2], bypass: "off" }] }),
    "devices[0].overrides[0].interrupts[1]: found 2; allowed: 0 to 1 (devices[0].vectors is 2)",
  ],
  [
    "an override of nothing",
    withNic({ overrides: [{ interrupts: [0] }] }),
    'devices[0].overrides[0]: found {"interrupts":[0]}; allowed: an object with "interrupts" and at least one of "burst", "rate" and "bypass"',
  ],
  [
    "an interrupt overridden twice",
    withNic({
      overrides: [
        { interrupts: [0], bypass: "off" },
        { interrupts: [0], bypass: "require" },
      ],
    }),
    "devices[0].overrides[1].interrupts[0]: found 0; allowed: each number once (devices[0].overrides[0].interrupts[0] has it)",
  ],
  [
    "a name twice",
    { seconds: 1, vms: [VM, VM], devices: [NIC] },
    'vms[1].name: found "web"; allowed: a name that no other VM has (vms[0] has it)',
  ],
  [
    "more vectors than the vCPUs have",
    withNic({ vectors: 225 }),
    'vms[0]: found 225 interrupts for "web" (nic0); allowed: at most 224 (vectors 32 to 255 on 1 vCPU)',
  ],
  [
    "too many threads",
    {
      seconds: 1,
      vms: [0, 1, 2].map((n) => ({ ...VM, name: `vm${n}`, vcpus: 64 })),
      devices: [{ ...NIC, vm: "vm0" }],
    },
    "the file: found 192 vCPUs and 1 device; allowed: 128 together (each is a thread)",
  ],
];
for (const [what, input, problem] of REFUSED) {
  test(`refused with its place, what was found and what is allowed: ${what}`, () => {
    assert.deepEqual(problems(input), [problem]);
  });
}

test("every problem of a file is reported at once", () => {
  const found = problems({ vms: [{ name: "a b", kind: "xen", vcpus: 0, x: 1, y: 2 }], devices: [7] });
  const places = found.map((problem) => problem.slice(0, problem.indexOf(":")));
  assert.deepEqual(places, [
    "seconds",
    "vms[0].name",
    "vms[0].kind",
    "vms[0].vcpus",
    "vms[0].x",
    "vms[0].y",
    "devices[0]",
  ]);
});

test("a value that is too long to show is cut", () => {
  const [problem] = problems(withNic({ burst: "x".repeat(500) }));
  assert.ok(problem !== undefined && problem.length < 120, problem);
});

test("2,000 vectors fit where there are vCPUs for them", () => {
  const workload = checkWorkload(
    { seconds: 1, vms: [{ ...VM, vcpus: 9 }], devices: [{ ...NIC, vectors: 2000 }] },
    "w",
  );
  assert.equal(workload.devices[0]?.interrupts.length, 2000);
});

test("a file that is not there, or a directory, is said to be that", () => {
  const folder = mkdtempSync(join(tmpdir(), "irqbypass-"));
  try {
    assert.throws(() => readWorkload(join(folder, "none.json")), {
      name: "WorkloadError",
      message: /there is no such file/,
    });
    assert.throws(() => readWorkload(folder), { name: "WorkloadError", message: /it is a directory/ });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const BAD_JSON: readonly [text: string, place: string, allowed: RegExp][] = [
  ["", "w.json:1:1", /found the end of the text; allowed: a value/],
  ['{"a": 1,}', "w.json:1:9", /found "}"; allowed: another field after ","/],
  ["{\n  'a': 1 }", "w.json:2:3", /allowed: a field name in double quotes/],
  ['{"a": tru}', "w.json:1:7", /found "tru"; allowed: a value/],
  ['{"a" 1}', "w.json:1:6", /found "1"; allowed: ":" after the field name/],
  ["[1,\r\n 2 3]", "w.json:2:4", /found "3"; allowed: "," or "]"/],
  ['"a\nb"', "w.json:1:3", /found the end of the line; allowed: the end of the string/],
  ['"\\q"', "w.json:1:2", /a valid escape/],
  ["{} {}", "w.json:1:4", /nothing more after the value/],
  ["[01]", "w.json:1:3", /found "1"/],
  ["[".repeat(100_000), "w.json:1:501", /at most 500 levels/],
];
for (const [text, place, allowed] of BAD_JSON) {
  test(`bad JSON gets its line and column: ${JSON.stringify(text.slice(0, 20))}`, () => {
    assert.throws(
      () => parseWorkload(text, "w.json"),
      (error: unknown) =>
        error instanceof WorkloadError &&
        error.message.startsWith(`${place} `) &&
        allowed.test(error.message),
    );
  });
}

test("a byte order mark at the beginning is no fault", () => {
  assert.throws(() => parseWorkload("\ufeff7", "w.json"), /the file: found 7/);
});

test("a text has a fault exactly where JSON.parse refuses it", () => {
  const broken = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom("", ",", "}", "]", '"', "\\", "x", "1", "\n", "\u0001", "\u007f"),
      fc.boolean(),
    )
    .map(([text, at, piece, replace]) => {
      const from = at % (text.length + 1);
      return text.slice(0, from) + piece + text.slice(from + (replace ? 1 : 0));
    });
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken, fc.string()), (text) => {
      const parses = (() => {
        try {
          JSON.parse(text);
          return true;
        } catch {
          return false;
        }
      })();
      assert.equal(findJsonFault(text) === undefined, parses, JSON.stringify(text));
    }),
    { numRuns: 3000 },
  );
});
