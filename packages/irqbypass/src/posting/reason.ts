/**
 * Why an interrupt is not bypassed, and why a signal of one went nowhere: a closed set of words, the same in the API, in JSON
 * and in metrics. Their position is their number in shared memory, so new ones go at the end. The table in the README is made
 * of what stands here before and after "What to do:", by `scripts/reasons.mjs`.
 */
export const REASONS = [
  /** Nothing has been decided yet. */
  "none",
  /**
   * No device interrupt of this host is the eventfd's producer: none signals it, or one that found another there, which has left. What to
   * do: set the trigger of a device to it, again where it has it, or leave it if only programs write to it.
   */
  "no-producer",
  /** No irqfd listens to the eventfd. What to do: assign one: `vm.irqfd(eventfd, gsi)`. */
  "no-consumer",
  /** The irqfd was assigned with bypass: "off". What to do: assign it with "prefer" or "require". */
  "policy-off",
  /** The host-wide switch is off. What to do: `host.bypass = true`. */
  "switched-off",
  /**
   * The GSI has no route; its signals are dropped, as nothing is where they could go. What to do: give it one with
   * `setGsiRouting`.
   */
  "no-route",
  /** The GSI has several routes. What to do: give it one route, an MSI. */
  "several-routes",
  /**
   * The GSI's route is a pin of an interrupt controller, not an MSI, or the irqfd is a line of the emulator's own. What to do: nothing for a line, which goes through the
   * I/O APIC; else route the GSI to an MSI.
   */
  "not-msi",
  /**
   * The MSI is no plain interrupt, but level-triggered, an NMI, INIT, SMI or the like: only edges that are fixed or lowest-priority
   * can be posted, and SMI and ExtINT are dropped. What to do: route a fixed MSI that is an edge.
   */
  "delivery-mode",
  /** The MSI goes to several vCPUs, at once or in turn. What to do: name one vCPU; what is for several is always relayed. */
  "multicast",
  /**
   * The MSI goes to a vCPU that the VM does not have, or to one whose local APIC is off. What to do: name
   * one that it has; wait until the guest has turned its local APIC on.
   */
  "no-vcpu",
  /**
   * The thread that signals the device interrupt cannot do what this VM's kind needs (system calls). What to do: install
   * koffi, and pass the host's kinds to `Host.attach` in that thread.
   */
  "no-capability",
  /**
   * A callback of one end refused the connection. What to do: ask the kind that refuses: its callback says when it would
   * not.
   */
  "refused",
  /**
   * The thread that owned the other end was ended in the middle of something, or by an error. What to do: start the device
   * again: a producer that registers takes its place.
   */
  "thread-died",
  /**
   * Another device interrupt is the eventfd's producer, and it has one. What to do: give each device interrupt an eventfd of
   * its own.
   */
  "another-producer",
  /** The virtqueue's driver has not set DRIVER_OK. What to do: wait for it: `session.setStatus` with DRIVER_OK connects. */
  "no-driver-ok",
  /**
   * The virtqueue has no interrupt of its own. What to do: let `getVqIrq` return its number, where the device has one for
   * it.
   */
  "no-irq",
  /**
   * Dropped only: an edge at a pin of the I/O APIC that its guest has masked. What to do: nothing: the guest wants it so,
   * and the kernel drops it too.
   */
  "masked",
  /**
   * Dropped only: the GSI leads to a pin of a PIC alone, and its VM was made without. What to do: make the VM with `pic: true`, or route
   * the GSI to the I/O APIC or to an MSI.
   */
  "no-pic",
  /**
   * Nobody relays: the relay's thread has not been started yet, or cannot be. What comes meanwhile waits. What to do: let the
   * thread that created the host call the library, or return to its event loop.
   */
  "relay-not-running",
  /**
   * The thread that owned the other end ended well, and had not given it back. What to do: dispose in a thread what it has
   * made, and start the device again.
   */
  "thread-ended",
] as const;

/** Why an interrupt is not bypassed, or why a signal was dropped: one of {@link REASONS}, but for "none". */
export type Reason = Exclude<(typeof REASONS)[number], "none">;

/**
 * The worst first, where several hold: `reason` says the first of these that holds, `reasons` all of them in this order. That
 * nobody delivers is worse than that a signal is dropped, and that worse than that it takes the longer way; what has failed is worse than what somebody wants, or than
 * an end that may still come; and last is what lies in the route alone.
 */
export const WORST_FIRST: readonly Reason[] = [
  // Signals wait, and for how long nobody knows.
  "relay-not-running",
  // Signals are dropped; of delivery modes, those of three.
  "no-route",
  "no-vcpu",
  "no-pic",
  "masked",
  "delivery-mode",
  // Something is gone, or has failed.
  "thread-died",
  "thread-ended",
  "refused",
  "no-capability",
  "another-producer",
  // Somebody wants it so.
  "switched-off",
  "policy-off",
  // An end is not there, or not yet.
  "no-producer",
  "no-consumer",
  "no-driver-ok",
  "no-irq",
  // The route is one that cannot be bypassed.
  "multicast",
  "several-routes",
  "not-msi",
];

const CODES = Object.fromEntries(REASONS.map((reason, code) => [reason, code])) as Record<
  (typeof REASONS)[number],
  number
>;

/** The number of a reason in shared memory. */
export function reasonCode(reason: (typeof REASONS)[number]): number {
  return CODES[reason];
}

/** The same for code that is compiled, and knows no strings. */
export const enum ReasonCode {
  noConsumer = 2,
  switchedOff = 4,
  noCapability = 11,
}
