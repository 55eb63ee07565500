/**
 * /sys/kernel/debug/irq/irqs/N: which entry of the remapping table an interrupt has, and whether it is forwarded.
 */
import { FormatError } from "../source/error.js";

/** What is read of one interrupt. */
export interface IrqDebug {
  /** The part that an IOMMU serves; undefined where there is none. */
  readonly remap: RemapLevel | undefined;
  /** Chips from the outermost to the innermost: "ITS-PCI-MSIX-0000:03:00.0", "ITS", "GICv3". */
  readonly chips: readonly string[];
  /** The flag IRQD_FORWARDED_TO_VCPU. */
  readonly forwarded: boolean;
}

/** The part of one interrupt that an IOMMU serves. */
export interface RemapLevel {
  /** "INTEL-IR", "INTEL-IR-POST" (posted for the host itself), "AMD-IR". */
  readonly chip: string;
  /** The IOMMU's number for it: index of the first entry in the upper half, offset in the lower. */
  readonly hwirq: number | null;
}

/** @throws FormatError if it is not what irq_debug_show() prints: it has neither a state nor a chip. */
export function parseIrqDebug(text: string): IrqDebug {
  const chips: string[] = [];
  let remap: RemapLevel | undefined;
  let hwirq: number | null = null;
  let stated = false;
  let forwarded = false;
  for (const row of text.split("\n")) {
    const line = row.trim();
    if (/^dstate:\s{1,8}0x[0-9a-f]{1,16}$/i.test(line)) stated = true;
    // Flags stand under `dstate:`, one a line.
    if (stated && chips.length === 0 && line === "IRQD_FORWARDED_TO_VCPU") forwarded = true;
    const match = /^(hwirq|chip):\s{1,8}(\S{1,64})$/.exec(line);
    if (match === null) continue;
    const [, key, value] = match as unknown as [string, string, string];
    if (key === "hwirq") hwirq = /^0x[0-9a-f]{1,12}$/i.test(value) ? Number(value) : null;
    else {
      chips.push(value);
      if (remap === undefined && /^(INTEL-IR|AMD-IR)/.test(value)) remap = { chip: value, hwirq };
    }
  }
  if (!stated && chips.length === 0) throw new FormatError("has neither a state nor a chip");
  return { remap, chips, forwarded };
}
