/**
 * Architectures and what the doctor knows of them. Those whose way around the host it has no rules for are named with
 * that way, and everything about them is unknown.
 */
import type { Arch } from "../parse/cpuinfo.js";

/** The ways that are none of the doctor's rules, as clauses. */
export const OTHER_WAYS: Readonly<Record<Exclude<Arch, "x86" | "arm64">, string>> = {
  s390x:
    "adapter interrupts are forwarded through the guest's interruption state area (GISA), not by the irqbypass manager",
  ppc64:
    "KVM HV passes interrupts on in the XICS or XIVE controller, and counts them in /proc/interrupts all the same",
  riscv64:
    "an AIA host may have guest interrupt files (IMSIC); up to Linux 7.3 KVM registers no irqbypass consumer there",
  loongarch64: "up to Linux 7.3 KVM registers no irqbypass consumer there",
  mips64: "up to Linux 7.3 KVM registers no irqbypass consumer there",
  arm: "KVM on 32-bit Arm ended with Linux 5.7",
};
