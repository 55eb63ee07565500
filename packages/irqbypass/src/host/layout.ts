/**
 * The shared memory as one table: every record, every word, who may touch it and how.
 *
 * A record is a run of 32-bit words; a *reference* to it is the index of its first word from the start of the
 * host, so that following one costs nothing. Word 0 of every record is its generation and word 1 links it into
 * its pool's free list. `A` marks atomic words, which any thread touches at any time; all others are guarded:
 * `H` by the host mutex, `V` by the mutex of their VM, `O` by the thread that owns the record (a thread record's
 * own thread; for a vCPU the thread that runs it), `C` constant while the record lives.
 *
 * The offsets are const enums: they cost nothing at run time, and the names are there for a trace to print.
 */

export const MAGIC = 0x42515249; // "IRQB" in memory
export const LAYOUT_VERSION = 1;
/** Words of one cache line; records that different threads write start on lines of their own. */
export const LINE = 16;

/** Word 0 and 1 of every record. */
export const enum Rec {
  /** Odd while the record lives. H */
  generation = 0,
  /** Next free record of the pool. H */
  link = 1,
}

/** The header, at word 0. */
export const enum Header {
  magic = 0, // C
  version = 1, // C
  /** Size of the whole host in words. C */
  size = 2,
  /** A random number, so that the handle of another host is told from one of this host. C */
  id = 3,
  /** Capacities, one word for each pool in the order of {@link POOLS}. C */
  capacities = 4,
  /** Length, then one UTF-16 unit a word: the names of the kinds, one a line. C */
  kinds = 128,
  kindsEnd = 512,

  /** Coarse time in milliseconds, advanced by the creator's timer. A */
  ticks = 16,
  /** The host-wide switch: 1 while interrupts may be bypassed (enable_device_posted_irqs). A */
  bypass = 17,
  /** Threads attached so far; fences look at no slot above it. A */
  threads = 18,
  /** Who looks for what it waits for before it sleeps: lock ids, 0 where there is room for one more. A, 12 words */
  looking = 20,
  lookingEnd = 32,

  /** The host mutex: pools, both indexes, every connect and disconnect. A */
  mutex = 32,
  /** Roots of the three xarrays. H */
  producers = 34,
  consumers = 36,
  linuxEventfds = 38,
  /** The two ends whose connection is being changed, 0 at other times: what a thread that dies in a callback leaves. H */
  changing = 40,
  changingTo = 41,

  /** Rung by whoever makes an irqfd pending; the relay sleeps on it. Bit 0: it sleeps. A */
  doorbell = 48,
  /** Linux: epoll descriptor and control eventfd of the relay, plus one; 0 while there is none. A */
  epoll = 49,
  epollControl = 50,
  /** Changes with every change of a connection while somebody watches. A */
  changes = 52,
  /** References of role watcher. A, written under H */
  watchers = 53,
  /** The routing table that every VM with an I/O APIC starts with, 0 until the first one needs it. A */
  defaultRouting = 54,
  /** Held by the thread that repairs what a dead one left. A */
  repair = 56,

  /** Pool states: free list head, first never used record, live records; three words a pool. H */
  pools = 60,
  /** State of the relay of each kind: 0 none, 1 wanted, 2 running, 3 to stop. A */
  relays = 96,

  words = 512,
}

/** An xarray's root. H */
export const enum Root {
  /** The top node, 0 while empty. */
  node = 0,
  /** Levels below and including the top node. */
  levels = 1,
  words = 2,
}

/** A thread of the host. */
export const enum Thread {
  /** {@link ThreadState}: 0 free. A */
  state = 2,
  pid = 3, // C
  /** Set last, cleared first. A */
  tid = 4,
  /** Start time, low and high half. C */
  startLow = 5,
  startHigh = 6,
  /** Bit n: this thread can do what kind n needs (system calls). C */
  capable = 7,
  /** How many threads have had this record; in the lock id it tells them apart. A */
  life = 8,
  /** Linux: a descriptor that no other record names yet, plus one. C */
  descriptor = 9,
  /** The producer this thread is signalling, plus WAITED if someone waits for it to finish. A, own line */
  signalling = 16,
  /** The same for the eventfd or irqfd this thread is writing to, draining or relaying. A */
  writing = 17,
  words = 32,
}

/** {@link Thread.state}; from bit 2 on the platform's own number of the thread. */
export const enum ThreadState {
  free = 0,
  attached = 1,
  /** It is known to be gone, and is being repaired. */
  lost = 2,
  workerShift = 2,
}

