// Both ends of one eventfd from four threads: two producers and two consumers that come and go in every order.
import { override } from "atomics-explorer";
import { Consumer as C, Producer as P } from "#src/host/layout.js";
import { posted } from "#src/posting/irte.js";
import { expect, guest, VECTOR } from "./support/guest.mjs";

/** Refuses every connection, as the producer's side. */
const picky = {
  name: "picky",
  producer: { addConsumer: () => ({ code: "EIO" }), delConsumer: () => {} },
};

/** One end: how it is registered, taken away, and found in the index. */
const sides = (host) => ({
  p: {
    pool: host.pools.producer,
    register: (record, eventfd) => host.manager.registerProducer(record, eventfd, 1),
    unregister: (record) => host.manager.unregisterProducer(record),
    at: (eventfd) => host.manager.producerAt(eventfd),
  },
  c: {
    pool: host.pools.consumer,
    register: (record, eventfd) => host.manager.registerConsumer(record, eventfd),
    unregister: (record) => host.manager.unregisterConsumer(record),
    at: (eventfd) => host.manager.consumerAt(eventfd),
  },
});

/**
 * Threads that each register one end (`p1` and `p2` producers, `c1` and `c2` consumers) and take it away, whether it was
 * refused or not. Refused it may be because another one is there, or because the two ends could not be connected.
 */
function ends(world, { names, refuse, break_ = () => {} }) {
  const { hosts, host, eventfd } = guest(world, names, { kinds: [picky] });
  const { record } = eventfd;
  const nodes = host.pools.node.live;
  const threads = {};
  const made = {};
  for (const name of names) {
    const { pool } = sides(host)[name[0]];
    made[name] = host.mutex.guard(() => pool.allocate());
    if (name[0] === "p" && refuse) host.words.set(made[name] + P.kind, 1);
    if (name[0] === "c") host.words.store(made[name] + C.target, posted(0, VECTOR));
  }
  break_(hosts, record);
  for (const name of names) {
    const { register, unregister, at } = sides(hosts[name])[name[0]];
    const end = made[name];
    threads[name] = () => {
      let came = "in";
      try {
        register(end, record);
      } catch (error) {
        if (error.code !== "EBUSY" && !(refuse && error.code === "EIO")) throw error;
        came = error.code;
      }
      // One of each side looks: the other one does the same in the same orders.
      if (name.endsWith("1")) {
        const there = hosts[name].mutex.guard(() => at(record));
        if (came === "in") expect(there === end, `${name} was taken away by another`);
        else expect(there !== end, `${name} was refused, and is there`);
      }
      unregister(end);
      return came;
    };
  }
  return {
    threads,
    end(came) {
      if (refuse) expect(Object.values(came).includes("in"), "nobody came in");
      host.mutex.guard(() => {
        expect(
          host.manager.producerAt(record) === 0 && host.manager.consumerAt(record) === 0,
          "one is left in the index",
        );
        expect(host.pools.node.live === nodes, "a node is left");
        for (const name of names) {
          const partner = name[0] === "p" ? P.consumer : C.producer;
          expect(host.words.get(made[name] + partner) === 0, `${name} is left with a partner`);
        }
      });
    },
  };
}

const FOUR = ["p1", "p2", "c1", "c2"];

/** Takes away whatever is registered under the eventfd on one side. */
const byKey = (side) => (hosts, eventfd) => {
  for (const host of Object.values(hosts)) {
    const { manager, mutex } = host;
    const { at } = sides(host)[side];
    const name = side === "p" ? "unregisterProducer" : "unregisterConsumer";
    const unregister = manager[name].bind(manager);
    manager[name] = () => {
      const registered = mutex.guard(() => at(eventfd));
      if (registered !== 0) unregister(registered);
    };
  }
};

/** Leaves a refused end in the index. */
function leavesEntry(hosts) {
  for (const { manager } of Object.values(hosts)) {
    const { erase } = manager;
    manager.connect = (producer, consumer) => {
      const failed = Object.getPrototypeOf(manager).connect.call(manager, producer, consumer);
      manager.erase = failed === undefined ? erase : () => {};
      return failed;
    };
  }
}

/** Threads: p1, p2, c1, c2. */
export const four = {
  conserves: "nothing is signalled",
  sentence:
    "Two producers and two consumers of one eventfd come and go in four threads, and nothing is left.",
  mutexes: "assumed",
  setup: (world) => ends(world, { names: FOUR, refuse: false }),
  twins: {
    "by-key": {
      sentence: "a consumer that was refused takes away the one that is there",
      bug: { id: "4f3dbdf47e15", year: 2017 },
      setup: (world) => ends(world, { names: FOUR, refuse: false, break_: byKey("c") }),
    },
  },
};

/** Threads: p1, p2, c1, c2. The same with every connection refused. */
export const refused = {
  conserves: "nothing is signalled",
  sentence: "The same where the producers' kind refuses every connection.",
  mutexes: "assumed",
  setup: (world) => ends(world, { names: FOUR, refuse: true }),
  twins: {
    "leaves-entry": {
      sentence: "leaves an end in the index whose connection was refused",
      setup: (world) => ends(world, { names: FOUR, refuse: true, break_: leavesEntry }),
    },
  },
};

/** Threads: p1, c1. */
export const two = {
  conserves: "nothing is signalled",
  sentence: "A producer and a consumer come and go in two threads that sleep where the other has the mutex.",
  setup: (world) => ends(world, { names: ["p1", "c1"], refuse: false }),
  twins: {
    "wakes-nobody": {
      sentence: "gives the mutex back without waking who sleeps",
      setup: (world) =>
        ends(world, {
          names: ["p1", "c1"],
          refuse: false,
          break_: (hosts) => {
            for (const host of Object.values(hosts)) {
              host.words = override(host.words, { notify: () => 0 });
              host.mutex.words = host.words;
            }
          },
        }),
    },
  },
};
