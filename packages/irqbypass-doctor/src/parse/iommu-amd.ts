/**
 * AMD-Vi: the feature register in sysfs and one device's interrupt table in debugfs.
 */
import { FormatError } from "../source/error.js";
import type { TableEntry } from "./iommu.js";
import { parseRegister } from "./iommu-intel.js";

/** The extended feature register; newer kernels print a second one behind a colon.
 * @throws FormatError if it is not hexadecimal. */
export function parseFeatures(text: string): bigint {
  return parseRegister(text.trim().split(":")[0] ?? "");
}

/** Bit 7, GA: 128-bit interrupt table entries (AMD I/O Virtualization specification, EFR). */
export function hasGa(features: bigint): boolean {
  return ((features >> 7n) & 1n) === 1n;
}

/** Bits 21 to 23, GAM; bit 21 is the guest virtual APIC mode. */
export function hasGuestApic(features: bigint): boolean {
  return ((features >> 21n) & 1n) === 1n;
}

export interface AmdTable {
  /** The device that was selected when it was read. */
  readonly device: string;
  /** False for 32-bit entries, which can never be posted. */
  readonly wide: boolean;
  readonly entries: readonly TableEntry[];
}

/** irqtbl: the table of the device that was last written to `devid`.
 * @throws FormatError for a line of unknown shape. */
export function parseAmdTable(text: string): AmdTable {
  const lines = text.split("\n").map((line) => line.trim());
  const head = /^DeviceId ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/.exec(lines[0] ?? "");
  if (head === null) throw new FormatError("does not start with the device's id");
  const device = head[1]!;
  const entries: TableEntry[] = [];
  let wide = true;
  for (const [number, line] of lines.entries()) {
    if (number === 0 || line === "") continue;
    const row = /^IRT\[([0-9a-f]{4})\] ([0-9a-f]{8}|[0-9a-f]{16} [0-9a-f]{16})$/.exec(line);
    if (row === null) throw new FormatError(`line ${number + 1}: not a row of an interrupt table`);
    const words = row[2]!.split(" ").map((word) => BigInt(`0x${word}`));
    const index = Number.parseInt(row[1]!, 16);
    if (words.length === 1) {
      wide = false;
      // 32-bit: bit 0 valid, bits 16 to 23 vector.
      const word = words[0]!;
      if ((word & 1n) === 1n) {
        entries.push({ unit: "", index, device, posted: false, vector: Number((word >> 16n) & 0xffn) });
      }
      continue;
    }
    const [high, low] = words as [bigint, bigint];
    if ((low & 1n) === 0n) continue;
    entries.push({
      unit: "",
      index,
      device,
      posted: ((low >> 7n) & 1n) === 1n,
      vector: Number(high & 0xffn),
    });
  }
  return { device, wide, entries };
}
