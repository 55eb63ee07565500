import { checkFlag, checkWord, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { IOAPIC_PINS } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import { linesOf, readRegister, undeliveredOf } from "./ioapic.js";
import { Entry, Register } from "./redirection.js";
import { writeIoapic } from "./resample.js";
import type { VmLife } from "./vm-mutex.js";

/** Where a pin's interrupt goes. */
export interface Redirection {
  /** The APIC id, which is the index of a vCPU; 255 is all of them. */
  readonly vcpu: number;
  /** 0 to 255. */
  readonly vector: number;
  /** Level-triggered; edge-triggered is the default. */
  readonly level?: boolean;
  /** Held back; not, by default. */
  readonly masked?: boolean;
}

const ENTRY: OptionNames<Redirection> = { vcpu: true, vector: true, level: true, masked: true };

/** Where the registers of an I/O APIC are. */
export interface IoApicRegisters {
  /** The id of its VM. */
  readonly vm: number;
  read(register: number): number;
  write(register: number, value: number): void;
  lines(): number;
  irr(): number;
  /** Throws where no call may be made now. */
  check(): void;
}

/** Those of a software VM, each access under its mutex. */
export function ioapicOf(life: VmLife): IoApicRegisters {
  const { memory, record } = life;
  return {
    vm: life.id,
    read: (register) => life.guard(() => readRegister(memory, record, register)),
    write: (register, value) => writeIoapic(life, register, value),
    lines: () => life.guard(() => linesOf(memory, record)),
    irr: () => life.guard(() => undeliveredOf(memory, record)),
    check: () => memory.checkCall(),
  };
}

/** A VM's I/O APIC, as its guest programs it (82093AA). Each call takes the VM's mutex. */
export class IoApic extends Shown {
  /** @internal `Vm.ioapic` makes it. */
  constructor(private readonly registers: IoApicRegisters) {
    super();
  }

  /** Reads a register by its number, as the guest does through its window. */
  read(register: number): number {
    this.checkRegister(register);
    return this.registers.read(register);
  }

  /** Writes a register: a redirection entry's low word at 0x10 + 2 * pin, its high word behind it. */
  write(register: number, value: number): void {
    this.checkRegister(register);
    checkWord(value, "value");
    this.registers.write(register, value);
  }

  /** Programs a pin: the two writes that a guest makes, the high word first. Throws EINVAL for a pin that is not there. */
  redirect(pin: number, entry: Redirection): void {
    const {
      vcpu,
      vector,
      level = false,
      masked = false,
    } = readOptions(entry, ENTRY, "an entry such as { vcpu: 0, vector: 0x31 }");
    checkByte(vcpu, "vcpu");
    checkByte(vector, "vector");
    checkFlag(level, "level");
    checkFlag(masked, "masked");
    if (!Number.isInteger(pin) || pin < 0 || pin >= IOAPIC_PINS) {
      throw new IrqBypassError("EINVAL", `the I/O APIC has pins 0 to ${IOAPIC_PINS - 1}, not ${show(pin)}`);
    }
    const low = Register.redirection + pin * 2;
    this.write(low + 1, vcpu << 24);
    this.write(low, vector | (level ? Entry.level : 0) | (masked ? Entry.masked : 0));
  }

  /** The lines that are asserted now, one bit a pin. Of a KVM guest as {@link irr}: KVM tells nobody of an edge's line. */
  get lines(): number {
    this.registers.check();
    return this.registers.lines();
  }

  /** The pins that are requested, one bit each, but for edges that were delivered: as KVM_GET_IRQCHIP has them. */
  get irr(): number {
    this.registers.check();
    return this.registers.irr();
  }

  /** @internal */
  protected describe(): object {
    return { vm: this.registers.vm, pins: IOAPIC_PINS, lines: this.lines };
  }

  private checkRegister(register: unknown): void {
    this.registers.check();
    if (Number.isInteger(register) && (register as number) >= 0 && (register as number) < 256) return;
    throw new IrqBypassError("EINVAL", `register is ${show(register)}: an I/O APIC has registers 0 to 255`);
  }
}

function checkByte(value: unknown, name: string): void {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < 256) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: a redirection entry has room for 0 to 255`);
}
