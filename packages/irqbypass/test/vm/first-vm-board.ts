import type { HostHandle } from "irqbypass";

/** What a thread that makes first VMs is told. */
export interface FirstVmWork {
  readonly hosts: readonly HostHandle[];
  /** One word: how many have arrived, over all turns. */
  readonly board: SharedArrayBuffer;
  readonly threads: number;
}

const LOOKS = 100_000;

/** Comes back when `arrived` threads have called, so that all go on in the same moment: who slept would be late. */
export function awaitTurn(board: Int32Array<SharedArrayBuffer>, arrived: number): void {
  Atomics.add(board, 0, 1);
  for (let look = 1; Atomics.load(board, 0) < arrived; look++) {
    if (look % LOOKS === 0) Atomics.wait(board, 0, Atomics.load(board, 0), 1); // more threads than cores
  }
}
