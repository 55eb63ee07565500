import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, type HostOptions, type Kind, VfioPciDevice, type VfioPciOptions } from "irqbypass";
import { whyRelayed } from "../support/host.js";
import { Guest, producers, refused, smallHost } from "./support.js";

/** A guest whose GSIs 32 to 47 have routes, a device, and eventfds. */
function bench(options: VfioPciOptions & { host?: HostOptions } = {}) {
  const { host: hostOptions, ...device } = options;
  const host = smallHost(hostOptions);
  const gsis = Array.from({ length: 16 }, (_, i) => 32 + i);
  const guest = new Guest(host, gsis);
  const eventfds = Array.from({ length: 8 }, () => Eventfd.create(host));
  const nic = new VfioPciDevice(host, { msix: 16, ...device });
  return {
    host,
    guest,
    gsis,
    nic,
    eventfds,
    /** Assigns irqfds to the first `count` eventfds: eventfd i to GSI 32 + i. */
    assign: (count: number) => eventfds.slice(0, count).map((eventfd, i) => guest.irqfd(eventfd, 32 + i)),
    set: (start: number, list: (Eventfd | null)[]) =>
      nic.setIrqs({
        index: "msix",
        start,
        count: list.length,
        action: "trigger",
        data: "eventfd",
        eventfds: list,
      }),
    [Symbol.dispose]() {
      nic.dispose();
      guest.dispose();
      for (const eventfd of eventfds) eventfd.close();
      assert.deepEqual(
        [host.pools.producer.live, host.pools.consumer.live, host.pools.eventfd.live],
        [0, 0, 0],
      );
      host.dispose();
    },
  };
}

describe("a vector with a trigger is a producer", () => {
  it("whichever end comes first, it is posted; without the other end it says so", () => {
    using it = bench();
    const [early, late] = [it.nic.vector("msix", 0), it.nic.vector("msix", 1)];
    assert.deepEqual([early.path, early.reason], [undefined, undefined]);
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    assert.deepEqual([early.path, early.reason], ["relayed", "no-consumer"]);
    const irqfds = it.assign(2);
    it.nic.setTrigger("msix", 1, it.eventfds[1]!);
    for (const end of [early, late, ...irqfds])
      assert.deepEqual([end.path, end.reason], ["posted", undefined]);
    early.signal();
    late.signal();
    assert.deepEqual(it.guest.served(), [33, 32]);
    it.nic.disable("msix");
    assert.deepEqual([irqfds[0]!.path, whyRelayed(irqfds[0]!)], ["relayed", "no-producer"]);
  });

  it("dispose takes the producers away", () => {
    using it = bench();
    it.set(0, it.eventfds.slice(0, 4));
    it.nic.dispose();
    assert.equal(producers(it.host), 0);
    it.nic.vector("msix", 0).signal();
    assert.equal(it.eventfds[0]!.count, 0n);
  });

  it("replaced live: signals go to the old irqfd before the call and to the new one after it", () => {
    using it = bench();
    const [old, fresh] = it.assign(2);
    const vector = it.nic.vector("msix", 0);
    for (let round = 0; round < 10; round++) {
      it.nic.setTrigger("msix", 0, it.eventfds[0]!);
      vector.signal();
      assert.deepEqual(it.guest.served(), [32]);
      it.nic.setTrigger("msix", 0, it.eventfds[1]!);
      vector.signal();
      assert.deepEqual(it.guest.served(), [33]);
    }
    assert.deepEqual([whyRelayed(old!), fresh!.reason], ["no-producer", undefined]);
  });

  it("masked, fired, unmasked: posted once; re-routed while masked, it goes to the new vector", () => {
    using it = bench();
    it.assign(1);
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    const vector = it.nic.vector("msix", 0);
    vector.mask();
    vector.signal();
    vector.signal();
    assert.deepEqual(it.guest.served(), []);
    it.guest.vm.setGsiRouting([{ gsi: 32, msi: { vcpu: 0, vector: 99 } }]);
    vector.unmask();
    assert.deepEqual(it.guest.served(), [99]);
  });

  it("a loopback test takes the eventfd's way, also while the vector is posted", async () => {
    using it = bench();
    it.assign(1);
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    it.nic.setIrqs({ index: "msix", start: 0, count: 1, action: "trigger", data: "none" });
    assert.equal(await it.guest.next(), 32);
  });
});

