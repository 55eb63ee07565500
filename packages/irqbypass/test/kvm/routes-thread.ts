/** One of several threads that change the routes of a guest: says which GSIs lead where in the end. */
import { parentPort, workerData } from "node:worker_threads";
import { type Handle, Host, type HostHandle } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";

const ROUTES = 8;
const TURNS = 10;

const {
  host: handle,
  vm: guest,
  first,
} = workerData as { host: HostHandle; vm: Handle<"kvm-vm">; first: number };
const host = Host.attach(handle, { kinds: [linux(), kvm()] });
const vm = KvmVm.open(host, guest);
const routes = Array.from({ length: ROUTES }, () => vm.routeMsi({ vcpu: 0, vector: first }));
// Some have an irqfd, so that KVM is told of each change, and some have none yet.
const eventfds = routes.slice(0, ROUTES / 2).map(({ gsi }) => {
  const eventfd = LinuxEventfd.create(host);
  vm.irqfd(eventfd, gsi);
  return eventfd;
});
for (let turn = 0; turn < TURNS; turn++)
  routes.forEach((route, index) => {
    route.change({ vcpu: 0, vector: first + ((turn + index) % ROUTES) });
  });
eventfds.forEach((eventfd, index) => {
  vm.deassign(eventfd, routes[index]!.gsi);
  eventfd.close();
});
parentPort?.postMessage(routes.map(({ gsi, msi }) => [gsi, msi.data]));
host.dispose();
