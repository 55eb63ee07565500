/**
 * A workload: the VMs and devices of one run, checked.
 *
 * The file's shape is a schema; what a schema cannot say (a device names a VM that exists, the vectors fit)
 * is checked after it. Both report the path inside the file, what was found there and what is allowed, and all
 * problems are reported at once.
 */
import * as v from "valibot";
import {
  type Allowed,
  between,
  number,
  object,
  plural,
  refused,
  schemaProblems,
  shown,
  WorkloadError,
  whole,
} from "./file-schema.js";
import { FIRST_GSI, FIRST_LINE, FIRST_VECTOR, LINES_PER_VM, VECTORS_PER_VCPU } from "./numbers.js";

/** What an interrupt wants: never bypassed, bypassed where possible, or refused where it would be relayed. */
export type BypassPolicy = "off" | "prefer" | "require";

export interface WorkloadVm {
  readonly name: string;
  /** A vCPU of `software` is this library's own; one of `kvm` runs guest code in the kernel. */
  readonly kind: "software" | "kvm";
  readonly vcpus: number;
  /** Every so many milliseconds the MSIs of a software VM are routed to the next vCPU, while they are live. */
  readonly reroute?: number;
}

export interface WorkloadInterrupt {
  readonly bypass: BypassPolicy;
  /** Signals per burst; the device waits for the guest after each burst. */
  readonly burst: number;
  /** Signals per second, or `"max"`: as fast as the guest answers. */
  readonly rate: number | "max";
}

export interface WorkloadDevice {
  readonly name: string;
  /** A `nic` signals MSI-X vectors, a `block` device virtqueues, an `intx` device one level-triggered line. */
  readonly kind: "nic" | "block" | "intx";
  /** The name of the VM that gets its interrupts. */
  readonly vm: string;
  /** Its vectors, its queues, or its line. */
  readonly interrupts: readonly WorkloadInterrupt[];
}

export interface Workload {
  readonly seconds: number;
  readonly vms: readonly WorkloadVm[];
  readonly devices: readonly WorkloadDevice[];
}

const GSIS_PER_VM = 4096 - FIRST_GSI;
export const MIN_SECONDS = 0.1;
export const MAX_SECONDS = 86_400;
const MAX_VCPUS = 64;
const MAX_INTERRUPTS_PER_DEVICE = 2048;
const MAX_BURST = 4096;
const MAX_RATE = 10_000_000;
const MIN_REROUTE_MS = 1;
const MAX_REROUTE_MS = 60_000;
/** Each vCPU and each device is a thread. */
const MAX_THREADS = 128;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;
const NAME_RULE = "1 to 32 letters, digits, dots, dashes or underscores, the first a letter or digit";
const POLICY_RULE = '"off", "prefer" or "require"';
const BURST_RULE = `a whole number from 1 to ${number(MAX_BURST)}`;
const RATE_RULE = `a number from 0.1 to ${number(MAX_RATE)} (signals per second of each interrupt) or "max"`;
const OVERRIDE_RULE = 'an object with "interrupts" and at least one of "burst", "rate" and "bypass"';

/**
 * What is allowed at each place of the file, by path with the list positions left out. It is the text of every
 * message, and a field that has no line here does not exist.
 */
const ALLOWED: Allowed = {
  "": 'an object with "seconds", "vms" and "devices", or with "storm"',
  seconds: `a number of seconds from ${MIN_SECONDS} to ${number(MAX_SECONDS)}`,
  vms: `a list of 1 to ${MAX_VCPUS} VMs`,
  "vms[]": 'an object with "name", "kind" and "vcpus", and perhaps "reroute"',
  "vms[].name": NAME_RULE,
  "vms[].kind": '"software" or "kvm"',
  "vms[].vcpus": `a whole number from 1 to ${MAX_VCPUS}`,
  "vms[].reroute": `a number of milliseconds from ${MIN_REROUTE_MS} to ${number(MAX_REROUTE_MS)}`,
  devices: "a list of at least 1 device",
  "devices[]": 'an object with "name", "kind", "vm", "vectors" or "queues", "burst" and "rate"',
  "devices[].name": NAME_RULE,
  "devices[].kind": '"nic", "block" or "intx"',
  "devices[].vm": "the name of one of the VMs",
  "devices[].vectors": `a whole number from 1 to ${number(MAX_INTERRUPTS_PER_DEVICE)} (MSI-X vectors of a nic)`,
  "devices[].queues": `a whole number from 1 to ${number(MAX_INTERRUPTS_PER_DEVICE)} (virtqueues of a block device)`,
  "devices[].burst": BURST_RULE,
  "devices[].rate": RATE_RULE,
  "devices[].bypass": POLICY_RULE,
  "devices[].overrides": `a list of ${OVERRIDE_RULE.replace("an object", "objects")}`,
  "devices[].overrides[]": OVERRIDE_RULE,
  "devices[].overrides[].interrupts": "a list of at least 1 vector or queue number, counted from 0",
  "devices[].overrides[].interrupts[]": "a whole number, counted from 0",
  "devices[].overrides[].burst": BURST_RULE,
  "devices[].overrides[].rate": RATE_RULE,
  "devices[].overrides[].bypass": POLICY_RULE,
};

