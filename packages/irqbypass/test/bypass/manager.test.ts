/** The manager as the kernel's: what it returns, whom it calls in which order, and what is left afterwards. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Eventfd, IrqBypassError } from "irqbypass";
import type { Manager } from "#src/bypass/manager.js";
import { Producer } from "#src/host/layout.js";
import { relayed } from "#src/posting/irte.js";
import { liveRecords } from "../support/host.js";
import { type CallbackName, Ends, outcome } from "./ends.js";

let ends: Ends;
let manager: Manager;
beforeEach(() => {
  ends = new Ends();
  manager = ends.host.manager;
});

const FREE = { eventfd: 0, partner: 0 };
const REFUSAL = { code: "ENODEV", reason: "delivery-mode" } as const;

/** The callbacks of P1 and C1 in the order of the log. */
const of = (...names: CallbackName[]) => names.map((name) => `${name} P1 C1`);
const CONNECT = of(
  "prod.stop",
  "cons.stop",
  "prod.addConsumer",
  "cons.addProducer",
  "cons.start",
  "prod.start",
);
const DISCONNECT = of(
  "prod.stop",
  "cons.stop",
  "cons.delProducer",
  "prod.delConsumer",
  "cons.start",
  "prod.start",
);

/** A connected pair with an empty log. */
function pair(): { producer: number; consumer: number; eventfd: number } {
  const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
  manager.registerProducer(producer, eventfd, 7);
  manager.registerConsumer(consumer, eventfd);
  ends.takeLog();
  return { producer, consumer, eventfd };
}

describe("register", () => {
  it("lets a lone end wait, without a callback", () => {
    const [producer, consumer] = [ends.producer(), ends.consumer()];
    const [one, other] = [ends.eventfd(), ends.eventfd()];
    manager.registerProducer(producer, one, 33);
    manager.registerConsumer(consumer, other);
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd: one, partner: 0 });
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd: other, partner: 0 });
    assert.equal(manager.producerAt(one), producer);
    assert.equal(manager.consumerAt(one), 0);
    assert.equal(manager.consumerAt(other), consumer);
    assert.equal(ends.host.words.get(producer + Producer.irq), 33);
  });

  for (const last of ["producer", "consumer"] as const) {
    it(`connects the two when the ${last} comes last`, () => {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      if (last === "consumer") manager.registerProducer(producer, eventfd, 1);
      manager.registerConsumer(consumer, eventfd);
      if (last === "producer") manager.registerProducer(producer, eventfd, 1);
      assert.deepEqual(ends.takeLog(), CONNECT);
      assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
      assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: producer });
    });
  }

  it("refuses an end that is registered already with EINVAL, under the same eventfd or another", () => {
    const { producer, consumer, eventfd } = pair();
    const other = ends.eventfd();
    for (const again of [eventfd, other]) {
      assert.throws(() => manager.registerProducer(producer, again, 9), {
        code: "EINVAL",
        errno: -22,
        message: /registered already: unregister it first/,
      });
      assert.throws(() => manager.registerConsumer(consumer, again), { code: "EINVAL" });
    }
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: producer });
    assert.equal(manager.producerAt(other), 0);
    assert.equal(ends.host.words.get(producer + Producer.irq), 7);
  });

  it("refuses a second end of the same sort with EBUSY and leaves no trace of it", () => {
    const { producer, consumer, eventfd } = pair();
    const [second, third] = [ends.producer(), ends.consumer()];
    assert.throws(() => manager.registerProducer(second, eventfd, 1), {
      code: "EBUSY",
      errno: -16,
      side: "producer",
      message: /eventfd 0 has a producer already/,
    });
    assert.throws(() => manager.registerConsumer(third, eventfd), { code: "EBUSY", side: "consumer" });
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(second), FREE);
    assert.deepEqual(ends.stateOfConsumer(third), FREE);
    assert.equal(manager.producerAt(eventfd), producer);
    assert.equal(manager.consumerAt(eventfd), consumer);
  });

  it("refuses an absent eventfd with EINVAL, so that nothing is leaked at index 0", () => {
    const closed = Eventfd.create(ends.host);
    closed.close();
    for (const absent of [0, closed.record]) {
      assert.throws(() => manager.registerProducer(ends.producer(), absent, 1), { code: "EINVAL" });
      assert.throws(() => manager.registerConsumer(ends.consumer(), absent), { code: "EINVAL" });
    }
    assert.equal(ends.host.pools.node.live, 0);
  });

  for (const kind of ["lacking-add", "lacking-del"] as const) {
    it(`refuses a consumer that is ${kind} its mandatory callback with EINVAL`, () => {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(kind), ends.eventfd()];
      manager.registerProducer(producer, eventfd, 1);
      assert.throws(() => manager.registerConsumer(consumer, eventfd), {
        code: "EINVAL",
        message: /lacks addProducer or delProducer/,
      });
      assert.deepEqual(ends.takeLog(), []);
      assert.equal(manager.consumerAt(eventfd), 0);
      assert.deepEqual(ends.stateOfConsumer(consumer), FREE);
    });
  }

  it("says ENOMEM when the index has no room, and nothing stays registered", () => {
    const { node } = ends.host.pools;
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    const taken: number[] = [];
    while (node.live < node.capacity) taken.push(node.allocate());
    assert.deepEqual(
      outcome(() => manager.registerProducer(producer, eventfd, 1)),
      { code: "ENOMEM" },
    );
    assert.deepEqual(
      outcome(() => manager.registerConsumer(consumer, eventfd)),
      { code: "ENOMEM" },
    );
    assert.deepEqual(ends.stateOfProducer(producer), FREE);
    assert.deepEqual(ends.stateOfConsumer(consumer), FREE);
    assert.equal(manager.producerAt(eventfd) + manager.consumerAt(eventfd), 0);
    for (const record of taken) node.release(record);
    manager.registerProducer(producer, eventfd, 1);
    manager.registerConsumer(consumer, eventfd);
    assert.deepEqual(ends.takeLog(), CONNECT);
  });
});

