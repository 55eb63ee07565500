/**
 * What every host has: the header, the roots and nodes of the xarrays, the threads.
 */
export const MAGIC = 0x42515249; // "IRQB" in memory
export const LAYOUT_VERSION = 27;
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
  /** How often at most a thread looks for what it waits for before it sleeps; 0: it sleeps at once. C */
  looks = 4,
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
  /** Linux: the epoll on which the relay waits, and the one inside it for who reads; plus one, 0 while there is none. A */
  epoll = 49,
  readersEpoll = 50,
  /** Changes with every change of a connection while somebody watches. A */
  changes = 52,
  /** References of role watcher. A, written under H */
  watchers = 53,
  /** The routing table that every VM with an I/O APIC starts with. C */
  defaultRouting = 54,
  /** Held by the thread that repairs what a dead one left. A */
  repair = 56,
  /** Some VM's I/O APIC waits for the relay: `Vm.delayed`. A */
  delayed = 59,
  /** A thread that waits for the end of all others, by their locks; 0 where nobody does. A */
  watcher = 57,
  /** Changes when a thread has asked for its lock, or has got it; who waits for the ends of threads sleeps on it. A */
  locks = 58,

  /** Pool states: free list head, first never used record, live records; three words a pool, for up to 16. H */
  pools = 60,
  /** Capacities, one word for each pool in the order of `POOLS`. C */
  capacities = 112,
  /** {@link RelayState} of the relay of each kind. A */
  relays = 128,
  /** Length, then one UTF-16 unit a word: the names of the kinds, one a line. C */
  kinds = 160,
  kindsEnd = 512,

  words = 512,
}

/**
 * {@link Header.relays}; while it runs, with the record of its thread. Who takes it from which to which:
 * `scenarios/states/relay-state.ts`.
 */
export const enum RelayState {
  /** Nobody needs it. */
  none = 0,
  /** Somebody needs it: whoever created the host starts it as soon as it hears of that. */
  wanted = 1,
  /** A thread was started, and does not relay yet. */
  starting = 2,
  running = 3,
  /** Whoever created the host leaves. */
  stopping = 4,
  mask = 7,
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
  /** Linux: a descriptor that no other record may name, plus one: see `src/linux/descriptor.ts`. C */
  descriptor = 9,
  /** {@link Twin}. A */
  twin = 10,
  /** How many threads load native code, this one or those that it answers for: see `src/host/loading.ts`. A */
  loading = 11,
  /** How many times it is ending other threads, so that none may begin to load. A */
  ending = 12,
  /** {@link LifeLock}, with its life. A */
  lock = 13,
  /** {@link Header.ticks} when it attached. A */
  since = 14,
  /** As {@link descriptor}, another one. C */
  descriptor2 = 15,
  /** The producer this thread is signalling, or the device where that holds it back, plus WAITED if someone waits for it to finish. A, own line */
  signalling = 16,
  /** The same for the eventfd, irqfd, epoll or VM this thread is writing to, draining, relaying, looking or sending through. A */
  writing = 17,
  /** The word that it waits for, 0 while it does not, and {@link Header.ticks} when it began. Read by tools alone. A */
  waits = 18,
  waitsSince = 19,
  /** What it is called: two UTF-16 units a word, padded with 0. Read by tools alone. A, 12 words */
  name = 20,
  nameEnd = 32,
  /** The change of a KVM guest's route that it waits for: the VM, and {@link Asked}; 0 for none. A, own line */
  asked = 32,
  /** The route: its record, that record's generation, and its GSI. C */
  askedRoute = 33,
  askedGeneration = 34,
  askedGsi = 35,
  /** 1 where it is to end, and has no message. C */
  askedEnd = 36,
  /** The message, as {@link Route} has it. C, 3 words */
  askedMessage = 37,
  words = 48,
}

/**
 * The low bits of {@link Thread.asked}; references are multiples of 8. Who takes it from which to which: `scenarios/states/asked.ts`.
 */
export const enum Asked {
  /** It waits for whoever has the VM's mutex next. */
  waiting = 0,
  /** Whoever has the mutex is at it, or died there: then it is made by whoever repairs, and KVM is behind. */
  taken = 1,
  /** It was refused among others: its own thread makes it, by itself, and hears why. */
  alone = 2,
  mask = 7,
}

/**
 * The low bits of {@link Thread.lock}, the others are those of {@link Thread.life}: a word of an earlier thread is told from it. Who
 * takes it from which to which: `scenarios/states/life-lock.ts`.
 */
export const enum LifeLock {
  /** There are no locks, or the thread has not asked for one. */
  none = 0,
  /** It has asked for its lock, and nobody knows that it has it. */
  asked = 1,
  /** It has it: as long as the thread lives, nobody else gets it. */
  held = 2,
  bits = 2,
}

/**
 * {@link Thread.state}; from bit 3 on the platform's own number of the thread. Who takes it from which to which:
 * `scenarios/states/thread-state.ts`.
 */
export const enum ThreadState {
  free = 0,
  attached = 1,
  /** It is known to be gone, and is being repaired. */
  lost = 2,
  /** It has come to its own end, without an error. */
  ended = 4,
  workerShift = 3,
}

/** What a thread that has attached more than once tells its records of each other. */
export const enum Twin {
  none = 0,
  /** There is, or was, another one. */
  met = 1,
  /** A callback runs through the other one. */
  inCallback = 2,
}

/**
 * Bit 0 of an in-flight word: a fence waits for it to clear. References are multiples of 8. Its states, and who takes it
 * from which to which: `scenarios/states/in-flight.ts`.
 */
export const WAITED = 1;

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
