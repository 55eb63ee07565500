/**
 * One VM of a run, whatever its kind, as its device threads and the observer see it.
 */
import type { EventfdContext, Irqfd } from "../../index.js";
import type { Mailbox } from "./ledger.js";
import type { PlannedInterrupt } from "./plan.js";

/** An interrupt of the guest: what a device signals, and where the guest notes it. */
export interface GuestInterrupt {
  readonly planned: PlannedInterrupt;
  readonly eventfd: EventfdContext;
  /** Level-triggered: what the guest's EOI signals. */
  readonly resample?: EventfdContext;
  readonly irqfd: Irqfd;
  readonly mailbox: Mailbox;
  /** Number in the ledger of the vCPU that takes it; `null` where the ledger cannot see it. */
  readonly vcpu: number | null;
  /** The vCPUs that it may move to, as numbers in the ledger. */
  readonly mayMoveTo?: readonly number[];
}

export interface Guest {
  readonly interrupts: readonly GuestInterrupt[];
  /** How often interrupts have been re-routed. */
  readonly reroutes: number;
  /** The vector that an interrupt has now. */
  vectorOf(planned: PlannedInterrupt): number;
  /** Resolves when the vCPUs run. */
  readonly ready: Promise<unknown>;
  /** Rejects when a vCPU fails; resolves when all have ended. */
  readonly ended: Promise<unknown>;
  /** Lets the vCPUs handle what has arrived, and ends them. Nothing may arrive meanwhile. Safe to repeat. */
  finish(): Promise<void>;
  /** Ends it at once where it was not finished, and gives everything back. Whether all of it could be. */
  close(): Promise<boolean>;
}
