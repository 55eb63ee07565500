/**
 * The two ends of a bypass and the eventfd between them: eventfd, producer, consumer, and what belongs to one of these.
 */
/** An eventfd context. */
export const enum Eventfd {
  /** {@link EventfdFlag}, and from bit 8 on the number of its kind. A */
  flags = 2,
  /** Its references of role handle; when the last closes, its irqfd is deassigned. H */
  handles = 3,
  /** The counter. Linux: the lock id of who writes to one that blocks, 0 for nobody. A, 64 bits */
  counter = 4,
  /** {@link READ_KICKED}, {@link READER_SLEEPS}; above them a number that changes with the counter, on which readers sleep. A */
  sequence = 6,
  /** Linux: the descriptor by which a kick reaches who sleeps in poll(2), plus one; 0 while none has slept. A */
  kick = 7,
  /** The irqfd that consumes this eventfd, or 0; with {@link LEAVING} one that is being deassigned. A */
  irqfd = 8,
  /** Linux: the host's own descriptor, plus one. C */
  fd = 9,
  /** Linux: the kernel's eventfd-id. C */
  kernelId = 10,
  /** The thread that created it. C */
  owner = 11,
  /** Producers, irqfds, watches and references other than handles, so that it outlives its handles; below 0: {@link closerOf}. H */
  holds = 12,
  /** Head of its watches; written under the host mutex. A */
  watches = 13,
  /** Its signals that went nowhere, as in the kernel. A */
  dropped = 14,
  /** Why the last of them did, a reason's number. A */
  droppedFor = 15,
  words = 16,
}
/**
 * Bit 0 of {@link Eventfd.irqfd}: writers do not see the irqfd any more, and no other can take its place yet. Who takes that
 * from which to which: `scenarios/states/binding.ts`.
 */
export const LEAVING = 1;
/** Bits of {@link Eventfd.sequence}; who changes them: `scenarios/states/sequence.ts`. A read is to end, one under way or the next. */
export const READ_KICKED = 1;
/** Somebody may sleep on the sequence as it is: whoever changes it takes the bit away, and wakes all. */
export const READER_SLEEPS = 2;
export const enum EventfdFlag {
  semaphore = 1,
  linux = 2,
  /** Linux: made without EFD_NONBLOCK, or seen without it since. */
  blocking = 4,
  /** An irqfd has listened to it, since the last reset of a device that signals it. */
  heard = 8,
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
  /** The eventfd that it keeps alive, and signals where it is not bypassed. A, written under H */
  holds = 7,
  /** Its interrupt remapping table entry, {@link irte}. A */
  irte = 8,
  /** Header.ticks at the last change of its connection. H */
  since = 9,
  /** The gate of the device interrupt that it is of, 0 for one that is of none. C */
  gate = 10,
  words = 16,
}

/** A consumer: an irqfd. */
export const enum Consumer {
  kind = 2, // C
  eventfd = 3, // as Producer.eventfd. H
  producer = 4, // H
  /** The thread that created it. C */
  owner = 5,
  /** The eventfd that it keeps alive. C */
  holds = 6,
  since = 7, // H
  /** Where its interrupts go, as the entry a producer gets on connect; not postable: the reason. A, written under H */
  target = 8,
  /** {@link Policy}. C */
  policy = 9,
  /** 0 idle, 1 an injection is due, else the thread that injects it. A */
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
  /** {@link LEVEL} or {@link OWN_LINE} for a level-triggered one. C */
  flags = 20,
  /** Level-triggered: the eventfd to signal at EOI. C */
  resample = 21,
  /** Linux eventfds: `Leftover` of `eventfd/listen.ts`. A */
  leftover = 22,
  /** The next level-triggered irqfd of the VM; written under the VM's mutex. A */
  nextResampler = 23,
  /** 1 while it is in the lists of its VM. V */
  linked = 24,
  /** The thread that deassigns it. V */
  closing = 25,
  /** {@link Listening}. A */
  listening = 26,
  /** {@link Line}, where it is an {@link OWN_LINE}. A */
  line = 27,
  /** Linux eventfds: what is in the kernel's counter, or was, and has been an interrupt. A, 64 bits */
  known = 28,
  words = 32,
}

/** {@link Consumer.listening}: how far its eventfd is listened to; who changes it: `scenarios/states/listening.ts`. */
export const enum Listening {
  /** What was in the counter at assign is not known to be an interrupt: whatever is there stays there. */
  not = 0,
  /** It is, or is due: what is in the counter and no writer's is read out in the end. */
  yes = 1,
  /** It is being read out, or has been: not a second time, by whoever goes on for a thread that died. */
  over = 2,
}

/** {@link Consumer.flags}: level-triggered, by the VM's I/O APIC. */
export const LEVEL = 1;
/** {@link Consumer.flags}: level-triggered, by an interrupt controller of the emulator's: the VM has none. */
export const OWN_LINE = 2;

/** {@link Consumer.line}: the level of a line; who changes it: `scenarios/states/line.ts`. */
export const enum Line {
  low = 0,
  high = 1,
  /** It was let go of, and whether its device has more to say is still to be asked, by the thread with the lock id above. */
  asking = 2,
  askerShift = 2,
}

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

/** What a thread has of an eventfd or an epoll, counted there too: so that what a dead one had is known. */
export const enum Reference {
  /** The eventfd, or the epoll; 0 for a watcher of the host's connections. C */
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
  /** Waits for a change of a connection, see {@link Header.watchers}. */
  watcher = 3,
}
