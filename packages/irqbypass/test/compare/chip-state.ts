/** What both sides show of the I/O APIC and of the 8259s: everything that KVM_GET_IRQCHIP has. */
import { Chip, IOAPIC_PINS, Vm as V, Vcpu } from "#src/host/layout.js";
import { ioctl, KVM_GET_IRQCHIP } from "#src/kvm/ioctl.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import { IRQCHIP_BYTES } from "#src/kvm/structs.js";
import type { Host } from "#src/vm/host.js";
import type { Vm } from "#src/vm/vm.js";
import { hex } from "./scene.js";

const STATE_AT = 8;
const [SELECT_AT, ID_AT, IRR_AT, ENTRIES_AT] = [STATE_AT + 8, STATE_AT + 12, STATE_AT + 16, STATE_AT + 24];
const PIC_BYTES = 16;
const PICS = { "pic-master": Chip.picMaster, "pic-slave": Chip.picSlave } as const;
const RESET_ENTRY = "10000:0";

export function kernelChips(machine: KvmMachine): string[] {
  const chip = (number: Chip) => {
    const state = new DataView(new ArrayBuffer(IRQCHIP_BYTES));
    state.setUint32(0, number, true);
    ioctl(machine.ffi, machine.fd, KVM_GET_IRQCHIP, state, "a VM");
    return state;
  };
  const state = chip(Chip.ioapic);
  const word = (at: number) => state.getUint32(at, true);
  return [
    ioapicLine(word(SELECT_AT), word(ID_AT), word(IRR_AT), (half) => word(ENTRIES_AT + half * 4)),
    ...Object.entries(PICS).map(
      ([name, number]) => `${name} ${new Uint8Array(chip(number).buffer, STATE_AT, PIC_BYTES).join(" ")}`,
    ),
  ];
}

export function softwareChips({ words }: Host, { ioapic, pic }: Vm, vcpu: number): string[] {
  const record = words.get(vcpu + Vcpu.vm);
  return [
    ioapicLine(words.get(record + V.ioapicSelect), ioapic.read(0) >>> 24, ioapic.irr, (half) =>
      ioapic.read(0x10 + half),
    ),
    ...(["pic-master", "pic-slave"] as const).map((name) => `${name} ${pic.state(name).join(" ")}`),
  ];
}

/** The entries that are as after a reset are left out. */
function ioapicLine(select: number, id: number, irr: number, half: (word: number) => number): string {
  const entries = Array.from({ length: IOAPIC_PINS }, (_, pin) => {
    const text = `${half(pin * 2).toString(16)}:${half(pin * 2 + 1).toString(16)}`;
    return text === RESET_ENTRY ? [] : [`${pin}=${text}`];
  }).flat();
  return `ioapic select ${select} id ${id} irr ${hex(irr)} ${entries.join(" ")}`;
}
