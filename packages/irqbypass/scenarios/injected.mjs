// What a real guest's interrupts go through in shared memory: the code of `KvmVm` and of a producer, over a machine that
// is none. One KVM_SIGNAL_MSI is a post into the vCPU that the MSI names, by whoever makes it.
import { Eventfd, Producer } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { irqfdOps } from "#src/bypass/remapping.js";
import { Injection, Vcpu, Vm } from "#src/host/layout.js";
import { KvmRouting } from "#src/kvm/routing.js";
import { encodeTable } from "#src/kvm/table.js";
import { post } from "#src/posting/fast-path.js";
import { assign } from "#src/vm/assignment.js";
import { Irqfd } from "#src/vm/irqfd.js";
import { replaceRoutes } from "#src/vm/reroute.js";
import { checkRoutes } from "#src/vm/route.js";
import { makeRoute, openRoute } from "#src/vm/route-ref.js";
import { lifeOf } from "#src/vm/vm-mutex.js";
import {
  arrived,
  expect,
  guest,
  lawless,
  noMutex,
  pirWord,
  producer,
  relayNow,
  VECTOR,
} from "./support/guest.mjs";

const GSI = 24;
const KIND = 1;

/** An MSI to one vCPU. */
const msi = (vcpu) => ({ address: 0xfee00000 + (vcpu << 12), data: VECTOR });

/** A real guest of the VMM over a machine that is none, with an eventfd, and what its irqfd is assigned with. */
function machine(world) {
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
  const { hosts, host, vm } = guest(world, ["vmm", "device"], { kinds: [kind] });
  vcpus = [0, 1].map((index) => vm.vcpu(index).record);
  // KVM's own table, as it was given last.
  const own = { fd: 3, table: [], replace: (table) => Object.assign(own, { table: [...table] }) };
  const routingOf = (one) => new KvmRouting(one, lifeOf(one, vm.life.record), KIND, own, () => 2);
  const routing = routingOf(host);
  const kvm = {
    routeMsi: (message) => makeRoute(routing, message),
    route: (gsi) => openRoute(routing, gsi),
    setGsiRouting(routes) {
      replaceRoutes(host, vm.life, checkRoutes(routes, 2), (change) => routing.replace(change));
    },
  };
  kvm.setGsiRouting([{ gsi: GSI, msi: msi(0) }]);
  const eventfd = Eventfd.create(host);
  const wanted = {
    ...{ life: vm.life, eventfd: eventfd.record, gsi: GSI, policy: "prefer", kind: KIND, resample: 0 },
    resolve: (irqfd) => routing.resolve(irqfd),
  };
  return {
    hosts,
    host,
    vm,
    kvm,
    own,
    routingOf,
    eventfd,
    assigns: () => new Irqfd(host, vm.life.mutex, assign(host, wanted)),
  };
}

/** The VMM does something while a device signals whose interrupt is injected. */
function injects(world, act, end, break_ = () => {}) {
  const { hosts, host, vm, kvm, eventfd, assigns } = machine(world);
  const irqfd = assigns();
  const source = producer(hosts.device, eventfd);
  expect(source.path === "injected", `the device's interrupt is ${source.path}`);
  const old = pirWord(vm, 0);
  break_(hosts);
  return {
    threads: {
      vmm() {
        act({ kvm, irqfd });
        return host.words.load(old);
      },
      device: () => source.signal(),
    },
    keeps: [kvm, irqfd, source],
    end: conserves({ host, vm, eventfd }, (results) => {
      expect(host.words.load(old) === results.vmm, "injected by the old route after the call had returned");
      relayNow(host);
      end(host, vm);
    }),
  };
}

/** The VMM assigns the irqfd while the device registers its producer. */
function meet(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd, assigns } = machine(world);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const source = Producer.create(hosts.device);
  break_(hosts);
  return {
    threads: { vmm: () => void assigns(), device: () => source.register(own) },
    keeps: [own, source],
    end() {
      source.eventfd = own;
      expect(source.path === "injected", `the device's interrupt is ${source.path}: ${source.reason}`);
      source.signal();
      expect(arrived(host, vm, 0), "the interrupt is lost");
    },
  };
}

