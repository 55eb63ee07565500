/**
 * What a run needs of the machine that it watches: VMs and devices on their threads, built and connected.
 */
import type { Compare, OneSided, Path } from "../result.js";
import type { Workload } from "../workload.js";
import type { Ledger, Mailbox } from "./ledger.js";

/** One interrupt as it was set up, and the way it takes now. */
export interface Wiring {
  readonly vm: string;
  readonly device: string;
  /** Its number among the device's vectors or queues, from 0. */
  readonly index: number;
  readonly gsi: number;
  readonly vector: number;
  readonly eventfd: number;
  readonly path: Path;
  readonly reason: string | null;
  readonly mailbox: Mailbox;
}

export interface Machine {
  readonly ledger: Ledger;
  /** VMs that are left out, each with the exact reason in a sentence. */
  readonly leftOut: readonly string[];
  /** Rejects when one of the threads fails. Never resolves. */
  readonly failure: Promise<never>;
  /** All interrupts in the order of their numbers in the ledger. Does not block. */
  wiring(): Wiring[];
  /** The eventfds that have only one end now. */
  oneSided(): OneSided[];
  /** Routing updates so far that moved interrupts to another vCPU. */
  reroutes(): number;
  /** Resolves when the devices have ended their bursts and the guests have taken what was pending. */
  settle(): Promise<void>;
  /** Measures one interrupt each way, on the same host, when nothing else runs. */
  compare(signal: AbortSignal): Promise<Compare>;
  /** Ends every thread and gives back what was taken. Safe at any time, and again. */
  close(): Promise<void>;
}

export interface MachineOptions {
  /** Leave KVM guests out. */
  readonly kvm: boolean;
  /** Gives up building. */
  readonly signal: AbortSignal;
}

export type BuildMachine = (workload: Workload, options: MachineOptions) => Promise<Machine>;
