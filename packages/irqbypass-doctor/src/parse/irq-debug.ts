/**
 * /sys/kernel/debug/irq/irqs/N: which entry of the remapping table an interrupt has.
 */

/** The part of one interrupt that an IOMMU serves. */
export interface RemapLevel {
  /** "INTEL-IR", "INTEL-IR-POST" (posted for the host itself), "AMD-IR". */
  readonly chip: string;
  /** The IOMMU's number for it: index of the first entry in the upper half, offset in the lower. */
  readonly hwirq: number | null;
}

/** The level of the IOMMU among the nested ones; undefined where there is none. */
export function parseIrqDebug(text: string): RemapLevel | undefined {
  let hwirq: number | null = null;
  for (const row of text.split("\n")) {
    const match = /^\s*(hwirq|chip):\s{1,8}(\S{1,64})$/.exec(row.trimEnd());
    if (match === null) continue;
    const [, key, value] = match as unknown as [string, string, string];
    if (key === "hwirq") hwirq = /^0x[0-9a-f]{1,12}$/i.test(value) ? Number(value) : null;
    else if (/^(INTEL-IR|AMD-IR)/.test(value)) return { chip: value, hwirq };
  }
  return undefined;
}
