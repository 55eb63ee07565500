/**
 * Intel VT-d: capability registers in sysfs and the remapping tables in debugfs.
 */
import { FormatError } from "../source/error.js";
import type { TableEntry } from "./iommu.js";

/** @throws FormatError if it is not one hexadecimal register. */
export function parseRegister(text: string): bigint {
  const word = text.trim();
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) throw new FormatError("not a hexadecimal register");
  return BigInt(word.startsWith("0x") ? word : `0x${word}`);
}

/** `cap` bit 59: the unit can post interrupts (VT-d specification, Capability Register, PI). */
export function canPost(cap: bigint): boolean {
  return ((cap >> 59n) & 1n) === 1n;
}

/** `ecap` bit 3: the unit can remap interrupts (VT-d specification, Extended Capability Register, IR). */
export function canRemap(ecap: bigint): boolean {
  return ((ecap >> 3n) & 1n) === 1n;
}

export interface IntelTables {
  /** Units with a remapping table that is in use. */
  readonly remapping: readonly string[];
  /** Units that say that remapping is not enabled. */
  readonly disabled: readonly string[];
  readonly entries: readonly TableEntry[];
}

const PART = /^(Remapped|Posted) Interrupt supported on IOMMU: (\S{1,32})$/;

/**
 * ir_translation_struct: per unit a part of remapped entries and a part of posted ones. Entries that are not
 * present are not printed by the kernel.
 * @throws FormatError for a line that is of neither part, or a row whose posted bit contradicts its part.
 */
export function parseIntelTables(text: string): IntelTables {
  const remapping: string[] = [];
  const disabled: string[] = [];
  const entries: TableEntry[] = [];
  let unit = "";
  let posted = false;
  for (const [index, row] of text.split("\n").entries()) {
    const line = row.trim();
    const part = PART.exec(line);
    if (part !== null) {
      posted = part[1] === "Posted";
      unit = part[2]!;
      if (!posted) remapping.push(unit);
    } else if (line === "Interrupt Remapping is not enabled") {
      disabled.push(unit);
      const at = remapping.indexOf(unit);
      if (at >= 0) remapping.splice(at, 1);
    } else if (!/^(|\*+|IR table address:.*|Entry\s.*)$/.test(line)) {
      entries.push(parseRow(line, index + 1, unit, posted));
    }
  }
  return { remapping, disabled, entries };
}

function parseRow(line: string, number: number, unit: string, posted: boolean): TableEntry {
  const words = line.split(/\s+/);
  const refuse = (why: string): never => {
    throw new FormatError(`line ${number}: ${why}`);
  };
  // Remapped: index, source, destination, vector, high, low. Posted: two halves of an address for a destination.
  if (unit === "" || words.length !== (posted ? 7 : 6)) refuse("not a row of a remapping table");
  const [index, source] = [words[0]!, words[1]!];
  const [vector, high, low] = words.slice(-3) as [string, string, string];
  if (!/^\d{1,6}$/.test(index) || !/^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(source))
    refuse("no entry and source");
  if (!words.slice(2, -3).every((word) => /^[0-9a-f]{8}$/.test(word))) refuse("no destination");
  if (!/^[0-9a-f]{1,2}$/.test(vector) || ![high, low].every((word) => /^[0-9a-f]{16}$/.test(word)))
    refuse("no vector and table words");
  if ((BigInt(`0x${low}`) & 1n) === 0n)
    refuse("an entry that is not present, which the kernel does not print");
  const bit = ((BigInt(`0x${low}`) >> 15n) & 1n) === 1n;
  if (bit !== posted) refuse(`the posted bit of the entry is ${bit ? 1 : 0} in the part of the others`);
  return { unit, index: Number(index), device: source, posted, vector: Number.parseInt(vector, 16) };
}