describe("connect and disconnect", () => {
  for (const first of ["producer", "consumer"] as const) {
    it(`undo in the reverse order of the adds when the ${first} goes first`, () => {
      const { producer, consumer, eventfd } = pair();
      if (first === "producer") manager.unregisterProducer(producer);
      else manager.unregisterConsumer(consumer);
      assert.deepEqual(ends.takeLog(), DISCONNECT);
      assert.deepEqual(ends.stateOfProducer(producer), {
        eventfd: first === "producer" ? 0 : eventfd,
        partner: 0,
      });
      assert.deepEqual(ends.stateOfConsumer(consumer), {
        eventfd: first === "producer" ? eventfd : 0,
        partner: 0,
      });
      manager.unregisterProducer(producer);
      manager.unregisterConsumer(consumer);
      assert.deepEqual(ends.takeLog(), []);
      assert.equal(ends.host.pools.node.live, 0);
    });
  }

  it("need no callback of the producer, and only the two mandatory ones of the consumer", () => {
    const [producer, consumer, eventfd] = [ends.producer("plain"), ends.consumer("plain"), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    manager.registerProducer(producer, eventfd, 1);
    assert.deepEqual(ends.takeLog(), of("cons.addProducer"));
    manager.unregisterConsumer(consumer);
    assert.deepEqual(ends.takeLog(), of("cons.delProducer"));
  });

  it("hide the partners from every callback of a connect, and show them to every one of a disconnect", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    const seen: unknown[] = [];
    const look = () => {
      seen.push([ends.stateOfProducer(producer), ends.stateOfConsumer(consumer)]);
      return undefined;
    };
    for (const line of CONNECT.concat(DISCONNECT)) ends.on(line.split(" ")[0] as CallbackName, look);
    manager.registerProducer(producer, eventfd, 1);
    manager.registerConsumer(consumer, eventfd);
    // The end that arrives is not registered before all is well.
    assert.deepEqual(seen.splice(0), Array(6).fill([{ eventfd, partner: 0 }, FREE]));
    manager.unregisterProducer(producer);
    const both = [
      { eventfd, partner: consumer },
      { eventfd, partner: producer },
    ];
    assert.deepEqual(seen, Array(6).fill(both));
  });
});

