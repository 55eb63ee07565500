// The manager: both ends register and unregister from several threads, and may be refused.
import { Eventfd, Producer } from "irqbypass";
import { expect, guest, openVcpu } from "./support.mjs";

/** Nothing of a producer or an irqfd is left: no record, no entry of the index, no node of a tree. */
function nothingLeft(host) {
  host.mutex.guard(() => {
    for (const name of ["producer", "consumer", "node"])
      expect(host.pools[name].live === 0, `a ${name} record is left`);
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
      // Who was refused may unregister all the same.
      if (registered) source.unregister();
      else hosts[name].manager.unregisterProducer(source.record);
      source.dispose();
      return registered;
    };
  }
  break_(hosts, eventfd);
  return {
    threads,
    keeps,
    end({ a, b }) {
      expect(a || b, "nobody could register");
      nothingLeft(host);
    },
  };
}

export const exclusive = {
  sentence:
    "Of two producers for one eventfd the second is refused while the first is there, and its unregister touches nothing.",
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

/** A kind whose producers refuse to be connected, or whose device must not run while the connection changes. */
function pair(world, { refuse, broken = false }) {
  const calls = { stopped: 0 };
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
        const irqfd = vmOf(hosts.vmm, vm).irqfd(own, 24);
        irqfd.dispose();
      },
    },
    keeps: [own, source, eventfd, calls],
    end: () => nothingLeft(host),
  };
}

/** The VM as another thread of the host sees it. */
const vmOf = (host, vm) => {
  const seen = Object.create(Object.getPrototypeOf(vm), Object.getOwnPropertyDescriptors(vm));
  seen.host = host;
  return seen;
};

export const connect = {
  sentence: "A producer and an irqfd that come and go in two threads leave nothing behind.",
  setup: (world) => pair(world, { refuse: false }),
  twins: {
    "leaves-entry": {
      sentence: "does not take the entry out of the index",
      setup: (world) => pair(world, { refuse: false, broken: true }),
    },
  },
};

export const refused = {
  sentence: "The same where the producer refuses every connection.",
  setup: (world) => pair(world, { refuse: true }),
  twins: {
    "leaves-entry": {
      sentence:
        "leaves the entry in the index when the connection failed (an earlier form of the xarray patch, 2023)",
      setup: (world) => pair(world, { refuse: true, broken: true }),
    },
  },
};
