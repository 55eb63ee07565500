/**
 * The reasons for which KVM switches APICv or AVIC off in a VM: which bit of the mask is which, by kernel, and what an
 * inhibit does to the interrupts of assigned devices.
 */
import type { KernelRelease } from "../parse/kernel-release.js";
import { claim, type Row } from "./row.js";

interface Numbering extends Row {
  /** Names by bit, "" for one whose meaning was not read. */
  readonly names: readonly string[];
}

/** Names by bit of the kernels whose event is kvm_apicv_update_request, 5.6 to 5.17, whatever their number says. */
export const EARLY_NAMES: readonly string[] = [
  "DISABLE",
  "HYPERV",
  "NESTED",
  "IRQWIN",
  "PIT_REINJ",
  "X2APIC",
  "BLOCKIRQ",
  "ABSENT",
];
const COMMON = ["DISABLED", "HYPERV", "ABSENT", "BLOCKIRQ"];
const AMD = ["NESTED", "IRQWIN", "PIT_REINJ"];
const LATER = [...COMMON, "PHYSICAL_ID_ALIASED", "APIC_ID_MODIFIED", "APIC_BASE_MODIFIED", ...AMD, "SEV"];

/** enum kvm_apicv_inhibit, defines before 5.18. */
export const NUMBERINGS: readonly Numbering[] = [
  {
    from: "5.6",
    until: "5.19",
    names: EARLY_NAMES,
    source: "APICV_INHIBIT_REASON_* in kvm_host.h, read in 5.10.262; bits were only added until 5.18",
  },
  {
    from: "5.19",
    until: "6.0",
    names: [...COMMON, "APIC_ID_MODIFIED", "APIC_BASE_MODIFIED", ...AMD],
    source: "a9603ae0e4ee and 3743c2f02517, both in 5.19; what follows PIT_REINJ was not read",
  },
  {
    from: "6.0",
    until: "6.3",
    names: [...COMMON, "APIC_ID_MODIFIED", "APIC_BASE_MODIFIED", ...AMD, "SEV"],
    source: "enum kvm_apicv_inhibit, read in 6.1.192",
  },
  {
    from: "6.3",
    until: "6.17",
    names: [...LATER, "LOGICAL_ID_ALIASED"],
    source: "5063c41bebac and 9a364857ab4f, 6.3; read in 6.12.117",
  },
  {
    from: "6.17",
    until: null,
    names: [...LATER, "LOGICAL_ID_ALIASED", "PHYSICAL_ID_TOO_BIG"],
    source: "1aa6e256e46f, 6.17; read in 7.3.4",
  },
];

/** The name of one bit; undefined where the kernel's numbering, or the bit in it, is not known. */
export function inhibitName(bit: number, release: KernelRelease): string | undefined {
  // Asked for each bit, since several numberings may agree on it where they differ in others.
  return claim(NUMBERINGS, release, ({ names }) => names[bit] ?? "") || undefined;
}

/** An inhibit that comes and goes while the VM runs, so that it says nothing of the VM's configuration. */
export function isTransient(name: string): boolean {
  // svm_enable_irq_window() sets it, interrupt_window_interception() clears it again.
  return name === "IRQWIN";
}

/**
 * What an inhibit does to posting. "off": every entry goes back to remapped. "no more": what is posted stays, and no
 * update posts any more. "nothing": devices are posted all the same.
 */
export type InhibitEffect = "off" | "no more" | "nothing";

interface Effect extends Row {
  readonly vendor: "intel" | "amd";
  readonly effect: InhibitEffect;
}

const STABLE = "53b7ca1a3593: vmx_can_use_vtd_pi() asks enable_apicv and no inhibit";
const ACTIVE = "pi_update_irte() asks kvm_vcpu_apicv_active() of vCPU 0, read in 5.10.13";

export const INHIBIT_EFFECTS: readonly Effect[] = [
  { vendor: "intel", from: "5.6", until: "5.10.84", effect: "no more", source: ACTIVE },
  { vendor: "intel", from: "5.10.84", until: "5.11", effect: "nothing", source: `${STABLE}, in 5.10.84` },
  { vendor: "intel", from: "5.11", until: "5.15.7", effect: "no more", source: ACTIVE },
  {
    vendor: "intel",
    from: "5.15.7",
    until: null,
    effect: "nothing",
    source: `${STABLE}, in 5.15.7 and 5.16; read to 7.3.4`,
  },
  {
    vendor: "amd",
    from: "4.9",
    until: null,
    effect: "off",
    source: "avic_refresh_apicv_exec_ctrl() and avic_pi_update_irte(), read in 5.10, 6.1, 6.12 and 7.3",
  },
];

/** What an inhibit does on this kernel; undefined where that is not known. */
export function inhibitEffect(vendor: "intel" | "amd", release: KernelRelease): InhibitEffect | undefined {
  const rows = INHIBIT_EFFECTS.filter((row) => row.vendor === vendor);
  return claim(rows, release, ({ effect }) => effect);
}