describe("a connect that is refused", () => {
  for (const last of ["producer", "consumer"] as const) {
    for (const [side, callback, calls] of [
      [
        "producer",
        "prod.addConsumer",
        of("prod.stop", "cons.stop", "prod.addConsumer", "cons.start", "prod.start"),
      ],
      [
        "consumer",
        "cons.addProducer",
        of(
          "prod.stop",
          "cons.stop",
          "prod.addConsumer",
          "cons.addProducer",
          "prod.delConsumer",
          "cons.start",
          "prod.start",
        ),
      ],
    ] as const) {
      it(`by the ${side} when the ${last} comes last leaves the ${last} unregistered, and starts both again`, () => {
        const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
        ends.on(callback, () => REFUSAL);
        const register = {
          producer: () => manager.registerProducer(producer, eventfd, 1),
          consumer: () => manager.registerConsumer(consumer, eventfd),
        };
        register[last === "producer" ? "consumer" : "producer"]();
        assert.throws(register[last], {
          code: "ENODEV",
          errno: -19,
          side,
          reason: "delivery-mode",
          message: new RegExp(`${last} \\d+ was not registered: the ${side} refused`),
        });
        assert.deepEqual(ends.takeLog(), calls);
        assert.deepEqual(ends.stateOfProducer(producer), {
          eventfd: last === "producer" ? 0 : eventfd,
          partner: 0,
        });
        assert.deepEqual(ends.stateOfConsumer(consumer), {
          eventfd: last === "producer" ? eventfd : 0,
          partner: 0,
        });
        assert.equal(manager.producerAt(eventfd), last === "producer" ? 0 : producer);
        assert.equal(manager.consumerAt(eventfd), last === "producer" ? consumer : 0);
      });
    }
  }

  it("is not tried again by itself; the next to come gets an attempt of its own", () => {
    const [consumer, eventfd] = [ends.consumer(), ends.eventfd()];
    const [refused, next] = [ends.producer(), ends.producer()];
    manager.registerConsumer(consumer, eventfd);
    ends.on("cons.addProducer", () => REFUSAL);
    assert.throws(() => manager.registerProducer(refused, eventfd, 1), { code: "ENODEV" });
    ends.calm();
    ends.takeLog();
    manager.unregisterProducer(refused);
    assert.deepEqual(ends.takeLog(), []);
    manager.registerProducer(next, eventfd, 2);
    assert.equal(ends.takeLog().length, 6);
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: next });
    assert.deepEqual(ends.stateOfProducer(refused), FREE);
  });

  it("leaves the refused end free to register elsewhere at once", () => {
    const [producer, consumer] = [ends.producer(), ends.consumer()];
    const [one, other] = [ends.eventfd(), ends.eventfd()];
    manager.registerConsumer(consumer, one);
    ends.on("prod.addConsumer", () => REFUSAL);
    assert.throws(() => manager.registerProducer(producer, one, 1), { code: "ENODEV" });
    manager.registerProducer(producer, other, 1);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd: other, partner: 0 });
  });

  it("says no reason of its own where the callback gave none", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    ends.on("cons.addProducer", () => ({ code: "EPERM" }));
    assert.deepEqual(
      outcome(() => manager.registerProducer(producer, eventfd, 1)),
      {
        code: "EPERM",
        side: "consumer",
        reason: "refused",
      },
    );
  });
});

describe("a callback that throws", () => {
  for (const [side, callback] of [
    ["producer", "prod.addConsumer"],
    ["consumer", "cons.addProducer"],
  ] as const) {
    it(`in ${callback} refuses the connection, which is unwound`, () => {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      const cause = new Error("the device is on fire");
      manager.registerConsumer(consumer, eventfd);
      ends.on(callback, () => {
        throw cause;
      });
      assert.throws(() => manager.registerProducer(producer, eventfd, 1), { code: "EIO", side, cause });
      const log = ends.takeLog();
      assert.equal(log.includes("prod.delConsumer P1 C1"), side === "consumer");
      assert.deepEqual(log.slice(-2), of("cons.start", "prod.start"));
      assert.equal(manager.producerAt(eventfd), 0);
      assert.deepEqual(manager.callbacks.faults, []);
    });
  }

  it("with one of the library's errors keeps its code", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    ends.on("prod.addConsumer", () => {
      throw new IrqBypassError("ENOSPC", "no entry left");
    });
    assert.throws(() => manager.registerProducer(producer, eventfd, 1), { code: "ENOSPC", side: "producer" });
  });

  for (const callback of ["prod.stop", "cons.stop", "cons.start", "prod.start"] as const) {
    it(`in ${callback} of a connect is recorded, and the connect goes on`, () => {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      const error = new Error("not now");
      ends.on(callback, () => {
        throw error;
      });
      manager.registerProducer(producer, eventfd, 1);
      manager.registerConsumer(consumer, eventfd);
      assert.deepEqual(ends.takeLog(), CONNECT);
      assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
      const name = callback.replace("prod.", "producer ").replace("cons.", "consumer ");
      assert.deepEqual(manager.callbacks.faults, [{ callback: name, error }]);
    });
  }

  it("anywhere in a disconnect is recorded, and everything is torn down", () => {
    const { producer, consumer } = pair();
    for (const line of DISCONNECT) {
      ends.on(line.split(" ")[0] as CallbackName, () => {
        throw new Error(line);
      });
    }
    manager.unregisterConsumer(consumer);
    manager.unregisterProducer(producer);
    assert.deepEqual(ends.takeLog(), DISCONNECT);
    assert.deepEqual(
      manager.callbacks.faults.map(({ error }) => (error as Error).message),
      DISCONNECT,
    );
    assert.deepEqual(ends.stateOfProducer(producer), FREE);
    assert.deepEqual(ends.stateOfConsumer(consumer), FREE);
    assert.equal(ends.host.pools.node.live, 0);
  });

  it("again and again does not fill the memory: the last 64 are kept", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    let calls = 0;
    ends.on("prod.stop", () => {
      throw new Error(String(++calls));
    });
    for (let i = 0; i < 50; i++) {
      manager.registerProducer(producer, eventfd, 1);
      manager.unregisterProducer(producer);
    }
    const kept = manager.callbacks.faults.map(({ error }) => Number((error as Error).message));
    assert.deepEqual(
      kept,
      Array.from({ length: 64 }, (_, i) => 37 + i),
    );
  });
});

