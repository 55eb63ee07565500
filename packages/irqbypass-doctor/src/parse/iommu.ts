/**
 * What every IOMMU has in common: units, and tables with an entry for each interrupt of a device.
 */

/** One present entry of an interrupt remapping table. */
export interface TableEntry {
  /** The unit whose table it is in; "" where the kernel does not say. */
  readonly unit: string;
  readonly index: number;
  /** Source id: "3b:00.0" on Intel, which has no domain there, "0000:c4:00.0" on AMD. */
  readonly device: string;
  /** True: the IOMMU posts to a descriptor. False: it remaps to a CPU of the host. */
  readonly posted: boolean;
  readonly vector: number;
}

/** True if `entry` belongs to the PCI device at `address` (with domain). */
export function isOfDevice(entry: TableEntry, address: string): boolean {
  return entry.device === address || address.slice(address.indexOf(":") + 1) === entry.device;
}
