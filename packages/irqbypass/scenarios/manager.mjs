// The manager: both ends register and unregister from several threads, and may be refused.
import { Eventfd, Producer, Vm } from "irqbypass";
import { expect, guest, openVcpu } from "./support/guest.mjs";

/** Nothing of a producer or an irqfd is left: no record, no entry of the index, no node of a tree. */
function nothingLeft(host, producers = 0) {
  host.mutex.guard(() => {
    expect(host.pools.producer.live === producers, "a producer record is left");
    for (const name of ["consumer", "node"]) expect(host.pools[name].live === 0, `a ${name} record is left`);
  });
}

/** Threads that each register a producer of their own under one eventfd, and take it away again. */
function rivals(world, break_ = () => {}) {
  const { hosts, vm, eventfd, host } = guest(world, ["a", "b"]);
  openVcpu(host, vm);
  const threads = {};
  const keeps = [];
  for (const name of ["a", "b"]) {
    const own = Eventfd.open(hosts[name], eventfd.handle);
    const source = Producer.create(hosts[name]);
    keeps.push(own, source);
    threads[name] = () => {
      let registered = true;
      try {
        source.register(own);
      } catch (error) {
        if (error.code !== "EBUSY") throw error;
        registered = false;
      }
      const { manager, mutex } = hosts[name];
      const there = mutex.guard(() => manager.producerAt(own.record)) === source.record;
      expect(there === registered, `${name} was ${registered ? "taken away" : "registered though refused"}`);
      // Who was refused may unregister all the same.
      if (registered) source.unregister();
      else manager.unregisterProducer(source.record);
      return registered;
    };
  }
  break_(hosts, eventfd);
  return {
    threads,
    keeps,
    end({ a, b }) {
      expect(a || b, "nobody could register");
      nothingLeft(host, 2);
    },
  };
}

/** Threads: a, b. */
export const exclusive = {
  conserves: "nothing is signalled",
  sentence:
    "Of two producers for one eventfd the second is refused while the first is there, and its unregister touches nothing.",
  mutexes: "assumed",
  setup: (world) => rivals(world),
  twins: {
    "by-key": {
      sentence: "unregisters whatever is registered under the same eventfd",
      bug: { id: "2b521d86ee80", year: 2025 },
      setup: (world) =>
        rivals(world, (hosts, eventfd) => {
          for (const { manager, mutex } of Object.values(hosts)) {
            const unregister = manager.unregisterProducer.bind(manager);
            manager.unregisterProducer = () => {
              const registered = mutex.guard(() => manager.producerAt(eventfd.record));
              if (registered !== 0) unregister(registered);
            };
          }
        }),
    },
  },
};

/** A device registers its producer and takes it away, a VMM assigns an irqfd and deassigns it. */
function pair(world, { refuse, broken = false }) {
  const kind = {
    name: "picky",
    producer: {
      addConsumer: () => (refuse ? { code: "EIO" } : undefined),
      delConsumer: () => {},
    },
  };
  const { hosts, vm, eventfd, host } = guest(world, ["device", "vmm"], { kinds: [kind] });
  openVcpu(host, vm);
  const own = Eventfd.open(hosts.vmm, eventfd.handle);
  const seen = Vm.open(hosts.vmm, vm.handle);
  const source = Producer.create(hosts.device, "picky");
  if (broken) {
    // A refused connection is not taken out of the index.
    for (const { manager } of Object.values(hosts)) manager.erase = () => {};
  }
  return {
    threads: {
      device() {
        try {
          source.register(eventfd);
        } catch (error) {
          if (error.side !== "producer") throw error;
        }
        source.dispose();
      },
      vmm() {
        const irqfd = seen.irqfd(own, 24);
        irqfd.dispose();
      },
    },
    keeps: [own, seen, source, eventfd],
    end: () => nothingLeft(host),
  };
}

/** Threads: device, vmm. */
export const connect = {
  conserves: "nothing is signalled",
  sentence: "A producer and an irqfd that come and go in two threads leave nothing behind.",
  mutexes: "assumed",
  setup: (world) => pair(world, { refuse: false }),
  twins: {
    "leaves-entry": {
      sentence: "does not take the entry out of the index",
      setup: (world) => pair(world, { refuse: false, broken: true }),
    },
  },
};

/** Threads: device, vmm. */
export const refused = {
  conserves: "nothing is signalled",
  sentence: "The same where the producer refuses every connection.",
  mutexes: "assumed",
  setup: (world) => pair(world, { refuse: true }),
  twins: {
    "leaves-entry": {
      sentence: "leaves the entry in the index when the connection failed",
      bug: { id: "the xarray patch, second version, not merged", year: 2023 },
      setup: (world) => pair(world, { refuse: true, broken: true }),
    },
  },
};
