/**
 * AMD-Vi: the feature registers in sysfs and one device's interrupt table in debugfs.
 */
import { FormatError } from "../source/error.js";
import type { TableEntry } from "./iommu.js";
import { parseRegister } from "./iommu-intel.js";

/** The words of `features`, one or two; which of two is the extended feature register is a matter of the kernel.
 * @throws FormatError if they are not hexadecimal. */
export function parseFeatures(text: string): readonly bigint[] {
  const words = text.trim().split(":");
  if (words.length > 2) throw new FormatError("more than two registers");
  return words.map(parseRegister);
}

/** Bit 7, GA: 128-bit interrupt table entries (AMD I/O Virtualization specification, EFR). */
export function hasGa(features: bigint): boolean {
  return ((features >> 7n) & 1n) === 1n;
}

/** Bits 21 to 23, GAM; bit 21 is the guest virtual APIC mode. */
export function hasGuestApic(features: bigint): boolean {
  return ((features >> 21n) & 1n) === 1n;
}

/** What `irqtbl` shows of the device that was last written to `devid`. */
export type AmdTable =
  | {
      readonly state: "table";
      readonly device: string;
      /** False for 32-bit entries, which can never be posted. */
      readonly wide: boolean;
      readonly entries: readonly TableEntry[];
    }
  /** The device has no table, so nothing of it is posted. */
  | { readonly state: "no table"; readonly device: string }
  /** No device is selected, or the IOMMU does not say more of the one that is. */
  | { readonly state: "nothing shown" }
  | { readonly state: "remapping off" };

/** Answers in place of a table, of iommu_irqtbl_show() and dump_irte(); some lack a newline. */
const NOTHING_SHOWN = new Set([
  "",
  "Enter a valid device ID to 'devid' file",
  "Please provide valid device id input",
  "Device table not found",
  "The device's DTE contains an invalid IRT length value.",
]);

/** @throws FormatError for a line of unknown shape. */
export function parseAmdTable(text: string): AmdTable {
  const lines = text.split("\n").map((line) => line.trim());
  const whole = text.trim();
  if (NOTHING_SHOWN.has(whole)) return { state: "nothing shown" };
  if (whole === "Interrupt remapping is disabled") return { state: "remapping off" };
  // With a colon before the function, unlike everywhere else.
  const unset = /^IRQ lookup table not set for ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}):([0-7])$/.exec(whole);
  if (unset !== null) return { state: "no table", device: `${unset[1]}.${unset[2]}` };
  const head = /^DeviceId ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/.exec(lines[0] ?? "");
  if (head === null) throw new FormatError("does not start with the device's id");
  const device = head[1]!;
  const entries: TableEntry[] = [];
  let wide = true;
  for (const [number, line] of lines.entries()) {
    if (number === 0 || line === "") continue;
    const row = /^IRT\[(\d{4,6})\] ([0-9a-f]{8}|[0-9a-f]{16} [0-9a-f]{16})$/.exec(line);
    if (row === null) throw new FormatError(`line ${number + 1}: not a row of an interrupt table`);
    const words = row[2]!.split(" ").map((word) => BigInt(`0x${word}`));
    if (words.length === 1) wide = false;
    const entry = words.length === 1 ? narrow(words[0]!) : wideEntry(words as [bigint, bigint]);
    if (entry !== undefined) entries.push({ unit: "", index: Number(row[1]), device, ...entry });
  }
  return { state: "table", device, wide, entries };
}

type Decoded = Pick<TableEntry, "posted" | "vector">;

/** 32 bits: bit 0 valid, bits 16 to 23 vector. */
function narrow(word: bigint): Decoded | undefined {
  if ((word & 1n) === 0n) return undefined;
  return { posted: false, vector: Number((word >> 16n) & 0xffn) };
}

/** 128 bits: low bit 0 valid, low bit 7 guest mode, high bits 0 to 7 vector. */
function wideEntry([high, low]: readonly [bigint, bigint]): Decoded | undefined {
  if ((low & 1n) === 0n) return undefined;
  return { posted: ((low >> 7n) & 1n) === 1n, vector: Number(high & 0xffn) };
}