/** Bit 0 of an in-flight word: a fence waits for it to clear. References are multiples of 8. */
export const WAITED = 1;

/** An eventfd context. */
export const enum Eventfd {
  /** {@link EventfdFlag}, and from bit 8 on the number of its kind. C */
  flags = 2,
  /** Its references of role handle; when the last closes, its irqfd is deassigned. H */
  handles = 3,
  /** The 64-bit counter. A, 64 bits */
  counter = 4,
  /** Changes with every change of the counter; readers and writers sleep on it. A */
  sequence = 6,
  /** Its references of role reader. A, written under H */
  sleepers = 7,
  /** The irqfd that consumes this eventfd, or 0; with {@link LEAVING} one that is being deassigned. A */
  irqfd = 8,
  /** Linux: the host's own descriptor, plus one. H */
  fd = 9,
  /** Linux: the kernel's eventfd-id. C */
  kernelId = 10,
  /** The thread that created it. C */
  owner = 11,
  /** Producers, irqfds and references other than handles, so that the context outlives its handles. H */
  holds = 12,
  /** Linux: the thread that closes the descriptor, after which the record is given back. H */
  closing = 13,
  words = 16,
}
/** Bit 0 of {@link Eventfd.irqfd}: writers do not see the irqfd any more, and no other can take its place yet. */
export const LEAVING = 1;
export const enum EventfdFlag {
  semaphore = 1,
  linux = 2,
  /** Linux: made without EFD_NONBLOCK. */
  blocking = 4,
  kindShift = 8,
}

/** A producer: a device interrupt. */
export const enum Producer {
  /** Index of its operation table. C */
  kind = 2,
  /** Its eventfd; not 0 *is* "registered". Set last, cleared last. H */
  eventfd = 3,
  /** The connected consumer, 0 when none. H */
  consumer = 4,
  /** The device's own number for the interrupt. H */
  irq = 5,
  /** The thread that created it and may signal it. H */
  owner = 6,
  /** The eventfd that it keeps alive. H */
  holds = 7,
  /** Its interrupt remapping table entry, {@link irte}. A */
  irte = 8,
  /** Header.ticks at the last change of its connection. H */
  since = 9,
  words = 16,
}

/** A consumer: an irqfd. */
export const enum Consumer {
  kind = 2, // C
  eventfd = 3, // as Producer.eventfd. H
  producer = 4, // H
  /** The thread that created it. C */
  owner = 5,
  /** The eventfd that it keeps alive. H */
  holds = 6,
  since = 7, // H
  /** Where its interrupts go, as the entry a producer gets on connect; not postable: the reason. A, written under H */
  target = 8,
  /** {@link Policy}. C */
  policy = 9,
  /** 0 idle, 1 an injection is due, 2 the relay is injecting. A */
  pending = 10,
  /** The eventfd it listens to while assigned, connected or not; 0 from the start of its deassign on. A */
  source = 11,
  /** Why the last attempt to connect it failed, a reason's number; 0 while none did. H */
  refusal = 12,
  // The second line belongs to the irqfd.
  vm = 16, // C
  gsi = 17, // C
  previous = 18, // V
  next = 19, // V
  /** {@link LEVEL} for a level-triggered one. C */
  flags = 20,
  /** Level-triggered: the eventfd to signal at EOI. C */
  resample = 21,
  /** Linux eventfds: a count left at assign has been seen and is not to be read out. A */
  leftover = 22,
  /** The next level-triggered irqfd of the VM; written under the VM's mutex. A */
  nextResampler = 23,
  /** 1 while it is in the lists of its VM. V */
  linked = 24,
  /** The thread that deassigns it. V */
  closing = 25,
  words = 32,
}

/** {@link Consumer.flags}: level-triggered. */
export const LEVEL = 1;

/** A virtual machine. */
export const enum Vm {
  /** The VM's mutex: routing, irqfds, lines. A */
  mutex = 2,
  /** {@link VmFlag}. C */
  flags = 3,
  vcpus = 4, // C
  /** The GSI routing table, 0 while nothing is routed. V */
  routing = 5,
  /** Head of the list of irqfds. V */
  irqfds = 6,
  irqfdCount = 7, // V
  /** The thread that created it. C */
  owner = 8,
  /** KVM: its descriptor, plus one. C */
  fd = 9,
  /** Head of the list of level-triggered irqfds; written under the VM's mutex. A */
  resamplers = 10,
  /** I/O APIC: lines that are asserted, one bit a pin. V */
  lines = 11,
  /** The thread that disposes it, 0 while it lives: it takes no irqfd any more. V */
  dying = 12,
  /** The GSI that is being pulsed, plus one. V */
  pulse = 13,
  /** I/O APIC: 24 redirection entries of two words. V */
  ioapic = 32,
  /** I/O APIC: who asserts each pin, one bit a source. V, 24 words */
  sources = 80,
  /** References of the vCPUs, by APIC id. C */
  vcpu = 256,
  words = 512,
}
export const enum VmFlag {
  /** The vCPUs are bare descriptors, without a local APIC. */
  bare = 1,
  /** A real KVM guest. */
  kvm = 2,
}
/** APIC ids are 0 to 254: 255 is the broadcast. */
export const MAX_VCPUS = 255;