describe("a callback that calls the manager", () => {
  const names = [...new Set([...CONNECT, ...DISCONNECT].map((line) => line.split(" ")[0] as CallbackName))];
  for (const name of names) {
    it(`from ${name} gets EDEADLK for every operation, and the change goes on`, () => {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      const [otherProducer, otherConsumer, other] = [ends.producer(), ends.consumer(), ends.eventfd()];
      const outcomes: unknown[] = [];
      ends.on(name, () => {
        for (const operation of [
          () => manager.registerProducer(otherProducer, other, 1),
          () => manager.registerConsumer(otherConsumer, other),
          () => manager.unregisterProducer(producer),
          () => manager.unregisterConsumer(consumer),
          () => manager.moveProducer(producer, other),
        ]) {
          outcomes.push(outcome(operation));
        }
        return undefined;
      });
      manager.registerConsumer(consumer, eventfd);
      manager.registerProducer(producer, eventfd, 1);
      assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
      manager.unregisterProducer(producer);
      assert.deepEqual(ends.takeLog(), [...CONNECT, ...DISCONNECT]);
      const times = [...CONNECT, ...DISCONNECT].filter((line) => line.startsWith(`${name} `)).length;
      assert.deepEqual(outcomes, Array(5 * times).fill({ code: "EDEADLK" }));
      assert.equal(manager.producerAt(other) + manager.consumerAt(other), 0);
      manager.registerProducer(otherProducer, other, 1); // the mutex is free again
    });
  }

  it("and lets the error out of an add callback refuses the connection with it", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    ends.on("cons.addProducer", () => {
      manager.unregisterConsumer(consumer);
      return undefined;
    });
    assert.throws(
      () => manager.registerProducer(producer, eventfd, 1),
      ({ code, side, cause }: IrqBypassError) =>
        code === "EDEADLK" &&
        side === "consumer" &&
        /held by this very thread, which runs the callback consumer addProducer: call this after the/.test(
          (cause as Error).message,
        ),
    );
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: 0 });
  });
});

describe("unregister", () => {
  it("does nothing for an end that never was registered, failed to, or is unregistered already", () => {
    const { producer, consumer, eventfd } = pair();
    const [never, failed] = [ends.producer(), ends.producer()];
    assert.throws(() => manager.registerProducer(failed, eventfd, 1), { code: "EBUSY" });
    for (const record of [never, failed]) manager.unregisterProducer(record);
    manager.unregisterConsumer(ends.consumer());
    assert.deepEqual(ends.takeLog(), []);
    manager.unregisterConsumer(consumer);
    manager.unregisterConsumer(consumer);
    manager.unregisterProducer(producer);
    manager.unregisterProducer(producer);
    assert.deepEqual(ends.takeLog(), DISCONNECT);
  });

  it("lets the same end register again, under any eventfd", () => {
    const { producer, consumer, eventfd } = pair();
    const other = ends.eventfd();
    manager.unregisterProducer(producer);
    manager.unregisterConsumer(consumer);
    manager.registerConsumer(consumer, other);
    manager.registerProducer(producer, other, 1);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd: other, partner: consumer });
    manager.unregisterProducer(producer);
    manager.registerProducer(producer, eventfd, 1);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: 0 });
  });

  it("leaves nothing behind after a thousand pairs", () => {
    const before = liveRecords(ends.host);
    const [producer, consumer] = [ends.producer(), ends.consumer()];
    for (let i = 0; i < 1000; i++) {
      using eventfd = Eventfd.create(ends.host);
      manager.registerProducer(producer, eventfd.record, i);
      manager.registerConsumer(consumer, eventfd.record);
      manager.unregisterConsumer(consumer);
      manager.unregisterProducer(producer);
    }
    assert.deepEqual(liveRecords(ends.host), { ...before, producer: 1, consumer: 1 });
  });
});

