/** The patches of the irqbypass series (v6.17): each with a twin that reverts it, and the test that then fails. */
import assert from "node:assert/strict";
import { Eventfd, Producer } from "irqbypass";
import { Eventfd as E, Producer as P } from "#src/host/layout.js";
import { Tried } from "#src/host/mutex.js";
import { Ends } from "../bypass/ends.js";
import { managerProofs } from "./a-manager.js";
import { type Proof, playFalse, prove } from "./proof.js";
import { GSI, VECTOR, World } from "./world.js";

/** A bug's proof, under a patch's name. */
function as(patch: string, bug: string): Proof {
  const proof = managerProofs.find(({ id }) => id === bug)!;
  return { ...proof, id: patch };
}

export const seriesProofs: readonly Proof[] = [
  prove<(producer: Producer) => void>(
    "patch 1",
    "what outlives a registration is held by who registers: the eventfd's record is not given to another one",
    () => {},
    {
      "holds nothing": (producer) =>
        playFalse(producer, (real) => ({
          register(eventfd: Eventfd) {
            real("register", eventfd);
            const { words } = eventfd.memory;
            words.set(eventfd.record + E.holds, words.get(eventfd.record + E.holds) - 1);
          },
        })),
    },
    (play) => {
      const { host, eventfd } = new World();
      const producer = Producer.create(host);
      play(producer);
      producer.register(eventfd);
      eventfd.close();
      assert.notEqual(Eventfd.create(host).record, eventfd.record);
    },
  ),

  as("patch 2", "A6"),

  prove<(ends: Ends) => void>(
    "patch 3",
    "the manager alone says what is registered: registering again is EINVAL, and changes nothing",
    () => {},
    {
      "believes what the caller has set in the object": ({ host }) =>
        playFalse(host.manager, (real) => ({
          registerProducer(producer: number, eventfd: number, irq: number) {
            host.words.set(producer + P.eventfd, 0);
            return real("registerProducer", producer, eventfd, irq);
          },
        })),
    },
    (play) => {
      const ends = new Ends();
      const { manager } = ends.host;
      play(ends);
      const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
      manager.registerConsumer(consumer, eventfd);
      manager.registerProducer(producer, eventfd, 1);
      assert.throws(() => manager.registerProducer(producer, ends.eventfd(), 1), { code: "EINVAL" });
      assert.deepEqual(ends.stateOfProducer(producer), { eventfd, partner: consumer });
    },
  ),

  prove<(world: World) => void>(
    "patch 4",
    "both ends record their partner, so that either can go and the bypass is undone",
    () => {},
    { "records no partners": ({ host }) => playFalse(host.manager, () => ({ bind() {} })) },
    (play) => {
      const world = new World();
      play(world);
      const irqfd = world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      producer.signal();
      assert.deepEqual(world.vectors(), [VECTOR]);
      irqfd.dispose();
      assert.equal(producer.reason, "no-consumer");
    },
  ),

  {
    ...as("patch 5", "A2"),
    sentence: "unregistering disconnects from the recorded partner, and from no other",
  },

  prove<(world: World) => void>(
    "patch 6",
    "whatever refuses or throws, the lock is given back",
    () => {},
    {
      "gives it back only where nothing is thrown": ({ host }) => {
        const { mutex } = host;
        playFalse(mutex, () => ({
          guard<T>(section: () => T, tried?: Tried): T {
            const { lock, unlock } = mutex as unknown as { lock(): void; unlock(): void };
            if (tried !== Tried.held) lock.call(mutex);
            const result = section();
            unlock.call(mutex);
            return result;
          },
        }));
      },
    },
    (play) => {
      const world = new World();
      const { host, eventfd } = world;
      world.producer();
      play(world);
      assert.throws(() => world.producer(eventfd), { code: "EBUSY" });
      assert.equal(host.mutex.held(), false);
    },
  ),

  { ...as("patch 7", "A1"), sentence: "registering costs the same however many are registered" },
  as("patch 7", "A11"),

  prove<(world: World) => void>(
    "patch 8",
    "the host's interrupt number is what register was told, also when it is registered anew",
    () => {},
    {
      "takes the number that the object had": ({ host }) =>
        playFalse(host.manager, (real) => ({
          registerProducer: (producer: number, eventfd: number) =>
            real("registerProducer", producer, eventfd, host.words.get(producer + P.irq)),
        })),
    },
    (play) => {
      const world = new World();
      const { host, eventfd } = world;
      play(world);
      const producer = Producer.create(host);
      for (const irq of [33, 34]) {
        producer.register(eventfd, irq);
        assert.deepEqual(host.interrupts()[0]?.producer, { irq });
        producer.unregister();
      }
    },
  ),
];
