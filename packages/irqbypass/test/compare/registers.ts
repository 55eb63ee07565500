/** Registers of a local APIC: written and read as its guest does, by the page or by MSRs, in the right mode and in the wrong one. */
import fc from "fast-check";
import { Register } from "#src/vm/apic/registers.js";
import { vcpu } from "./events.js";
import type { KernelSide } from "./kernel-side.js";
import { hex, type Scene } from "./scene.js";
import type { SoftwareSide } from "./software-side.js";
import type { Step } from "./step.js";

const APIC_BASE_MSR = 0x1b;
const ENABLED = 0x800n;
const X2APIC = 0xc00n;
const BOOT = 0x100n;
const PAGE = 0xfee00000n;
const IN_PAGE = [
  ...[Register.id, Register.version, Register.tpr, Register.arbitration, Register.ppr, Register.eoi],
  ...[Register.ldr, Register.dfr, Register.svr, Register.isr, Register.tmr, Register.irr, Register.esr],
  ...[Register.lvtTimer, Register.lvtThermal, Register.lvtCounter, Register.lvt0, Register.lvt1],
  ...[Register.lvtError, Register.divide, Register.selfIpi, Register.icr2, 0x2f0, 0x3d0, 0x400],
] as const;
/** Those of the page that a load is not told of, with what it finds then. */
const READABLE = IN_PAGE.filter(
  (offset) => ![Register.eoi, Register.selfIpi, 0x2f0, 0x3d0, 0x400].includes(offset),
);

const word = fc.oneof(
  fc.constantFrom(0, 0xffffffff, 0x1ff, 0xff, 0x10000, 0x0fffffff, 0x700, 0x8000, 0x60000, 0x40000),
  fc.nat(0xffffffff),
);
/** A value for a register, so that others are still reached afterwards. */
const values: Readonly<Record<number, fc.Arbitrary<number>>> = {
  [Register.id]: fc.oneof(
    fc.nat(5).map((id) => id << 24),
    fc.nat(0xffffffff),
  ),
  [Register.ldr]: fc.oneof(
    { weight: 5, arbitrary: fc.nat(5).map((bit) => 1 << (24 + bit)) },
    { weight: 4, arbitrary: fc.constantFrom(0x11, 0x12, 0x21, 0x14, 0x18, 0x10).map((id) => id << 24) },
    { weight: 1, arbitrary: fc.nat(0xffffffff) },
  ),
  [Register.dfr]: fc.constantFrom(0xffffffff, 0xffffffff, 0x0fffffff, 0x0fffffff, 0x5fffffff, 0),
  [Register.svr]: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0x1ff, 0x1ff, 0x1ff, 0xff) },
    { weight: 1, arbitrary: word },
  ),
  [Register.tpr]: fc.oneof(fc.nat(255), word),
};

function registerWrite(offsets: readonly number[]): fc.Arbitrary<{ offset: number; value: number }> {
  return fc
    .constantFrom(...offsets)
    .chain((offset) => (values[offset] ?? word).map((value) => ({ offset, value: value >>> 0 })));
}

const ROUTING = [Register.ldr, Register.ldr, Register.svr, Register.dfr, Register.id, Register.tpr];
const any = fc.oneof(
  { weight: 3, arbitrary: registerWrite(ROUTING) },
  { weight: 2, arbitrary: registerWrite(IN_PAGE) },
);

const isX2apic = (base: bigint) => (base & X2APIC) === X2APIC;
const msrOf = (offset: number) => 0x800 + (offset >>> 4);
const fault = (done: boolean) => (done ? "done" : "#GP");

/** A store by the guest to the page; a vCPU that does not run executes none. */
export const storeOn = {
  kernel(side: KernelSide, index: number, offset: number, value: number): string {
    if (!side.events(index).startsWith("state 0")) return "does not run";
    side.vcpus[index]!.store(offset, value);
    return "done";
  },
  software(side: SoftwareSide, index: number, offset: number, value: number): string {
    if (!side.events(index).startsWith("state 0")) return "does not run";
    side.vcpus[index]!.apic.write(offset, value);
    return "done";
  },
};

/** By the way that the mode of the APIC has. */
export const registerOn = {
  kernel(side: KernelSide, index: number, offset: number, value: number): string {
    const one = side.vcpus[index]!;
    if (isX2apic(one.base)) return fault(one.writeMsr(msrOf(offset), BigInt(value)));
    return storeOn.kernel(side, index, offset, value);
  },
  software(side: SoftwareSide, index: number, offset: number, value: number): string {
    const { apic } = side.vcpus[index]!;
    if (isX2apic(apic.readMsr(APIC_BASE_MSR)!)) return fault(apic.writeMsr(msrOf(offset), value));
    return storeOn.software(side, index, offset, value);
  },
};

export function writes(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), any).map(([index, { offset, value }]) => ({
    name: `vCPU ${index} writes ${hex(value)} to ${hex(offset)}`,
    kernel: (side) => registerOn.kernel(side, index, offset, value),
    software: (side) => registerOn.software(side, index, offset, value),
  }));
}

/** By the page in whichever mode. */
export function stores(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), any).map(([index, { offset, value }]) => ({
    name: `vCPU ${index} stores ${hex(value)} at ${hex(offset)}`,
    kernel: (side) => storeOn.kernel(side, index, offset, value),
    software: (side) => storeOn.software(side, index, offset, value),
  }));
}