describe("move", () => {
  it("disconnects from the old partner, then connects to the new one, and frees the old eventfd", () => {
    const { producer, consumer, eventfd } = pair();
    const [other, second] = [ends.eventfd(), ends.consumer()];
    manager.registerConsumer(second, other);
    manager.moveProducer(producer, other);
    const there = CONNECT.map((line) => line.replace("C1", "C2"));
    assert.deepEqual(ends.takeLog(), [...DISCONNECT, ...there]);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd: other, partner: second });
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: 0 });
    assert.deepEqual(ends.stateOfConsumer(second), { eventfd: other, partner: producer });
    assert.equal(manager.producerAt(eventfd), 0);
    manager.registerProducer(ends.producer(), eventfd, 1);
    assert.equal(ends.host.words.get(producer + Producer.irq), 7);
  });

  it("to an eventfd that nobody listens to only disconnects", () => {
    const { producer } = pair();
    const other = ends.eventfd();
    manager.moveProducer(producer, other);
    assert.deepEqual(ends.takeLog(), DISCONNECT);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd: other, partner: 0 });
  });

  it("to where it is does nothing", () => {
    const { producer, consumer, eventfd } = pair();
    manager.moveProducer(producer, eventfd);
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
  });

  it("is refused with EINVAL where it is not registered or there is no eventfd, with EBUSY where there is a producer", () => {
    const { producer, consumer, eventfd } = pair();
    const [lone, other] = [ends.producer(), ends.eventfd()];
    manager.registerProducer(lone, other, 1);
    assert.deepEqual(
      outcome(() => manager.moveProducer(ends.producer(), other)),
      {
        code: "EINVAL",
        side: "producer",
      },
    );
    assert.deepEqual(
      outcome(() => manager.moveProducer(producer, 0)),
      { code: "EINVAL", side: "producer" },
    );
    assert.deepEqual(
      outcome(() => manager.moveProducer(producer, other)),
      { code: "EBUSY", side: "producer" },
    );
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
    assert.equal(manager.producerAt(other), lone);
  });

  it("that the new partner refuses puts the old connection back", () => {
    const { producer, consumer, eventfd } = pair();
    const [other, second] = [ends.eventfd(), ends.consumer()];
    manager.registerConsumer(second, other);
    ends.on("cons.addProducer", (_, to) => (to === second ? REFUSAL : undefined));
    assert.throws(() => manager.moveProducer(producer, other), {
      code: "ENODEV",
      side: "consumer",
      reason: "delivery-mode",
    });
    const attempt = of(
      "prod.stop",
      "cons.stop",
      "prod.addConsumer",
      "cons.addProducer",
      "prod.delConsumer",
      "cons.start",
      "prod.start",
    ).map((line) => line.replace("C1", "C2"));
    assert.deepEqual(ends.takeLog(), [...DISCONNECT, ...attempt, ...CONNECT]);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: producer });
    assert.deepEqual(ends.stateOfConsumer(second), { eventfd: other, partner: 0 });
    assert.equal(manager.producerAt(other), 0);
  });

  it("whose way back is refused too leaves the producer registered where it was, unconnected", () => {
    const { producer, consumer, eventfd } = pair();
    const [other, second] = [ends.eventfd(), ends.consumer()];
    manager.registerConsumer(second, other);
    ends.on("prod.addConsumer", () => REFUSAL);
    assert.throws(() => manager.moveProducer(producer, other), { code: "ENODEV", side: "producer" });
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: 0 });
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: 0 });
    assert.equal(manager.producerAt(eventfd), producer);
    ends.calm();
    manager.unregisterProducer(producer);
    manager.unregisterConsumer(consumer);
    manager.unregisterConsumer(second);
    assert.equal(ends.host.pools.node.live, 0);
  });

  it("that is refused changes nothing of what a lone producer says", () => {
    const [producer, eventfd] = [ends.producer(), ends.eventfd()];
    const [other, second] = [ends.eventfd(), ends.consumer()];
    manager.registerProducer(producer, eventfd, 1);
    manager.registerConsumer(second, other);
    ends.on("cons.addProducer", () => REFUSAL);
    assert.throws(() => manager.moveProducer(producer, other), { code: "ENODEV" });
    assert.equal(ends.host.words.load(producer + Producer.irte), relayed("no-consumer"));
  });

  it("takes nothing along that an earlier refusal left in the remapping entry", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerProducer(producer, eventfd, 1);
    ends.on("cons.addProducer", () => REFUSAL);
    assert.throws(() => manager.registerConsumer(consumer, eventfd), { code: "ENODEV" });
    assert.equal(ends.host.words.load(producer + Producer.irte), relayed("delivery-mode"));
    manager.moveProducer(producer, ends.eventfd());
    assert.equal(ends.host.words.load(producer + Producer.irte), relayed("no-consumer"));
  });
});

