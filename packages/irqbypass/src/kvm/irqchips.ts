/**
 * The interrupt chips of a KVM guest, which user space reads and sets as a whole (KVM_GET_IRQCHIP, KVM_SET_IRQCHIP; struct
 * kvm_ioapic_state, struct kvm_pic_state), as the registers that those of a software VM have.
 */
import { IrqBypassError } from "../host/errors.js";
import { Chip, IOAPIC_PINS, Pic, Vm, VmFlag } from "../host/layout.js";
import type { IoApicRegisters } from "../vm/ioapic-registers.js";
import { type PicPair, readPicPort, writePicPort } from "../vm/pic.js";
import type { PicPorts } from "../vm/pic-ports.js";
import {
  Entry,
  IOAPIC_VERSION,
  isHighHalf,
  NO_REGISTER,
  pinOfRegister,
  Register,
  writtenLow,
} from "../vm/redirection.js";
import type { VmLife } from "../vm/vm-mutex.js";
import { ioctl, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP } from "./ioctl.js";
import type { KvmMachine } from "./machine.js";
import { IRQCHIP_BYTES } from "./structs.js";

const STATE_AT = 8;
const SELECT_AT = STATE_AT + 8;
const ID_AT = STATE_AT + 12;
const IRR_AT = STATE_AT + 16;
const ENTRIES_AT = STATE_AT + 24;
const ID_SHIFT = 24;
const ID_MASK = 0xf;

/** The chips of one guest, for the thread that made it. */
export class Irqchips {
  constructor(
    private readonly machine: KvmMachine,
    private readonly life: VmLife,
  ) {}

  /** The I/O APIC. */
  get ioapic(): IoApicRegisters {
    return {
      vm: this.life.id,
      check: () => this.life.memory.checkCall(),
      read: (register) => this.look(Chip.ioapic, (state) => readEntry(state, register)),
      write: (register, value) =>
        this.change((chips) => {
          const state = chips.get(Chip.ioapic);
          if (register === Register.id) state.setUint32(ID_AT, (value >>> ID_SHIFT) & ID_MASK, true);
          const pin = pinOfRegister(register);
          if (pin < 0) return;
          const at = ENTRIES_AT + pin * 8;
          if (isHighHalf(register)) state.setUint32(at + 4, value, true);
          else state.setUint32(at, writtenLow(state.getUint32(at, true), value), true);
        }),
      selected: () => this.look(Chip.ioapic, (state) => state.getUint32(SELECT_AT, true)),
      select: (register) =>
        this.change((chips) => chips.get(Chip.ioapic).setUint32(SELECT_AT, register, true)),
      lines: () => this.irr(),
      irr: () => this.irr(),
    };
  }

  /** The pair of 8259s. */
  get pics(): PicPorts {
    return {
      vm: this.life.id,
      check: () => this.life.memory.checkCall(),
      read: (port) => this.change((chips) => readPicPort(this.pairOf(chips), port)),
      write: (port, value) => this.change((chips) => writePicPort(this.pairOf(chips), port, value)),
      registers: (chip) =>
        this.look(chip, (state) =>
          Array.from({ length: Pic.words }, (_, register) => state.getUint8(STATE_AT + register)),
        ),
    };
  }

  /** Each chip as it comes out of reset; which of its lines are up is no part of its state. Under the VM's mutex, while no vCPU runs. */
  reset(): void {
    for (const chip of [Chip.picMaster, Chip.picSlave, Chip.ioapic]) {
      const state = this.get(chip);
      if (chip === Chip.ioapic) resetIoapic(state);
      else for (let register = 0; register < Pic.elcrMask; register++) state.setUint8(STATE_AT + register, 0);
      this.ask(KVM_SET_IRQCHIP, state);
    }
  }

  private irr(): number {
    return this.look(Chip.ioapic, (state) => state.getUint32(IRR_AT, true));
  }

  /** KVM finds out by itself whether they ask for an acknowledge, and asks no device. */
  private pairOf(chips: Changing): PicPair {
    const { words } = this.life.memory;
    return {
      get: (chip, register) => chips.get(chip).getUint8(STATE_AT + register),
      set: (chip, register, value) => chips.get(chip).setUint8(STATE_AT + register, value),
      output() {},
      ended() {},
      isTaken: () => (words.get(this.life.record + Vm.flags) & VmFlag.pic) !== 0,
    };
  }

  private look<T>(chip: Chip, look: (state: DataView) => T): T {
    return this.life.guard(() => look(this.get(chip)));
  }

  /** Takes the chips out, has them changed and puts them back. Throws EBUSY while a vCPU runs, which might change them in between. */
  private change<T>(change: (chips: Changing) => T): T {
    return this.life.guard(() => {
      this.refuseIfRunning();
      const taken = new Map<Chip, { readonly was: Uint8Array; readonly state: DataView }>();
      const get = (chip: Chip) => {
        const state = taken.get(chip)?.state ?? this.get(chip);
        if (!taken.has(chip)) taken.set(chip, { was: new Uint8Array(state.buffer.slice(0)), state });
        return state;
      };
      const result = change({ get });
      for (const { was, state } of taken.values()) {
        const now = new Uint8Array(state.buffer);
        if (was.some((byte, at) => byte !== now[at])) this.ask(KVM_SET_IRQCHIP, state);
      }
      return result;
    });
  }

  /** Throws EBUSY while a vCPU runs. */
  refuseIfRunning(): void {
    const running = this.machine.vcpus.find(({ thread }) => thread !== undefined && !thread.left);
    if (running === undefined) return;
    throw new IrqBypassError(
      "EBUSY",
      `vCPU ${running.index} of VM ${this.life.id} runs, and KVM takes its interrupt chips as a whole: stop the guest first`,
    );
  }

  private get(chip: Chip): DataView {
    const state = new DataView(new ArrayBuffer(IRQCHIP_BYTES));
    state.setUint32(0, chip, true);
    this.ask(KVM_GET_IRQCHIP, state);
    return state;
  }

  private ask(call: { name: string; request: number }, state: DataView): void {
    const { ffi, fd } = this.machine;
    ioctl(ffi, fd, call, state, `VM ${this.life.id}`);
  }
}

/** Chips that are being changed. */
interface Changing {
  get(chip: Chip): DataView;
}

function readEntry(state: DataView, register: number): number {
  if (register === Register.version) return IOAPIC_VERSION;
  if (register === Register.id || register === Register.arbitration)
    return (state.getUint32(ID_AT, true) & ID_MASK) << ID_SHIFT;
  const pin = pinOfRegister(register);
  if (pin < 0 || pin >= IOAPIC_PINS) return NO_REGISTER;
  return state.getUint32(ENTRIES_AT + pin * 8 + (isHighHalf(register) ? 4 : 0), true);
}

function resetIoapic(state: DataView): void {
  for (const at of [SELECT_AT, ID_AT, IRR_AT]) state.setUint32(at, 0, true);
  for (let pin = 0; pin < IOAPIC_PINS; pin++)
    state.setBigUint64(ENTRIES_AT + pin * 8, BigInt(Entry.masked), true);
}
