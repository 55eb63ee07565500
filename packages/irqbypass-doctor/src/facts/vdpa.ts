/**
 * The vDPA devices of a host, and which of them vhost-vdpa offers to a process.
 */
import { isPciAddress } from "../parse/action.js";
import { baseName } from "../source/descriptor.js";
import { known, type Source } from "../source/source.js";

export interface VdpaDevice {
  /** Chosen by whoever added it: "vdpa0". */
  readonly name: string;
  /** Address of the PCI device that it is a part of; null where that is not known. */
  readonly parent: string | null;
  /** Names of its vhost-vdpa nodes; without one it serves the host through another driver of the bus. */
  readonly nodes: readonly string[];
}

const BUS = "sys/bus/vdpa/devices";

/** Finds them on their bus, and those that only their PCI parents show. */
export function readVdpa(source: Source): readonly VdpaDevice[] {
  const children = pciChildren(source);
  const names = new Set([...(known(source.list(BUS)) ?? []), ...children.keys()]);
  return [...names].sort().map((name): VdpaDevice => {
    const nodes = (known(source.list(`${BUS}/${name}`)) ?? []).filter((child) =>
      /^vhost-vdpa-\d/.test(child),
    );
    return { name, parent: children.get(name) ?? parentOf(source, name, nodes[0]), nodes };
  });
}

/** The PCI device in the path of a node, by the link that the kernel keeps for its number. */
function parentOf(source: Source, name: string, node: string | undefined): string | null {
  const number = node === undefined ? undefined : known(source.read(`${BUS}/${name}/${node}/dev`))?.trim();
  if (number === undefined || !/^\d{1,6}:\d{1,7}$/.test(number)) return null;
  const path = known(source.link(`sys/dev/char/${number}`)) ?? "";
  return path.split("/").findLast(isPciAddress) ?? null;
}

/** vDPA devices by their names, with the PCI devices of vDPA drivers that have them as children. */
function pciChildren(source: Source): Map<string, string> {
  const found = new Map<string, string>();
  for (const driver of known(source.list("sys/bus/pci/drivers")) ?? []) {
    if (!/vdpa|ifcvf|snet/.test(driver)) continue;
    for (const address of known(source.list(`sys/bus/pci/drivers/${driver}`)) ?? []) {
      if (!isPciAddress(address)) continue;
      for (const child of known(source.list(`sys/bus/pci/devices/${address}`)) ?? [])
        if (/^vdpa\d/.test(child)) found.set(child, address);
    }
  }
  return found;
}

/** The name of a device's driver by its link; undefined where there is none to be read. */
export function driverOf(source: Source, dir: string): string | undefined {
  const target = known(source.link(`${dir}/driver`));
  return target === undefined ? undefined : baseName(target);
}
