/**
 * Sources that would say more and could not be read: which right, mount or option they need, and how to get it.
 */
import type { Host } from "../facts/host.js";
import { rightFor } from "../source/rights.js";
import { known, type Reading } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import type { Chain } from "./link.js";
import type { MissingSource } from "./report.js";

/** The command, with a remark. */
const again = (options: string, remark: string) => `irqbypass-doctor${options}  # ${remark}`;

/** What is missing. `unsettled`: some interrupt is neither posted now nor kept from it, so more would help. */
export function missingOf(
  host: Host,
  chain: Chain,
  trace: TraceFacts | undefined,
  unsettled: boolean,
): MissingSource[] {
  const missing: MissingSource[] = [];
  const { hidden, unlisted } = host.processes;
  if (hidden > 0) {
    const why = `${hidden} processes may not be looked into: their VMs, devices and eventfds are not in this report`;
    missing.push({ path: "/proc/*/fd", why, grant: again("", rightFor("processes")) });
  }
  if (unlisted !== undefined) {
    const why = `${unlisted.says}: VMs, devices and eventfds of those are not in this report`;
    const grant =
      unlisted.by === "hidepid"
        ? again("", rightFor("processes"))
        : "run it outside of the container, or in one with the host's PID namespace (docker run --pid=host)";
    missing.push({ path: unlisted.source, why, grant });
  }
  for (const reading of basics(host)) {
    if (reading.state !== "unreadable" && !(reading.state === "absent" && reading === host.interrupts))
      continue;
    const path = `/${reading.path}`;
    missing.push(
      reading.state === "absent"
        ? { path, why: "is not there", grant: "sudo mount -t proc proc /proc" }
        : { path, why: unreadable(reading.code), grant: grantOf("files", reading.code) },
    );
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
        grant: again(" --trace 30", `as the VM starts; ${rightFor("trace")}`),
      });
    }
  }
  return missing;
}

/** What kept a file from being read. */
function unreadable(code: string): string {
  if (code === "EFBIG" || code === "E2BIG") return `is larger than any host's (${code}), and was not read`;
  return code === "EACCES" || code === "EPERM" ? `may not be read (${code})` : `could not be read (${code})`;
}

/**
 * What opens a file of that source. A mode that forbids it gives EACCES, and a capability helps; what is forbidden to
 * root too gives EPERM, and any other answer is none about rights.
 */
function grantOf(source: "files" | "tables", code: string): string {
  if (code === "EACCES") return again("", rightFor(source));
  if (code === "EPERM")
    return "no right: the kernel forbids it to root too, as lockdown does (/sys/kernel/security/lockdown)";
  return "no right: it is there, and could not be read";
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
  if (host.debugfs.state === "unreadable")
    return [{ path, why, grant: grantOf("tables", host.debugfs.code) }];
  if (host.debugfs.state === "absent" || known(host.debugfs)?.length === 0) {
    return [{ path, why, grant: "sudo mount -t debugfs debugfs /sys/kernel/debug" }];
  }
  const closed = wanted.find((reading) => reading.state === "unreadable");
  if (closed !== undefined) return [{ path, why, grant: grantOf("tables", closed.code) }];
  if (wanted.every(({ state }) => state === "absent")) {
    const grant =
      vendor === "intel"
        ? "a kernel with CONFIG_INTEL_IOMMU_DEBUGFS=y"
        : "a kernel of about 6.17 or later with CONFIG_AMD_IOMMU_DEBUGFS=y";
    return [{ path, why, grant }];
  }
  if (vendor === "amd" && !host.devices.every(({ address }) => selected(host, address))) {
    const grant = again(" --write-devid", rightFor("devid"));
    return [
      { path, why: `${why}, and shows one device at a time, whose address is written to devid`, grant },
    ];
  }
  return [];
}

function selected(host: Host, address: string): boolean {
  return host.amdTables.some((reading) => {
    const table = known(reading);
    return table !== undefined && "device" in table && table.device === address;
  });
}
