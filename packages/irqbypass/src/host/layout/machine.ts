/**
 * Whom interrupts are for: VMs, their vCPUs, and the routes that lead there.
 */
/** A virtual machine. */
export const enum Vm {
  /** The VM's mutex: routing, irqfds, lines. It outlives the VM: see `KEPT`. A */
  mutex = 2,
  /** Changes with every change of its ioeventfds, and when it goes; outlives it as well: by this a thread knows that what it has looked up stands. A */
  bus = 3,
  /** {@link VmFlag}. C */
  flags = 4,
  vcpus = 5, // C
  /** The GSI routing table, 0 while nothing is routed; of a KVM guest too, whose own one follows it. V */
  routing = 6,
  irqfdCount = 8, // V
  /** The thread that created it. C */
  owner = 9,
  /** KVM: its descriptor, plus one. C */
  fd = 10,
  /** Head of the list of level-triggered irqfds; written under the VM's mutex. A */
  resamplers = 11,
  /** I/O APIC: pins that are requested, one bit each (IRR). V */
  lines = 12,
  /** The thread that disposes it, 0 while it lives; written under its mutex, too. It takes no irqfd and runs no vCPU then. C */
  dying = 13,
  /** The GSI that is being pulsed, plus one. V */
  pulse = 14,
  /** Head of the list of ioeventfds. V */
  ioeventfds = 15,
  /** Goes up before and after each change of what {@link apicMap} comes from, under the VM's mutex: odd while one is under way. A */
  apics = 16,
  /** {@link ApicMap}. Written under the VM's mutex. A */
  apicMap = 17,
  /** I/O APIC: requests of edges that were delivered, one bit a pin. V */
  delivered = 24,
  /** I/O APIC: its id register. V */
  ioapicId = 25,
  /** I/O APIC: 1 while the relay is to deliver what {@link eois} has put off; written under the VM's mutex. A */
  delayed = 26,
  /** The pair of 8259s asks for an acknowledge; written under the VM's mutex. A */
  picOutput = 27,
  /** What the pair has not seen yet: its pins that rose, one bit each, and {@link PicDue}. A */
  picDue = 28,
  /** The vCPU that the pair was last acknowledged by, and which serves what is in service there. A */
  picServer = 29,
  /** I/O APIC: the register that its window shows. V */
  ioapicSelect = 30,
  /** I/O APIC: how many EOIs the clock's interrupt waits for. V */
  clockEois = 31,
  /** I/O APIC: 24 redirection entries of two words. V */
  ioapic = 32,
  /** I/O APIC: who asserts each pin, one bit a source. V, 24 words */
  sources = 80,
  /** What is being written, as one: how many words, then each with its new value. At most {@link IN_ONE}. V, 9 words */
  redo = 104,
  /** A route that is being taken or given back, and is in no table: whoever repairs after a death gives it back. V */
  looseRoute = 113,
  /** KVM: what has not followed the routing table yet, {@link KvmDue}. V */
  kvmDue = 114,
  /** Heads of the lists of irqfds, by the low bits of their GSI: see {@link IRQFD_LISTS}. V, 32 words */
  irqfds = 128,
  /** I/O APIC: how many EOIs, one after the other, have each left the pin requested. V, 24 words */
  eois = 160,
  /** The pair of 8259s: {@link Pic}, the first one's and the second one's. V, 32 words */
  pics = 192,
  /** Who asserts which of their pins: a word for each source, one bit a pin, those of the second one behind. V, 2 words */
  picLines = 224,
  picLinesEnd = 226,
  /** References of the vCPUs, by APIC id. C */
  vcpu = 256,
  words = 512,
}
/** {@link Vm.kvmDue}. */
export const enum KvmDue {
  nothing = 0,
  /** KVM's own table. */
  table = 1,
  /** That, and what the irqfds come to: a thread is at it, or died there. */
  irqfds = 2,
}
/** Words that can be written as one: see {@link Vm.redo}. */
export const IN_ONE = 4;
/** The lists of a VM's irqfds, a power of two: a change of one route looks at those of its GSI alone, or nearly. */
export const IRQFD_LISTS = 32;
export const enum VmFlag {
  /** The vCPUs are bare descriptors, without a local APIC. */
  bare = 1,
  /** A real KVM guest. */
  kvm = 2,
  /** A message's destination has 8 bits (without KVM_X2APIC_API_USE_32BIT_IDS). */
  shortIds = 4,
  /** To an APIC in x2APIC mode 0xff is no broadcast (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK). */
  noBroadcastQuirk = 8,
  /** Lowest priority goes round (kvm.vector_hashing=N). */
  noVectorHashing = 16,
  /** It has a pair of 8259s, which a KVM guest has always: it hears them. */
  pic = 32,
}
/** {@link Vm.picDue}, above the pins. */
export const enum PicDue {
  pins = 0xffff,
  /** A line fell, or somebody died in the middle: each pin is looked at. */
  lines = 1 << 16,
  /** Who served what is in service is gone: it is requested again. */
  service = 1 << 17,
}
/** What the registers of a VM's local APICs come to: how messages find them. */
export const enum ApicMap {
  /** Two have one id: each is asked. */
  none = 0,
  /** None is enabled by its software and has a logical id. */
  softwareDisabled = 1,
  flat = 2,
  cluster = 3,
  x2apic = 4,
  /** Their logical ids are of several sorts, or not of one bit each: for those each is asked. */
  mixed = 5,
}
/** An ioeventfd of a VM: a doorbell. What it takes is constant from before it is in the list of its VM. */
export const enum Ioeventfd {
  /** The eventfd that it signals and keeps alive. C */
  eventfd = 2,
  /** The thread that created it. C */
  owner = 3,
  vm = 4, // C
  /** The length of the writes that it takes, 0 for any, and {@link IoFlag}. C */
  takes = 5,
  /** Where it is, low and high half. C */
  addressLow = 6,
  addressHigh = 7,
  /** The one value that it takes, low and high half; 0 where it takes any. C */
  matchLow = 8,
  matchHigh = 9,
  previous = 10, // V
  next = 11, // V
  /** 1 while it is in the list of its VM. V */
  linked = 12,
  /** The thread that deassigns it. V */
  closing = 13,
  words = 16,
}
/** {@link Ioeventfd.takes}. */
export const enum IoFlag {
  lengthMask = 15,
  /** On the bus of ports, else of memory. */
  pio = 16,
  /** One value alone. */
  match = 32,
}

