/** Rules of docs/semantics.md that no other test holds. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, IrqBypassError, Vm } from "irqbypass";
import { Eventfd as E, Producer as P } from "#src/host/layout.js";
import { relayOne } from "#src/vm/relay.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { atEveryMoment, GSI, msi, OTHER_VECTOR, recordOf, VECTOR, World } from "../history/world.js";

/** The first producer record that there is. */
const first = ({ host }: World) => host.pools.producer.at(0);

/** A world with one more thread. */
class TwoThreads extends World {
  readonly there = this.other();
  readonly eventfdThere = Eventfd.open(this.there, this.eventfd.handle);
  readonly results: string[] = [];

  attempt(act: () => void): void {
    try {
      act();
      this.results.push("ok");
    } catch (error) {
      if (!(error instanceof IrqBypassError)) throw error;
      this.results.push(error.code);
    }
  }
}

describe("the manager", () => {
  it("lets two threads register one object at once: one of them is told EINVAL", () => {
    atEveryMoment(
      () => {
        const world = new TwoThreads();
        world.host.mutex.guard(() => world.host.pools.producer.allocate());
        return world;
      },
      (world) =>
        world.attempt(() => world.host.manager.registerProducer(first(world), world.eventfd.record, 1)),
      (world) =>
        world.attempt(() => world.there.manager.registerProducer(first(world), world.eventfd.record, 2)),
      ({ results }) => assert.deepEqual(results.sort(), ["EINVAL", "ok"]),
    );
  });
});

describe("assign", () => {
  it("makes a write at any moment of it one interrupt", () => {
    atEveryMoment(
      () => new TwoThreads(),
      ({ vm, eventfd }) => vm.irqfd(eventfd, GSI),
      ({ eventfdThere }) => eventfdThere.write(),
      (world) => {
        world.relay();
        assert.deepEqual(world.vectors(), [VECTOR]);
      },
    );
  });
});

describe("a signal", () => {
  it("that comes again before the relay does is one interrupt with the first", () => {
    const { host, vm, eventfd } = new World();
    vm.irqfd(eventfd, GSI, { bypass: "off" });
    let injections = 0;
    const takeAll = () =>
      host.pending.takeAll((irqfd) => {
        injections++;
        relayOne(host, irqfd);
      });
    for (let i = 0; i < 3; i++) eventfd.write();
    takeAll();
    takeAll();
    assert.equal(injections, 1);
  });

  it("is relayed by the table of the moment at which the relay comes to it", () => {
    const world = new World();
    // From a pin, which is left to the work item; an MSI is sent with the signal, by the old table.
    world.vm.setGsiRouting([{ gsi: GSI, irqchip: { chip: "ioapic", pin: 20 } }]);
    world.vm.irqfd(world.eventfd, GSI, { bypass: "off" });
    world.eventfd.write();
    world.vm.setGsiRouting([msi(GSI, 1, OTHER_VECTOR)]);
    world.relay();
    assert.deepEqual([world.vectors(0), world.vectors(1)], [[], [OTHER_VECTOR]]);
  });
});

describe("deassign", () => {
  it("is done by one of two threads that ask for it, and the other one is told", () => {
    atEveryMoment(
      () => {
        const world = new TwoThreads();
        world.vm.irqfd(world.eventfd, GSI);
        return world;
      },
      ({ vm, eventfd, results }) => void results.push(String(vm.deassign(eventfd, GSI))),
      ({ vm, there, eventfdThere, results }) => {
        results.push(String(Vm.open(there, vm.handle).deassign(eventfdThere, GSI)));
      },
      ({ host, results }) => {
        assert.deepEqual(results.sort(), ["false", "true"]);
        assert.equal(host.pools.consumer.live, 0);
      },
    );
  });

  it("waits for no other VM, whatever that is busy with", () => {
    const world = new TwoThreads();
    const { host, vm, eventfd, there } = world;
    const busy = new Vm(host);
    const [own, others] = [vm.irqfd(eventfd, GSI), busy.irqfd(Eventfd.create(host), GSI)];
    vmMutex(there, recordOf(busy)).guard(() => {
      world.watch((access) => assert.notEqual(access, "wait", "it waits"));
      own.dispose();
      world.watch();
    });
    others.dispose();
  });

  it("takes no more accesses beside 50 other irqfds of the VM than beside 5", () => {
    const cost = (others: number) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      const irqfd = vm.irqfd(eventfd, GSI);
      for (let i = 0; i < others; i++) vm.irqfd(Eventfd.create(host), GSI);
      return world.steps(() => irqfd.dispose());
    };
    assert.ok(cost(50) <= cost(5));
  });
});

describe("a routing update", () => {
  it("touches the entry of no interrupt whose route stays the same", () => {
    const world = new World();
    const { host, vm, eventfd } = world;
    vm.irqfd(eventfd, GSI);
    const entry = recordOf(world.producer()) + P.irte;
    const other = Eventfd.create(host);
    vm.irqfd(other, GSI + 1);
    const changed = recordOf(world.producer(other)) + P.irte;
    const touched: number[] = [];
    world.watch((access, word) => {
      if (access !== "get" && (word === entry || word === changed)) touched.push(word);
    });
    vm.setGsiRouting([msi(GSI, 0), msi(GSI + 1, 0, OTHER_VECTOR)]);
    world.watch();
    assert.deepEqual([...new Set(touched)], [changed]);
    assert.notEqual(host.words.load(other.record + E.irqfd), 0);
  });
});