const name = v.pipe(v.string(), v.regex(NAME));
const policy = v.picklist(["off", "prefer", "require"]);
const burst = whole(1, MAX_BURST);
const rate = v.union([v.literal("max"), between(0.1, MAX_RATE)]);
const fileSchema = object({
  seconds: between(MIN_SECONDS, MAX_SECONDS),
  vms: v.pipe(
    v.array(
      object({
        name,
        kind: v.picklist(["software", "kvm"]),
        vcpus: whole(1, MAX_VCPUS),
        reroute: v.exactOptional(between(MIN_REROUTE_MS, MAX_REROUTE_MS)),
      }),
    ),
    v.minLength(1),
    v.maxLength(MAX_VCPUS),
  ),
  devices: v.pipe(
    v.array(
      object({
        name,
        kind: v.picklist(["nic", "block", "intx"]),
        vm: v.string(),
        vectors: v.exactOptional(whole(1, MAX_INTERRUPTS_PER_DEVICE)),
        queues: v.exactOptional(whole(1, MAX_INTERRUPTS_PER_DEVICE)),
        burst,
        rate,
        bypass: v.exactOptional(policy, "prefer"),
        overrides: v.exactOptional(
          v.array(
            object({
              interrupts: v.pipe(v.array(whole(0, Number.MAX_SAFE_INTEGER)), v.minLength(1)),
              burst: v.exactOptional(burst),
              rate: v.exactOptional(rate),
              bypass: v.exactOptional(policy),
            }),
          ),
          [],
        ),
      }),
    ),
    v.minLength(1),
  ),
});
type WorkloadFile = v.InferOutput<typeof fileSchema>;
type DeviceEntry = WorkloadFile["devices"][number];

/**
 * Checks a parsed workload file and fills in its defaults.
 * @param source how messages call the file.
 * @throws {WorkloadError} naming every problem.
 */
export function checkWorkload(input: unknown, source: string): Workload {
  const result = v.safeParse(fileSchema, input);
  if (!result.success) throw new WorkloadError(source, schemaProblems(result.issues, ALLOWED));
  const file = result.output;
  const problems = [...vmProblems(file), ...deviceProblems(file), ...roomProblems(file)];
  if (problems.length > 0) throw new WorkloadError(source, problems);
  return { seconds: file.seconds, vms: file.vms, devices: file.devices.map(device) };
}

function device(entry: DeviceEntry): WorkloadDevice {
  const { name, kind, vm, burst, rate, bypass } = entry;
  const interrupts = new Array<WorkloadInterrupt>(interruptCount(entry) ?? 0).fill({ burst, rate, bypass });
  for (const { interrupts: which, ...override } of entry.overrides)
    for (const i of which) interrupts[i] = { burst, rate, bypass, ...override };
  return { name, kind, vm, interrupts };
}

function interruptCount(entry: DeviceEntry): number | undefined {
  if (entry.kind === "intx") return 1;
  return entry.kind === "nic" ? entry.vectors : entry.queues;
}

function vmProblems(file: WorkloadFile): string[] {
  const problems = repeated(file.vms.map((vm) => vm.name)).map(({ at, first, name }) =>
    refused(`vms[${at}].name`, shown(name), `a name that no other VM has (vms[${first}] has it)`),
  );
  file.vms.forEach((vm, index) => {
    if (vm.reroute === undefined || (vm.kind === "software" && vm.vcpus > 1)) return;
    problems.push(
      `vms[${index}].reroute: found it on a ${vm.kind} VM with ${plural(vm.vcpus, "vCPU")}; ` +
        "allowed: on a software VM with at least 2 vCPUs, among which its interrupts go around",
    );
  });
  return problems;
}