export function loads(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), fc.constantFrom(...READABLE)).map(([index, offset]) => ({
    name: `vCPU ${index} loads from ${hex(offset)}`,
    kernel(side) {
      if (!side.events(index).startsWith("state 0")) return "does not run";
      return hex(side.vcpus[index]!.load(offset));
    },
    software(side) {
      if (!side.events(index).startsWith("state 0")) return "does not run";
      return hex(side.vcpus[index]!.apic.read(offset));
    },
  }));
}

const msr = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...IN_PAGE.filter((offset) => offset < 0x1000)).map(msrOf) },
  { weight: 1, arbitrary: fc.nat(0xff).map((number) => 0x800 + number) },
);
const isTimers = (number: number) => number === 0x838 || number === 0x839 || number === 0x830;

export function readMsrs(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), msr).map(([index, number]) => ({
    name: `vCPU ${index} reads MSR ${hex(number)}`,
    kernel: (side) => show(side.vcpus[index]!.readMsr(number)),
    software: (side) => show(side.vcpus[index]!.apic.readMsr(number)),
  }));
}

const show = (value: bigint | undefined) => (value === undefined ? "#GP" : hex(value));

export function writeMsrs(scene: Scene): fc.Arbitrary<Step> {
  const wide = fc.oneof(
    { weight: 4, arbitrary: word.map(BigInt) },
    { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
  );
  return fc
    .tuple(
      vcpu(scene),
      msr.filter((number) => !isTimers(number)),
      wide,
    )
    .map(([index, number, value]) => ({
      name: `vCPU ${index} writes ${hex(value)} to MSR ${hex(number)}`,
      kernel: (side) => fault(side.vcpus[index]!.writeMsr(number, value)),
      software: (side) => fault(side.vcpus[index]!.apic.writeMsr(number, value)),
    }));
}

/** The mode, as a VMM sets it: KVM takes an MSR that user space sets for that. */
export function modes(scene: Scene): fc.Arbitrary<Step> {
  const bases = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(PAGE | ENABLED, PAGE | X2APIC, PAGE | X2APIC, PAGE) },
    { weight: 2, arbitrary: fc.constantFrom(PAGE | 0x400n, PAGE | ENABLED | 1n, PAGE | X2APIC | 0x200n) },
    { weight: 1, arbitrary: fc.constantFrom(PAGE | X2APIC | (1n << 60n), PAGE | ENABLED | BOOT) },
  );
  return fc.tuple(vcpu(scene), bases).map(([index, base]) => ({
    name: `vCPU ${index} has APIC base ${hex(base)}`,
    kernel: (side) => fault(side.vcpus[index]!.writeMsr(APIC_BASE_MSR, base)),
    software: (side) =>
      side.outcome(() => side.vcpus[index]!.apic.setBase(base)) === "EINVAL" ? "#GP" : "done",
  }));
}

/** Puts a vector into service, as section 0 of what KVM can be asked says: by KVM_SET_LAPIC. */
export function services(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), fc.constantFrom(0x31, 0x40, 0x41, 0x9f, 0xf0)).map(([index, vector]) => ({
    name: `vCPU ${index} serves ${hex(vector)}`,
    kernel(side) {
      const one = side.vcpus[index]!;
      const lapic = one.lapic();
      const at = Register.isr + (vector >>> 5) * 16;
      lapic.setUint32(at, lapic.getUint32(at, true) | (1 << (vector & 31)), true);
      one.setLapic(lapic);
      return "";
    },
    software(side) {
      side.serve(index, vector);
      return "";
    },
  }));
}

export const ends = (scene: Scene): fc.Arbitrary<Step> => vcpu(scene).map(endOf);

export function endOf(index: number): Step {
  return {
    name: `vCPU ${index} ends an interrupt`,
    kernel: (side) => registerOn.kernel(side, index, Register.eoi, 0),
    software: (side) => registerOn.software(side, index, Register.eoi, 0),
  };
}

/** What a guest's first instructions make of its local APICs: all alike, so that random changes begin from something that works. */
export function boots({ ids }: Scene): fc.Arbitrary<readonly Step[]> {
  return fc.constantFrom("as reset", "flat", "cluster", "x2apic", "x2apic", "one mode each").map((how) =>
    ids.map((_, index) => {
      const mine = how === "one mode each" ? (["x2apic", "flat", "cluster"] as const)[index % 3]! : how;
      return bootOf(index, mine);
    }),
  );
}

function bootOf(index: number, how: string): Step {
  const isNew = how === "as reset";
  const ldr = how === "cluster" ? ((index >> 1) << 4) | (1 << (index & 1)) : 1 << (index & 7);
  const page: (readonly [number, number])[] = [
    [Register.svr, 0x1ff],
    [Register.dfr, how === "cluster" ? 0x0fffffff : 0xffffffff],
    [Register.ldr, ldr << 24],
  ];
  return {
    name: `vCPU ${index} boots ${how}`,
    kernel(side) {
      if (isNew) return "";
      const one = side.vcpus[index]!;
      if (how !== "x2apic") for (const write of page) storeOn.kernel(side, index, ...write);
      else {
        one.writeMsr(APIC_BASE_MSR, one.base | X2APIC);
        one.writeMsr(msrOf(Register.svr), 0x1ffn);
      }
      return "";
    },
    software(side) {
      if (isNew) return "";
      const { apic } = side.vcpus[index]!;
      if (how !== "x2apic") for (const write of page) apic.write(...write);
      else {
        apic.writeMsr(APIC_BASE_MSR, apic.readMsr(APIC_BASE_MSR)! | X2APIC);
        apic.writeMsr(msrOf(Register.svr), 0x1ff);
      }
      return "";
    },
  };
}
