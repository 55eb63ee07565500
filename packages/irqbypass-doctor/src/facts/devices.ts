/**
 * Assigned devices: what is bound to a VFIO driver or serves a vDPA device, with the interrupts that it has.
 */
import { type AssignedAction, isPciAddress, parseAction } from "../parse/action.js";
import type { Interrupts } from "../parse/interrupts.js";
import { type IrqFiles, readIrq } from "../parse/irq.js";
import { parseIrqDebug, type RemapLevel } from "../parse/irq-debug.js";
import { baseName } from "../source/descriptor.js";
import { known, type Reading, readAs, type Source } from "../source/source.js";

/** One interrupt of an assigned device. */
export interface Vector {
  readonly irq: number;
  readonly action: AssignedAction;
  readonly files: IrqFiles;
  readonly debug: Reading<RemapLevel | undefined>;
}

export interface Device {
  readonly address: string;
  readonly driver: string;
  /** Number of its IOMMU group. */
  readonly group: string | null;
  /** Names of its VFIO device nodes, "vfio0", and of its vhost-vdpa nodes. */
  readonly nodes: readonly string[];
  /** Interrupts that the kernel has set up for it and that no action was requested for. */
  readonly idleIrqs: number;
  readonly vectors: readonly Vector[];
}

/** Finds the assigned devices by their drivers and by the names of their interrupts. */
export function readDevices(source: Source, interrupts: Reading<Interrupts>): readonly Device[] {
  const vdpa = readVdpa(source);
  const vectors = readVectors(source, known(interrupts));
  const addresses = new Set<string>([...boundToVfio(source), ...vdpa.keys(), ...vectors.keys()]);
  for (const [address, nodes] of vdpa) if (nodes.length === 0) addresses.delete(address);
  return [...addresses].sort().map((address): Device => {
    const own = (vectors.get(address) ?? []).sort((a, b) => a.irq - b.irq);
    const family = own[0]?.action.family;
    const dir = `sys/bus/pci/devices/${address}`;
    if (!isPciAddress(address)) {
      return {
        address,
        driver: family ?? "vdpa",
        group: null,
        nodes: vdpa.get(address) ?? [],
        idleIrqs: 0,
        vectors: own,
      };
    }
    const driver = known(source.link(`${dir}/driver`));
    const group = known(source.link(`${dir}/iommu_group`));
    const msi = known(source.list(`${dir}/msi_irqs`)) ?? [];
    const used = new Set(own.map((vector) => String(vector.irq)));
    return {
      address,
      driver: driver === undefined ? (family ?? "unknown driver") : baseName(driver),
      group: group === undefined ? null : baseName(group),
      nodes: [...(known(source.list(`${dir}/vfio-dev`)) ?? []), ...(vdpa.get(address) ?? [])],
      idleIrqs: msi.filter((irq) => !used.has(irq)).length,
      vectors: own,
    };
  });
}

/** Addresses of the PCI devices that a driver with "vfio" in its name holds; variants have names of their own. */
function boundToVfio(source: Source): string[] {
  const drivers = known(source.list("sys/bus/pci/drivers")) ?? [];
  return drivers
    .filter((driver) => /vfio/.test(driver))
    .flatMap((driver) => known(source.list(`sys/bus/pci/drivers/${driver}`)) ?? [])
    .filter(isPciAddress);
}

/**
 * PCI parents of vDPA devices, with the names of their vhost-vdpa nodes. A parent without a node serves the host
 * through another driver of the vdpa bus.
 */
function readVdpa(source: Source): Map<string, string[]> {
  const parents = new Map<string, string[]>();
  for (const driver of known(source.list("sys/bus/pci/drivers")) ?? []) {
    if (!/vdpa|ifcvf/.test(driver)) continue;
    for (const address of known(source.list(`sys/bus/pci/drivers/${driver}`)) ?? []) {
      if (!isPciAddress(address)) continue;
      const children = known(source.list(`sys/bus/pci/devices/${address}`)) ?? [];
      const nodes = children
        .filter((child) => /^vdpa\d/.test(child))
        .flatMap((child) => known(source.list(`sys/bus/vdpa/devices/${child}`)) ?? [])
        .filter((name) => name.startsWith("vhost-vdpa-"));
      parents.set(address, nodes);
    }
  }
  return parents;
}

function readVectors(source: Source, interrupts: Interrupts | undefined): Map<string, Vector[]> {
  const found = new Map<string, Vector[]>();
  for (const line of interrupts?.lines.values() ?? []) {
    const action = parseAction(line.actions);
    if (action === undefined || line.chip === "") continue;
    const irq = Number(line.label);
    const vector: Vector = {
      irq,
      action,
      files: readIrq(source, irq),
      debug: readAs(source, `sys/kernel/debug/irq/irqs/${irq}`, parseIrqDebug),
    };
    const own = found.get(action.device);
    if (own === undefined) found.set(action.device, [vector]);
    else own.push(vector);
  }
  return found;
}
