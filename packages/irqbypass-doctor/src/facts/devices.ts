/**
 * Assigned devices: what is bound to a VFIO driver or serves a vDPA device, with the interrupts that it has.
 */
import { type AssignedAction, addressOfChip, isPciAddress, parseActions } from "../parse/action.js";
import type { InterruptLine, Interrupts } from "../parse/interrupts.js";
import { type IrqFiles, readIrq } from "../parse/irq.js";
import { type IrqDebug, parseIrqDebug } from "../parse/irq-debug.js";
import { baseName } from "../source/descriptor.js";
import { known, type Reading, readAs, type Source } from "../source/source.js";
import { driverOf, readVdpa, type VdpaDevice } from "./vdpa.js";

/** One interrupt of an assigned device. */
export interface Vector {
  readonly irq: number;
  readonly action: AssignedAction;
  /** Its line in /proc/interrupts. */
  readonly line: InterruptLine;
  /** What else has an action on the same line, as the line has it; "" for nothing. */
  readonly sharedWith: string;
  readonly files: IrqFiles;
  readonly debug: Reading<IrqDebug>;
}

export interface Device {
  /** PCI address, the name of a vDPA device, or the name of a device on another bus. */
  readonly address: string;
  /** Address of the PCI function whose interrupts it uses; null for one that is on no PCI bus, or not known. */
  readonly pci: string | null;
  readonly driver: string;
  /** Number of its IOMMU group. */
  readonly group: string | null;
  /** A device of another PCI domain has the same bus, device and function. */
  readonly twin: boolean;
  /** Its group is one that VFIO made because there is no IOMMU. */
  readonly noiommu: boolean;
  /** Names of its VFIO device nodes, "vfio0", and of its vhost-vdpa nodes. */
  readonly nodes: readonly string[];
  /** Interrupts that the kernel has set up for it and that no action was requested for. */
  readonly idleIrqs: number;
  readonly vectors: readonly Vector[];
}

/** Buses beside PCI whose devices VFIO hands out. */
const BUSES = ["platform", "amba", "fsl-mc", "cdx"] as const;

/** The name that VFIO gives to the groups that it makes itself (vfio_noiommu_group_alloc()). */
const NOIOMMU = "vfio-noiommu";

/** Finds the assigned devices by their drivers and by the names of their interrupts. */
export function readDevices(source: Source, interrupts: Reading<Interrupts>): readonly Device[] {
  const vdpa = readVdpa(source);
  const vectors = readVectors(source, known(interrupts), new Set(vdpa.map(({ name }) => name)));
  const served = new Map(vdpa.map((one) => [vdpaAddress(one, vdpa, vectors), one]));
  const places = placesOf(source);
  const all = known(source.list("sys/bus/pci/devices")) ?? [];
  const addresses = new Set([...places.keys(), ...served.keys(), ...vectors.keys()]);
  // A vDPA device without a node serves the host itself.
  for (const [address, { nodes }] of served) if (nodes.length === 0) addresses.delete(address);
  return [...addresses].sort().map((address): Device => {
    const own = (vectors.get(address) ?? []).sort((a, b) => a.irq - b.irq);
    const part = served.get(address);
    const pci = isPciAddress(address)
      ? address
      : (part?.parent ?? addressOfChip(own[0]?.line.chip ?? "") ?? null);
    const family = own[0]?.action.family;
    const dir = pci === null ? places.get(address) : `sys/bus/pci/devices/${pci}`;
    // Of a part of a device the parent's driver serves the host.
    const driver = pci === address || part === undefined ? driverOf(source, dir ?? "") : undefined;
    const group = dir === undefined ? undefined : known(source.link(`${dir}/iommu_group`));
    const number = group === undefined ? null : baseName(group);
    const used = new Set(own.map(({ irq }) => String(irq)));
    const msi = pci === address ? (known(source.list(`${dir}/msi_irqs`)) ?? []) : [];
    const cdevs = pci === address ? (known(source.list(`${dir}/vfio-dev`)) ?? []) : [];
    return {
      address,
      pci,
      driver: driver ?? family ?? (part === undefined ? "unknown driver" : "vdpa"),
      group: number,
      twin: all.some((one) => one !== pci && withoutDomain(one) === withoutDomain(pci ?? "")),
      noiommu: number !== null && groupName(source, number) === NOIOMMU,
      nodes: [...cdevs, ...(part?.nodes ?? [])],
      idleIrqs: msi.filter((irq) => !used.has(irq)).length,
      vectors: own,
    };
  });
}

function withoutDomain(address: string): string {
  return address.slice(address.indexOf(":") + 1);
}

/** The name of an IOMMU group, which only few have. */
export function groupName(source: Source, number: string): string | undefined {
  return known(source.read(`sys/kernel/iommu_groups/${number}/name`))?.trim();
}

/** A vDPA device goes by its PCI address if it is all of that device, and by its name otherwise. */
function vdpaAddress(
  { name, parent }: VdpaDevice,
  all: readonly VdpaDevice[],
  vectors: ReadonlyMap<string, unknown>,
): string {
  if (parent === null || vectors.has(name)) return name;
  return all.some((one) => one.parent === parent && one.name !== name) ? name : parent;
}

/** Directories of the devices that a driver with "vfio" in its name holds; variants have names of their own. */
function placesOf(source: Source): Map<string, string> {
  const places = new Map<string, string>();
  for (const bus of ["pci", ...BUSES]) {
    for (const driver of known(source.list(`sys/bus/${bus}/drivers`)) ?? []) {
      if (!/vfio/.test(driver)) continue;
      for (const name of known(source.list(`sys/bus/${bus}/drivers/${driver}`)) ?? []) {
        // Beside its devices a driver's directory has a few files of its own.
        const device =
          bus === "pci" ? isPciAddress(name) : known(source.list(`sys/bus/${bus}/devices/${name}`));
        if (device !== false && device !== undefined) places.set(name, `sys/bus/${bus}/devices/${name}`);
      }
    }
  }
  return places;
}

function readVectors(
  source: Source,
  interrupts: Interrupts | undefined,
  vdpa: ReadonlySet<string>,
): Map<string, Vector[]> {
  const found = new Map<string, Vector[]>();
  for (const line of interrupts?.lines.values() ?? []) {
    if (line.chip === "") continue;
    const { assigned, others } = parseActions(line.actions, vdpa);
    const irq = Number(line.label);
    for (const action of assigned) {
      const beside = assigned
        .filter((one) => one !== action)
        .map(({ device, label }) => `${label} of ${device}`);
      const vector: Vector = {
        irq,
        action,
        line,
        sharedWith: [others, ...beside].filter((one) => one !== "").join(", "),
        files: readIrq(source, irq),
        debug: readAs(source, `sys/kernel/debug/irq/irqs/${irq}`, parseIrqDebug),
      };
      const own = found.get(action.device);
      if (own === undefined) found.set(action.device, [vector]);
      else own.push(vector);
    }
  }
  return found;
}
