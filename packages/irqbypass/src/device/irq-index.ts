/**
 * The five interrupt indexes of vfio-pci, and what VFIO_DEVICE_GET_IRQ_INFO says of each.
 */

/** The interrupt indexes of vfio-pci, in the order of their numbers. */
export const IRQ_INDEXES = ["intx", "msi", "msix", "err", "req"] as const;
/** One of {@link IRQ_INDEXES}. */
export type IrqIndex = (typeof IRQ_INDEXES)[number];

export const IRQ_ACTIONS = ["mask", "unmask", "trigger"] as const;
/** What a call does: VFIO_IRQ_SET_ACTION_MASK, _UNMASK or _TRIGGER. */
export type IrqAction = (typeof IRQ_ACTIONS)[number];

/** What an index is like (struct vfio_irq_info). */
export interface IrqInfo {
  /** Interrupts of the index; 0 where the device does not have it. */
  readonly count: number;
  /** It signals eventfds: all do. */
  readonly eventfd: true;
  /** `mask` and `unmask` work. */
  readonly maskable: boolean;
  /** It masks itself when it fires, and waits for `unmask`. */
  readonly automasked: boolean;
  /** All triggers that will ever be wanted have to be set when the index is enabled. */
  readonly noresize: boolean;
}

/** vfio_pci_ioctl_get_irq_info. Only MSI-X vectors can be added while others are in use, and only where `dynamic`. */
export function irqInfo(index: IrqIndex, count: number, dynamic: boolean): IrqInfo {
  const level = index === "intx";
  return {
    count,
    eventfd: true,
    maskable: level,
    automasked: level,
    noresize: !level && !(index === "msix" && dynamic),
  };
}

/** Does the index know the action? What it does not know is ENOTTY. */
export function knows(index: IrqIndex, action: IrqAction): boolean {
  return index === "intx" || action === "trigger";
}
