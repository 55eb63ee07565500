import type { HostHandle, WasmMemory } from "irqbypass";
import type { Line } from "./board.js";
import type { PlantName } from "./plants.js";

/** What the VMM's thread says of a KVM guest: its descriptor, and its memory, in which its handlers count. */
export interface RealGuest {
  readonly fd: number;
  readonly memory: WasmMemory;
}

/** What each of the threads is told. */
export interface Work {
  readonly host: HostHandle;
  readonly words: Int32Array;
  readonly lines: readonly Line[];
  readonly seed: number;
  readonly plant: PlantName | undefined;
  /** Of the software VM; undefined for a KVM guest, which the VMM's thread makes. */
  readonly vm: number | undefined;
  /** A vCPU's thread: which one. */
  readonly vcpu?: number;
  /** After so long an INTx line waits for an acknowledgement that does not come. */
  readonly patienceMs: number;
  /** The device's thread: dies now and then with a count that it has taken out of an eventfd. */
  readonly dies?: boolean;
}
