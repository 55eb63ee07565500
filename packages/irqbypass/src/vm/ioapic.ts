/**
 * The I/O APIC of a software VM: 24 pins, each with a redirection entry (82093AA; arch/x86/kvm/ioapic.c). Everything here
 * runs under the VM's mutex. A pin's line is the OR of its sources, so that user space and irqfds can share one.
 *
 * A pin is requested from when its line rises until it falls. Of an edge that is delivered once; of a level once until its EOI,
 * which remote IRR remembers.
 */
import { IOAPIC_PINS, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import type { Reason } from "../posting/reason.js";
import { type Delivery, type Message, Shorthand } from "./apic/message.js";
import { CLOCK_PIN, deliverClock, isClockPending } from "./clock.js";
import { deliver, whyDropped } from "./delivery.js";
import { delayEois } from "./eoi-guard.js";
import {
  Entry,
  IOAPIC_VERSION,
  idBits,
  isHighHalf,
  NO_REGISTER,
  pinOfRegister,
  Register,
  writtenLow,
} from "./redirection.js";

/** Who asserts a line: `setIrqLine`, or the level-triggered irqfds of the GSI, all of them together. */
export const enum Source {
  user = 0,
  resample = 1,
}

/** What came of a change of a line. */
export interface Outcome {
  /** How many took it; 0 where it was requested already, or who is addressed does not take it; -1 where nothing was sent (KVM_IRQ_LINE_STATUS). */
  readonly status: number;
  /** Why an edge is dropped; undefined where it is delivered, or where a line keeps what it has to say. */
  readonly dropped: Reason | undefined;
}

const LOWERED: Outcome = { status: 1, dropped: undefined };
const COALESCED: Outcome = { status: 0, dropped: undefined };
const HELD: Outcome = { status: -1, dropped: undefined };
const MASKED: Outcome = { status: -1, dropped: "masked" };

/** A level that is requested again by each of so many EOIs, one after the other, waits a moment (IOAPIC_SUCCESSIVE_IRQ_MAX_COUNT). */
const SUCCESSIVE_EOIS = 10_000;

const lowOf = (vm: number, pin: number) => vm + Vm.ioapic + pin * 2;
const highOf = (vm: number, pin: number) => lowOf(vm, pin) + 1;

/** All pins masked and edge-triggered: how it comes out of reset. */
export function reset({ words }: HostMemory, vm: number): void {
  words.set(vm + Vm.lines, 0);
  words.set(vm + Vm.delivered, 0);
  words.set(vm + Vm.ioapicId, 0);
  words.set(vm + Vm.ioapicSelect, 0);
  words.set(vm + Vm.clockEois, 0);
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    words.set(lowOf(vm, pin), Entry.masked);
    words.set(highOf(vm, pin), 0);
    words.set(vm + Vm.sources + pin, 0);
    words.set(vm + Vm.eois + pin, 0);
  }
}

/**
 * Sets one source of a pin. An edge or a newly asserted level is delivered if the pin is not masked. Where the caller `asks` what came of it, the
 * clock's waits for the end of its last interrupt.
 */
export function setPin(
  memory: HostMemory,
  vm: number,
  pin: number,
  source: Source,
  level: boolean,
  asks = false,
): Outcome {
  setSource(memory.words, vm + Vm.sources + pin, source, level);
  return follow(memory, vm, pin, asks && pin === CLOCK_PIN);
}

/** Sets one of those who assert a line, in the word that has them; returns all of them. */
export function setSource(words: Words, at: number, source: Source, level: boolean): number {
  const bit = 1 << source;
  const now = level ? words.get(at) | bit : words.get(at) & ~bit;
  words.set(at, now);
  return now;
}

/** Lets a pin's request follow its sources; `ticks` where it is the clock's, and somebody asks. */
function follow(memory: HostMemory, vm: number, pin: number, ticks = false): Outcome {
  const { words } = memory;
  const requests = words.get(vm + Vm.lines);
  const bit = 1 << pin;
  if (words.get(vm + Vm.sources + pin) === 0) {
    words.set(vm + Vm.lines, requests & ~bit);
    return LOWERED;
  }
  if (ticks && isClockPending(words, vm)) return COALESCED;
  if ((words.get(lowOf(vm, pin)) & Entry.level) === 0) {
    words.set(vm + Vm.delivered, words.get(vm + Vm.delivered) & ~bit);
    if (requests & bit) return COALESCED;
  }
  // Before the request is seen: one that a dying thread has not serviced is serviced by whoever repairs.
  const outcome = service(memory, vm, pin, ticks ? deliverClock : deliver);
  words.set(vm + Vm.lines, requests | bit);
  return outcome;
}

/** Completes what a thread that died may have left half done at any pin; what it had delivered may come once more. */
export function followAll(memory: HostMemory, vm: number): void {
  for (let pin = 0; pin < IOAPIC_PINS; pin++) follow(memory, vm, pin);
}

