/** What the threads of the tests of MSI-X from several threads share: words, and which part a thread plays. */
import type { HostHandle } from "irqbypass";

/** The round that is on, below 0 for the end; the burst of it; and for each thread the round that it is through with. */
export const enum Board {
  round = 0,
  burst = 1,
  over = 2,
  words = 8,
}

/** What a thread is told. */
export interface Part {
  readonly host: HostHandle;
  readonly nic: number;
  readonly msix: number;
  readonly vm: number;
  readonly kvm: boolean;
  readonly board: Int32Array;
  /** Its place on the board: 0 the device, 1 and 2 vCPUs. */
  readonly place: number;
}

export const VECTORS = 3;
export const ENABLE = 0x8000;
export const FUNCTION_MASK = 0x4000;

/** The bytes of an entry that leads to one of the eight vectors of its own, at one of two vCPUs. */
export function entryOf(number: number, which: number, control = 0): Uint8Array {
  const address = 0xfee00000 + ((which & 8) << 9);
  return new Uint8Array(Uint32Array.of(address, 0, firstOf(number) + (which & 7), control).buffer);
}

/** The first of the eight. */
export const firstOf = (number: number) => 0x40 + 16 * number;
