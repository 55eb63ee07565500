/**
 * A process of its own: a guest runs in a worker, whose vCPU is halted inside KVM_RUN, then the process or the worker ends in
 * the way that the argument says. Prints "halted" when it is so far, and "over" where the main thread outlives the worker.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Host } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";

const ending = process.argv[2] ?? "";
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { argv: [ending], workerData: ending });
  const over = () => console.log("over");
  worker.on("error", ({ message }) => console.log(message));
  worker.once("exit", over);
  worker.once("message", () => {
    console.log("halted");
    if (ending === "process.exit") process.exit(3);
    if (ending === "a throw on the main thread") throw new Error("on purpose");
    if (ending === "worker.terminate") void worker.terminate();
  });
} else {
  const vm = new KvmVm(Host.create({ kinds: [linux(), kvm()], capacity: { eventfd: 64 } }), { vcpus: 2 });
  vm.start();
  const look = setInterval(() => {
    if (vm.machine.vcpus.some(({ thread }) => thread?.tid === 0)) return; // one may still be loading native code
    clearInterval(look);
    setTimeout(() => {
      parentPort?.postMessage("halted");
      if (workerData === "process.exit in the worker") process.exit(0);
      if (workerData === "a throw in the worker") throw new Error("on purpose");
      if (workerData === "its own end") void vm.stop();
    }, 50);
  }, 1);
}
