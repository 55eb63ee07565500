/** The I/O APIC and the 8259s: lines, registers, ports, interrupts that are taken and ended. A guest's accesses are made by a guest. */
import fc from "fast-check";
import { Vcpu as V } from "#src/host/layout.js";
import { ioctl, KVM_IRQ_LINE_STATUS } from "#src/kvm/ioctl.js";
import { encodeIrqLevel } from "#src/kvm/structs.js";
import { harvest } from "#src/posting/fast-path.js";
import { Register } from "#src/vm/apic/registers.js";
import { accept, highest } from "#src/vm/lapic.js";
import { vcpu } from "./events.js";
import type { KernelSide } from "./kernel-side.js";
import { endOf, registerOn } from "./registers.js";
import { hex, type Scene } from "./scene.js";
import { afterSetLapic } from "./set-lapic.js";
import type { SoftwareSide } from "./software-side.js";
import type { Step } from "./step.js";

const IOAPIC = 0xfec00000n;
const [SELECT, WINDOW] = [0, 0x10];
/** No class of a local APIC's interrupts is above it. */
const CLOSED = 0xff;

const byte = fc.nat(255);
const length = fc.oneof(
  { weight: 12, arbitrary: fc.constant(4 as const) },
  fc.constantFrom(1 as const, 2 as const),
);
const pin = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(4, 5, 8, 10, 20) }, fc.nat(23));

/** Does the first vCPU, which makes the accesses, execute anything? */
const runs = (side: KernelSide | SoftwareSide, index = 0) => side.events(index).startsWith("state 0");

export function lines(): fc.Arbitrary<Step> {
  return fc.tuple(pin, fc.boolean()).map(([gsi, level]) => ({
    name: `line ${gsi} ${level ? "rises" : "falls"}`,
    kernel({ machine: { ffi, fd } }) {
      const line = encodeIrqLevel(gsi, level);
      ioctl(ffi, fd, KVM_IRQ_LINE_STATUS, line, "a VM");
      return String(line[0]! | 0);
    },
    software: ({ vm }) => String(vm.setIrqLine(gsi, level)),
  }));
}

/** Not INIT: the vCPU that makes the access may be who gets it, and would not come back from there. IPIs and messages have it. */
const noInit = (value: number) => (((value >>> 8) & 7) === 5 ? (value ^ 0x100) >>> 0 : value);
const word = fc.nat(0xffffffff).map(noInit);

/** The lower half of an entry. */
const low = fc
  .record({
    vector: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0x31, 0x41, 0x51, 0x61) }, byte),
    mode: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(7)),
    logical: fc.constantFrom(false, false, true),
    level: fc.constantFrom(true, true, false),
    masked: fc.constantFrom(false, false, false, false, false, true),
    reserved: fc.constantFrom(0, 0, 0, 0xfffe7000),
  })
  .map(
    ({ vector, mode, logical, level, masked, reserved }) =>
      (vector |
        (mode << 8) |
        (logical ? 0x800 : 0) |
        (level ? 0x8000 : 0) |
        (masked ? 0x10000 : 0) |
        (reserved & ~0x8000)) >>>
      0,
  )
  .map(noInit);
const high = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 0x11, 0xff) },
  { weight: 1, arbitrary: byte },
);

/** Registers by the window: most of them entries, whole or half. */
export function registers(): fc.Arbitrary<Step> {
  const entry = fc
    .tuple(pin, fc.constantFrom("both", "both", "upper", "lower"), low, high)
    .map(([at, which, lower, destination]) => [
      ...(which === "lower" ? [] : [[0x11 + at * 2, (destination << 24) >>> 0] as const]),
      ...(which === "upper" ? [] : [[0x10 + at * 2, lower] as const]),
    ]);
  const other = fc
    .tuple(byte, fc.oneof(fc.constantFrom(0, 0xffffffff, 0x05000000), word))
    .map((one) => [one]);
  return fc.tuple(fc.oneof({ weight: 12, arbitrary: entry }, other), length).map(([writes, bytes]) => ({
    name: `I/O APIC, ${bytes} bytes: ${writes.map(([at, value]) => `${hex(at)} := ${hex(value)}`).join(", ")}`,
    kernel(side) {
      if (!runs(side)) return "does not run";
      for (const [register, value] of writes) {
        side.vcpus[0]!.storeAt(IOAPIC, register);
        side.vcpus[0]!.storeAt(IOAPIC + BigInt(WINDOW), value, bytes);
      }
      return "done";
    },
    software(side) {
      if (!runs(side)) return "does not run";
      for (const [register, value] of writes) {
        side.vm.ioapic.store(SELECT, register);
        side.vm.ioapic.store(WINDOW, value, bytes);
      }
      return "done";
    },
  }));
}

/** Loads and stores anywhere in the chip's 256 bytes. */
export function accesses(): fc.Arbitrary<Step> {
  const offset = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(SELECT, WINDOW) },
    fc.nat(15).map((line) => line * 16),
  );
  return fc.tuple(offset, length, fc.option(word)).map(([at, bytes, value]) => ({
    name: `I/O APIC: ${value === null ? "load" : `store ${hex(value)}`} at ${hex(at)}, ${bytes} bytes`,
    kernel(side) {
      if (!runs(side)) return "does not run";
      const address = IOAPIC + BigInt(at);
      if (value === null) return hex(side.vcpus[0]!.loadAt(address, bytes));
      side.vcpus[0]!.storeAt(address, value, bytes);
      return "done";
    },
    software(side) {
      if (!runs(side)) return "does not run";
      if (value === null) return hex(side.vm.ioapic.load(at, bytes));
      side.vm.ioapic.store(at, value, bytes);
      return "done";
    },
  }));
}