/** Delivers what a pin has to deliver: not a masked one, nor a level whose EOI is to come. */
function service(
  memory: HostMemory,
  vm: number,
  pin: number,
  send: (memory: HostMemory, vm: number, message: Message) => number = deliver,
): Outcome {
  const { words } = memory;
  const low = words.get(lowOf(vm, pin));
  const level = (low & Entry.level) !== 0;
  if ((low & Entry.masked) !== 0) return level ? HELD : MASKED;
  if (level && (low & Entry.remoteIrr) !== 0) return HELD;
  if (!level) words.set(vm + Vm.delivered, words.get(vm + Vm.delivered) | (1 << pin));
  const message: Message = {
    vector: low & 0xff,
    delivery: ((low >>> 8) & 7) as Delivery,
    logical: (low & Entry.logical) !== 0,
    destination: words.get(highOf(vm, pin)) >>> 24,
    level,
    asserted: true,
    redirected: false,
    shorthand: Shorthand.none,
  };
  const status = send(memory, vm, message);
  // Also where it reaches nobody that the map does not know: it is not sent again then, before an EOI that nobody makes.
  if (level && status !== 0) words.set(lowOf(vm, pin), low | Entry.remoteIrr);
  return { status, dropped: level ? undefined : whyDropped(message, status) };
}

/**
 * The pins that an EOI of `vector` acknowledges: all that have it, or none where it is none that KVM has a vCPU tell of, which are those
 * of a level, of a pin that somebody `hears` of, and of the clock, also one that the vCPU had from it `before` (kvm_ioapic_scan_entry).
 */
export function pinsOf(
  { words }: HostMemory,
  vm: number,
  vector: number,
  before: boolean,
  hears: (pin: number) => boolean,
): number[] {
  const pins: number[] = [];
  let told = before;
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    const low = words.get(lowOf(vm, pin));
    if ((low & 0xff) !== vector) continue;
    pins.push(pin);
    told ||= (low & Entry.level) !== 0 || pin === CLOCK_PIN || hears(pin);
  }
  return told ? pins : [];
}

/**
 * The EOI of a level at a pin, after its resample irqfds have let go of the line: what is still requested is delivered again, by and
 * by where that goes on for ever.
 */
export function endOfPin(memory: HostMemory, vm: number, pin: number): void {
  const { words } = memory;
  const low = words.get(lowOf(vm, pin)) & ~Entry.remoteIrr;
  words.set(lowOf(vm, pin), low);
  const again = (low & Entry.masked) === 0 && (words.get(vm + Vm.lines) & (1 << pin)) !== 0;
  const count = again ? words.get(vm + Vm.eois + pin) + 1 : 0;
  words.set(vm + Vm.eois + pin, count % SUCCESSIVE_EOIS);
  if (count === SUCCESSIVE_EOIS) delayEois(memory, vm);
  else if (again) service(memory, vm, pin);
}

/** Delivers every level that waits: what {@link endOfPin} has put off. */
export function serviceWaiting(memory: HostMemory, vm: number): void {
  for (let pin = 0; pin < IOAPIC_PINS; pin++) if (isWaiting(memory, vm, pin)) service(memory, vm, pin);
}

/** Is a level-triggered pin requested, not masked, and waiting to be delivered? */
export function isWaiting({ words }: HostMemory, vm: number, pin: number): boolean {
  const low = words.get(lowOf(vm, pin));
  const open = (low & (Entry.masked | Entry.remoteIrr)) === 0;
  return open && (low & Entry.level) !== 0 && (words.get(vm + Vm.lines) & (1 << pin)) !== 0;
}

/** Reads a register by its index. */
export function readRegister({ words }: HostMemory, vm: number, register: number): number {
  if (register === Register.version) return IOAPIC_VERSION;
  if (register === Register.id || register === Register.arbitration) return words.get(vm + Vm.ioapicId);
  const pin = pinOfRegister(register);
  if (pin < 0) return NO_REGISTER;
  return words.get(isHighHalf(register) ? highOf(vm, pin) : lowOf(vm, pin)) >>> 0;
}

/**
 * Writes a register by its index. Returns the pin if it is level-triggered, requested and not masked: the
 * caller asks its resample irqfds whether the line is still up, and then calls {@link serviceAfterWrite}.
 */
export function writeRegister(
  memory: HostMemory,
  vm: number,
  register: number,
  value: number,
): number | undefined {
  const { words } = memory;
  if (register === Register.id) words.set(vm + Vm.ioapicId, idBits(value));
  const pin = pinOfRegister(register);
  if (pin < 0) return undefined;
  if (isHighHalf(register)) words.set(highOf(vm, pin), value | 0);
  else words.set(lowOf(vm, pin), writtenLow(words.get(lowOf(vm, pin)), value));
  return isWaiting(memory, vm, pin) ? pin : undefined;
}

/** After a write: `asked` says that resample irqfds own the line and have been asked, so it is theirs to raise again. */
export function serviceAfterWrite(memory: HostMemory, vm: number, pin: number, asked: boolean): void {
  const { words } = memory;
  if (asked) words.set(vm + Vm.lines, words.get(vm + Vm.lines) & ~(1 << pin));
  else service(memory, vm, pin);
}

/** The pins that are requested, one bit each. */
export function linesOf({ words }: HostMemory, vm: number): number {
  return words.get(vm + Vm.lines);
}

/** The same without edges that were delivered (KVM_GET_IRQCHIP). */
export function undeliveredOf({ words }: HostMemory, vm: number): number {
  return words.get(vm + Vm.lines) & ~words.get(vm + Vm.delivered);
}
