/**
 * What the remapping tables say of one device: which of its entries are posted now, and whose they are.
 */

import type { Device, Vector } from "../facts/devices.js";
import type { Host } from "../facts/host.js";
import { isOfDevice, type TableEntry } from "../parse/iommu.js";
import { known } from "../source/source.js";
import { postsForHost } from "./command-line.js";
import { seen } from "./link.js";
import type { Evidence } from "./report.js";

/** The entries of one device, or undefined where no table of it could be read. */
export interface DeviceTable {
  readonly posted: readonly TableEntry[];
  readonly remapped: readonly TableEntry[];
  /** A posted entry proves nothing, because the host may post its own interrupts: why. */
  readonly doubt: string | undefined;
  readonly evidence: Evidence;
  readonly vendor: "intel" | "amd";
}

/** Gathers the entries of `device`. */
export function tableOf(host: Host, device: Device): DeviceTable | undefined {
  const address = device.pci;
  if (address === null) return undefined;
  const intel = known(host.intelTables);
  if (intel !== undefined) {
    const entries = intel.entries.filter((entry) => isOfDevice(entry, address));
    const table = describe(host, entries, host.intelTables.path, "intel");
    return device.twin && entries.length > 0 ? ambiguous(table) : table;
  }
  for (const reading of host.amdTables) {
    const table = known(reading);
    if (table?.state === "table" && table.device === address)
      return describe(host, table.entries, reading.path, "amd");
    if (table?.state === "no table" && table.device === address)
      return describe(host, [], reading.path, "amd");
  }
  return undefined;
}

/** The table names bus, device and function, and no domain: what two devices have in common is neither's. */
function ambiguous(table: DeviceTable): DeviceTable {
  const { source, says } = table.evidence;
  const whose = "of this device or of one with the same bus and number in another PCI domain";
  return { ...table, posted: [], remapped: [], evidence: { source, says: `${says}, ${whose}` } };
}

function describe(
  host: Host,
  entries: readonly TableEntry[],
  path: string,
  vendor: "intel" | "amd",
): DeviceTable {
  const posted = entries.filter((entry) => entry.posted);
  const remapped = entries.filter((entry) => !entry.posted);
  const forHost = vendor === "intel" ? postsForHost(host) : false;
  const doubt =
    forHost === false
      ? undefined
      : forHost === true
        ? "intremap=posted_msi posts the host's own interrupts too"
        : "whether the host posts its own interrupts too (intremap=posted_msi) is not known";
  const says =
    entries.length === 0 ? "no entry of the device" : `${posted.length} posted, ${remapped.length} remapped`;
  return { posted, remapped, doubt, evidence: seen({ state: "absent", path }, says), vendor };
}

/** What a device's table says of one of its vectors; `index` where the vector's own entry is known. */
export interface EntryState {
  readonly is: "posted" | "remapped" | "some posted" | "none";
  readonly index: number | undefined;
}

/**
 * The state of one vector's entry. The tables name the device and not the vector: if all entries are alike that
 * is enough, and otherwise debugfs' own file of the interrupt has to name the entry.
 */
export function entryOf(table: DeviceTable, device: Device, vector: Vector): EntryState {
  const index = entryIndex(table, vector);
  if (index !== undefined) {
    if (table.posted.some((entry) => entry.index === index)) return { is: "posted", index };
    if (table.remapped.some((entry) => entry.index === index)) return { is: "remapped", index };
  }
  if (table.posted.length === 0)
    return { is: table.remapped.length === 0 ? "none" : "remapped", index: undefined };
  // The entries of a part of a device cannot be told from those of the rest.
  const whole = device.pci === device.address;
  const all = whole && table.remapped.length === 0 && table.posted.length >= device.vectors.length;
  return { is: all ? "posted" : "some posted", index: undefined };
}

/** Intel numbers an interrupt by its entry: first index of the block in the upper half, offset in the lower. */
function entryIndex(table: DeviceTable, vector: Vector): number | undefined {
  const level = known(vector.debug)?.remap;
  if (table.vendor !== "intel" || level?.chip !== "INTEL-IR" || level.hwirq === null) return undefined;
  return Math.floor(level.hwirq / 65536) + (level.hwirq % 65536);
}
