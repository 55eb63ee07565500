/** Stores to the doorbells of a VM, one after the other, until it is told to end, and counts those that were taken; says when it has opened the VM. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle, Vm } from "irqbypass";

export interface StoringWork {
  readonly host: HostHandle;
  readonly vm: number;
  readonly addresses: readonly number[];
  /** Word 0: 1 when it is to end. From 1 on, what was taken at each address. */
  readonly board: Int32Array;
}

const { host: handle, vm: vmHandle, addresses, board } = workerData as StoringWork;
const host = Host.attach(handle);
const vm = Vm.open(host, vmHandle);
parentPort!.postMessage("opened");
for (let i = 0; Atomics.load(board, 0) === 0; i++) {
  const at = i % addresses.length;
  if (vm.write("mmio", addresses[at]!, 4, i & 0xff)) Atomics.add(board, 1 + at, 1);
}
host.dispose();
