/** A thread that replaces a VM's routes until it is told to end; then it says how often it did. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle, Vm } from "irqbypass";

const { host: handle, vm: opened } = workerData as { host: HostHandle; vm: number };
const host = Host.attach(handle, { kinds: [{ name: "k" }] });
const vm = Vm.open(host, opened);
let rounds = 0;
let enough = false;
parentPort!.once("message", () => {
  enough = true;
});
parentPort!.postMessage("up");
while (!enough) {
  for (let i = 0; i < 50; i++) vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 64 + (rounds++ & 31) } }]);
  await new Promise((resolve) => setImmediate(resolve));
}
parentPort!.postMessage(rounds);
host.dispose();
