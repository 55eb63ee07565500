/**
 * The I/O APIC of a real VM, programmed as the differential suite has it on both sides.
 */
import { ioctl, KVM_GET_IRQCHIP } from "#src/kvm/ioctl.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import { IRQCHIP_BYTES, IRQCHIP_IOAPIC } from "#src/kvm/structs.js";
import { PINS, redirection } from "./operation.js";

const KVM_SET_IRQCHIP = {
  name: "KVM_SET_IRQCHIP",
  request: ((2 << 30) | (IRQCHIP_BYTES << 16) | (0xae << 8) | 0x63) >>> 0,
};
const REDIRECTIONS_AT = 8 + 24;

/** Programs the redirection entries of a VM's I/O APIC. */
export function programPins(machine: KvmMachine): void {
  const chip = new DataView(new ArrayBuffer(IRQCHIP_BYTES));
  chip.setUint32(0, IRQCHIP_IOAPIC, true);
  ioctl(machine.ffi, machine.fd, KVM_GET_IRQCHIP, chip, "a VM");
  for (const pin of Object.keys(PINS).map(Number)) {
    const [low, high] = redirection(pin);
    chip.setUint32(REDIRECTIONS_AT + pin * 8, low, true);
    chip.setUint32(REDIRECTIONS_AT + pin * 8 + 4, high, true);
  }
  ioctl(machine.ffi, machine.fd, KVM_SET_IRQCHIP, chip, "a VM");
}
