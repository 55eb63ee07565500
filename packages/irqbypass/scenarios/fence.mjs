// The fence: whoever takes something away waits until no signal that began before is under way.

import { override } from "atomics-explorer";
import { Eventfd, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Header, Producer as P } from "#src/host/layout.js";
import { connected, expect, pirWord } from "./support/guest.mjs";

/** A signal that is under way, and two threads that wait for it to be through. */
function waits(world, break_ = () => {}) {
  const { hosts, source } = connected(world, ["first", "second", "device"]);
  const { thread, words } = hosts.device;
  const { record } = source;
  break_(thread, words);
  const fence = (host) => () => {
    host.thread.fence(thread.signalling, record);
    return host.words.load(thread.signalling) === 0 || "a later one";
  };
  return {
    threads: {
      first: fence(hosts.first),
      second: fence(hosts.second),
      device() {
        words.store(thread.signalling, record);
        words.load(record + P.irte);
        thread.leave(thread.signalling);
      },
    },
    end({ first, second }) {
      expect(words.load(thread.signalling) === 0, "the in-flight word still says something");
      expect(first && second, "one fence has not ended");
    },
  };
}

/** Threads: first, second, device. A fence looks a limited number of times, and then sleeps. */
export const waiters = {
  sentence: "Two threads that wait for one signal to be through are both woken when it is.",
  relax: "pass",
  setup: (world) => waits(world),
  twins: {
    "wakes-one": {
      sentence: "a signal that is through wakes one of those who wait for it",
      setup: (world) =>
        waits(world, (thread, words) => {
          thread.words = override(words, { notify: (word) => words.notify(word, 1) });
        }),
    },
    "marks-late": {
      sentence: "goes to sleep without the mark by which the signal knows that somebody waits",
      setup: (world) =>
        waits(world, (thread, words) => {
          thread.words = override(words, {
            exchange: (word, value) => words.exchange(word, value) & ~1,
          });
        }),
    },
  },
};

/** A producer is unregistered by one thread and its irqfd deassigned by another, while it signals. */
function takesAway(world, break_ = () => {}) {
  const { hosts, vm, eventfd, irqfd, source } = connected(world, ["vmm", "device", "other"]);
  const { words } = hosts.vmm;
  const pir = pirWord(vm);
  const { record } = source;
  const rung = words.load(Header.doorbell);
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        irqfd.dispose();
        return words.load(pir);
      },
      other() {
        hosts.other.manager.unregisterProducer(record);
        return hosts.other.words.load(pir);
      },
    },
    keeps: [source, irqfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm, other }) => {
      expect(words.load(pir) === vmm, "posted after deassign had returned");
      // What is signalled after the unregister goes by the eventfd, as long as the irqfd listens.
      const relayed = words.load(Header.doorbell) !== rung;
      expect(words.load(pir) === other || relayed, "posted after unregister had returned");
    }),
  };
}

/** Threads: vmm, device, other. Guarantee 2, for whichever of the two finds the interrupt connected, and for the other. */
export const both = {
  sentence: "When unregister and deassign meet under a signal, nothing is posted after either has returned.",
  mutexes: "assumed",
  setup: (world) => takesAway(world),
  twins: {
    "no-fence": {
      sentence: "unregisters without waiting for a signal that is under way",
      setup: (world) =>
        takesAway(world, ({ other }) => {
          other.manager.fence = () => {};
        }),
    },
    "no-grace": {
      sentence:
        "deassigns without waiting for a signal of a producer that another thread has just taken from it",
      setup: (world) =>
        takesAway(world, ({ vmm }) => {
          vmm.thread.quiesce = () => {};
        }),
    },
  },
};

/** Bypass is switched off by one thread and the irqfd deassigned by another, while the producer signals. */
function switchesOff(world, break_ = () => {}) {
  const { hosts, vm, eventfd, source } = connected(world, ["vmm", "device", "other"]);
  const { words } = hosts.vmm;
  const pir = pirWord(vm);
  const own = Eventfd.open(hosts.other, eventfd.handle);
  const others = Vm.open(hosts.other, vm.handle);
  const rung = words.load(Header.doorbell);
  const keeps = [source, own, others];
  break_(hosts, source.record + P.irte, keeps);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        hosts.vmm.bypass = false;
        return words.load(pir);
      },
      other: () => others.deassign(own, 24),
    },
    keeps,
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      const relayed = words.load(Header.doorbell) !== rung;
      expect(words.load(pir) === vmm || relayed, "posted after bypass had been switched off");
    }),
  };
}

/** Threads: vmm, device, other. */
export const switched = {
  sentence:
    "When bypass has been switched off nothing is posted any more, also where the irqfd is just going.",
  mutexes: "assumed",
  setup: (world) => switchesOff(world),
  twins: {
    "no-fence": {
      sentence: "does not wait for signals that are under way",
      setup: (world) =>
        switchesOff(world, ({ vmm }) => {
          vmm.thread.quiesce = () => {};
        }),
    },
    "what-changed": {
      sentence: "waits for the signals of those interrupts only that it has changed itself",
      setup: (world) => switchesOff(world, waitsForWhatChanged),
    },
  },
};

function waitsForWhatChanged({ vmm }, entry, keeps) {
  const { words, thread } = vmm;
  const quiesce = thread.quiesce.bind(thread);
  const state = { changed: false };
  keeps.push(state);
  vmm.words = override(words, {
    exchange(word, value) {
      const old = words.exchange(word, value);
      if (word === entry && old !== value) state.changed = true;
      return old;
    },
  });
  thread.quiesce = () => void (state.changed && quiesce());
}
