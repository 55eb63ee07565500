/** The VMM's thread of the tests beside this: changes the route, unmasks, or has two vectors exchange their eventfds, while the device signals. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, VfioPciDevice, Vm } from "irqbypass";

const {
  host: handle,
  vm,
  eventfd,
  device,
  stop,
  work,
} = workerData as {
  host: HostHandle;
  vm: number;
  eventfd: number;
  device?: { handle: number; eventfds: readonly number[] };
  stop: SharedArrayBuffer;
  work: "route" | "unmask" | "exchange";
};
const host = Host.attach(handle);
const ended = new Int32Array(stop);
if (work === "route") {
  const guest = Vm.open(host, vm);
  for (let rounds = 0; Atomics.load(ended, 0) === 0; rounds++) {
    guest.setGsiRouting([{ gsi: 24, msi: { vcpu: rounds & 1, vector: 0x40 + (rounds & 7) } }]);
  }
} else if (work === "exchange") {
  const nic = VfioPciDevice.open(host, device!.handle);
  const eventfds = device!.eventfds.map((one) => Eventfd.open(host, one));
  const block = {
    index: "msix",
    start: 0,
    count: eventfds.length,
    action: "trigger",
    data: "eventfd",
  } as const;
  while (Atomics.load(ended, 0) === 0) {
    eventfds.push(eventfds.shift()!);
    nic.setIrqs({ ...block, eventfds });
    Atomics.add(ended, 1, 1);
  }
  for (const one of eventfds) one.close();
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
