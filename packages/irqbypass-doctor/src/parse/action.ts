/**
 * Names of actions that VFIO and vDPA drivers give to the interrupts of an assigned device.
 */

/** What an interrupt is to its driver; "unnamed" if the driver is not known to give such a name. */
export type InterruptKind = "msi" | "intx" | "queue" | "config" | "other" | "unnamed";

/** A driver as far as the names of its interrupts tell it; "vfio" is one on another bus than PCI, not known which. */
export type Family =
  | "vfio-pci"
  | "vfio"
  | "vp-vdpa"
  | "ifcvf"
  | "eni-vdpa"
  | "snet"
  | "mlx5_vdpa"
  | "pds_vdpa";

/** An interrupt that goes, or should go, to a guest. */
export interface AssignedAction {
  /** PCI address with domain, the name of a vDPA device, or the name of a device on another bus. */
  readonly device: string;
  /** How the report calls the vector: "msix[3]", "intx", "queue 0". */
  readonly label: string;
  readonly kind: InterruptKind;
  readonly family: Family;
}

/** The assigned interrupts of one line. */
export interface LineActions {
  readonly assigned: readonly AssignedAction[];
  /** What else is on the line, as it stands; "" for nothing. */
  readonly others: string;
}

interface NameRule {
  readonly pattern: RegExp;
  readonly read: (groups: readonly string[], vdpa: ReadonlySet<string>) => AssignedAction | undefined;
}

// Names are searched for, not split at commas: other names on a shared line may hold commas of their own.
const NAMES: readonly NameRule[] = [
  {
    // vfio_pci_intrs.c, vfio_platform_irq.c, vfio_fsl_mc_intr.c, cdx/intr.c.
    pattern: /(?<=^|[\s,])vfio-(msix?|irq)\[(\d{1,6})\]\(([^()\s]{1,64})\)(?=$|[\s,])/g,
    read: ([what, index, device]) => {
      const pci = isPciAddress(device!);
      // MSI-X is PCI's, "irq" that of other buses, and CDX has MSIs of its own.
      const named = what === "irq" ? !pci : pci || (what === "msi" && device!.startsWith("cdx-"));
      const kind = named ? (what === "irq" ? "other" : "msi") : "unnamed";
      return { device: device!, label: `${what}[${index}]`, kind, family: pci ? "vfio-pci" : "vfio" };
    },
  },
  {
    pattern: /(?<=^|[\s,])vfio-intx\(([^()\s]{1,64})\)(?=$|[\s,])/g,
    read: ([device]) =>
      isPciAddress(device!)
        ? { device: device!, label: "intx", kind: "intx", family: "vfio-pci" }
        : { device: device!, label: "intx", kind: "unnamed", family: "vfio" },
  },
  {
    pattern: /(?<=^|[\s,])(vp-vdpa|ifcvf|eni-vdpa)\[([^[\]\s]{1,64})\]-([\w-]{1,32})(?=$|[\s,])/g,
    read: ([driver, device, which]) => ({
      device: device!,
      label: /^\d+$/.test(which!) ? `queue ${which}` : which!,
      kind: isPciAddress(device!) ? partKind(which!) : "unnamed",
      family: driver as Family,
    }),
  },
  {
    pattern: /(?<=^|[\s,])snet\[([^[\]\s]{1,64})\]-(vq|cfg)\[(\d{1,6})\](?=$|[\s,])/g,
    read: ([device, which, index]) => ({
      device: device!,
      label: which === "vq" ? `queue ${index}` : "config",
      kind: which === "vq" ? "queue" : "config",
      family: "snet",
    }),
  },
  {
    // mlx5_vnet.c; who adds a vDPA device names it, so only names that are there count.
    pattern: /(?:^|[\s,])([^\s,]{1,64})-vq-(\d{1,6})(?=$|[\s,])/g,
    read: ([device, index], vdpa) =>
      vdpa.has(device!)
        ? { device: device!, label: `queue ${index}`, kind: "queue", family: "mlx5_vdpa" }
        : undefined,
  },
  {
    // pds/vdpa_dev.c.
    pattern: /(?:^|[\s,])vdpa-([^\s,]{1,64})-(\d{1,6})(?=$|[\s,])/g,
    read: ([device, index], vdpa) =>
      vdpa.has(device!)
        ? { device: device!, label: `queue ${index}`, kind: "queue", family: "pds_vdpa" }
        : undefined,
  },
];

/** The number of a queue, or one of the names of the rest: "dev-irq" and "vqs-reused-irq" are ifcvf's. */
function partKind(which: string): InterruptKind {
  if (/^\d{1,6}$/.test(which)) return "queue";
  if (which === "config") return "config";
  return which === "dev-irq" || which === "vqs-reused-irq" ? "other" : "unnamed";
}

/** The assigned interrupts that `actions` names; `vdpa` are the names of the vDPA devices that are there. */
export function parseActions(actions: string, vdpa: ReadonlySet<string> = new Set()): LineActions {
  const assigned: AssignedAction[] = [];
  let others = actions;
  for (const { pattern, read } of NAMES) {
    for (const [whole, ...groups] of actions.matchAll(pattern)) {
      const action = read(groups, vdpa);
      if (action === undefined) continue;
      assigned.push(action);
      others = others.replace(whole, "");
    }
  }
  return { assigned, others: cleaned(others) };
}

/** What is left of a list after names were taken out of it. */
function cleaned(list: string): string {
  const names = list.split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").join(", ");
}

/** True for a PCI address with domain, such as 0000:3b:00.0. */
export function isPciAddress(name: string): boolean {
  return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name);
}

/** The PCI address at the end of a chip's name, "IR-PCI-MSIX-0000:08:00.2"; undefined before about 6.2. */
export function addressOfChip(chip: string): string | undefined {
  const address = /-([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/.exec(chip)?.[1];
  return address;
}
