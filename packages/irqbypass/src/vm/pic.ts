/**
 * A pair of 8259A interrupt controllers as PCs have them, the second on input 2 of the first (the 8259A's data sheet;
 * arch/x86/kvm/i8259.c). It works on registers wherever they are: a software VM's are in shared memory, and KVM's are had as a whole.
 */
import { CASCADE, Chip, PIC_PINS, Pic } from "../host/layout.js";

/** One of the two. */
export type PicChip = Chip.picMaster | Chip.picSlave;

/** The registers of a pair, and who hears of what it does. */
export interface PicPair {
  get(chip: PicChip, register: Pic): number;
  set(chip: PicChip, register: Pic, value: number): void;
  /** It asks for an acknowledge, or does not. */
  output(high: boolean): void;
  /** The service of a pin has ended: its level-triggered irqfds let go of their line. */
  ended(chip: PicChip, pin: number): void;
  /** Does any vCPU take interrupts of the pair? */
  isTaken(): boolean;
}

/** Ports of the pair (PC/AT): command and data of each chip, and which of its pins are level-triggered. */
const PORTS: Readonly<Record<number, readonly [PicChip, "command" | "data" | "elcr"]>> = {
  32: [Chip.picMaster, "command"],
  33: [Chip.picMaster, "data"],
  160: [Chip.picSlave, "command"],
  161: [Chip.picSlave, "data"],
  1232: [Chip.picMaster, "elcr"],
  1233: [Chip.picSlave, "elcr"],
};

const NONE = 8;
const SPURIOUS = 7;

/** Bits of the first command word, of the third, and of the fourth word of an initialisation. */
const INIT = 0x10;
const NEEDS_ICW4 = 0x01;
const OCW3 = 0x08;
const POLL = 0x04;
const READS = 0x02;
const SETS_SPECIAL_MASK = 0x40;
const AUTO_EOI = 0x02;
const FULLY_NESTED = 0x10;

/** What the data port takes next: a mask, or the second to fourth word of an initialisation. */
const enum Expects {
  mask = 0,
  base = 1,
  wiring = 2,
  mode = 3,
}

export function isPicPort(port: number): boolean {
  return PORTS[port] !== undefined;
}

/** Lets a pin see its line. Returns -1 where it is masked, 0 where it has a request already, and 1 else. */
export function setPicPin(pair: PicPair, chip: PicChip, pin: number, level: boolean): number {
  const result = latch(pair, chip, pin, level);
  updatePics(pair);
  return result;
}

/** An edge is a request from its rise on, also when the line has fallen again; a level as long as the line is up. */
function latch(pair: PicPair, chip: PicChip, pin: number, level: boolean): number {
  const bit = 1 << pin;
  const before = pair.get(chip, Pic.lastIrr);
  const requested = pair.get(chip, Pic.irr);
  const isLevel = (pair.get(chip, Pic.elcr) & bit) !== 0;
  const requests = level && (isLevel || (before & bit) === 0);
  if (requests) pair.set(chip, Pic.irr, requested | bit);
  else if (isLevel) pair.set(chip, Pic.irr, requested & ~bit);
  pair.set(chip, Pic.lastIrr, level ? before | bit : before & ~bit); // last: of a thread that dies before, it rises again
  if (pair.get(chip, Pic.imr) & bit) return -1;
  return requests && (requested & bit) !== 0 ? 0 : 1;
}

/** The second chip's request is an edge at the first one, which keeps it; then the output follows. */
export function updatePics(pair: PicPair): void {
  if (requestOf(pair, Chip.picSlave) >= 0) {
    latch(pair, Chip.picMaster, CASCADE, true);
    latch(pair, Chip.picMaster, CASCADE, false);
  }
  pair.output(requestOf(pair, Chip.picMaster) >= 0);
}

/** The pin that a chip would have served now, or -1. */
function requestOf(pair: PicPair, chip: PicChip): number {
  const rank = highest(pair, chip, pair.get(chip, Pic.irr) & ~pair.get(chip, Pic.imr));
  const isNested = chip === Chip.picMaster && pair.get(chip, Pic.fullyNested) !== 0;
  const inService = pair.get(chip, Pic.isr) & ~(isNested ? 1 << CASCADE : 0);
  return rank < highest(pair, chip, inService) ? pinOf(pair, chip, rank) : -1;
}

