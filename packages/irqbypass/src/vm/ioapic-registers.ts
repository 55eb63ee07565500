import { checkFlag, checkWord, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { IOAPIC_PINS, Vm } from "../host/layout.js";
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

/** Offsets of the two registers that a guest has for all of them. */
const SELECT = 0;
const WINDOW = 0x10;
const LENGTHS: readonly number[] = [1, 2, 4, 8];

/** Where the registers of an I/O APIC are. */
export interface IoApicRegisters {
  /** The id of its VM. */
  readonly vm: number;
  read(register: number): number;
  write(register: number, value: number): void;
  /** The number of the register that the window shows. */
  selected(): number;
  select(register: number): void;
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
    selected: () => life.guard(() => memory.words.get(record + Vm.ioapicSelect)),
    select: (register) => life.guard(() => memory.words.set(record + Vm.ioapicSelect, register)),
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

  /**
   * What a guest's load from the chip's 256 bytes at 0xfec00000 finds: the number of the selected register at offset 0, that register at 0x10, else 0. Of
   * `length` bytes, 1, 2, 4 (the default) or 8; loads of other lengths find 0. Throws EINVAL for an offset or a length that is none.
   */
  load(offset: number, length = 4): number {
    this.checkAccess(offset, length);
    const value =
      offset === SELECT
        ? this.registers.selected()
        : offset === WINDOW
          ? this.registers.read(this.registers.selected())
          : 0;
    return LENGTHS.includes(length) ? lowBytes(value, length) : 0;
  }

  /**
   * A guest's store there: at offset 0 it selects the register of the low byte, at 0x10 it writes that. `value` is what is stored, of which the low
   * `length` bytes count, 4 at most. Stores elsewhere or of other lengths are ignored. Throws EINVAL as `load`, and for what is no word.
   */
  store(offset: number, value: number, length = 4): void {
    this.checkAccess(offset, length);
    checkWord(value, "value");
    if (!LENGTHS.includes(length)) return;
    const word = lowBytes(value, length);
    if (offset === SELECT) this.registers.select(word & 0xff);
    else if (offset === WINDOW) this.registers.write(this.registers.selected(), word);
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

  private checkAccess(offset: unknown, length: unknown): void {
    this.registers.check();
    if (!isIn(offset, 0, 255))
      throw new IrqBypassError("EINVAL", `offset is ${show(offset)}: an I/O APIC has 256 bytes`);
    if (!isIn(length, 1, 8))
      throw new IrqBypassError("EINVAL", `length is ${show(length)}: a guest loads and stores 1 to 8 bytes`);
  }

  private checkRegister(register: unknown): void {
    this.registers.check();
    if (isIn(register, 0, 255)) return;
    throw new IrqBypassError("EINVAL", `register is ${show(register)}: an I/O APIC has registers 0 to 255`);
  }
}

function isIn(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** The low bytes of a word, as a load of so many has them. */
function lowBytes(word: number, length: number): number {
  return length < 4 ? word & (2 ** (length * 8) - 1) : word >>> 0;
}

function checkByte(value: unknown, name: string): void {
  if (isIn(value, 0, 255)) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: a redirection entry has room for 0 to 255`);
}
