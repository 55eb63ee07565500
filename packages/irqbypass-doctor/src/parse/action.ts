/**
 * Names of actions that VFIO and vDPA drivers give to the interrupts of an assigned device.
 */

/** An interrupt that goes, or should go, to a guest. */
export interface AssignedAction {
  /** PCI address with domain, or the name of a device on another bus. */
  readonly device: string;
  /** How the report calls the vector: "msix[3]", "intx", "queue 0". */
  readonly label: string;
  /** Level-triggered pins can never be posted. */
  readonly intx: boolean;
  /** The driver as far as the name tells it: "vfio", "vp-vdpa". */
  readonly family: string;
}

// Names are searched for, not split at commas: other names on a shared line may hold commas of their own.
const VFIO = /vfio-(msix?|irq)\[(\d{1,6})\]\(([^()\s]{1,64})\)/;
const VFIO_INTX = /vfio-intx\(([^()\s]{1,64})\)/;
const VDPA = /(vp-vdpa|ifcvf|eni-vdpa)\[([^[\]\s]{1,64})\]-([\w-]{1,32})/;

/** The assigned interrupt that `actions` names; undefined for one of the host's own. */
export function parseAction(actions: string): AssignedAction | undefined {
  const vfio = VFIO.exec(actions);
  if (vfio !== null)
    return { device: vfio[3]!, label: `${vfio[1]}[${vfio[2]}]`, intx: false, family: "vfio" };
  const intx = VFIO_INTX.exec(actions);
  if (intx !== null) return { device: intx[1]!, label: "intx", intx: true, family: "vfio" };
  const vdpa = VDPA.exec(actions);
  if (vdpa !== null) {
    const which = vdpa[3]!;
    const label = /^\d+$/.test(which) ? `queue ${which}` : which;
    return { device: vdpa[2]!, label, intx: false, family: vdpa[1]! };
  }
  return undefined;
}

/** True for a PCI address with domain, such as 0000:3b:00.0. */
export function isPciAddress(name: string): boolean {
  return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name);
}