describe("a trigger that cannot be bypassed", () => {
  it("two vectors on one eventfd: the second works without bypass and says why", async () => {
    using it = bench();
    const [irqfd] = it.assign(1);
    it.set(0, [it.eventfds[0]!, it.eventfds[0]!]);
    const [first, second] = [it.nic.vector("msix", 0), it.nic.vector("msix", 1)];
    assert.deepEqual([first.path, first.reason], ["posted", undefined]);
    assert.deepEqual([second.path, second.reason], ["relayed", "another-producer"]);
    assert.equal(irqfd!.path, "posted");
    second.signal();
    assert.equal(await it.guest.next(), 32);
    it.nic.setTrigger("msix", 0, null);
    assert.deepEqual(
      [second.path, second.reason],
      ["relayed", "no-producer"],
      "nobody tries again by himself, and nobody else has it any more",
    );
    it.nic.setTrigger("msix", 1, it.eventfds[0]!);
    assert.deepEqual([second.path, second.reason], ["posted", undefined]);
  });

  it("replaced by an eventfd that has a producer: works there without bypass, the old eventfd is free", () => {
    using it = bench();
    it.set(0, it.eventfds.slice(0, 2));
    it.nic.setTrigger("msix", 1, it.eventfds[0]!);
    it.nic.vector("msix", 1).signal();
    assert.deepEqual([it.eventfds[0]!.count, it.eventfds[1]!.count], [1n, 0n]);
    it.nic.setTrigger("msix", 2, it.eventfds[1]!);
    assert.equal(it.nic.vector("msix", 2).reason, "no-consumer");
  });

  const picky: Kind = {
    name: "picky",
    producer: { addConsumer: () => ({ code: "EIO", reason: "no-capability" }) },
  };

  it("refused by a callback: the vector is up, both ends say why, and its signals are relayed", async () => {
    using it = bench({ kind: "picky", host: { kinds: [picky] } });
    const [irqfd] = it.assign(1);
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    const vector = it.nic.vector("msix", 0);
    assert.deepEqual([vector.path, vector.reason], ["relayed", "no-capability"]);
    assert.deepEqual([irqfd!.path, whyRelayed(irqfd!)], ["relayed", "no-capability"]);
    assert.equal(producers(it.host), 0);
    vector.signal();
    assert.equal(await it.guest.next(), 32);
  });

  it("refused by a callback where the irqfd requires bypass: the old trigger stays", () => {
    using it = bench({ kind: "picky", host: { kinds: [picky] } });
    it.nic.setTrigger("msix", 0, it.eventfds[1]!);
    it.guest.irqfd(it.eventfds[0]!, 32, { bypass: "require" });
    const error = refused("EIO", () => it.nic.setTrigger("msix", 0, it.eventfds[0]!));
    assert.deepEqual([error.side, error.reason], ["producer", "no-capability"]);
    it.nic.vector("msix", 0).signal();
    assert.equal(it.eventfds[1]!.count, 1n);
  });

  it("of a kind that the host does not have is refused with its device", () => {
    refused("EINVAL", () => bench({ kind: "unknown" }));
  });
});

