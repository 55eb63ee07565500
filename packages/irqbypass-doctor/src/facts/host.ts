/**
 * One look at a host: everything that the findings are made from, each with how it was read.
 */
import { type CommandLine, parseCommandLine } from "../parse/cmdline.js";
import { type CpuInfo, parseCpuInfo } from "../parse/cpuinfo.js";
import type { EventfdInfo } from "../parse/fdinfo.js";
import { type Interrupts, parseInterrupts } from "../parse/interrupts.js";
import { type AmdTable, parseAmdTable, parseFeatures } from "../parse/iommu-amd.js";
import { type IntelTables, parseIntelTables, parseRegister } from "../parse/iommu-intel.js";
import { readPerCpu } from "../parse/irq.js";
import { type KernelRelease, parseKernelRelease } from "../parse/kernel-release.js";
import { type Module, readModules } from "../parse/modules.js";
import { type Reading, readAs, type Source } from "../source/source.js";
import { type Boot, readBoot } from "./boot.js";
import { type Device, readDevices } from "./devices.js";
import { type Processes, readEventfd, readProcesses } from "./processes.js";

/** One IOMMU unit. */
export type Unit =
  | {
      readonly kind: "intel";
      readonly name: string;
      readonly cap: Reading<bigint>;
      readonly ecap: Reading<bigint>;
    }
  | { readonly kind: "amd"; readonly name: string; readonly features: Reading<readonly bigint[]> }
  | { readonly kind: "other"; readonly name: string };

export interface Host {
  readonly name: string;
  readonly kernel: Reading<KernelRelease>;
  readonly cpu: Reading<CpuInfo>;
  readonly cmdline: Reading<CommandLine>;
  readonly modules: readonly Module[];
  readonly boot: Boot;
  /** Listing of /sys/class/iommu. */
  readonly units: Reading<readonly Unit[]>;
  readonly groups: Reading<Groups>;
  readonly interrupts: Reading<Interrupts>;
  readonly devices: readonly Device[];
  readonly processes: Processes;
  readonly debugfs: Reading<readonly string[]>;
  readonly intelTables: Reading<IntelTables>;
  /** A table for each device that could be selected, or the one that happens to be selected. */
  readonly amdTables: readonly Reading<AmdTable>[];
  /** The kernel has a KVM device. */
  readonly kvmNode: boolean;
  /** /sys shows what the kernel has; false in a container that hides it, where nothing follows from what is not there. */
  readonly sysfs: boolean;
}

/** The IOMMU groups. */
export interface Groups {
  readonly count: number;
  /** How many of them VFIO made itself, because there is no IOMMU. */
  readonly noiommu: number;
}

/** What the second sample adds. */
export interface Later {
  readonly interrupts: Reading<Interrupts>;
  /** By Linux interrupt number. */
  readonly perCpu: ReadonlyMap<number, Reading<readonly number[]>>;
  /** By "PID/FD". */
  readonly eventfds: ReadonlyMap<string, Reading<EventfdInfo>>;
}

/** Reads one look at a host. Blocks for as long as the kernel takes to print its files. */
export function readHost(source: Source): Host {
  const interrupts = readAs(source, "proc/interrupts", parseInterrupts);
  const devices = readDevices(source, interrupts);
  return {
    name: source.name,
    kernel: readAs(source, "proc/sys/kernel/osrelease", parseKernelRelease),
    cpu: readAs(source, "proc/cpuinfo", parseCpuInfo),
    cmdline: readAs(source, "proc/cmdline", parseCommandLine),
    modules: readModules(source),
    boot: readBoot(source),
    units: readUnits(source),
    groups: readGroups(source, devices),
    interrupts,
    devices,
    processes: readProcesses(source),
    debugfs: source.list("sys/kernel/debug"),
    intelTables: readAs(source, "sys/kernel/debug/iommu/intel/ir_translation_struct", parseIntelTables),
    amdTables: readAmdTables(source, devices),
    kvmNode: source.read("sys/class/misc/kvm/dev").state === "read",
    sysfs: source.list("sys/module").state === "read",
  };
}

/** Reads the counters again. */
export function readLater(source: Source, host: Host): Later {
  const interrupts = readAs(source, "proc/interrupts", parseInterrupts);
  const perCpu = new Map<number, Reading<readonly number[]>>();
  for (const device of host.devices) {
    for (const vector of device.vectors) perCpu.set(vector.irq, readPerCpu(source, vector.irq));
  }
  const eventfds = new Map<string, Reading<EventfdInfo>>();
  for (const process of host.processes.found) {
    for (const { fd } of process.eventfds)
      eventfds.set(`${process.pid}/${fd}`, readEventfd(source, process.pid, fd));
  }
  return { interrupts, perCpu, eventfds };
}

function readUnits(source: Source): Reading<readonly Unit[]> {
  const names = source.list("sys/class/iommu");
  if (names.state !== "read") return names;
  const units = [...names.value].sort().map((name): Unit => {
    const dir = `sys/class/iommu/${name}`;
    if (name.startsWith("dmar")) {
      const cap = readAs(source, `${dir}/intel-iommu/cap`, parseRegister);
      const ecap = readAs(source, `${dir}/intel-iommu/ecap`, parseRegister);
      return { kind: "intel", name, cap, ecap };
    }
    if (name.startsWith("ivhd")) {
      return { kind: "amd", name, features: readAs(source, `${dir}/amd-iommu/features`, parseFeatures) };
    }
    return { kind: "other", name };
  });
  return { state: "read", path: names.path, value: units };
}

const AMD_TABLE = "sys/kernel/debug/iommu/amd/irqtbl";

/** The table that is selected now, and those that {@link selectingDevid} can select. */
function readAmdTables(source: Source, devices: readonly Device[]): readonly Reading<AmdTable>[] {
  const selected = readAs(source, AMD_TABLE, parseAmdTable);
  if (selected.state === "absent" || selected.state === "unreadable") return [selected];
  const asked = devices.map(({ address }) => readAs(source, `${AMD_TABLE}@${address}`, parseAmdTable));
  return [selected, ...asked.filter((table) => table.state !== "absent")];
}

/** Groups that VFIO made have a name; that of an assigned device is known, and others are no matter here. */
function readGroups(source: Source, devices: readonly Device[]): Reading<Groups> {
  const names = source.list("sys/kernel/iommu_groups");
  if (names.state !== "read") return names;
  const made = new Set(devices.filter(({ noiommu }) => noiommu).map(({ group }) => group));
  return { state: "read", path: names.path, value: { count: names.value.length, noiommu: made.size } };
}
