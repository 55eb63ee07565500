import type { Host, Vm } from "irqbypass";
import { Descriptor, Vcpu as V } from "#src/host/layout.js";

/**
 * Calls `taken` where the vCPU of a VM that is disposed of has this vector requested, at the moment at which its record is given
 * back: nobody runs it, so that is where the interrupts of its last irqfds are.
 */
export function takenAtRelease(host: Host, vm: Vm, vector: number, taken: () => void): void {
  const { words, pools } = host;
  const { record } = vm.vcpu(0);
  const bit = 1 << (vector & 31);
  const bank = vector >>> 5;
  const release = pools.vcpu.release.bind(pools.vcpu);
  pools.vcpu.release = (vcpu) => {
    if (vcpu === record) {
      pools.vcpu.release = release;
      const pir = words.load(record + V.descriptor + Descriptor.pir + bank);
      if ((pir | words.get(record + V.irr + bank)) & bit) taken();
    }
    release(vcpu);
  };
}