describe("an irqfd that requires bypass", () => {
  it("without a route: the first trigger is refused with the reason, and the index stays off", () => {
    using it = bench();
    const irqfd = it.guest.irqfd(it.eventfds[0]!, 99, { bypass: "require" });
    const error = refused("EOPNOTSUPP", () => it.nic.setTrigger("msix", 0, it.eventfds[0]!));
    assert.deepEqual([error.side, error.reason], ["consumer", "no-route"]);
    refused("EINVAL", () => it.nic.disable("msix"));
    assert.equal(it.host.pools.producer.live, 0);
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "no-route"]);
  });

  it("a replacement is refused, and the old trigger stays posted", () => {
    using it = bench();
    const [old] = it.assign(1);
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    it.guest.irqfd(it.eventfds[1]!, 99, { bypass: "require" });
    refused("EOPNOTSUPP", () => it.nic.setTrigger("msix", 0, it.eventfds[1]!));
    assert.equal(old!.path, "posted");
    it.nic.vector("msix", 0).signal();
    assert.deepEqual(it.guest.served(), [32]);
  });

  it("a block is refused as a whole: every vector is posted where it was", () => {
    using it = bench();
    const irqfds = it.assign(6);
    it.set(0, it.eventfds.slice(0, 3));
    it.guest.irqfd(it.eventfds[6]!, 99, { bypass: "require" });
    refused("EOPNOTSUPP", () => it.set(0, [it.eventfds[3]!, null, it.eventfds[6]!]));
    assert.deepEqual(
      irqfds.map(({ path }) => path),
      ["posted", "posted", "posted", "relayed", "relayed", "relayed"],
    );
    for (let number = 0; number < 3; number++) it.nic.vector("msix", number).signal();
    assert.deepEqual(it.guest.served(), [34, 33, 32]);
  });

  it("a second vector on its eventfd would be relayed: EBUSY, with nothing changed", () => {
    using it = bench();
    it.guest.irqfd(it.eventfds[0]!, 32, { bypass: "require" });
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    refused("EBUSY", () => it.nic.setTrigger("msix", 1, it.eventfds[0]!));
    assert.equal(it.nic.vector("msix", 1).path, undefined);
    it.nic.setTrigger("msix", 1, it.eventfds[1]!);
    refused("EBUSY", () => it.nic.setTrigger("msix", 1, it.eventfds[0]!));
    it.nic.vector("msix", 1).signal();
    assert.equal(it.eventfds[1]!.count, 1n);
  });

  it("what cannot be refused leaves it relayed with the reason: the trigger taken away, the device disposed", () => {
    using it = bench();
    const irqfd = it.guest.irqfd(it.eventfds[0]!, 32, { bypass: "require" });
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    it.nic.setTrigger("msix", 0, null);
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "no-producer"]);
  });
});

describe("the callbacks of a vector's kind", () => {
  /** A kind that writes down its callbacks, and refuses the eventfds in `refusing`. */
  function recording(log: string[], refusing: Set<number>): Kind {
    const note = (name: string) => () => {
      log.push(name);
    };
    return {
      name: "recording",
      producer: {
        addConsumer: (_memory, _producer, consumer) => {
          log.push("add");
          return refusing.has(consumer) ? { code: "EIO" } : undefined;
        },
        delConsumer: note("del"),
        stop: note("stop"),
        start: note("start"),
      },
    };
  }

  it("setting connects, replacing disconnects and connects, taking away disconnects", () => {
    const log: string[] = [];
    using it = bench({ kind: "recording", host: { kinds: [recording(log, new Set())] } });
    it.assign(2);
    const during = (act: () => void): string => {
      log.length = 0;
      act();
      return log.join(" ");
    };
    const trigger = (eventfd: Eventfd | null) => () => it.nic.setTrigger("msix", 0, eventfd);
    assert.equal(during(trigger(it.eventfds[0]!)), "stop add start");
    assert.equal(during(trigger(it.eventfds[1]!)), "stop del start stop add start");
    assert.equal(during(trigger(it.eventfds[1]!)), "", "the same again changes nothing");
    assert.equal(during(trigger(it.eventfds[2]!)), "stop del start", "nobody listens there");
    assert.equal(during(trigger(null)), "");
  });

  it("a replacement that is refused connects the old one again, and every stop has its start", () => {
    const log: string[] = [];
    const refusing = new Set<number>();
    using it = bench({ kind: "recording", host: { kinds: [recording(log, refusing)] } });
    const [old] = it.assign(1);
    it.guest.irqfd(it.eventfds[1]!, 33, { bypass: "require" });
    it.nic.setTrigger("msix", 0, it.eventfds[0]!);
    refusing.add(it.host.mutex.guard(() => it.host.manager.consumerAt(it.eventfds[1]!.record)));
    log.length = 0;
    refused("EIO", () => it.nic.setTrigger("msix", 0, it.eventfds[1]!));
    assert.equal(log.join(" "), "stop del start stop add start stop add start");
    assert.equal(old!.path, "posted");
  });
});