function deviceProblems(file: WorkloadFile): string[] {
  const vmNames = file.vms.map((vm) => vm.name);
  const problems = repeated(file.devices.map((entry) => entry.name)).map(({ at, first, name }) =>
    refused(`devices[${at}].name`, shown(name), `a name that no other device has (devices[${first}] has it)`),
  );
  file.devices.forEach((entry, index) => {
    const place = `devices[${index}]`;
    if (!vmNames.includes(entry.vm)) {
      problems.push(refused(`${place}.vm`, shown(entry.vm), `one of ${vmNames.map(shown).join(", ")}`));
    }
    if (entry.kind === "intx") {
      problems.push(...lineProblems(file, entry, place));
      return;
    }
    const [own, other] =
      entry.kind === "nic" ? (["vectors", "queues"] as const) : (["queues", "vectors"] as const);
    if (entry[other] !== undefined) {
      problems.push(`${place}.${other}: a ${entry.kind} device has no ${other}; allowed: "${own}"`);
    }
    const count = entry[own];
    if (count === undefined) {
      problems.push(refused(`${place}.${own}`, "nothing", ALLOWED[`devices[].${own}`] ?? ""));
    } else {
      problems.push(...overrideProblems(entry, place, own, count));
    }
  });
  return problems;
}

/** A device with one line: no numbers of its own to give, and a VM with an I/O APIC of ours. */
function lineProblems(file: WorkloadFile, entry: DeviceEntry, place: string): string[] {
  const problems = (["vectors", "queues"] as const)
    .filter((field) => entry[field] !== undefined)
    .map(
      (field) => `${place}.${field}: an intx device has one line and no ${field}; allowed: to leave it out`,
    );
  if (file.vms.find((vm) => vm.name === entry.vm)?.kind === "kvm") {
    problems.push(
      refused(`${place}.vm`, shown(entry.vm), "a software VM: the guest of a KVM VM drives no I/O APIC"),
    );
  }
  return [...problems, ...overrideProblems(entry, place, "the line", 1)];
}

function overrideProblems(entry: DeviceEntry, place: string, own: string, count: number): string[] {
  const problems: string[] = [];
  const seen = new Map<number, string>();
  entry.overrides.forEach((override, index) => {
    if (Object.keys(override).length === 1) {
      problems.push(refused(`${place}.overrides[${index}]`, shown(override), OVERRIDE_RULE));
    }
    override.interrupts.forEach((interrupt, position) => {
      const path = `${place}.overrides[${index}].interrupts[${position}]`;
      const before = seen.get(interrupt);
      if (interrupt >= count) {
        problems.push(
          refused(path, shown(interrupt), `0 to ${count - 1} (${place}.${own} is ${number(count)})`),
        );
      } else if (before !== undefined) {
        problems.push(refused(path, shown(interrupt), `each number once (${before} has it)`));
      }
      seen.set(interrupt, path);
    });
  });
  return problems;
}

/** The limits that vectors, GSIs and threads set together. */
function roomProblems(file: WorkloadFile): string[] {
  const problems: string[] = [];
  file.vms.forEach((vm, index) => {
    const own = file.devices.filter((entry) => entry.vm === vm.name);
    const wanted = own.reduce((sum, entry) => sum + (interruptCount(entry) ?? 0), 0);
    const lines = own.filter((entry) => entry.kind === "intx").length;
    if (lines > LINES_PER_VM) {
      problems.push(
        `vms[${index}]: found ${number(lines)} intx devices for "${vm.name}"; allowed: at most ${LINES_PER_VM} ` +
          `(pins ${FIRST_LINE} to ${FIRST_GSI - 1} of its I/O APIC)`,
      );
    }
    // Where interrupts go around, every vCPU must know every vector.
    const vectors = vm.reroute === undefined ? vm.vcpus * VECTORS_PER_VCPU : VECTORS_PER_VCPU;
    const room = Math.min(vectors, GSIS_PER_VM);
    if (wanted > room) {
      const why =
        room === GSIS_PER_VM
          ? `a VM has GSIs ${FIRST_GSI} to 4,095`
          : `vectors ${FIRST_VECTOR} to 255${vm.reroute === undefined ? ` on ${plural(vm.vcpus, "vCPU")}` : ", which all vCPUs share"}`;
      problems.push(
        `vms[${index}]: found ${number(wanted)} interrupts for "${vm.name}" (${own.map((entry) => entry.name).join(", ")}); ` +
          `allowed: at most ${number(room)} (${why})`,
      );
    }
  });
  const vcpus = file.vms.reduce((sum, vm) => sum + vm.vcpus, 0);
  const threads = vcpus + file.devices.length;
  if (threads > MAX_THREADS) {
    problems.push(
      `the file: found ${vcpus} vCPUs and ${plural(file.devices.length, "device")}; ` +
        `allowed: ${MAX_THREADS} together (each is a thread)`,
    );
  }
  return problems;
}

/** The names that stand in the list a second time, with where, and where first. */
function repeated(names: readonly string[]): { at: number; first: number; name: string }[] {
  return names
    .map((name, at) => ({ at, first: names.indexOf(name), name }))
    .filter(({ at, first }) => first !== at);
}