/** The rank of the highest of some pins: 0 is the highest of all, and 8 where there is none. */
function highest(pair: PicPair, chip: PicChip, pins: number): number {
  let rank = 0;
  while (rank < NONE && (pins & (1 << pinOf(pair, chip, rank))) === 0) rank++;
  return rank;
}

/** The pin that has a rank now. */
function pinOf(pair: PicPair, chip: PicChip, rank: number): number {
  return (rank + pair.get(chip, Pic.highest)) & (PIC_PINS - 1);
}

/** This pin is the lowest from now on. */
function rotateBehind(pair: PicPair, chip: PicChip, pin: number): void {
  pair.set(chip, Pic.highest, (pin + 1) & (PIC_PINS - 1));
}

/** The acknowledge cycle of a processor (INTA): the vector to serve. That of pin 7, which has no service then, where nothing asks. */
export function acknowledgePics(pair: PicPair): number {
  const pin = requestOf(pair, Chip.picMaster);
  if (pin >= 0) serve(pair, Chip.picMaster, pin);
  let vector = pair.get(Chip.picMaster, Pic.base) + (pin < 0 ? SPURIOUS : pin);
  if (pin === CASCADE) {
    const second = requestOf(pair, Chip.picSlave);
    if (second >= 0) serve(pair, Chip.picSlave, second);
    vector = pair.get(Chip.picSlave, Pic.base) + (second < 0 ? SPURIOUS : second);
  }
  updatePics(pair);
  return vector;
}

/** An edge's request is over with its service, which begins first: it is one of the two at every moment. */
function serve(pair: PicPair, chip: PicChip, pin: number): void {
  const bit = 1 << pin;
  pair.set(chip, Pic.isr, pair.get(chip, Pic.isr) | bit);
  if ((pair.get(chip, Pic.elcr) & bit) === 0) pair.set(chip, Pic.irr, pair.get(chip, Pic.irr) & ~bit);
  if (pair.get(chip, Pic.autoEoi) === 0) return;
  if (pair.get(chip, Pic.rotatesOnAutoEoi) !== 0) rotateBehind(pair, chip, pin);
  end(pair, chip, pin);
}

/** Edges in service are requested once more; a level is as long as its line is up. */
export function requestPicsAgain(pair: PicPair): void {
  for (const chip of [Chip.picMaster, Chip.picSlave] as const) {
    const edges = pair.get(chip, Pic.isr) & ~pair.get(chip, Pic.elcr);
    pair.set(chip, Pic.irr, pair.get(chip, Pic.irr) | edges);
    pair.set(chip, Pic.isr, 0);
  }
}

function end(pair: PicPair, chip: PicChip, pin: number): void {
  pair.set(chip, Pic.isr, pair.get(chip, Pic.isr) & ~(1 << pin));
  pair.ended(chip, pin);
}

/** What a guest reads from a port of the pair. */
export function readPicPort(pair: PicPair, port: number): number {
  const [chip, what] = PORTS[port]!;
  if (what === "elcr") return pair.get(chip, Pic.elcr);
  if (pair.get(chip, Pic.poll) !== 0) {
    const found = poll(pair, chip);
    pair.set(chip, Pic.poll, 0);
    return found;
  }
  if (what === "data") return pair.get(chip, Pic.imr);
  return pair.get(chip, pair.get(chip, Pic.readsIsr) === 0 ? Pic.irr : Pic.isr);
}

/** An acknowledge by software: the pin with bit 7 set, and 7 where there is none. Its service ends at once. */
function poll(pair: PicPair, chip: PicChip): number {
  const pin = requestOf(pair, chip);
  if (pin < 0) {
    updatePics(pair);
    return SPURIOUS;
  }
  const isSlave = chip === Chip.picSlave;
  const cascade = ~(1 << CASCADE);
  if (isSlave) {
    for (const register of [Pic.isr, Pic.irr] as const)
      pair.set(Chip.picMaster, register, pair.get(Chip.picMaster, register) & cascade);
  }
  pair.set(chip, Pic.irr, pair.get(chip, Pic.irr) & ~(1 << pin));
  end(pair, chip, pin);
  if (isSlave || pin !== CASCADE) updatePics(pair);
  return pin | 0x80;
}

