/**
 * Sources that would say more and could not be read: which right, mount or option they need, and how to get it.
 */
import type { Host } from "../facts/host.js";
import { known, type Reading } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import type { Chain } from "./link.js";
import type { MissingSource } from "./report.js";

const AS_ROOT = "sudo irqbypass-doctor";

/** What is missing. `unsettled`: some interrupt is neither posted now nor kept from it, so more would help. */
export function missingOf(
  host: Host,
  chain: Chain,
  trace: TraceFacts | undefined,
  unsettled: boolean,
): MissingSource[] {
  const missing: MissingSource[] = [];
  const { hidden } = host.processes;
  if (hidden > 0) {
    const why = `${hidden} processes may not be looked into: their VMs, devices and eventfds are not in this report`;
    missing.push({ path: "/proc/*/fd", why, grant: AS_ROOT });
  }
  for (const reading of basics(host)) {
    if (reading.state !== "unreadable" && !(reading.state === "absent" && reading === host.interrupts))
      continue;
    const why = reading.state === "absent" ? "is not there" : unreadable(reading.code);
    missing.push({
      path: `/${reading.path}`,
      why,
      grant: reading.state === "absent" ? "sudo mount -t proc proc /proc" : AS_ROOT,
    });
  }
  if (unsettled && chain.able !== "no") {
    missing.push(...tables(host));
    if (trace === undefined && known(host.cpu)?.arch === "x86") {
      const matter = chain.links.some(({ name, state }) => name === "inhibit reasons" && state !== "holds");
      const inhibits = matter ? " and the reasons that inhibit APICv/AVIC show" : " shows";
      const why = `how KVM sets up each interrupt${inhibits} only while it happens`;
      missing.push({
        path: "/sys/kernel/tracing",
        why,
        grant: "sudo irqbypass-doctor --trace 30     # while the VM starts",
      });
    }
  }
  return missing;
}

/** What kept a file from being read. */
function unreadable(code: string): string {
  return code === "EFBIG" || code === "E2BIG"
    ? `is larger than any host's (${code}), and was not read`
    : `may not be read (${code})`;
}

function basics(host: Host): readonly Reading<unknown>[] {
  const units = known(host.units) ?? [];
  const registers = units.flatMap((unit): readonly Reading<unknown>[] =>
    unit.kind === "intel" ? [unit.cap, unit.ecap] : unit.kind === "amd" ? [unit.features] : [],
  );
  const parameters = host.modules.flatMap((module) => [...module.parameters.values()]);
  return [host.cpu, host.cmdline, host.interrupts, host.units, host.groups, ...registers, ...parameters];
}

/** The tables in debugfs, which alone say what is posted now. */
function tables(host: Host): MissingSource[] {
  const vendor = known(host.cpu)?.vendor;
  if (vendor !== "intel" && vendor !== "amd") return [];
  const wanted: Reading<unknown>[] = vendor === "intel" ? [host.intelTables] : [...host.amdTables];
  const path = `/${wanted[0]?.path ?? "sys/kernel/debug"}`;
  const why = "it says which table entries are posted now";
  if (host.debugfs.state === "unreadable") return [{ path, why, grant: AS_ROOT }];
  if (host.debugfs.state === "absent" || known(host.debugfs)?.length === 0) {
    return [{ path, why, grant: "sudo mount -t debugfs debugfs /sys/kernel/debug" }];
  }
  if (wanted.some(({ state }) => state === "unreadable")) return [{ path, why, grant: AS_ROOT }];
  if (wanted.every(({ state }) => state === "absent")) {
    const grant =
      vendor === "intel"
        ? "a kernel with CONFIG_INTEL_IOMMU_DEBUGFS=y"
        : "a kernel of about 6.17 or later with CONFIG_AMD_IOMMU_DEBUGFS=y";
    return [{ path, why, grant }];
  }
  if (vendor === "amd" && !host.devices.every(({ address }) => selected(host, address))) {
    const grant = "sudo irqbypass-doctor --write-devid     # writes its address to devid";
    return [{ path, why: `${why}, and shows one device at a time`, grant }];
  }
  return [];
}

function selected(host: Host, address: string): boolean {
  return host.amdTables.some((reading) => {
    const table = known(reading);
    return table !== undefined && "device" in table && table.device === address;
  });
}
