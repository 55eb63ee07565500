/** One of several threads that make the first VMs of fresh hosts at once: joins every host, then takes part in one try each. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, IrqBypassError, Vm } from "irqbypass";
import { awaitTurn, type FirstVmWork } from "./first-vm-board.js";

const { hosts, board, threads } = workerData as FirstVmWork;
const words = new Int32Array(board);
const joined = hosts.map((handle) => Host.attach(handle));
const refusals: string[] = [];
joined.forEach((host, turn) => {
  awaitTurn(words, (turn + 1) * threads);
  try {
    const vm = new Vm(host);
    vm.setIrqLine(4, true); // by the routing table that every VM starts with
    vm.dispose();
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
    refusals.push(`host ${turn}: ${error.message}`);
  }
});
for (const host of joined) host.dispose();
parentPort?.postMessage(refusals);