const command = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(0x20, 0x20, 0x60, 0x62, 0x65, 0xa0, 0xe3, 0xc1, 0x80, 0x00, 0x40) },
  { weight: 4, arbitrary: fc.constantFrom(0x0a, 0x0b, 0x0c, 0x08, 0x68, 0x48, 0x0e) },
  { weight: 2, arbitrary: fc.constantFrom(0x11, 0x10, 0x13, 0x19) },
  { weight: 1, arbitrary: byte },
);
const data = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 0, 0x04, 0x20, 0x28, 0x70, 0x01, 0x03, 0x11, 0x13) },
  { weight: 2, arbitrary: byte },
);

export function ports(): fc.Arbitrary<Step> {
  const write = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constantFrom(0x20, 0xa0), command) },
    { weight: 5, arbitrary: fc.tuple(fc.constantFrom(0x21, 0xa1), data) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(0x4d0, 0x4d1), byte) },
  );
  const read = fc.tuple(fc.constantFrom(0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1), fc.constant(null));
  return fc
    .oneof({ weight: 3, arbitrary: write }, { weight: 1, arbitrary: read })
    .map(([port, value]: readonly [number, number | null]) => ({
      name: value === null ? `in ${hex(port)}` : `out ${hex(port)} ${hex(value)}`,
      kernel(side) {
        if (!runs(side)) return "does not run";
        if (value === null) return hex(side.vcpus[0]!.in(port));
        side.vcpus[0]!.out(port, value);
        return "done";
      },
      software(side) {
        if (!runs(side)) return "does not run";
        if (value === null) return hex(side.vm.pic.read(port));
        side.vm.pic.write(port, value);
        return "done";
      },
    }));
}

/** The guest of a vCPU lets in what the 8259s ask for, and nothing else. */
export function extInts(scene: Scene): fc.Arbitrary<Step> {
  return vcpu(scene).map((index) => ({
    name: `vCPU ${index} takes from the 8259s`,
    kernel(side) {
      if (!runs(side, index)) return "does not run";
      const one = side.vcpus[index]!;
      const tpr = one.lapic().getUint32(Register.tpr, true);
      registerOn.kernel(side, index, Register.tpr, CLOSED);
      const vector = one.take();
      registerOn.kernel(side, index, Register.tpr, tpr);
      return String(vector);
    },
    software(side) {
      if (!runs(side, index)) return "does not run";
      const one = side.vcpus[index]!;
      const { tpr } = one;
      registerOn.software(side, index, Register.tpr, CLOSED);
      const vector = one.acknowledge();
      // A guest that takes an interrupt ends one here, whatever it took: section 0 of what this kernel can be asked.
      if (vector !== undefined) one.eoi();
      registerOn.software(side, index, Register.tpr, tpr);
      return String(vector);
    },
  }));
}

export function lint0s(scene: Scene): fc.Arbitrary<Step> {
  return fc
    .tuple(vcpu(scene), fc.constantFrom(0x700, 0x700, 0x10700, 0x10000, 0x31, 0x400))
    .map(([index, value]) => ({
      name: `vCPU ${index} has LINT0 ${hex(value)}`,
      kernel: (side) => registerOn.kernel(side, index, Register.lvt0, value),
      software: (side) => registerOn.software(side, index, Register.lvt0, value),
    }));
}

/** A vCPU takes the highest that its local APIC has above what is in service, as section 0 has it: by KVM_SET_LAPIC. */
export function takes(scene: Scene): fc.Arbitrary<Step> {
  return vcpu(scene).map((index) => ({
    name: `vCPU ${index} takes from its local APIC`,
    kernel(side) {
      const one = side.vcpus[index]!;
      const lapic = one.lapic();
      const [requested, served] = [Register.irr, Register.isr].map((at) => highestOf(lapic, at));
      if (requested! >> 4 <= served! >> 4) return "nothing";
      const change = (at: number) => {
        const word = at + (requested! >> 5) * 16;
        lapic.setUint32(word, lapic.getUint32(word, true) ^ (1 << (requested! & 31)), true);
      };
      change(Register.irr);
      change(Register.isr);
      one.setLapic(lapic);
      return hex(requested!);
    },
    software(side) {
      const { host } = side;
      const { record } = side.vcpus[index]!;
      harvest(host, record + V.descriptor, record + V.irr);
      const [requested, served] = [V.irr, V.isr].map((at) => highest(host.words, record + at));
      if (requested! >> 4 <= served! >> 4) return "nothing";
      accept(host.words, record, requested!);
      afterSetLapic(side, index);
      return hex(requested!);
    },
  }));
}

function highestOf(lapic: DataView, at: number): number {
  for (let bank = 7; bank >= 0; bank--) {
    const bits = lapic.getUint32(at + bank * 16, true);
    if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
  }
  return -1;
}

/** An EOI, after an entry into the guest: only from then on KVM knows of which vectors the I/O APIC hears. */
export function eois(scene: Scene): fc.Arbitrary<Step> {
  return vcpu(scene).map((index) => {
    const { name, kernel, software } = endOf(index);
    return {
      name,
      kernel(side) {
        if (!runs(side, index)) return "does not run";
        side.vcpus[index]!.pass();
        return kernel(side);
      },
      software: (side) => (runs(side, index) ? software(side) : "does not run"),
    };
  });
}
