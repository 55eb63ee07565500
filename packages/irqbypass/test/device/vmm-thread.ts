/** The VMM's thread of the tests beside this: changes the route, or unmasks, while the device signals. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, Vm } from "irqbypass";

const {
  host: handle,
  vm,
  eventfd,
  stop,
  work,
} = workerData as {
  host: HostHandle;
  vm: number;
  eventfd: number;
  stop: SharedArrayBuffer;
  work: "route" | "unmask";
};
const host = Host.attach(handle);
const ended = new Int32Array(stop);
if (work === "route") {
  const guest = Vm.open(host, vm);
  for (let rounds = 0; Atomics.load(ended, 0) === 0; rounds++) {
    guest.setGsiRouting([{ gsi: 24, msi: { vcpu: rounds & 1, vector: 0x40 + (rounds & 7) } }]);
  }
} else {
  // What a resample eventfd does at EOI: unmask once for each time that the line has fired.
  using unmask = Eventfd.open(host, eventfd);
  let seen = 0;
  while (Atomics.load(ended, 0) === 0) {
    Atomics.wait(ended, 1, seen, 1000);
    const fired = Atomics.load(ended, 1);
    if (fired !== seen) unmask.write();
    seen = fired;
  }
}
host.dispose();
