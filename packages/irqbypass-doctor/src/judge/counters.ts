/**
 * The summary lines of /proc/interrupts about posting, each with what it does and does not prove.
 */

import type { Host, Later } from "../facts/host.js";
import { grewBetween } from "../parse/interrupts.js";
import { known } from "../source/source.js";
import { vendorModule } from "./chain-x86.js";
import type { CounterReport } from "./report.js";

/** Growth of PIN, NPI, PIW and PMN, where the host prints them. */
export function countersOf(host: Host, later: Later): CounterReport[] {
  const first = known(host.interrupts);
  const second = known(later.interrupts);
  if (first === undefined) return [];
  const labels = ["PIN", "NPI", "PIW", "PMN"] as const;
  return labels
    .filter((label) => first.lines.has(label))
    .map((label) => {
      const growth = second === undefined ? null : grewBetween(first, second, label);
      const grew = growth === null || growth.anew ? null : growth.count;
      return {
        label,
        grew,
        ofDevices: label === "PIW" && noIpiv(host),
        // The lines are there with AMD's module too, which never uses the vectors.
        ofPosted: (label === "PIN" || label === "PIW") && vendorModule(host)?.name === "kvm_intel",
        says: meaning(label, grew, host),
      };
    });
}

function meaning(label: CounterReport["label"], grew: number | null, host: Host): string {
  switch (label) {
    case "PIN":
      return "notifications that reached a CPU outside of a guest; no count of bypassed interrupts, which leave it still";
    case "NPI":
      return "the same for nested guests";
    case "PIW":
      return wakeups(grew, host);
    case "PMN":
      return "interrupts of the host's own devices that were posted to it";
  }
}

function wakeups(grew: number | null, host: Host): string {
  if (grew === null || grew === 0) return "wake-ups of halted vCPUs; none in the window proves nothing";
  if (!noIpiv(host))
    return "wake-ups of halted vCPUs; IPI virtualisation may have sent them, so no proof of device posting";
  return "wake-ups of halted vCPUs; with enable_ipiv=N only the interrupt of an assigned device is posted this way";
}

/** Without it only the interrupt of an assigned device wakes a halted vCPU by posting. */
function noIpiv(host: Host): boolean {
  const ipiv = vendorModule(host)?.parameters.get("enable_ipiv");
  return ipiv !== undefined && known(ipiv) === false;
}
