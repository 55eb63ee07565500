// A thread that dies at any access of an operation on the ends of an interrupt, while another goes on. When the host has
// been repaired the whole memory is sound, nothing of the dead thread is left, and the other's interrupts have arrived.
import { Eventfd, Producer, Vm } from "irqbypass";
import { device, dies, GSI, mortal, noHeal, noHealVm, second } from "./support/death.mjs";
import { arrived, expect, openVcpu, VECTOR } from "./support/guest.mjs";

const registers = (made) => {
  const mine = device(made);
  const { irqfd, own } = second(made);
  const source = Producer.create(made.victim);
  return {
    ...mine,
    victim: () => source.register(own),
    keeps: [...mine.keeps, irqfd, own, source],
    check(_results, died) {
      mine.check();
      if (died) expect(irqfd.path === "relayed", "the irqfd is bypassed for a device that is gone");
    },
  };
};

export const register = {
  sentence: "A thread dies while it registers a producer: the irqfd has none, and can have another.",
  ...mortal,
  setup: (world) => dies(world, registers),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, registers, noHeal),
    },
  },
};

const unregisters = (made) => {
  const mine = device(made);
  const { irqfd, own } = second(made);
  const source = Producer.create(made.victim);
  source.register(own);
  return {
    ...mine,
    victim: () => source.dispose(),
    keeps: [...mine.keeps, irqfd, own, source],
  };
};

export const unregister = {
  sentence: "A thread dies while it unregisters a producer: it is unregistered all the same.",
  ...mortal,
  setup: (world) => dies(world, unregisters),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, unregisters, noHeal),
    },
  },
};

const assigns = (made) => {
  const mine = device(made);
  const { host, victim } = made;
  const eventfd = Eventfd.create(host);
  const own = Eventfd.open(victim, eventfd.handle);
  const vm = Vm.open(victim, made.vm.handle);
  return {
    ...mine,
    victim: () => vm.irqfd(own, GSI),
    keeps: [...mine.keeps, own, eventfd],
    check(_results, died) {
      mine.check();
      if (died) made.vm.irqfd(eventfd, GSI).dispose(); // EBUSY if something of it were left
    },
  };
};

export const assign = {
  sentence: "A thread dies while it assigns an irqfd: the eventfd is free for another.",
  ...mortal,
  setup: (world) => dies(world, assigns),
  twins: {
    "no-relink": {
      sentence: "takes a VM's mutex over and leaves its lists as they are",
      setup: (world) => dies(world, assigns, noHealVm),
    },
  },
};

const deassigns = (made) => {
  const mine = device(made);
  const { irqfd, eventfd } = second(made);
  const vm = Vm.open(made.victim, made.vm.handle);
  const own = Eventfd.open(made.victim, eventfd.handle);
  return {
    ...mine,
    victim: () => vm.deassign(own, GSI),
    keeps: [...mine.keeps, irqfd, own, eventfd],
  };
};

export const deassign = {
  sentence: "A thread dies while it deassigns another's irqfd: it is deassigned, or as it was.",
  ...mortal,
  setup: (world) => dies(world, deassigns),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, deassigns, noHeal),
    },
  },
};

const reroutes = (made) => {
  const mine = device(made);
  const vm = Vm.open(made.victim, made.vm.handle);
  return {
    ...mine,
    victim: () => vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 1, vector: VECTOR } }]),
    check() {
      const { host, vm: its } = made;
      expect(arrived(host, its) || arrived(host, its, 1), "the survivor's interrupt is lost");
    },
  };
};

export const reroute = {
  sentence:
    "A thread dies while it replaces the routes: the old ones are in force or the new, and nothing is left.",
  ...mortal,
  setup: (world) => dies(world, reroutes),
  twins: {
    "half-routed": {
      sentence: "takes a VM's mutex over and leaves some irqfds on the old route",
      setup: (world) => dies(world, reroutes, noHealVm),
    },
  },
};

const changesRoute = (made) => {
  const mine = device(made);
  const route = Vm.open(made.victim, made.vm.handle).route(GSI);
  return {
    ...mine,
    victim: () => route.change({ vcpu: 1, vector: VECTOR + 1 }),
    survivor: undefined,
    signals: undefined,
    check() {
      const { address, data } = made.vm.route(GSI).msi;
      const isOld = address === 0xfee00000 && data === VECTOR;
      const isNew = address === 0xfee01000 && data === VECTOR + 1;
      expect(isOld || isNew, `the route says 0x${address.toString(16)} and 0x${data.toString(16)}`);
    },
  };
};

export const single = {
  conserves: "nothing is signalled: here it is what the route says, and routing/single has the signals",
  sentence:
    "A thread dies while it changes a single route: it leads where it did, or where it was to, and never half.",
  ...mortal,
  setup: (world) => dies(world, changesRoute),
  twins: {
    "half-changed": {
      sentence: "takes a VM's mutex over and leaves a route as it finds it",
      setup: (world) => dies(world, changesRoute, noHealVm),
    },
  },
};

const releasesRoute = (made) => {
  const mine = device(made);
  const vm = Vm.open(made.victim, made.vm.handle);
  return {
    ...mine,
    victim() {
      vm.route(GSI).dispose();
      vm.routeMsi({ vcpu: 1, vector: VECTOR });
    },
    survivor: undefined,
    signals: undefined,
    check: () => {},
  };
};

export const released = {
  conserves: "nothing is signalled: what is looked at is that no route is left in no table",
  sentence:
    "A thread dies while it releases a route and makes another: each is in the table, or is given back.",
  ...mortal,
  setup: (world) => dies(world, releasesRoute),
  twins: {
    "leaves-it": {
      sentence: "takes a VM's mutex over and does not look for a route that is in no table",
      setup: (world) => dies(world, releasesRoute, noHealVm),
    },
  },
};

const opens = (made) => {
  const mine = device(made);
  const { handle } = made.eventfd;
  return {
    ...mine,
    victim() {
      const own = Eventfd.open(made.victim, handle);
      const other = Eventfd.create(made.victim, { initial: 3 });
      own.close();
      return other.tryRead();
    },
  };
};

export const handles = {
  sentence: "A thread dies while it opens, creates and closes eventfds: none of its handles is left.",
  ...mortal,
  setup: (world) => dies(world, opens),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, opens, noHeal),
    },
  },
};

const hangsUp = (made) => {
  const { host, vm, victim } = made;
  openVcpu(host, vm);
  const own = Eventfd.create(victim);
  const mine = Eventfd.open(host, own.handle);
  const irqfd = vm.irqfd(mine, GSI);
  mine.close();
  return {
    victim: () => own.close(),
    keeps: [own, irqfd],
    check: () => expect(host.audit().live.consumer === 0, "the irqfd of an eventfd without handles is left"),
  };
};

export const close = {
  conserves: "nothing is signalled",
  sentence:
    "A thread dies while it closes the last handle of an eventfd: its irqfd is deassigned all the same.",
  ...mortal,
  setup: (world) => dies(world, hangsUp),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, hangsUp, noHeal),
    },
  },
};

const makesVm = (made) => {
  const mine = device(made);
  return {
    ...mine,
    victim() {
      const vm = new Vm(made.victim, { vcpus: 2 });
      vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 1, vector: VECTOR } }]);
      vm.vcpu(0).kick();
      vm.dispose();
    },
  };
};

export const machine = {
  sentence: "A thread dies while it makes a VM, gives it routes and disposes it: nothing of it is left.",
  ...mortal,
  setup: (world) => dies(world, makesVm),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, makesVm, noHeal),
    },
  },
};
