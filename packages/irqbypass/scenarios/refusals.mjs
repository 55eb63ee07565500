// Calls that are refused beside others: whatever comes in between, nothing is left of them, and nothing of the others is lost.
import { Eventfd, Producer, Vm } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Consumer, Eventfd as E, Producer as P } from "#src/host/layout.js";
import { Mode, modeOf } from "#src/posting/irte.js";
import { expect, guest, VECTOR } from "./support/guest.mjs";

/** What a call came to: "done", or the code of its refusal. */
function outcome(call, code) {
  try {
    call();
    return "done";
  } catch (error) {
    if (error.code !== code) throw error;
    return code;
  }
}

/** Two VMs assign an irqfd to one eventfd, each in a thread of its own; the one that is refused takes another eventfd. */
function assigns(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd } = guest(world, ["vmm", "other"]);
  const second = new Vm(host);
  const [mine, theirs] = [Eventfd.create(host), Eventfd.create(host)];
  const own = {
    vmm: [vm, eventfd, mine],
    other: [
      Vm.open(hosts.other, second.handle),
      ...[eventfd, theirs].map(({ handle }) => Eventfd.open(hosts.other, handle)),
    ],
  };
  break_(hosts);
  const act = (name) => () => {
    const [machine, wanted, spare] = own[name];
    const came = outcome(() => machine.irqfd(wanted, 24, { bypass: "off" }), "EBUSY");
    if (came !== "done") machine.irqfd(spare, 24, { bypass: "off" });
    return came;
  };
  return {
    threads: { vmm: act("vmm"), other: act("other") },
    keeps: [vm, second, ...own.other],
    end({ vmm, other }) {
      expect([vmm, other].sort().join() === "EBUSY,done", `one of them has it, and not ${vmm} and ${other}`);
      const { consumer } = host.pools;
      expect(
        consumer.live === 2 && consumer.used === 2,
        `${consumer.live} irqfds of ${consumer.used} records`,
      );
      for (const { record } of [eventfd, mine, theirs])
        expect(
          host.words.get(record + E.holds) === (host.words.load(record + E.irqfd) === 0 ? 0 : 1),
          "a hold is left",
        );
    },
  };
}

/** Threads: vmm, other. */
export const taken = {
  sentence:
    "Of two irqfds that are assigned to one eventfd at once, one is refused, and nothing is left of it.",
  setup: (world) => assigns(world),
  twins: {
    "leaves-the-record": {
      sentence: "leaves the record of the refused one where it is",
      setup: (world) => assigns(world, leavesTheRecord),
    },
    "takes-too-much-back": {
      sentence: "takes the record back as if the refused one had been the last that took one",
      setup: (world) => assigns(world, takesTooMuchBack),
    },
  },
};

function leavesTheRecord(seen) {
  for (const { pools } of Object.values(seen)) pools.consumer.undo = () => {};
}

function takesTooMuchBack(seen) {
  for (const { pools, words } of Object.values(seen)) {
    const { consumer } = pools;
    consumer.undo = (record) => {
      words.set(record, 0);
      words.set(consumer.state + 1, consumer.used - 1);
      words.set(consumer.state + 2, consumer.live - 1);
    };
  }
}

/** Two threads make eventfds where there is room for one more, of the one record or of the other that each takes. */
function makes(world, room, break_ = () => {}) {
  const seen = hosts(world, ["one", "two"], { capacity: { eventfd: 2, reference: 2, ...room } });
  const first = Eventfd.create(seen.one);
  break_(seen);
  const make = (host) => () => outcome(() => Eventfd.create(host), "ENOMEM");
  return {
    threads: { one: make(seen.one), two: make(seen.two) },
    keeps: [first],
    end({ one, two }) {
      const { eventfd, reference } = seen.one.pools;
      const done = [one, two].filter((came) => came === "done").length;
      expect(done === 1, `there was room for one, and ${done} were made`);
      expect(
        eventfd.live === 2 && reference.live === 2,
        `${eventfd.live} eventfds and ${reference.live} handles`,
      );
      expect(eventfd.used === 2 && reference.used === 2, "a record was taken for nothing");
    },
  };
}

/** Threads: one, two. */
export const room = {
  sentence:
    "Of two eventfds where there is room for one handle more, one is made, and of the other no record is taken.",
  setup: (world) => makes(world, { eventfd: 3 }),
  twins: {
    "takes-first": {
      sentence: "takes the first record before it looks whether there is a second",
      setup: (world) => makes(world, { eventfd: 3 }, looksAtNothing),
    },
  },
};

function looksAtNothing(seen) {
  for (const { pools } of Object.values(seen)) pools.reference.checkRoom = () => {};
}

/** An irqfd requires bypass and its GSI has no route: the producer that a device registers is refused, or just not any more. */
function registers(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd } = guest(world, ["vmm", "device"]);
  vm.setGsiRouting([]);
  vm.irqfd(eventfd, 24, { bypass: "require" });
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const first = Producer.create(hosts.device);
  const { record } = first;
  const state = { next: undefined };
  break_(hosts);
  return {
    threads: {
      vmm: () => vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }]),
      device() {
        const came = outcome(() => first.register(own), "EOPNOTSUPP");
        if (came === "done") return came;
        first.dispose();
        state.next = Producer.create(hosts.device); // in the record of the one that was refused
        return came;
      },
    },
    keeps: [own, vm, first, state],
    end({ device: came }) {
      const posts = modeOf(host.words.load(record + P.irte)) === Mode.posted;
      if (came === "done") expect(posts, "a producer that was connected does not post by the new route");
      else expect(!posts, "an entry posts whose producer has no eventfd");
    },
  };
}

/** Threads: vmm, device. */
export const connects = {
  conserves: "nothing is signalled",
  sentence:
    "A producer that was refused as it connected is not written to by a routing update, nor is the next one in its record.",
  mutexes: "assumed",
  setup: (world) => registers(world),
  twins: {
    "keeps-it": {
      sentence: "notes the producer with the irqfd before it is sure that its entry can be updated",
      bug: { id: "ed446e8aa894", year: 2026 },
      setup: (world) => registers(world, keepsRefused),
    },
  },
};

function keepsRefused(hosts) {
  for (const { kinds } of Object.values(hosts)) {
    const { consumer } = kinds[0];
    kinds[0] = {
      ...kinds[0],
      consumer: {
        ...consumer,
        addProducer(memory, producer, irqfd) {
          memory.words.set(irqfd + Consumer.producer, producer);
          return consumer.addProducer(memory, producer, irqfd);
        },
      },
    };
  }
}
