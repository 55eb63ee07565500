// A VM's routes and the host's switch change while ends are connected, deassigned, and interrupts are injected.
import { override } from "atomics-explorer";
import { Eventfd, Producer, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Eventfd as E, Producer as P, Route as R } from "#src/host/layout.js";
import { Mode, modeOf } from "#src/posting/irte.js";
import { irqfdList } from "#src/vm/irqfd-list.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import {
  arrived,
  connected,
  expect,
  guest,
  lawless,
  noMutex,
  openVcpu,
  outcome,
  pirWord,
  relay,
  relayNow,
  VECTOR,
} from "./support/guest.mjs";

/** GSI 24 goes to the second vCPU from now on. */
const REROUTED = [{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }];

/** Lets a thread into what the host mutex guards without taking it. */
const walksIn = (host) => {
  host.mutex = noMutex;
};

/** An irqfd waits for its producer, which a device registers while the VMM does something else. */
function arrives(world, act, holds, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device"]);
  openVcpu(hosts.vmm, vm);
  vm.irqfd(eventfd, 24);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const source = Producer.create(hosts.device);
  break_(hosts);
  return {
    threads: {
      vmm: () => act(hosts.vmm, vm),
      device: () => source.register(own),
    },
    keeps: [own, source, vm],
    end() {
      source.eventfd = own;
      holds(source, hosts.vmm, vm);
    },
  };
}

const changesRoute = (_host, vm) => vm.setGsiRouting(REROUTED);

function goesByNewRoute(source, host, vm) {
  source.signal();
  expect(!arrived(host, vm, 0), "a producer that was connected meanwhile posts by the old route");
  expect(arrived(host, vm, 1), "a producer that was connected meanwhile does not post");
}

/** Threads: vmm, device. */
export const connect = {
  conserves: "nothing is signalled meanwhile",
  sentence: "A producer that is connected during a routing update posts by the new route after it.",
  mutexes: "assumed",
  setup: (world) => arrives(world, changesRoute, goesByNewRoute),
  twins: {
    unlocked: {
      sentence: "updates routes without the lock under which producers are connected",
      bug: { id: "f1fb088d9cec", year: 2025 },
      setup: (world) => arrives(lawless(world), changesRoute, goesByNewRoute, (hosts) => walksIn(hosts.vmm)),
    },
  },
};

const switchesOff = (host) => {
  host.bypass = false;
};

function isRelayed(source) {
  const { reason } = source;
  expect(reason === "switched-off", `bypass is off, and the entry says ${reason ?? "posted"}`);
}

/** Threads: vmm, device. The host-wide switch has the part that the CPU of a vCPU has in AVIC: entries are made by it. */
export const switched = {
  conserves: "nothing is signalled",
  sentence: "A producer that is connected while bypass is switched off is not bypassed after it.",
  mutexes: "assumed",
  setup: (world) => arrives(world, switchesOff, isRelayed),
  twins: {
    unlocked: {
      sentence:
        "reads the switch and writes the entry without the lock under which the switch changes entries",
      bug: { id: "c3d591c91f9c", year: 2025 },
      setup: (world) => arrives(lawless(world), switchesOff, isRelayed, (hosts) => walksIn(hosts.vmm)),
    },
  },
};

/** The route of a connected interrupt is taken away, and another one comes, while it is signalled. */
function comesBack(world, break_ = () => {}) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device"]);
  const { words } = hosts.vmm;
  const old = pirWord(vm, 0);
  break_(hosts, source);
  return {
    threads: {
      vmm() {
        vm.setGsiRouting([]);
        const there = words.load(old);
        vm.setGsiRouting(REROUTED);
        return there;
      },
      device: () => source.signal(),
    },
    keeps: [source, vm],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm: there }) => {
      expect(words.load(old) === there, "posted by the old route after that was gone");
      relayNow(hosts.vmm);
      expect(arrived(hosts.vmm, vm, 0) !== arrived(hosts.vmm, vm, 1), "delivered not once");
    }),
  };
}

/** Threads: vmm, device. */
export const away = {
  sentence:
    "An interrupt whose route goes away and comes back goes by the first, by the relay or by the second, once.",
  mutexes: "assumed",
  setup: (world) => comesBack(world),
  twins: {
    "posts-on": {
      sentence: "leaves an entry posted whose route is gone",
      setup: (world) =>
        comesBack(world, (hosts, { record }) => {
          const { words } = hosts.vmm;
          hosts.vmm.words = override(words, {
            exchange: (word, value) =>
              word === record + P.irte && modeOf(value) === Mode.relayed
                ? value
                : words.exchange(word, value),
          });
        }),
    },
  },
};

