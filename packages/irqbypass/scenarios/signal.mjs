// A device signals while its interrupt is connected, disconnected, re-routed, switched off, assigned and deassigned.

import { override } from "atomics-explorer";
import { Eventfd, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Eventfd as E, Header, Vm as V } from "#src/host/layout.js";
import {
  arrived,
  connected,
  expect,
  guest,
  lawless,
  noMutex,
  openVcpu,
  pirWord,
  producer,
  relay,
  VECTOR,
} from "./support/guest.mjs";

function deassigns(world, { fence = true, fenceAll = true } = {}) {
  const { hosts, vm, eventfd, irqfd, source } = connected(world, ["vmm", "device"]);
  const { words, thread } = hosts.vmm;
  if (!fence) thread.fence = () => {};
  if (!fenceAll) thread.fenceAll = () => {};
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        irqfd.dispose();
        return words.load(pirWord(vm));
      },
    },
    keeps: [source, irqfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) =>
      expect(words.load(pirWord(vm)) === vmm, "posted after deassign had returned"),
    ),
  };
}

/** Threads: vmm, device. */
export const deassign = {
  sentence: "When deassign has returned, no signal, not even one in flight, sets anything in the vCPU.",
  setup: (world) => deassigns(world),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a signal that is under way",
      setup: (world) => deassigns(world, { fence: false }),
    },
  },
};

/** Threads: vmm, device. The same where the fence looks a limited number of times, and then sleeps. */
export const fence = {
  sentence: "A deassign that has to sleep until a signal is through is woken when it is.",
  relax: "pass",
  setup: (world) => deassigns(world),
  twins: {
    "leaves-quietly": {
      sentence: "a signal that is through does not wake the fence that waits for it",
      setup(world) {
        const { hosts, ...made } = { ...connected(world, ["vmm", "device"]) };
        const { words, thread } = hosts.device;
        const asleep = 1; // the mark of a fence that waits
        hosts.device.words = override(words, {
          exchange: (word, value) =>
            words.exchange(word, value) & (word === thread.signalling ? ~asleep : ~0),
        });
        return {
          threads: { device: () => made.source.signal(), vmm: () => made.irqfd.dispose() },
          keeps: [made.source, made.irqfd],
        };
      },
    },
  },
};

function unregisters(world, fenced = true) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device"]);
  const { words, manager } = hosts.vmm;
  if (!fenced) manager.fence = () => {};
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        // The producer's record, unregistered by another thread, as a supervisor does.
        manager.unregisterProducer(source.record);
        return words.load(pirWord(vm));
      },
    },
    keeps: [source],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      expect(words.load(pirWord(vm)) === vmm, "posted after unregister had returned");
      hosts.vmm.mutex.guard(() => expect(manager.producerAt(eventfd.record) === 0, "the index still has it"));
    }),
  };
}

/** Threads: vmm, device. */
export const unregister = {
  sentence: "When unregister has returned in one thread, no signal of the other sets anything in the vCPU.",
  setup: (world) => unregisters(world),
  twins: {
    "no-fence": {
      sentence: "unregisters without waiting for a signal that is under way",
      setup: (world) => unregisters(world, false),
    },
  },
};

function reroutes(world, fenced = true) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device"]);
  const { words } = hosts.vmm;
  if (!fenced) hosts.vmm.thread.quiesce = () => {};
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }]);
        return words.load(pirWord(vm, 0));
      },
    },
    keeps: [source, vm],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) =>
      expect(words.load(pirWord(vm, 0)) === vmm, "posted by the old route after the new one was in force"),
    ),
  };
}

/** Threads: vmm, device. */
export const reroute = {
  sentence:
    "A signal during a routing update goes by the old route or by the new one, and by the old one never after it.",
  setup: (world) => reroutes(world),
  twins: {
    "no-fence": {
      sentence: "replaces the routes without waiting for a signal that is under way",
      setup: (world) => reroutes(world, false),
    },
  },
};

/** The path changes from posted to relayed under a signal. `listens`: does the irqfd listen while it is connected? */
function switches(world, listens, break_ = () => {}) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device", "relay"]);
  const { words } = hosts.vmm;
  const irqfd = words.load(eventfd.record + E.irqfd);
  if (!listens) words.store(eventfd.record + E.irqfd, 0);
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        hosts.vmm.bypass = false;
        if (!listens) words.store(eventfd.record + E.irqfd, irqfd);
      },
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [source],
    end: conserves({ host: hosts.vmm, vm, eventfd }, () =>
      expect(arrived(hosts.vmm, vm), "it is not delivered"),
    ),
  };
}

