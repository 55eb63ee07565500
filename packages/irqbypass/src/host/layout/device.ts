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
  /** Counts what begins and ends a listener to {@link unmask}, which by this knows, in whichever thread, whether it is the one. A */
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
  /** The first record of its {@link Msix}, 0 where it has none. A, written under H */
  table = 24,
  /** {@link Gate}, one for each vector or virtqueue: as many as fit, here and in the other records of the list. A */
  gates = 25,
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
  /** No device: the first record of an {@link Msix}. */
  table = 16,
}

/**
 * MSI-X of a device as its guest sees it, and what each vector is connected to: records of the pool of devices, in a list, of which the
 * first has the flag {@link DeviceFlag.table}. The others have their vectors, and the words of the list. It ends with its device.
 */
export const enum Msix {
  /** Guards all of it. Taken before the mutexes of the device and of the VM, never after them. A */
  mutex = 2,
  /** As {@link Device.life}. A */
  life = 3,
  /** The first record of the list. C */
  head = 5,
  /** The next record of the list. C */
  next = 6,
  /** The device. A */
  device = 7,
  /** By which that is told from the next one in its record. C */
  deviceLife = 8,
  /** {@link DeviceFlag.table} in the first record. C */
  flags = 9,
  /** The VM, and its generation. C */
  vm = 10,
  /** How many vectors the device has. C */
  count = 11,
  vmGeneration = 12, // C
  /** {@link MsixState}. A */
  state = 13,
  /** The vector whose entry is being written, plus one, and its new words: whoever comes after a death writes it: 5 words. A */
  storing = 14,
  /** The number of this record's first vector, over {@link VECTORS}. A */
  part = 23,
  /** {@link MsixVector}, for {@link VECTORS} vectors: 40 words. A */
  vectors = 24,
  words = 64,
}

/** One vector of an {@link Msix}. All 0 is what it is after a reset. */
export const enum MsixVector {
  /** Its entry: the words of the message, and 1 where it is not masked. */
  address = 0,
  addressHigh = 1,
  data = 2,
  unmasked = 3,
  /** Its route: the GSI plus one, the record and the generation of that. Where the VM's table has another one there, it has none. */
  gsi = 4,
  route = 5,
  generation = 6,
  /** The handle by which its eventfd is open; the trigger and the irqfd are found by that. */
  reference = 7,
  words = 8,
}
/** How many vectors one record has room for. */
export const VECTORS = (Msix.words - Msix.vectors) / MsixVector.words;

/** {@link Msix.state}: of the message control register enable and the function mask, at their places; and what it is in the middle of. */
export const enum MsixState {
  functionMask = 0x4000,
  enable = 0x8000,
  /** It has set a trigger of the device since it was enabled. */
  wired = 1,
  /** A reset has begun. */
  resetting = 2,
  /** So has its end. */
  ending = 4,
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