/** A connected interrupt whose GSI has no route gets one that is not postable either, to both vCPUs, while it is signalled. */
function explains(world, break_ = () => {}) {
  const { hosts, vm, eventfd, source, irqfd } = connected(world, ["vmm", "device"]);
  vm.setGsiRouting([]);
  expect(irqfd.reason === "no-route", "there is a route");
  break_(hosts, source);
  return {
    threads: {
      vmm: () => vm.setGsiRouting([{ gsi: 24, msi: { address: 0xfeeff000, data: VECTOR } }]),
      device: () => source.signal(),
    },
    keeps: [source, vm],
    end: conserves({ host: hosts.vmm, vm, eventfd }, () => {
      expect(irqfd.reason === "multicast", `the irqfd says ${irqfd.reason}`);
      expect(source.reason === "multicast", `the entry says ${source.reason}`);
      relayNow(hosts.vmm);
      expect(arrived(hosts.vmm, vm, 0) && arrived(hosts.vmm, vm, 1), "the interrupt is lost");
    }),
  };
}

/** Threads: vmm, device. */
export const reason = {
  sentence: "An interrupt that cannot be posted says why by the newest route, and takes that.",
  mutexes: "assumed",
  setup: (world) => explains(world),
  twins: {
    "keeps-the-old": {
      sentence: "leaves an entry as it is that was not bypassed and is not now",
      setup: (world) =>
        explains(world, (hosts, { record }) => {
          const { words } = hosts.vmm;
          hosts.vmm.words = override(words, {
            exchange: (word, value) =>
              word === record + P.irte && modeOf(value) === modeOf(words.load(word))
                ? value
                : words.exchange(word, value),
          });
        }),
    },
  },
};

/** One thread deassigns a posted interrupt, another one replaces the routes. The device is in the thread that re-routes. */
function deassigns(world, { signals, break_ = () => {} }) {
  const { hosts, vm, eventfd, irqfd, source } = connected(world, ["vmm", "device"]);
  const others = Vm.open(hosts.device, vm.handle);
  const { words } = hosts.vmm;
  const [old, now] = [pirWord(vm, 0), pirWord(vm, 1)];
  break_(hosts, { vm, irqfd, source });
  return {
    threads: {
      vmm: () => irqfd.dispose(),
      device() {
        others.setGsiRouting(REROUTED);
        if (signals) source.signal();
      },
    },
    keeps: [source, irqfd, others],
    end: conserves({ host: hosts.vmm, vm, eventfd, sent: signals ? 1 : 0 }, () => {
      expect(words.load(old) === 0, "posted by the old route after the new one was in force");
      const before = words.load(now);
      source.signal();
      expect(words.load(old) === 0, "the producer still posts by the old route");
      expect(words.load(now) === before, "the producer still posts, though its irqfd is gone");
    }),
  };
}

/** Threads: vmm, device. */
export const deassign = {
  sentence: "At any moment of a deassign, once a routing update has returned nothing comes by the old route.",
  mutexes: "assumed",
  setup: (world) => deassigns(world, { signals: true }),
  twins: {
    "unlinks-first": {
      sentence: "takes the irqfd out of the VM's list first, where a routing update no longer finds it",
      bug: { id: "b4d37cdb77a0", year: 2026 },
      setup: (world) => deassigns(world, { signals: true, break_: unlinksFirst }),
    },
  },
};

function unlinksFirst({ vmm }, { vm, irqfd }) {
  const dispose = irqfd.dispose.bind(irqfd);
  const mutex = vmMutex(vmm, vm.life.record);
  irqfd.dispose = () => {
    mutex.guard(() => vmm.words.set(irqfdList(vm.life.record, 24), 0));
    dispose();
  };
}

/** Threads: vmm, device. */
export const disconnect = {
  sentence:
    "An interrupt that is deassigned while it is re-routed is un-posted, whatever it was connected with.",
  mutexes: "assumed",
  setup: (world) => deassigns(world, { signals: false }),
  twins: {
    "by-what-it-was": {
      sentence: "un-posts what it posted when it was connected, and not what is posted by now",
      bug: { id: "05b9405f2fa1", year: 2025 },
      setup: (world) => deassigns(world, { signals: false, break_: undoesTheOldEntry }),
    },
  },
};

function undoesTheOldEntry(hosts, { source }) {
  const connectedWith = hosts.vmm.words.load(source.record + P.irte);
  for (const { kinds } of Object.values(hosts)) {
    const { consumer } = kinds[0];
    kinds[0] = {
      ...kinds[0],
      consumer: {
        ...consumer,
        delProducer(memory, producer, irqfd) {
          if (memory.words.load(producer + P.irte) === connectedWith)
            consumer.delProducer(memory, producer, irqfd);
        },
      },
    };
  }
}