/** Threads: vmm, device. */
export const connect = {
  conserves: "nothing is signalled meanwhile",
  sentence: "A real guest's irqfd and its producer find each other, whichever comes first.",
  mutexes: "assumed",
  setup: (world) => meet(world),
  twins: {
    unlocked: {
      sentence: "registers the producer without the lock under which the irqfd looks for it",
      setup: (world) =>
        meet(lawless(world), ({ device }) => {
          device.mutex = noMutex;
        }),
    },
  },
};

const noFence = ({ vmm }) => {
  vmm.thread.fence = () => {};
  vmm.thread.quiesce = () => {};
};

const disposes = ({ irqfd }) => irqfd.dispose();
const nothingLeft = (host) => expect(host.pools.injection.live === 0, "its injection was not given back");

/** Threads: vmm, device. */
export const deassign = {
  sentence: "Once a real guest's irqfd is deassigned nothing is injected by what it gave back.",
  mutexes: "assumed",
  setup: (world) => injects(world, disposes, nothingLeft),
  twins: {
    "no-fence": {
      sentence: "gives the injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, disposes, nothingLeft, noFence),
    },
  },
};

const reroutes = ({ kvm }) => kvm.setGsiRouting([{ gsi: GSI, msi: msi(1) }]);

function once(host, vm) {
  expect(arrived(host, vm, 0) !== arrived(host, vm, 1), "the interrupt is lost, or came twice");
  expect(host.pools.injection.live === 1, "the old injection was not given back");
}

/** Threads: vmm, device. */
export const reroute = {
  sentence:
    "A real guest's interrupt that is re-routed goes by the old route, by the eventfd or by the new one, once.",
  mutexes: "assumed",
  setup: (world) => injects(world, reroutes, once),
  twins: {
    "no-fence": {
      sentence: "gives the old injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, reroutes, once, noFence),
    },
  },
};

const changesOne = ({ kvm }) => kvm.route(GSI).change(msi(1));

/** Threads: vmm, device. */
export const single = {
  sentence:
    "A real guest's interrupt whose single route is changed goes by the old message or by the new one, once.",
  mutexes: "assumed",
  setup: (world) => injects(world, changesOne, once),
  twins: {
    "no-fence": {
      sentence: "gives the old injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, changesOne, once, noFence),
    },
  },
};

/** Two threads change routes of a real guest, one of them where an irqfd listens and one where none does yet. */
function together(world, break_ = () => {}) {
  const { hosts, host, vm, kvm, own, routingOf, assigns } = machine(world);
  const there = routingOf(hosts.device);
  const route = openRoute(there, GSI);
  const irqfd = assigns();
  const listens = Eventfd.create(host);
  break_(there);
  return {
    threads: {
      vmm() {
        const { gsi } = kvm.routeMsi(msi(1));
        irqfdAt(routingOf(host), host, vm, listens, gsi);
      },
      device: () => route.change(msi(1)),
    },
    keeps: [kvm, irqfd, route],
    end() {
      const { words } = host;
      const table = [...encodeTable(words, words.get(vm.life.record + Vm.routing))];
      expect(table.join() === own.table.join(), "an irqfd listens, and KVM has an older table");
    },
  };
}

/** An irqfd of a guest as `KvmVm.irqfd` assigns it. */
function irqfdAt(routing, host, vm, eventfd, gsi) {
  return assign(host, {
    ...{ life: vm.life, eventfd: eventfd.record, gsi, policy: "prefer", kind: KIND, resample: 0 },
    resolve: (irqfd) => routing.resolve(irqfd),
  });
}

/** Threads: vmm, device. */
export const tables = {
  conserves: "nothing is signalled",
  sentence: "Whoever changes routes of a real guest, KVM has the newest table where an irqfd listens.",
  mutexes: "assumed",
  setup: (world) => together(world),
  twins: {
    "memory-alone": {
      sentence: "changes the table in memory, and gives KVM none",
      setup: (world) =>
        together(world, (there) => {
          there.follow = () => {};
        }),
    },
  },
};