/** Threads: vmm, device, relay. */
export const switched = {
  sentence: "A signal while bypass is switched off arrives, posted or relayed.",
  setup: (world) => switches(world, true),
  twins: {
    "listens-late": {
      sentence: "an irqfd listens to its eventfd only from when it is no longer bypassed",
      setup: (world) => switches(world, false),
    },
    "looks-too-late": {
      sentence: "looks whether bypass is on when it has read where to post, and gives up where it is not",
      bug: { id: "66fa226c131f", year: 2022 },
      setup: (world) =>
        switches(world, true, ({ device }) => {
          const { words } = device;
          device.words = override(words, {
            or: (word, value) => (words.load(Header.bypass) === 0 ? 0 : words.or(word, value)),
          });
        }),
    },
  },
};

/** A write to the eventfd while it is assigned. */
function assigns(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "writer", "relay"]);
  openVcpu(hosts.vmm, vm);
  const own = Eventfd.open(hosts.writer, eventfd.handle);
  const keeps = [own, eventfd, vm];
  break_(hosts, eventfd, keeps);
  return {
    threads: {
      vmm: () => void vm.irqfd(eventfd, 24, { bypass: "off" }),
      writer: () => own.write(),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps,
    // Counted before the irqfd was there it is an interrupt, and stays in the counter.
    end: conserves({ host: hosts.vmm, vm, eventfd, most: 2 }, () =>
      expect(arrived(hosts.vmm, vm), "it is not delivered"),
    ),
  };
}

/** Threads: vmm, writer, relay. The fourth, with irqfd/count: assign while the eventfd is counting. */
export const assign = {
  sentence:
    "A write to an eventfd while an irqfd is assigned to it arrives, whether the irqfd saw it or found its count.",
  setup: (world) => assigns(world),
  twins: {
    "no-fence": {
      sentence: "looks at the count without waiting for the writer that saw no irqfd yet",
      setup: (world) =>
        assigns(world, ({ vmm }) => {
          vmm.thread.fenceAll = () => {};
        }),
    },
    "looks-first": {
      sentence: "looks at the count before the irqfd is bound to its eventfd",
      setup: (world) => assigns(world, looksFirst),
    },
  },
};

function looksFirst({ vmm }, { record }, keeps) {
  const { words } = vmm;
  const state = { count: 0n };
  keeps.push(state);
  vmm.words = override(words, {
    compareExchange(word, expected, value) {
      if (word === record + E.irqfd) state.count = words.load64(record + E.counter);
      return words.compareExchange(word, expected, value);
    },
    load64: (word) => (word === record + E.counter ? state.count : words.load64(word)),
  });
}

function deassignsListening(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "writer", "relay"]);
  openVcpu(hosts.vmm, vm);
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
  const own = Eventfd.open(hosts.writer, eventfd.handle);
  const { words } = hosts.vmm;
  break_(hosts);
  return {
    threads: {
      vmm() {
        irqfd.dispose();
        return words.load(pirWord(vm));
      },
      writer: () => own.write(),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [own, irqfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) =>
      expect(words.load(pirWord(vm)) === vmm, "injected after deassign had returned"),
    ),
  };
}

/** Threads: vmm, writer, relay. The fifth: deactivation while signalled. */
export const relayed = {
  sentence:
    "When deassign has returned, the relay injects nothing more for the irqfd, though a write is under way.",
  setup: (world) => deassignsListening(world),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for the writer and for the relay",
      setup: (world) =>
        deassignsListening(world, ({ vmm }) => {
          vmm.thread.fenceAll = () => {};
        }),
    },
  },
};

/** One thread assigns, another deassigns the same meanwhile. A producer is registered already. */
function race(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "other"]);
  vm.irqfd(Eventfd.create(hosts.vmm), 25);
  producer(hosts.vmm, eventfd);
  const own = Eventfd.open(hosts.other, eventfd.handle);
  const others = Vm.open(hosts.other, vm.handle);
  const { pools, words, manager, mutex } = hosts.vmm;
  break_(others);
  return {
    threads: {
      vmm: () => void vm.irqfd(eventfd, 24),
      other: () => others.deassign(own, 24),
    },
    keeps: [own, others, eventfd, vm],
    end({ other }) {
      const left = other ? 0 : 1;
      mutex.guard(() => {
        expect(words.load(eventfd.record + E.irqfd) !== 0 || left === 0, "the irqfd is not bound");
        expect(pools.consumer.live === 1 + left, "a record is left, or one too many is gone");
        expect(words.get(vm.life.record + V.irqfdCount) === 1 + left, "the list of irqfds is wrong");
        expect((manager.consumerAt(eventfd.record) !== 0) === (left === 1), "the index is wrong");
      });
    },
  };
}

/** Threads: vmm, other. */
export const assignrace = {
  conserves: "nothing is signalled",
  sentence: "A deassign that finds an irqfd half assigned waits for it, and takes away the whole of it.",
  setup: (world) => race(world),
  twins: {
    "no-mutex": {
      sentence:
        "deassigns without the VM's mutex, in the middle of an assign: what the eventfd's hang-up did before SRCU",
      bug: { id: "9432a3175770", year: 2018 },
      setup: (world) =>
        race(lawless(world), (others) => {
          others.life.mutex = noMutex;
        }),
    },
  },
};