/** A device makes an injection of an irqfd due while the routes are replaced. */
function injects(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "relay", "device"]);
  openVcpu(hosts.vmm, vm);
  vm.irqfd(eventfd, 24, { bypass: "off" });
  const { words } = hosts.vmm;
  const relays = relay(hosts.relay);
  const irqfd = words.load(eventfd.record + E.irqfd);
  const old = pirWord(vm, 0);
  break_(hosts);
  return {
    threads: {
      vmm() {
        vm.setGsiRouting(REROUTED);
        return words.load(old);
      },
      relay: relays,
      device: () => hosts.device.pending.raise(irqfd),
    },
    daemons: ["relay"],
    keeps: [vm],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      expect(words.load(old) === vmm, "injected by the old route after the new one was in force");
      expect(arrived(hosts.vmm, vm, 0) !== arrived(hosts.vmm, vm, 1), "injected not once");
    }),
  };
}

/** Threads: vmm, relay, device. The sixth of the interleavings that Linux comments on: a route change during an injection. */
export const injection = {
  sentence:
    "The relay injects by the old route or by the new one, and by the old one never after the update.",
  mutexes: "assumed",
  setup: (world) => injects(world),
  twins: {
    "no-grace": {
      sentence: "replaces the routes without waiting for the relay",
      setup: (world) =>
        injects(world, ({ vmm }) => {
          vmm.thread.quiesce = () => {};
        }),
    },
  },
};

/** A single route of a connected interrupt goes elsewhere while it is signalled. */
function changesOne(world, break_ = () => {}) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device"]);
  const { words } = hosts.vmm;
  const route = vm.route(24);
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        route.change({ vcpu: 1, vector: VECTOR });
        return words.load(pirWord(vm, 0));
      },
    },
    keeps: [source, vm],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) =>
      expect(words.load(pirWord(vm, 0)) === vmm, "posted by the old message after the new one was in force"),
    ),
  };
}

/** Threads: vmm, device. */
export const single = {
  sentence:
    "A signal while a single route is changed goes by the old message or by the new one, and by the old one never after it.",
  mutexes: "assumed",
  setup: (world) => changesOne(world),
  twins: {
    "no-fence": {
      sentence: "changes a route without waiting for a signal that is under way",
      setup: (world) =>
        changesOne(world, ({ vmm }) => {
          vmm.thread.quiesce = () => {};
        }),
    },
    "another-gsi": {
      sentence: "re-targets the irqfds of another list than that of the route's GSI",
      setup: (world) =>
        changesOne(world, ({ vmm }) => {
          const record = vmm.pools.vm.at(0);
          const { words } = vmm;
          vmm.words = override(words, {
            get: (word) => words.get(word === irqfdList(record, 24) ? irqfdList(record, 25) : word),
          });
        }),
    },
  },
};

/** One thread changes a single route of a connected interrupt while another replaces the whole table. */
function besideTable(world, break_ = () => {}) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device"]);
  const others = Vm.open(hosts.device, vm.handle);
  const route = others.route(24);
  break_(route, hosts);
  return {
    threads: {
      vmm: () => vm.setGsiRouting(REROUTED),
      device() {
        const changed = outcome(() => route.change({ vcpu: 0, vector: VECTOR + 1 }), "EBADF");
        source.signal();
        return changed;
      },
    },
    keeps: [source, others],
    end: conserves({ host: hosts.vmm, vm, eventfd, sent: 0, most: 1 }, () => {
      const { findings } = hosts.vmm.audit();
      expect(findings.length === 0, findings[0]?.message);
      source.signal();
      expect(arrived(hosts.vmm, vm, 1), "the table is in force, and the interrupt does not go by it");
      expect(outcome(() => route.change({ vcpu: 0, vector: VECTOR }), "EBADF") === "EBADF", "it lives on");
    }),
  };
}

/** Threads: vmm, device. */
export const beside = {
  sentence:
    "A single route that is changed beside a whole table is changed before that, or ends with the old one; the table is in force then.",
  mutexes: "assumed",
  setup: (world) => besideTable(world),
  twins: {
    "not-looked-at": {
      sentence: "changes the record of a route without a look whether that is still in the table",
      setup: (world) =>
        besideTable(lawless(world), (route, { device }) => {
          const { record } = route.entry;
          route.change = () => {
            device.words.set(record + R.c, VECTOR + 1);
          };
        }),
    },
  },
};