export const MAX_VCPUS = 255;
/** An x2APIC id is less than this, as in KVM (KVM_MAX_VCPU_IDS). */
export const MAX_APIC_ID = 4096;

/** A virtual CPU: its posted-interrupt descriptor, and its local APIC. */
export const enum Vcpu {
  /** Goes up when its VM is disposed, and outlives it: a reference to an earlier vCPU in this record is told by it. A */
  life = 2,
  vm = 3, // C
  /** Its index. C */
  index = 4,
  /** The thread that runs it, 0 while nobody does. A */
  runner = 5,
  /** NMIs that have come and are not among the {@link pendingNmis} yet. Set before EVENT in the control word, looked at after that was cleared. A */
  nmis = 6,
  /** Task priority. O */
  tpr = 7,
  /** Its x2APIC id, for good. C */
  id = 8,
  /** INIT and start-up that have come: {@link Latch}. Set before EVENT, as NMIs. A */
  latch = 9,
  /** {@link VcpuState}. O */
  state = 10,
  /** NMIs that are due: two at most. O */
  pendingNmis = 11,
  /** What has been applied of the latch, and no wait has told yet: {@link Latch}. O */
  untold = 12,
  /** How many of lowest priority it was to take: without vector hashing the one with the fewest is next. A */
  arbitration = 13,
  /** The VT-d posted-interrupt descriptor, an interrupt file: {@link Descriptor}. A */
  descriptor = 16,
  irr = 32, // O, 8 words
  isr = 40, // O, 8 words
  /** Level-triggered vectors, whose EOI goes to the I/O APIC. A, 8 words */
  tmr = 48,
  /** The registers by which messages find it; written by whoever runs it, under the VM's mutex. In one line with what senders read. A */
  base = 56,
  apicId = 57,
  ldr = 58,
  dfr = 59,
  svr = 60,
  /** Its LINT0, by which it takes what a PIC has. A */
  lvt0 = 61,
  /** The upper half of the base. O */
  baseHigh = 62,
  /** The other registers, as its guest writes them. A */
  icr = 64,
  /** The destination in x2APIC mode, where ICR is one register of 64 bits. A */
  icrHigh = 65,
  esr = 66,
  lvtTimer = 67,
  lvtThermal = 68,
  lvtCounter = 69,
  lvt1 = 70,
  lvtError = 71,
  initialCount = 72,
  divide = 73,
  /** The upper half of ICR in xAPIC mode: a register of its own. A */
  icr2 = 74,
  /** The vector of a clock's interrupt that it has not ended, plus one; written under the VM's mutex. A */
  clock = 75,
  words = 80,
}

