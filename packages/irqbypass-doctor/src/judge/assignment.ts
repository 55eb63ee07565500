/**
 * Who holds which device: ties a device to the process that has it open.
 */
import type { Device } from "../facts/devices.js";
import { type HeldDevice, type Processes, unseenProcesses, type VmProcess } from "../facts/processes.js";
import type { Evidence } from "./report.js";

/** A device with its holder. */
export interface Assignment {
  readonly device: Device;
  /** undefined: no process could be tied to it. */
  readonly holder: VmProcess | undefined;
  readonly tie: Evidence;
  /** It stands for what a process holds and nothing else shows. */
  readonly unseen: boolean;
}

/**
 * Ties every device to at most one process: by its own address first, then by its node, then by its group. What a VM
 * holds and none of the devices explains is there as a device of its own, named after the node.
 */
export function assign(devices: readonly Device[], processes: Processes): readonly Assignment[] {
  const tied = devices.map((device): Assignment => {
    for (const how of WAYS) {
      const all = processes.found.flatMap((holder) => {
        const tie = how(device, holder);
        return tie === undefined ? [] : [{ device, holder, tie, unseen: false }];
      });
      // Processes share what they hold by fork and by sockets, and a path may be one that a container made up: where a VM is
      // among them it is the VM's, and where several are nobody knows whose.
      const vms = all.filter(({ holder }) => holder.vmFds > 0);
      if (vms.length > 1) return { device, holder: undefined, tie: shared(vms), unseen: false };
      const one = vms[0] ?? all[0];
      if (one !== undefined) return one;
    }
    return { device, holder: undefined, tie: untied(processes), unseen: false };
  });
  return [...tied, ...processes.found.flatMap((holder) => unseenOf(holder, tied))];
}

const WAYS = [byAddress, byNode, byGroup] as const;

function ties(device: Device, holder: VmProcess): readonly Evidence[] {
  return WAYS.map((how) => how(device, holder)).filter((tie) => tie !== undefined);
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
  const hold = held.find((one) => device.group !== null && groupOf(one) === device.group);
  if (hold === undefined) return undefined;
  const made = device.noiommu ? ` (/dev/vfio/noiommu-${device.group})` : "";
  return { source: `/proc/${pid}/fd/${hold.fd}`, says: `holds its IOMMU group, ${device.group}${made}` };
}

/** The number of a group that is held; behind "noiommu-" it is the group's too. */
function groupOf({ descriptor }: HeldDevice): string | undefined {
  return descriptor.kind === "vfio-group" ? descriptor.group.replace(/^noiommu-/, "") : undefined;
}

function shared(vms: readonly { readonly holder: VmProcess }[]): Evidence {
  const pids = vms.map(({ holder }) => holder.pid).join(", ");
  return {
    source: "/proc/*/fd",
    says: `several VMs hold it, processes ${pids}: which of them uses it is not known`,
  };
}

function untied(processes: Processes): Evidence {
  const unseen = unseenProcesses(processes);
  if (unseen === undefined) return { source: "/proc/*/fd", says: "no process that shows here holds it" };
  if (processes.proc.state !== "read") return { source: "/proc", says: unseen };
  return { source: "/proc/*/fd", says: `${unseen}; one of them may hold it` };
}

/** What `holder` holds and no device explains. */
function unseenOf(holder: VmProcess, tied: readonly Assignment[]): Assignment[] {
  const devices = tied.map(({ device }) => device);
  const own = devices.filter((device) => ties(device, holder).length > 0);
  const named = holder.held.flatMap((hold): [name: string, hold: HeldDevice][] => {
    const { descriptor, address } = hold;
    const group = groupOf(hold);
    if (group !== undefined) {
      const shown = devices.some((device) => device.group === group);
      return shown ? [] : [[`/dev/vfio/${descriptor.kind === "vfio-group" ? descriptor.group : ""}`, hold]];
    }
    if (address !== undefined)
      return devices.some((device) => device.address === address) ? [] : [[address, hold]];
    const name = descriptor.kind === "vfio-group" ? null : descriptor.name;
    if (name === null) return [];
    const dir = descriptor.kind === "vhost-vdpa" ? "/dev" : "/dev/vfio/devices";
    return devices.some(({ nodes }) => nodes.includes(name)) ? [] : [[`${dir}/${name}`, hold]];
  });
  // A device that came out of a group or another process has no name of its own: it counts where nothing else does.
  const bare = holder.held.find(({ descriptor }) => descriptor.kind === "vfio-device");
  if (named.length === 0 && own.length === 0 && bare !== undefined) named.push(["a VFIO device", bare]);
  return [...new Map(named)].map(([address, { fd }]) => ({
    device: standIn(address),
    holder,
    tie: { source: `/proc/${holder.pid}/fd/${fd}`, says: `holds ${address}` },
    unseen: true,
  }));
}

function standIn(address: string): Device {
  return {
    address,
    pci: null,
    driver: "unknown driver",
    group: null,
    twin: false,
    noiommu: false,
    nodes: [],
    idleIrqs: 0,
    vectors: [],
  };
}
