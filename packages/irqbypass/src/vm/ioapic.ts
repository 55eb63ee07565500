/**
 * The I/O APIC of a software VM: 24 pins, each with a redirection entry (82093AA; arch/x86/kvm/ioapic.c). Everything here
 * runs under the VM's mutex. A pin's line is the OR of its sources, so that user space and irqfds can share one.
 */
import { IOAPIC_PINS, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Reason } from "../posting/reason.js";
import { type Delivery, type Message, Shorthand } from "./apic/message.js";
import { deliver, whyDropped } from "./delivery.js";

/** Who asserts a line: `setIrqLine`, or the level-triggered irqfds of the GSI, all of them together. */
export const enum Source {
  user = 0,
  resample = 1,
}

/** Bits of a redirection entry's low word. */
const enum Entry {
  logical = 1 << 11,
  remoteIrr = 1 << 14,
  level = 1 << 15,
  masked = 1 << 16,
  /** What a guest cannot write: delivery status and remote IRR. */
  readOnly = (1 << 12) | (1 << 14),
}

const lowOf = (vm: number, pin: number) => vm + Vm.ioapic + pin * 2;
const highOf = (vm: number, pin: number) => lowOf(vm, pin) + 1;

/** All pins masked and edge-triggered: how it comes out of reset. */
export function reset({ words }: HostMemory, vm: number): void {
  words.set(vm + Vm.lines, 0);
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    words.set(lowOf(vm, pin), Entry.masked);
    words.set(highOf(vm, pin), 0);
    words.set(vm + Vm.sources + pin, 0);
  }
}

/**
 * Sets one source of a pin. An edge or a newly asserted level is delivered if the pin is not masked. Returns why an edge is
 * dropped; a level is not, the line that is up keeps it.
 */
export function setPin(
  memory: HostMemory,
  vm: number,
  pin: number,
  source: Source,
  level: boolean,
): Reason | undefined {
  const { words } = memory;
  const sources = vm + Vm.sources + pin;
  const now = level ? words.get(sources) | (1 << source) : words.get(sources) & ~(1 << source);
  words.set(sources, now);
  return follow(memory, vm, pin);
}

/** Lets a pin's line follow its sources. Returns why an edge is dropped. */
function follow(memory: HostMemory, vm: number, pin: number): Reason | undefined {
  const { words } = memory;
  const asserted = words.get(vm + Vm.sources + pin) !== 0;
  const lines = words.get(vm + Vm.lines);
  const bit = 1 << pin;
  const edge = (words.get(lowOf(vm, pin)) & Entry.level) === 0;
  const again = edge && (lines & bit) !== 0; // no new edge
  // Before the line is seen to be up: one that a dying thread has not serviced is serviced by whoever repairs.
  const dropped = asserted && !again ? service(memory, vm, pin) : undefined;
  words.set(vm + Vm.lines, asserted ? lines | bit : lines & ~bit);
  return dropped;
}

/** Completes what a thread that died may have left half done at any pin; what it had delivered may come once more. */
export function followAll(memory: HostMemory, vm: number): void {
  for (let pin = 0; pin < IOAPIC_PINS; pin++) follow(memory, vm, pin);
}

/**
 * Delivers what a pin has to deliver. A level is delivered once until its EOI, which remote IRR remembers. Returns why an
 * edge is dropped.
 */
function service(memory: HostMemory, vm: number, pin: number): Reason | undefined {
  const { words } = memory;
  const low = words.get(lowOf(vm, pin));
  const level = (low & Entry.level) !== 0;
  if ((low & Entry.masked) !== 0) return level ? undefined : "masked";
  if (level && (low & Entry.remoteIrr) !== 0) return undefined;
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
  const missed = whyDropped(message, deliver(memory, vm, message));
  if (!level) return missed;
  if (missed === undefined) words.set(lowOf(vm, pin), low | Entry.remoteIrr);
  return undefined;
}

/** The pins that an EOI of `vector` acknowledges. */
export function pinsOf({ words }: HostMemory, vm: number, vector: number): number[] {
  const pins: number[] = [];
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    if ((words.get(lowOf(vm, pin)) & 0xff) === vector) pins.push(pin);
  }
  return pins;
}

/** The EOI of a pin, after its resample irqfds have let go of the line: a line still asserted is delivered again. */
export function endOfPin(memory: HostMemory, vm: number, pin: number): void {
  const { words } = memory;
  if ((words.get(lowOf(vm, pin)) & Entry.level) === 0) return;
  words.set(lowOf(vm, pin), words.get(lowOf(vm, pin)) & ~Entry.remoteIrr);
  if (words.get(vm + Vm.lines) & (1 << pin)) service(memory, vm, pin);
}

/** Is a level-triggered pin asserted, not masked, and waiting to be delivered? */
export function isWaiting({ words }: HostMemory, vm: number, pin: number): boolean {
  const low = words.get(lowOf(vm, pin));
  const open = (low & (Entry.masked | Entry.remoteIrr)) === 0;
  return open && (low & Entry.level) !== 0 && (words.get(vm + Vm.lines) & (1 << pin)) !== 0;
}

/** Reads a register: 0 id, 1 version, 0x10 and up the redirection entries, two registers each. */
export function readRegister({ words }: HostMemory, vm: number, register: number): number {
  if (register === 1) return ((IOAPIC_PINS - 1) << 16) | 0x11;
  const pin = (register - 0x10) >> 1;
  if (register < 0x10 || pin >= IOAPIC_PINS) return 0;
  return words.get(register & 1 ? highOf(vm, pin) : lowOf(vm, pin)) >>> 0;
}

/**
 * Writes a redirection entry's register. Returns the pin if it is level-triggered, asserted and no longer masked: the
 * caller asks its resample irqfds whether the line is still up, and then calls {@link serviceAfterUnmask}.
 */
export function writeRegister(
  memory: HostMemory,
  vm: number,
  register: number,
  value: number,
): number | undefined {
  const { words } = memory;
  const pin = (register - 0x10) >> 1;
  if (register < 0x10 || pin >= IOAPIC_PINS) return undefined;
  if (register & 1) {
    words.set(highOf(vm, pin), value | 0);
    return undefined;
  }
  const old = words.get(lowOf(vm, pin));
  let low = (value & 0x1ffff & ~Entry.readOnly) | (old & Entry.readOnly);
  if ((low & Entry.level) === 0) low &= ~Entry.remoteIrr; // an edge-triggered pin has none
  words.set(lowOf(vm, pin), low);
  return isWaiting(memory, vm, pin) ? pin : undefined;
}

/** After an unmask: `dropped` says that resample irqfds own the line and have been asked, so it is theirs to raise again. */
export function serviceAfterUnmask(memory: HostMemory, vm: number, pin: number, dropped: boolean): void {
  const { words } = memory;
  if (dropped) words.set(vm + Vm.lines, words.get(vm + Vm.lines) & ~(1 << pin));
  else service(memory, vm, pin);
}

/** The lines that are asserted, one bit a pin. */
export function linesOf({ words }: HostMemory, vm: number): number {
  return words.get(vm + Vm.lines);
}
