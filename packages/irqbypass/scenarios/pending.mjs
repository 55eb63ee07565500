// The set of irqfds that wait for the relay: raised by anybody, taken out by one, with a doorbell to sleep on.

import { override } from "atomics-explorer";
import { Eventfd } from "irqbypass";
import { Consumer, Eventfd as E, Header } from "#src/host/layout.js";
import { arrived, expect, guest, openVcpu, relay } from "./support/guest.mjs";

/** Two threads that each raise an irqfd, and the relay. With `far` the two are in different words of the set. */
function cast(world, { far = false, play } = {}) {
  const capacity = far ? { consumer: 40 } : {};
  const { hosts, vm, eventfd } = guest(world, ["a", "b", "relay"], { capacity });
  vm.setGsiRouting([
    { gsi: 24, msi: { vcpu: 0, vector: 0x41 } },
    { gsi: 25, msi: { vcpu: 1, vector: 0x41 } },
  ]);
  openVcpu(hosts.a, vm, 0);
  openVcpu(hosts.a, vm, 1);
  vm.irqfd(eventfd, 24, { bypass: "off" });
  const spare = far
    ? Array.from({ length: 32 }, () => hosts.a.mutex.guard(() => hosts.a.pools.consumer.allocate()))
    : [];
  expect(spare.length === (far ? 32 : 0), "no room");
  const other = Eventfd.create(hosts.a);
  vm.irqfd(other, 25, { bypass: "off" });
  const record = (made) => hosts.a.words.load(made.record + E.irqfd);
  const [first, second] = [record(eventfd), record(other)];
  play?.(hosts);
  return {
    threads: {
      a: () => hosts.a.pending.raise(first),
      b: () => hosts.b.pending.raise(second),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    end() {
      expect(arrived(hosts.a, vm, 0), "the interrupt of a is lost");
      expect(arrived(hosts.a, vm, 1), "the interrupt of b is lost");
      expect(
        hosts.a.words.load(first + Consumer.pending) === 0,
        "it is left pending though nobody will take it",
      );
    },
  };
}

/** Puts other words under the set as the relay sees it. */
const underRelay = (change) => (hosts) => {
  hosts.relay.pending.words = override(hosts.relay.words, change(hosts.relay.words));
};
/** The same under the set as both others see it. */
const underRaisers = (change) => (hosts) => {
  for (const host of [hosts.a, hosts.b]) host.pending.words = override(host.words, change(host.words));
};

/** Threads: a, b, relay. */
export const raise = {
  sentence: "Two irqfds that are raised while the relay takes some out, or goes to sleep, are both injected.",
  setup: (world) => cast(world),
  twins: {
    "takes-in-two": {
      sentence: "takes the bits out by a load and a store instead of an exchange",
      setup: (world) =>
        cast(world, {
          play: underRelay((words) => ({
            exchange(word, value) {
              const old = words.load(word);
              words.store(word, value);
              return old;
            },
          })),
        }),
    },
    "sleeps-unseen": {
      sentence: "goes to sleep without looking at the set again once it has read the doorbell",
      setup: (world) =>
        cast(world, {
          play: (hosts) => Object.defineProperty(hosts.relay.pending, "any", { value: false }),
        }),
    },
    "no-ring": {
      sentence: "raises without ringing",
      setup: (world) => cast(world, { play: underRaisers(() => ({ notify: () => 0 })) }),
    },
  },
};

/**
 * The same irqfd raised by two threads, each with news for the guest; what is injected last must have seen all of it.
 * The host's words for changes stand for the news: nothing else here uses them.
 */
function news(world, play) {
  const { hosts, vm, eventfd } = guest(world, ["a", "b", "relay"]);
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
  const record = hosts.a.words.load(eventfd.record + E.irqfd);
  const tell = (host) => () => {
    host.words.add(Header.changes, 1);
    host.pending.raise(record);
  };
  play?.(hosts);
  const { words, pending, thread } = hosts.relay;
  return {
    threads: {
      a: tell(hosts.a),
      b: tell(hosts.b),
      relay() {
        for (;;) {
          pending.takeAll((irqfd) => {
            if (!pending.claim(irqfd, thread.record)) return;
            words.store(Header.watchers, words.load(Header.changes));
            pending.settle(irqfd, thread.record);
          });
          pending.sleep(1000, (word, expected, ms) => thread.park(word, expected, ms));
        }
      },
    },
    daemons: ["relay"],
    keeps: [irqfd],
    end: () => expect(words.load(Header.watchers) === 2, "the last injection was before the last news"),
  };
}

/** Threads: a, b, relay. */
export const again = {
  sentence: "An irqfd that is raised again while the relay injects it is injected once more.",
  setup: (world) => news(world),
  twins: {
    forgets: {
      sentence: "sets the irqfd idle after the injection, though it was raised again meanwhile",
      setup: (world) =>
        news(world, ({ relay: { pending, words } }) => {
          pending.words = override(words, {
            compareExchange(word, expected, value) {
              if (value !== 0) return words.compareExchange(word, expected, value);
              words.store(word, value);
              return expected;
            },
          });
        }),
    },
  },
};

/** Threads: a, b, relay. */
export const summary = {
  sentence:
    "An irqfd far up in the set is found by its summary, however its raise falls in with the relay's look.",
  setup: (world) => cast(world, { far: true }),
  twins: {
    "summary-last": {
      sentence: "clears the summary after it has read what it sums up",
      setup: (world) => cast(world, { far: true, play: summaryLast }),
    },
    "summary-once": {
      sentence: "sets the summary before the bit",
      setup: (world) => cast(world, { far: true, play: summaryFirst }),
    },
  },
};

/** Reads the top word, and clears it only when the walk below it is over. */
function summaryLast(hosts) {
  const { pending } = hosts.relay;
  const { words } = hosts.relay;
  const top = pending.levels.at(-1);
  const takeAll = pending.takeAll.bind(pending);
  pending.words = override(words, {
    exchange: (word, value) => (word === top ? words.load(word) : words.exchange(word, value)),
  });
  pending.takeAll = (inject) => {
    const any = words.load(top) !== 0;
    takeAll(inject);
    if (any) words.store(top, 0);
  };
}

function summaryFirst(hosts) {
  for (const host of [hosts.a, hosts.b]) host.pending.levels.reverse();
  // The bits of an irqfd's own word and of its summary are then set in the other order, each in its own level.
  for (const host of [hosts.a, hosts.b]) {
    const { words, pending } = host;
    const slot = (irqfd) => host.pools.consumer.slot(irqfd);
    pending.raise = (irqfd) => {
      words.exchange(irqfd + Consumer.pending, 1);
      const [top, bits] = pending.levels;
      words.or(top, 1 << (slot(irqfd) >>> 5));
      words.or(bits + (slot(irqfd) >>> 5), 1 << (slot(irqfd) & 31));
      if (words.add(Header.doorbell, 2) & 1) words.notify(Header.doorbell);
    };
  }
}
