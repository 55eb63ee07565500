/** The registers that both sides show after each step. */
import { hex } from "./scene.js";

/**
 * By offset, with what is theirs after a reset. Not PPR, which KVM tells late where user space has changed ISR: steps read it. Not the timer's
 * counts: no timer runs here.
 */
const REGISTERS: Readonly<Record<string, number>> = {
  id: 0x20,
  version: 0x30,
  tpr: 0x80,
  ldr: 0xd0,
  dfr: 0xe0,
  svr: 0xf0,
  esr: 0x280,
  icr: 0x300,
  icrHigh: 0x310,
  timer: 0x320,
  thermal: 0x330,
  counter: 0x340,
  lint0: 0x350,
  lint1: 0x360,
  error: 0x370,
  divide: 0x3e0,
};
const BANKS: Readonly<Record<string, number>> = { isr: 0x100, tmr: 0x180, irr: 0x200 };

export function pageLine(read: (offset: number) => number): string {
  const registers = Object.entries(REGISTERS).map(([name, offset]) => `${name} ${hex(read(offset))}`);
  const vectors = Object.entries(BANKS).map(([name, at]) => `${name} [${vectorsAt(read, at).join(" ")}]`);
  return [...registers, ...vectors].join(" ");
}

function vectorsAt(read: (offset: number) => number, at: number): string[] {
  const found: string[] = [];
  for (let bank = 0; bank < 8; bank++)
    for (let left = read(at + bank * 16); left !== 0; left &= left - 1)
      found.push((bank * 32 + 31 - Math.clz32(left & -left)).toString(16));
  return found;
}
