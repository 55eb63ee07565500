/**
 * An entry of the MSI-X table: 16 bytes, and what of a store it keeps (PCI Express base specification, "MSI-X table entry").
 */
import type { RawMsi } from "../route.js";

/** Message address, its high half, message data, vector control. */
export type Entry = readonly [address: number, addressHigh: number, data: number, control: number];
/** The vector of an entry, and the entry. */
export type Numbered = readonly [number: number, entry: Entry];

export const ENTRY_BYTES = 16;
const MASK_BIT = 1;
/** With the bits of each word that a store changes: the low two of an address are 0, and all of the control but one. */
const WRITABLE = [~3, ~0, ~0, MASK_BIT] as const;

/** Its reset state: 0, and masked. */
export const RESET: Entry = [0, 0, 0, MASK_BIT];

/** The entry after a store of these bytes at a place of it. */
export function stored(entry: Entry, at: number, bytes: Uint8Array): Entry {
  const words = Uint32Array.from(entry);
  new Uint8Array(words.buffer).set(bytes, at);
  const kept = (word: 0 | 1 | 2 | 3) =>
    ((entry[word] & ~WRITABLE[word]) | (words[word]! & WRITABLE[word])) >>> 0;
  return [kept(0), kept(1), kept(2), kept(3)];
}

export function isMasked([, , , control]: Entry): boolean {
  return (control & MASK_BIT) !== 0;
}

/** Is it an interrupt's address, in a VM with `longIds` or without? */
export function isMessage([, addressHigh]: Entry, longIds: boolean): boolean {
  return !longIds || (addressHigh & 0xff) === 0;
}

/** Where it leads. */
export function messageOf([address, addressHigh, data]: Entry): Required<RawMsi> {
  return { address, addressHigh, data };
}

/** Does it lead there? */
export function leadsTo([address, addressHigh, data]: Entry, msi: RawMsi): boolean {
  return address === msi.address && addressHigh === (msi.addressHigh ?? 0) && data === msi.data;
}

export function isSame(one: Entry, other: Entry): boolean {
  return leadsTo(one, messageOf(other)) && one[3] === other[3];
}
