/**
 * AMD-Vi's `features` in sysfs: which of its words is the extended feature register (EFR). It printed one word, then two
 * in one order, then the same two in the other.
 */
import type { KernelRelease } from "../parse/kernel-release.js";
import { claim, type Row } from "./row.js";

interface Order extends Row {
  /** Place of the EFR among the words. */
  readonly efr: 0 | 1;
}

/** Of the files with two words. */
export const FEATURE_ORDER: readonly Order[] = [
  {
    from: "6.0",
    until: "6.7",
    efr: 1,
    source: "amd_iommu_show_features(), features2:features, read in 6.1.192 and 6.3.2",
  },
  {
    from: "6.7",
    until: null,
    efr: 0,
    source:
      "amd_iommu_show_features(), amd_iommu_efr:amd_iommu_efr2, 7b7563a93437; read in 6.12.117 and 7.3.4",
  },
];

/** The second register has nothing above bit 11 (AMD I/O Virtualization specification, MMIO offset 01A0h). */
const EFR2_BITS = 16n;

/**
 * The EFR among the words of `features`; undefined where it cannot be told. The values go first, because distribution
 * kernels carry either patch under any number: a word with a bit that the second register does not have is the EFR.
 */
export function efrOf(words: readonly bigint[], release: KernelRelease): bigint | undefined {
  if (words.length === 1) return words[0];
  const wide = words.filter((word) => word >> EFR2_BITS !== 0n);
  if (wide.length === 1) return wide[0];
  const place = claim(FEATURE_ORDER, release, ({ efr }) => efr);
  return place === undefined ? undefined : words[place];
}