/** A virtual CPU: its posted-interrupt descriptor, and its local APIC. */
export const enum Vcpu {
  vm = 2, // C
  /** Its index, which is its APIC id. C */
  index = 3,
  /** The thread that runs it, 0 while nobody does. A */
  runner = 4,
  /** Bit 0: kicked; bit 1: an NMI is due; the rest counts wake-ups. The parked vCPU sleeps on it. A */
  wake = 5,
  /** Task priority. O */
  tpr = 6,
  /** The VT-d posted-interrupt descriptor, 64 bytes on a line of its own. A */
  descriptor = 16,
  irr = 32, // O, 8 words
  isr = 40, // O, 8 words
  /** Level-triggered vectors, whose EOI goes to the I/O APIC. A, 8 words */
  tmr = 48,
  words = 64,
}

/** Words of the posted-interrupt descriptor: the VT-d layout. */
export const enum Descriptor {
  /** 256 bits, one for each vector. A */
  pir = 0,
  /** ON, SN and NV. A */
  control = 8,
  /** Notification destination: the thread that runs the vCPU. A, written only while SN is set */
  ndst = 9,
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
export const IOAPIC_PINS = 24;
/** Routes of the table that VMs with an I/O APIC start with: each of its pins, and those of two PICs. */
export const DEFAULT_ROUTES = 40;

/** A GSI routing table: for each GSI the first of its routes, and for each pin of the I/O APIC the GSI that leads to it. */
export const enum Routing {
  count = 2, // V
  /** The thread that builds or frees it; {@link IN_USE} while it is a VM's or the host's. A */
  owner = 3,
  gsi = 16, // V, 4096 words
  /** The last GSI of the table that leads to the pin, plus one. */
  pins = 4112, // V, 24 words
  words = 4144,
}
export const MAX_GSI = 4096;
export const IN_USE = 1;

/** What an injected interrupt is: a KVM VM and an MSI. Immutable while a producer names it. */
export const enum Injection {
  /** KVM's descriptor. C */
  fd = 2,
  addressLow = 3, // C
  addressHigh = 4, // C
  data = 5, // C
  /** The kind that knows how to inject it. C */
  kind = 6,
  /** The thread that made it, which is that of the VM. C */
  owner = 7,
  words = 8,
}

/** What a thread has of an eventfd, counted there too: so that what a dead one had is known. */
export const enum Reference {
  /** The eventfd; 0 for a watcher of the host's connections. C */
  eventfd = 2,
  /** The thread that has it. C */
  owner = 3,
  /** {@link Role}. H */
  role = 4,
  words = 8,
}
export const enum Role {
  /** A library handle, by which it is open. */
  handle = 1,
  /** Keeps it alive for something that is under way. */
  hold = 2,
  /** The same for a sleeping reader or writer. */
  reader = 3,
  /** Waits for a change of a connection, see {@link Header.watchers}. */
  watcher = 4,
}

/** A node of an xarray. H */
export const enum Node {
  /** While the node lives, its parent (0 for the top). */
  parent = 1,
  /** Its slot in the parent. */
  offset = 2,
  /** Slots in use. */
  count = 3,
  slots = 4,
  words = 68,
}

/** The pools, in memory order. Each has its capacity in the header and hands out records of one size. */
export const POOLS = [
  { name: "thread", words: Thread.words },
  { name: "eventfd", words: Eventfd.words },
  { name: "producer", words: Producer.words },
  { name: "consumer", words: Consumer.words },
  { name: "vm", words: Vm.words },
  { name: "vcpu", words: Vcpu.words },
  { name: "route", words: Route.words },
  { name: "routing", words: Routing.words },
  { name: "injection", words: Injection.words },
  { name: "reference", words: Reference.words },
  { name: "node", words: Node.words },
] as const;

/** The state of the pool of nodes in {@link Header.pools}: the eleventh. */
export const NODES = Header.pools + 10 * 3;

export type PoolName = (typeof POOLS)[number]["name"];
