/**
 * Who holds which device: ties a device to the process that has it open.
 */
import type { Device } from "../facts/devices.js";
import type { Processes, VmProcess } from "../facts/processes.js";
import type { Evidence } from "./report.js";

/** A device with its holder. */
export interface Assignment {
  readonly device: Device;
  /** undefined: no process could be tied to it. */
  readonly holder: VmProcess | undefined;
  readonly tie: Evidence;
}

/** Ties every device to at most one process: by its own address first, then by its node, then by its group. */
export function assign(devices: readonly Device[], processes: Processes): readonly Assignment[] {
  return devices.map((device) => {
    for (const how of [byAddress, byNode, byGroup]) {
      for (const holder of processes.found) {
        const tie = how(device, holder);
        if (tie !== undefined) return { device, holder, tie };
      }
    }
    return { device, holder: undefined, tie: untied(processes) };
  });
}

function byAddress(device: Device, { pid, held }: VmProcess): Evidence | undefined {
  const hold = held.find(({ address }) => address === device.address);
  return (
    hold && { source: `/proc/${pid}/fdinfo/${hold.fd}`, says: `vfio-device-syspath names ${device.address}` }
  );
}

function byNode(device: Device, { pid, held }: VmProcess): Evidence | undefined {
  for (const { fd, descriptor } of held) {
    if (descriptor.kind === "vfio-group" || descriptor.name === null) continue;
    if (device.nodes.includes(descriptor.name))
      return { source: `/proc/${pid}/fd/${fd}`, says: `holds ${descriptor.name}` };
  }
  return undefined;
}

function byGroup(device: Device, { pid, held }: VmProcess): Evidence | undefined {
  const hold = held.find(
    ({ descriptor }) => descriptor.kind === "vfio-group" && descriptor.group === device.group,
  );
  return hold && { source: `/proc/${pid}/fd/${hold.fd}`, says: `holds its IOMMU group, ${device.group}` };
}

function untied({ hidden, proc }: Processes): Evidence {
  if (proc.state !== "read") return { source: "/proc", says: "the processes could not be listed" };
  if (hidden > 0)
    return {
      source: "/proc/*/fd",
      says: `${hidden} processes may not be looked into; one of them may hold it`,
    };
  return { source: "/proc/*/fd", says: "no process that shows here holds it" };
}
