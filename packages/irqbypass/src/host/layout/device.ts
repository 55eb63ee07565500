/**
 * A device, and its interrupts, for every thread that has it open. One with more gates than its record has room for has more records
 * of the pool, in a list: of those, the first words say to whom they belong, and the rest are gates in the same place.
 */
export const enum Device {
  /** Guards what its VMM changes. Taken before the host mutex, never after it. A */
  mutex = 2,
  /** Changes when the device ends: whoever knows it finds out. A */
  life = 3,
  /** Changes when the device ends, and when another thread gets it: who signals looks at it. A */
  tenure = 4,
  /** The device that the record belongs to: itself, or the first of the list. C */
  head = 5,
  /** The next record of the list. C */
  next = 6,
  /** The thread that may signal. A, written under H */
  owner = 7,
  /** Number of the kind of its producers. C */
  kind = 8,
  /** {@link DeviceFlag}. C */
  flags = 9,
  /** How many MSI vectors it has, which have the first gates. C */
  msi = 10,
  /** How many MSI-X vectors or virtqueues, which have the next. C */
  msix = 11,
  /** How many host interrupts it can get for an index, plus one; 0 where nothing limits them. C */
  available = 12,
  /** {@link DeviceUse}. A */
  use = 13,
  /** Counts what ends a listener to {@link unmask}, which may be in another thread: how often INTx was enabled and disabled. A */
  enabling = 14,
  /** Counts how often a vDPA device was opened. A */
  opening = 15,
  /** vDPA: its status bits. A */
  status = 16,
  /** The thread that listens to {@link unmask}. A */
  listener = 17,
  /** What it signals beside its gates, and the eventfd that unmasks INTx; it keeps them alive. A, written under H */
  intx = 18,
  unmask = 19,
  err = 20,
  req = 21,
  config = 22,
  /** vDPA: the thread that has it open; below 0: the one that closes it. A */
  opener = 23,
  /** {@link Gate}, one for each vector or virtqueue: as many as fit, here and in the other records of the list. A */
  gates = 24,
  words = 64,
}

/** The words of a device that name an eventfd which it keeps alive. */
export const DEVICE_EVENTFDS = [Device.intx, Device.unmask, Device.err, Device.req, Device.config] as const;
/** How many gates one record has room for. */
export const GATES = Device.words - Device.gates;

/** {@link Device.flags}. */
export const enum DeviceFlag {
  vdpa = 1,
  /** PCI Express: it has ERR. */
  pcie = 2,
  /** Has an INTx pin. */
  intx = 4,
  /** MSI-X vectors can be added while others are in use. */
  dynamic = 8,
}

/** {@link Device.use}. */
export const enum DeviceUse {
  msi = 1,
  msix = 2,
  /** INTx is enabled. */
  intx = 4,
  /** MSI-X: the function mask. */
  functionMask = 8,
  /** INTx has masked itself, or was masked. */
  masked = 16,
  /** INTx: the device holds its line up. */
  line = 32,
  /** INTx: the guest's Interrupt Disable bit. */
  disabled = 64,
  /** vDPA: somebody has it open. */
  open = 128,
  /** vDPA: the device has been told of its config call, since its last reset. */
  configArmed = 256,
  /** It is being ended: whoever comes after a death goes on with that. */
  ending = 512,
}

/**
 * A gate: what holds an interrupt back, and where it goes. Who changes it: `scenarios/states/gate.ts`.
 *
 *     bits 0-3   what holds it back
 *     bit 4      pending: it was raised while it was held back
 *     bits 5-6   for the device's mutex: has a host interrupt; is a virtqueue's
 *     bits 8-31  number of its producer, plus one; 0 while it has none, which holds it back too
 */
export const enum Gate {
  /** Its own mask bit. */
  mask = 1,
  functionMask = 2,
  /** Where it goes is being changed. */
  changing = 4,
  /** A virtqueue: the device has not been told whom to call, since its last reset. */
  disarmed = 8,
  held = 15,
  pending = 16,
  allocated = 32,
  /** A virtqueue's: raised while nobody is to be called, it is not kept. */
  queue = 64,
  producerShift = 8,
}
