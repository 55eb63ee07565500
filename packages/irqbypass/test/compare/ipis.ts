/** IPIs: what a guest writes to the ICR, in either mode. */
import fc from "fast-check";
import { Register } from "#src/vm/apic/registers.js";
import { vcpu } from "./events.js";
import { destination, mode, vector } from "./messages.js";
import { storeOn } from "./registers.js";
import { hex, type Scene } from "./scene.js";
import type { Step } from "./step.js";

const APIC_BASE_MSR = 0x1b;
const ICR_MSR = 0x830;
const SELF_IPI_MSR = 0x83f;
const X2APIC = 0xc00n;
const isX2apic = (base: bigint) => (base & X2APIC) === X2APIC;
const fault = (done: boolean) => (done ? "done" : "#GP");

/** An INIT that the storing guest may get itself: it would not come back from there. By an MSR, which is no guest's, it is sent. */
const mayEndItself = (low: number) => ((low >>> 8) & 7) === 5 && ((low >>> 18) & 3) !== 3;

function icrLow(): fc.Arbitrary<number> {
  return fc
    .record({
      vector,
      mode,
      logical: fc.boolean(),
      shorthand: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
      level: fc.constantFrom(false, false, true),
      asserted: fc.constantFrom(true, true, false),
      busy: fc.boolean(),
      reserved: fc.oneof(
        { weight: 8, arbitrary: fc.constant(0) },
        fc.constantFrom(1 << 13, 1 << 16, 1 << 31),
      ),
    })
    .map(
      (icr) =>
        (icr.vector |
          (icr.mode << 8) |
          (icr.logical ? 0x800 : 0) |
          (icr.busy ? 0x1000 : 0) |
          (icr.asserted ? 0x4000 : 0) |
          (icr.level ? 0x8000 : 0) |
          (icr.shorthand << 18) |
          icr.reserved) >>>
        0,
    );
}

/** A destination of 32 bits. */
function longDestination(scene: Scene): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 6, arbitrary: destination(scene) },
    { weight: 3, arbitrary: fc.constantFrom(...scene.ids) },
    { weight: 2, arbitrary: fc.constantFrom(0xffffffff, 0x00100001, 0x0010ffff, 0x0012ffff, 0x0001ffff) },
    { weight: 1, arbitrary: fc.nat(0xffffffff) },
  );
}

export function ipis(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), icrLow(), longDestination(scene)).map(([index, low, to]) => ({
    name: `vCPU ${index} sends ${hex(low)} to ${hex(to)}`,
    kernel(side) {
      const one = side.vcpus[index]!;
      if (isX2apic(one.base)) return fault(one.writeMsr(ICR_MSR, (BigInt(to) << 32n) | BigInt(low)));
      if (mayEndItself(low)) return "not sent";
      storeOn.kernel(side, index, Register.icr2, to << 24);
      return storeOn.kernel(side, index, Register.icr, low);
    },
    software(side) {
      const { apic } = side.vcpus[index]!;
      if (isX2apic(apic.readMsr(APIC_BASE_MSR)!))
        return fault(apic.writeMsr(ICR_MSR, (BigInt(to) << 32n) | BigInt(low)));
      if (mayEndItself(low)) return "not sent";
      storeOn.software(side, index, Register.icr2, to << 24);
      return storeOn.software(side, index, Register.icr, low);
    },
  }));
}

export function selfIpis(scene: Scene): fc.Arbitrary<Step> {
  return fc
    .tuple(vcpu(scene), fc.oneof({ weight: 6, arbitrary: vector }, fc.nat(0xffff)))
    .map(([index, value]) => ({
      name: `vCPU ${index} sends ${hex(value)} to itself`,
      kernel: (side) => fault(side.vcpus[index]!.writeMsr(SELF_IPI_MSR, BigInt(value))),
      software: (side) => fault(side.vcpus[index]!.apic.writeMsr(SELF_IPI_MSR, value)),
    }));
}