/** {@link Vcpu.state}: of KVM's mp_state those that have a meaning here. */
export const enum VcpuState {
  runnable = 0,
  uninitialized = 1,
  initReceived = 2,
}

/** {@link Vcpu.latch}: what has come, and the vector of the last start-up. Its states: `scenarios/states/latch.ts`. */
export const enum Latch {
  init = 1,
  startUp = 2,
  vectorShift = 8,
}

/** One GSI route. */
export const enum Route {
  /** Next route of the same GSI. V */
  next = 2,
  /** {@link RouteType}. V */
  type = 3,
  /** MSI: address low. I/O APIC or PIC: chip. V */
  a = 4,
  /** MSI: address high. Irqchip: pin. V */
  b = 5,
  /** MSI: data. V */
  c = 6,
  /** The table that it is in. C */
  table = 7,
  words = 8,
}
export const enum RouteType {
  irqchip = 1,
  msi = 2,
}
/** Chips of an irqchip route, and how many pins they have. */
export const enum Chip {
  picMaster = 0,
  picSlave = 1,
  ioapic = 2,
}
export const PIC_PINS = 8;
/** The pin of the first 8259 that the second one is on. */
export const CASCADE = 2;
export const IOAPIC_PINS = 24;
/** The registers of an 8259, in the order in which KVM_GET_IRQCHIP has them (struct kvm_pic_state). Pins are bits, flags 0 or 1. */
export const enum Pic {
  /** Lines as they last were. */
  lastIrr = 0,
  irr = 1,
  imr = 2,
  isr = 3,
  /** The pin of the highest priority. */
  highest = 4,
  /** Its first vector. */
  base = 5,
  readsIsr = 6,
  poll = 7,
  specialMask = 8,
  /** What its data port takes next. */
  expects = 9,
  autoEoi = 10,
  rotatesOnAutoEoi = 11,
  fullyNested = 12,
  needsIcw4 = 13,
  /** Which pins are level-triggered, and which may be. */
  elcr = 14,
  elcrMask = 15,
  words = 16,
}

/** Routes of the table that VMs with an I/O APIC start with: each of its pins, and those of two PICs. */
export const DEFAULT_ROUTES = 40;
/** Pins of all chips. */
export const CHIP_PINS = 40;

/** A GSI routing table: for each GSI the first of its routes, and for each pin of the I/O APIC the GSI that leads to it. */
export const enum Routing {
  count = 2, // V
  /** The thread that builds or frees it; {@link IN_USE} while it is a VM's or the host's. A */
  owner = 3,
  /** No GSI below this is without a route. V */
  free = 4,
  gsi = 16, // V, 4096 words
  /** The last GSI of the table that leads to the pin, plus one: those of the I/O APIC, then those of the 8259s. */
  pins = 4112, // V, 40 words
  words = 4160,
}
export const MAX_GSI = 4096;
/**
 * {@link Routing.owner}, in no thread's hands. Who takes it from which to which: `scenarios/states/routing-owner.ts`. Also the owner of
 * what the thread that made it has left to others.
 */
export const IN_USE = 1;
