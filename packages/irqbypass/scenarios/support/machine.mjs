// A real guest over a machine that is none: the code of `KvmVm`, and a table that is KVM's own.
import { Eventfd } from "irqbypass";
import { irqfdOps } from "#src/bypass/remapping.js";
import { Header, Injection, Vcpu, Vm, VmFlag } from "#src/host/layout.js";
import { KvmRouting } from "#src/kvm/routing.js";
import { post } from "#src/posting/fast-path.js";
import { assign } from "#src/vm/assignment.js";
import { Irqfd } from "#src/vm/irqfd.js";
import { replaceRoutes } from "#src/vm/reroute.js";
import { checkRoutes } from "#src/vm/route.js";
import { makeRoute, openRoute } from "#src/vm/route-ref.js";
import { lifeOf } from "#src/vm/vm-mutex.js";
import { expect, guest, VECTOR } from "./guest.mjs";

export const GSI = 24;
const KIND = 1;
/** The descriptor of a machine that is none. */
const FD = 3;

/** An MSI to one vCPU. */
export const msi = (vcpu, data = VECTOR) => ({ address: 0xfee00000 + (vcpu << 12), data });

/**
 * A real guest of the VMM over a machine that is none, with an eventfd, and what its irqfd is assigned with. What is injected is posted
 * into the vCPUs of `vm`, whose routes and irqfds it has, so that a relay delivers what KVM would; a `real` one has a record of its own,
 * as a repair and an audit know it. An MSI goes to the first vCPU from each of `gsis`.
 */
export function machine(world, names = ["vmm", "device"], { real = false, gsis = [GSI], capacity } = {}) {
  let vcpus = [];
  const kind = {
    name: "guest",
    consumer: irqfdOps,
    capable: () => true,
    inject(memory, injection) {
      const { words } = memory;
      expect(words.get(injection + Injection.data) === VECTOR, "injects by what was given back");
      const vcpu = vcpus[(words.get(injection + Injection.addressLow) >>> 12) & 255];
      post(memory, vcpu + Vcpu.descriptor, VECTOR);
      return true;
    },
  };
  const { hosts, host, vm } = guest(world, names, { kinds: [kind], ...(capacity && { capacity }) });
  vcpus = [0, 1].map((index) => vm.vcpu(index).record);
  const life = real ? realVm(host, FD) : vm.life;
  // KVM's own table, as it was given last.
  const own = { fd: FD, table: [], replace: (table) => Object.assign(own, { table: [...table] }) };
  const routingOf = (one, table = own) => new KvmRouting(one, lifeOf(one, life.record), KIND, table, () => 2);
  const routing = routingOf(host);
  const kvm = {
    routeMsi: (message) => makeRoute(routing, message),
    route: (gsi) => openRoute(routing, gsi),
    setGsiRouting(routes) {
      replaceRoutes(host, life, checkRoutes(routes, 2), (change) => routing.replace(change));
    },
  };
  kvm.setGsiRouting(gsis.map((gsi) => ({ gsi, msi: msi(0) })));
  const eventfd = Eventfd.create(host);
  const wanted = {
    ...{ life, eventfd: eventfd.record, gsi: GSI, policy: "prefer", kind: KIND, resample: 0 },
    resolve: (irqfd) => routing.resolve(irqfd),
  };
  return {
    hosts,
    host,
    vm,
    life,
    kvm,
    own,
    routingOf,
    eventfd,
    assigns: () => new Irqfd(host, life.mutex, assign(host, wanted)),
  };
}

/** The record of a real guest without vCPUs. */
function realVm(host, fd) {
  const { words, mutex, pools, thread } = host;
  const record = mutex.guard(() => pools.vm.allocate());
  words.set(record + Vm.flags, VmFlag.kvm);
  words.set(record + Vm.owner, thread.record);
  words.set(record + Vm.fd, fd + 1);
  words.set(record + Vm.routing, words.get(Header.defaultRouting));
  return lifeOf(host, record);
}

/** An irqfd of a guest as `KvmVm.irqfd` assigns it. */
export function irqfdAt(routing, host, life, eventfd, gsi) {
  return assign(host, {
    ...{ life, eventfd: eventfd.record, gsi, policy: "prefer", kind: KIND, resample: 0 },
    resolve: (irqfd) => routing.resolve(irqfd),
  });
}
