/**
 * From which kernel on interrupts of assigned devices bypass the host at all.
 */
import type { KernelRelease } from "../parse/kernel-release.js";
import { type Answer, type Row, since } from "./row.js";

export type Platform = "Intel" | "AMD" | "arm64";

export interface Beginning extends Row {
  readonly platform: Platform;
}

export const BEGINNINGS: readonly Beginning[] = [
  {
    platform: "Intel",
    from: "4.4",
    until: null,
    stays: true,
    source: "virt/lib/irqbypass.c, its calls in vfio-pci, and vmx_update_pi_irte(), 4.4",
  },
  {
    platform: "AMD",
    from: "4.9",
    until: null,
    stays: true,
    source: "svm_update_pi_irte() and the IOMMU's guest mode, 4.9; the parameter avic alone is older, 4.7",
  },
  {
    platform: "arm64",
    from: "4.15",
    until: null,
    stays: true,
    source: "arch/arm64/kvm/vgic/vgic-v4.c with kvm_arch_irq_bypass_add_producer(), 4.15",
  },
];

/** Whether `release` is new enough for `platform`, and which version is the first. */
export function begun(
  release: KernelRelease,
  platform: Platform,
): { readonly answer: Answer; readonly from: string } {
  const { from } = BEGINNINGS.find((row) => row.platform === platform)!;
  return { answer: since(release, from), from };
}
