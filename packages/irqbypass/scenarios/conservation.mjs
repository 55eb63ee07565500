// A signal at any moment of an end or a change: it is an interrupt, or in the counter, or pending, or dropped with a reason. The
// twins lose it in each place where a count is taken out of an eventfd, or an injection out of what is pending.
import { override } from "atomics-explorer";
import { Eventfd, VfioPciDevice, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Descriptor, Eventfd as E, Gate, LEAVING, Thread, Vcpu as V } from "#src/host/layout.js";
import { dies, mortal } from "./support/death.mjs";
import {
  BIT,
  expect,
  forgets,
  guest,
  openVcpu,
  overlooksDue,
  overlooksOther,
  relay,
  VECTOR,
  waitsForNobody,
} from "./support/guest.mjs";

const GSI = 24;

/** The device writes once to an eventfd whose irqfd nothing bypasses, while the VMM does something to it; a relay serves it. */
function beside(world, act, { semaphore = false, most, play = () => {}, end } = {}) {
  const made = guest(world, ["vmm", "device", "relay"]);
  const { hosts, vm } = made;
  openVcpu(hosts.vmm, vm);
  const eventfd = Eventfd.create(hosts.vmm, { semaphore });
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  const own = Eventfd.open(hosts.device, eventfd.handle);
  play(hosts, eventfd);
  return {
    threads: {
      vmm: () => void act({ vm, eventfd, irqfd }),
      device: () => own.write(),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [irqfd, own, vm, eventfd],
    end: conserves({ host: hosts.vmm, vm, eventfd, ...(most === undefined ? {} : { most }) }, () =>
      end?.(made),
    ),
  };
}

const disposes = ({ irqfd }) => irqfd.dispose();

/** Listens as the shipped code does, and ends that in another way. */
function stopsBy(host, stop) {
  const start = ({ words, thread }, _irqfd, eventfd) => {
    thread.fenceAll(Thread.writing, eventfd);
    return words.load64(eventfd + E.counter) !== 0n;
  };
  host.kinds = [{ ...host.kinds[0], listen: { start, stop } }];
}

/** Takes the irqfd off, waits for writers that saw it, and throws away what is in the counter then. */
const takesOffFirst = ({ vmm }) =>
  stopsBy(vmm, ({ words, thread }, irqfd, eventfd) => {
    words.compareExchange(eventfd + E.irqfd, irqfd, irqfd | LEAVING);
    thread.fenceAll(Thread.writing, eventfd);
    words.store64(eventfd + E.counter, 0n);
  });

const writerForgets = ({ device }) => {
  device.pending.raise = () => {};
};

/** Threads: vmm, device, relay. */
export const deassign = {
  sentence: "A write at any moment of a deassign is an interrupt, or is in the counter when both are over.",
  mutexes: "assumed",
  setup: (world) => beside(world, disposes),
  twins: {
    "takes-off-first": {
      sentence: "takes the irqfd off first, and reads the counter out after it",
      setup: (world) => beside(world, disposes, { play: takesOffFirst }),
    },
    "writer-forgets": {
      sentence: "takes its own count out, and does not make the irqfd pending",
      setup: (world) => beside(world, disposes, { play: writerForgets }),
    },
    "deassign-forgets": {
      sentence: "throws away, in the deassign, an injection that nobody has begun",
      setup: (world) => beside(world, disposes, { play: ({ vmm }) => forgets(vmm) }),
    },
    "relay-forgets": {
      sentence: "takes an injection out of what is pending, as the relay, and does not make it",
      setup: (world) => beside(world, disposes, { play: (hosts) => forgets(hosts.relay) }),
    },
  },
};

/** Threads: vmm, device, relay. */
export const semaphore = {
  sentence: "The same with a semaphore, of which the deassign takes one unit, and not that of the write.",
  mutexes: "assumed",
  setup: (world) => beside(world, disposes, { semaphore: true }),
  twins: {
    "takes-off-first": {
      sentence: "takes the irqfd off first, and a unit out after it",
      setup: (world) => beside(world, disposes, { semaphore: true, play: takesOffFirst }),
    },
  },
};

const masks = ({ vm, eventfd, irqfd }) => {
  irqfd.dispose();
  vm.irqfd(eventfd, GSI, { bypass: "off" });
};

/** The count of before is an interrupt of the second irqfd, and stays in the counter until the next signal. */
const arrives = ({ hosts, vm }) => {
  const { record } = vm.vcpu(0);
  const [pir, irr] = [record + V.descriptor + Descriptor.pir, record + V.irr].map(
    (at) => at + (VECTOR >>> 5),
  );
  expect(
    ((hosts.vmm.words.load(pir) | hosts.vmm.words.load(irr)) & BIT) !== 0,
    "the guest waits for it for ever",
  );
};

/** Threads: vmm, device, relay. */
export const mask = {
  sentence:
    "A VMM that masks by a deassign and unmasks by an assign gets every interrupt, at whatever moment it comes.",
  mutexes: "assumed",
  setup: (world) => beside(world, masks, { most: 2, end: arrives }),
  twins: {
    "takes-off-first": {
      sentence: "takes the irqfd off first, and reads the counter out after it",
      setup: (world) => beside(world, masks, { most: 2, end: arrives, play: takesOffFirst }),
    },
    "not-looked-at": {
      sentence: "assigns without a look at what is in the counter",
      setup: (world) =>
        beside(world, masks, {
          most: 2,
          end: arrives,
          play({ vmm }, { record }) {
            vmm.words = override(vmm.words, {
              load64: (word) => (word === record + E.counter ? 0n : vmm.words.load64(word)),
            });
          },
        }),
    },
  },
};

const unroutes = ({ vm }) => vm.setGsiRouting([]);

/** Threads: vmm, device, relay. */
export const nowhere = {
  sentence: "A write while its route goes away is an interrupt, or is counted as dropped.",
  mutexes: "assumed",
  setup: (world) => beside(world, unroutes),
  twins: {
    unseen: {
      sentence: "drops it, and counts nothing",
      setup: (world) =>
        beside(world, unroutes, {
          play(hosts, { record }) {
            const { words } = hosts.relay;
            hosts.relay.words = override(words, {
              add: (word, value) => (word === record + E.dropped ? 0 : words.add(word, value)),
            });
          },
        }),
    },
  },
};

/** The VMM writes, and takes the route away after that: what was written before goes by it. */
function writesFirst(world, play = () => {}) {
  const made = guest(world, ["vmm", "relay"]);
  const { hosts, vm } = made;
  openVcpu(hosts.vmm, vm);
  const eventfd = Eventfd.create(hosts.vmm);
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  play(hosts, irqfd);
  return {
    threads: {
      vmm() {
        eventfd.write();
        vm.setGsiRouting([]);
      },
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [irqfd, vm, eventfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }, () => arrives(made)),
  };
}

/** Threads: vmm, relay. */
export const written = {
  sentence: "What was written before a route goes away is an interrupt of that route, whoever delivers it.",
  setup: (world) => writesFirst(world),
  twins: {
    "leaves-due": {
      sentence: "leaves what is due to the relay, which finds no route any more",
      setup: (world) => writesFirst(world, ({ vmm }, irqfd) => overlooksDue(vmm, irqfd)),
    },
    "waits-for-nobody": {
      sentence: "takes the route away from a relay that has begun",
      setup: (world) =>
        writesFirst(world, ({ vmm }, irqfd) => {
          overlooksOther(vmm, irqfd);
          waitsForNobody(vmm, irqfd);
        }),
    },
  },
};

/** The two handles of an eventfd are closed by two threads, of which one writes before; whoever is the last hangs up. */
function hangsUp(world, play = () => {}) {
  const { hosts, vm } = guest(world, ["vmm", "device", "relay"]);
  openVcpu(hosts.vmm, vm);
  const eventfd = Eventfd.create(hosts.vmm);
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  const own = Eventfd.open(hosts.device, eventfd.handle);
  play(hosts);
  return {
    threads: {
      vmm: () => eventfd.close(),
      device() {
        own.write();
        own.close();
      },
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [irqfd, own, vm, eventfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }),
  };
}

/** Threads: vmm, device, relay. */
export const hangup = {
  sentence: "What was written before the last handle was closed is an interrupt, whoever closes it.",
  mutexes: "assumed",
  setup: (world) => hangsUp(world),
  twins: {
    "hang-up-forgets": {
      sentence: "throws away, in the hang-up, an injection that nobody has begun",
      setup: (world) => hangsUp(world, ({ device }) => forgets(device)),
    },
  },
};

/** The VM goes with its irqfd; what its vCPU has requested when its record is given back is the guest's. */
function goes(world, play = () => {}) {
  const { hosts, vm } = guest(world, ["vmm", "device", "relay"]);
  const eventfd = Eventfd.create(hosts.vmm);
  vm.irqfd(eventfd, GSI, { bypass: "off" });
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const { record } = vm.vcpu(0);
  const { words, pools } = hosts.vmm;
  const release = pools.vcpu.release.bind(pools.vcpu);
  play(hosts);
  return {
    threads: {
      vmm() {
        let requested = 0;
        pools.vcpu.release = (vcpu) => {
          const pir = words.load(record + V.descriptor + Descriptor.pir + (VECTOR >>> 5));
          if (vcpu === record && pir & BIT) requested = 1;
          release(vcpu);
        };
        vm.dispose();
        return requested;
      },
      device: () => own.write(),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [own, vm, eventfd],
    end: conserves(({ vmm: taken }) => ({ host: hosts.vmm, eventfd, taken })),
  };
}

/** Threads: vmm, device, relay. */
export const machine = {
  sentence: "A write while the VM is disposed of was an interrupt of its guest, or is in the counter.",
  mutexes: "assumed",
  setup: (world) => goes(world),
  twins: {
    "takes-off-first": {
      sentence: "takes the irqfd off first, and reads the counter out after it",
      setup: (world) => goes(world, takesOffFirst),
    },
  },
};

/** The device holds an interrupt back that it raises, and lets it go, while the VMM deassigns: the bypass goes meanwhile. */
function unmasks(world, play = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device"]);
  openVcpu(hosts.vmm, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  return {
    threads: {
      vmm: () => void irqfd.dispose(),
      device() {
        const nic = new VfioPciDevice(hosts.device, { msix: 1 });
        const vector = nic.vector("msix", 0);
        nic.setIrqs({
          index: "msix",
          start: 0,
          count: 1,
          action: "trigger",
          data: "eventfd",
          eventfds: [null],
        });
        vector.signal();
        play(vector);
        nic.setTrigger("msix", 0, own);
      },
    },
    keeps: [irqfd, own, vm, eventfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }),
  };
}

/** Threads: vmm, device. */
export const vector = {
  sentence:
    "What a vector raises before it has a trigger is an interrupt when it has one, or is counted if the irqfd is gone by then.",
  mutexes: "assumed",
  setup: (world) => unmasks(world),
  twins: {
    "clears-first": {
      sentence: "clears the pending bit when something changes, and does not fire",
      setup: (world) =>
        unmasks(world, ({ life, gate }) => {
          life.guard(() => life.host.words.and(gate, ~Gate.pending));
        }),
    },
  },
};

/** The survivor writes to an eventfd whose irqfd the victim assigns, or deassigns, and may die in it. */
const ends = (act) => (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const others = Vm.open(victim, vm.handle);
  const own = Eventfd.open(victim, eventfd.handle);
  const told = act({ vm, others, eventfd, own });
  return {
    victim: told.victim,
    survivor: () => eventfd.write(),
    keeps: [others, own, eventfd, vm, ...told.keeps],
    signals: () => ({ host, vm, eventfd, most: 2 }), // repair may make one up
  };
};
const dyingDeassign = ends(({ vm, others, eventfd, own }) => {
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  return { victim: () => others.deassign(own, GSI), keeps: [irqfd] };
});
const dyingAssign = ends(({ others, own }) => ({
  victim: () => others.irqfd(own, GSI, { bypass: "off" }),
  keeps: [],
}));

/** Threads: victim, survivor. */
export const deathInDeassign = {
  sentence: "A write beside a deassign whose thread dies is an interrupt, or in the counter.",
  ...mortal,
  setup: (world) => dies(world, dyingDeassign),
  twins: {
    "repair-forgets": {
      sentence: "throws away, in the repair, an injection that the dead thread has not made",
      setup: (world) => dies(world, dyingDeassign, ({ host }) => forgets(host)),
    },
  },
};

/** Threads: victim, survivor. */
export const deathInAssign = {
  sentence: "A write beside an assign whose thread dies is an interrupt, or in the counter.",
  ...mortal,
  setup: (world) => dies(world, dyingAssign),
  twins: {
    "reads-out": {
      sentence: "reads the counter out in the repair, though nobody has looked yet at what was in it",
      setup: (world) =>
        dies(world, dyingAssign, ({ host }) =>
          stopsBy(host, ({ words }, _irqfd, eventfd) => words.store64(eventfd + E.counter, 0n)),
        ),
    },
  },
};