/** A guest's write to a port of the pair. */
export function writePicPort(pair: PicPair, port: number, value: number): void {
  const [chip, what] = PORTS[port]!;
  if (what === "elcr") pair.set(chip, Pic.elcr, value & pair.get(chip, Pic.elcrMask));
  else if (what === "data") takeData(pair, chip, value);
  else if (value & INIT) initialise(pair, chip, value);
  else if (value & OCW3) takeOcw3(pair, chip, value);
  else takeOcw2(pair, chip, value);
}

/** ICW1. What is in service stays so, but for edges that are requested: they are forgotten, and who waits for their end is told. */
function initialise(pair: PicPair, chip: PicChip, icw1: number): void {
  const elcr = pair.get(chip, Pic.elcr);
  const edges = pair.get(chip, Pic.irr) & ~elcr;
  pair.set(chip, Pic.needsIcw4, icw1 & NEEDS_ICW4);
  pair.set(chip, Pic.irr, pair.get(chip, Pic.irr) & elcr);
  for (const register of [Pic.lastIrr, Pic.imr, Pic.highest, Pic.specialMask, Pic.readsIsr] as const)
    pair.set(chip, register, 0);
  if ((icw1 & NEEDS_ICW4) === 0) {
    pair.set(chip, Pic.fullyNested, 0);
    pair.set(chip, Pic.autoEoi, 0);
  }
  pair.set(chip, Pic.expects, Expects.base);
  if (!pair.isTaken()) return;
  for (let pin = 0; pin < PIC_PINS; pin++) if (edges & (1 << pin)) end(pair, chip, pin);
}

/** ICW2 to ICW4, and OCW1. */
function takeData(pair: PicPair, chip: PicChip, value: number): void {
  const expects: Expects = pair.get(chip, Pic.expects);
  let next = Expects.mask;
  if (expects === Expects.mask) {
    pair.set(chip, Pic.imr, value);
    updatePics(pair);
  } else if (expects === Expects.base) {
    pair.set(chip, Pic.base, value & 0xf8);
    next = Expects.wiring;
  } else if (expects === Expects.wiring) {
    if (pair.get(chip, Pic.needsIcw4) !== 0) next = Expects.mode;
  } else {
    pair.set(chip, Pic.fullyNested, value & FULLY_NESTED ? 1 : 0);
    pair.set(chip, Pic.autoEoi, value & AUTO_EOI ? 1 : 0);
  }
  pair.set(chip, Pic.expects, next);
}

/** The special mask is kept, and does nothing, as in KVM. */
function takeOcw3(pair: PicPair, chip: PicChip, value: number): void {
  if (value & POLL) pair.set(chip, Pic.poll, 1);
  if (value & READS) pair.set(chip, Pic.readsIsr, value & 1);
  if (value & SETS_SPECIAL_MASK) pair.set(chip, Pic.specialMask, (value >> 5) & 1);
}

/** End of interrupt, of the highest in service or of a pin, and rotation. */
function takeOcw2(pair: PicPair, chip: PicChip, value: number): void {
  const [rotates, specific, ends] = [(value & 0x80) !== 0, (value & 0x40) !== 0, (value & 0x20) !== 0];
  if (!ends && !specific) {
    pair.set(chip, Pic.rotatesOnAutoEoi, rotates ? 1 : 0);
    return;
  }
  if (!ends && !rotates) return; // no operation
  let pin = value & (PIC_PINS - 1);
  if (!specific) {
    const rank = highest(pair, chip, pair.get(chip, Pic.isr));
    if (rank === NONE) return;
    pin = pinOf(pair, chip, rank);
  }
  if (rotates) rotateBehind(pair, chip, pin);
  if (ends) end(pair, chip, pin);
  updatePics(pair);
}