describe("bugs of the kernel's past", () => {
  it("A2: a producer that failed to register and is unregistered does not touch the one that holds the eventfd", () => {
    const { producer, consumer, eventfd } = pair();
    const second = ends.producer();
    assert.throws(() => manager.registerProducer(second, eventfd, 1), { code: "EBUSY" });
    manager.unregisterProducer(second);
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
    assert.equal(manager.producerAt(eventfd), producer);
  });

  it("A3: nor does a consumer", () => {
    const { producer, consumer, eventfd } = pair();
    const second = ends.consumer();
    assert.throws(() => manager.registerConsumer(second, eventfd), { code: "EBUSY" });
    manager.unregisterConsumer(second);
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfConsumer(consumer), { eventfd, partner: producer });
    assert.equal(manager.consumerAt(eventfd), consumer);
  });

  it("A4: whatever refuses, every stop is followed by exactly one start", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    for (const callback of ["prod.addConsumer", "cons.addProducer"] as const) {
      for (const last of ["producer", "consumer"]) {
        ends.calm();
        ends.on(callback, () => REFUSAL);
        if (last === "consumer") manager.registerProducer(producer, eventfd, 1);
        else manager.registerConsumer(consumer, eventfd);
        assert.throws(
          () =>
            last === "consumer"
              ? manager.registerConsumer(consumer, eventfd)
              : manager.registerProducer(producer, eventfd, 1),
          { code: "ENODEV" },
        );
        manager.unregisterProducer(producer);
        manager.unregisterConsumer(consumer);
        const calls = ends.takeLog().map((line) => line.split(" ")[0]);
        for (const side of ["prod", "cons"]) {
          const hooks = calls.filter((name) => name === `${side}.stop` || name === `${side}.start`);
          assert.deepEqual(hooks, [`${side}.stop`, `${side}.start`]);
        }
      }
    }
  });

  it("A9: after a refused connect neither end remembers the other", () => {
    const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
    manager.registerConsumer(consumer, eventfd);
    ends.on("cons.addProducer", () => REFUSAL);
    assert.throws(() => manager.registerProducer(producer, eventfd, 1), { code: "ENODEV" });
    ends.calm();
    ends.takeLog();
    manager.unregisterConsumer(consumer);
    assert.deepEqual(ends.takeLog(), []);
    assert.deepEqual(ends.stateOfProducer(producer), FREE);
  });

  it("A11: a refused end is not left in the index", () => {
    for (const last of ["producer", "consumer"]) {
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      ends.on("cons.addProducer", () => REFUSAL);
      if (last === "producer") {
        manager.registerConsumer(consumer, eventfd);
        assert.throws(() => manager.registerProducer(producer, eventfd, 1), { code: "ENODEV" });
        assert.equal(manager.producerAt(eventfd), 0);
      } else {
        manager.registerProducer(producer, eventfd, 1);
        assert.throws(() => manager.registerConsumer(consumer, eventfd), { code: "ENODEV" });
        assert.equal(manager.consumerAt(eventfd), 0);
      }
      ends.calm();
      // Its place is free for another one, which connects.
      if (last === "producer") manager.registerProducer(ends.producer(), eventfd, 1);
      else manager.registerConsumer(ends.consumer(), eventfd);
      assert.notEqual(ends.stateOfProducer(manager.producerAt(eventfd)).partner, 0);
    }
  });
});
