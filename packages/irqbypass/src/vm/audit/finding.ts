/**
 * What an audit says.
 */
import type { PoolName } from "../../host/layout.js";

/** Every kind of finding, with what it means. */
export const FINDING_KINDS = [
  /** A word of the header has a value that it cannot have, or was changed after the host was made. */
  "header",
  /** A pool's free list or counts are wrong, or a record that was given back is not empty. */
  "pool",
  /** One of the three indexes is not a well formed tree, or disagrees with the records about who is in it. */
  "index",
  /** A word names a record that does not live. */
  "dangling",
  /** Two places own the same record. */
  "shared",
  /** A record lives that nothing leads to, and nobody can give back. */
  "unreachable",
  /** A count is not the number of what it counts. */
  "count",
  /** A list or an array of a VM is not well formed. */
  "list",
  /** Two records that name each other do not agree. */
  "partner",
  /** A remapping entry is not what the irqfd's target and the host-wide switch come to, or a target not what its route does. */
  "entry",
  /** A word of a record has a value that it cannot have. */
  "value",
  /** The set of pending irqfds has a bit that nobody would look at. */
  "pending",
  /** An interrupt that nobody is going to deliver. */
  "lost",
  /** Interrupts wait for a relay that does not run, and that nobody has started yet. */
  "waiting",
  /** A mutex is held by a thread that does not let go of it. */
  "mutex",
  /** An in-flight word of a thread says what cannot be. */
  "in-flight",
  /** Something belongs to a thread that has left or ended. */
  "orphan",
  /** An operation was begun, and nobody ends it. */
  "unfinished",
] as const;

/** One of {@link FINDING_KINDS}. */
export type FindingKind = (typeof FINDING_KINDS)[number];

/** One thing that is wrong. */
export interface Finding {
  /** What is wrong, in a word. */
  readonly kind: FindingKind;
  /** The object that it was found at: "producer 3", "VM 0", "the header". Numbers are those of the pool, from 0. */
  readonly subject: string;
  /** A sentence that names the object and says what is wrong with it. */
  readonly message: string;
}

/** What `host.audit()` returns. */
export interface Audit {
  /** What is wrong; empty if nothing is. The first thousand. */
  readonly findings: readonly Finding[];
  /** Findings beyond these. */
  readonly more: number;
  /**
   * Eventfds, irqfds and VMs whose thread has left the host. Nothing is wrong with that: another thread may
   * hold a handle. If none does, they stay until the host goes.
   */
  readonly left: readonly string[];
  /** How many irqfds have an interrupt that waits because their relay does not run (yet): see the reason "relay-not-running". */
  readonly waiting: number;
  /** How many records of each pool live. */
  readonly live: Readonly<Record<PoolName, number>>;
}
