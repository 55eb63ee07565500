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
  readonly irqfd: Irqfd;
  /** Level-triggered: the eventfd that tells the device of the guest's EOI. */
  readonly resample?: EventfdContext;
  readonly mailbox: Mailbox;
  /** Number in the ledger of the vCPU that takes it; `null` where the ledger cannot see it. */
  readonly vcpu: number | null;
}

export interface Guest {
  readonly interrupts: readonly GuestInterrupt[];
  /** Routing updates so far that moved its interrupts to another vCPU. */
  readonly reroutes: number;
  /** Resolves when the vCPUs run. */
  readonly ready: Promise<unknown>;
  /** Rejects when a vCPU fails; resolves when all have ended. */
  readonly ended: Promise<unknown>;
  /** Lets the vCPUs handle what has arrived, and ends them. Nothing may arrive meanwhile. Safe to repeat. */
  finish(): Promise<void>;
  /** Ends it at once where it was not finished, and gives everything back. Whether all of it could be. */
  close(): Promise<boolean>;
}
