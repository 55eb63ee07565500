/** Bugs of the manager and of its users (A1 to A11). */
import assert from "node:assert/strict";
import { Eventfd, Producer, type Refusal, VdpaDevice, type Virtqueue } from "irqbypass";
import type { FailedConnect } from "#src/bypass/callbacks.js";
import { Consumer, Eventfd as E, Producer as P } from "#src/host/layout.js";
import type { XArray } from "#src/host/xarray.js";
import { posted } from "#src/posting/irte.js";
import { Ends } from "../bypass/ends.js";
import { inside, type Proof, playFalse, prove } from "./proof.js";
import { atEveryMoment, GSI, msi, OTHER_VECTOR, VECTOR, World } from "./world.js";

type Play = (ends: Ends) => void;
const shipped = (): void => {};
const REFUSAL: Refusal = { code: "ENODEV", reason: "refused" };

/** The key stays in the object, and unregistering goes by it (before 2b521d86ee80 and 5d7dbdce388b). */
const byKey: Play = ({ host }) => {
  const { manager } = host;
  const keys = new Map<number, number>();
  playFalse(manager, (real) => ({
    addProducer(producer: number, eventfd: number, irq: number) {
      keys.set(producer, eventfd);
      return real("addProducer", producer, eventfd, irq);
    },
    addConsumer(consumer: number, eventfd: number) {
      keys.set(consumer, eventfd);
      return real("addConsumer", consumer, eventfd);
    },
    removeProducer(producer: number) {
      const key = keys.get(producer) ?? 0;
      return key === 0 ? 0 : real("removeProducer", manager.producerAt(key));
    },
    removeConsumer(consumer: number) {
      const key = keys.get(consumer) ?? 0;
      return key === 0 ? false : real("removeConsumer", manager.consumerAt(key));
    },
  }));
};

/** Accesses of registering one more consumer beside `count` others. */
function costOfOneMore(count: number, play: (world: World) => void): number {
  const world = new World();
  const { host } = world;
  play(world);
  const consumer = () => host.pools.consumer.allocate();
  for (let i = 0; i < count; i++) host.manager.registerConsumer(consumer(), Eventfd.create(host).record);
  const [last, eventfd] = [consumer(), Eventfd.create(host).record];
  return world.steps(() => host.manager.registerConsumer(last, eventfd));
}

/** Connects, and where that fails returns before it starts the two again (a979a6aa009f). */
const noStartAfterFailure: Play = ({ host }) => {
  const { manager } = host;
  playFalse(manager, () => ({
    connect(producer: number, consumer: number): FailedConnect | undefined {
      const { callbacks } = manager;
      const [prod, cons] = [callbacks.producer(producer), callbacks.consumer(consumer)];
      callbacks.run(prod.stop, "producer stop", producer, consumer);
      callbacks.run(cons.stop, "consumer stop", producer, consumer);
      const failed =
        callbacks.attempt(prod.addConsumer, "producer", producer, consumer) ??
        callbacks.attempt(cons.addProducer, "consumer", producer, consumer);
      if (failed !== undefined) return failed;
      callbacks.run(cons.start, "consumer start", producer, consumer);
      callbacks.run(prod.start, "producer start", producer, consumer);
      return undefined;
    },
  }));
};

const DRIVER_OK = 4;

/** An open vDPA device of two queues with interrupts 100 and 101, and how many producers there were at each reset. */
function vdpa(world: World, irq = (queue: number) => 100 + queue) {
  const atReset: number[] = [];
  const reset = () => void atReset.push(producers(world));
  const device = new VdpaDevice(world.host, { queues: 2, ops: { getVqIrq: irq, reset } });
  return { device, session: device.open(), atReset };
}

const producers = ({ host }: World) =>
  host.interrupts().filter(({ producer }) => producer !== undefined).length;

/** Moves a producer without taking it out of where it was. */
function leavesOldKey({ host }: World): void {
  const { manager, pools, words } = host;
  playFalse(manager, (real) => ({
    replaceEventfd(producer: number, eventfd: number) {
      const old = words.get(producer + P.eventfd);
      const owner = real<number>("replaceEventfd", producer, eventfd);
      inside<XArray>(manager, "producers").insert(pools.eventfd.slot(old), producer);
      return owner;
    },
  }));
}

/** May sleep after all. */
function sleeps({ host }: World): void {
  Object.assign(host.thread, { mayBlock: true });
}

/** Remembers the producer before it is sure that it can be bypassed, and does not forget it (before ed446e8aa894). */
function remembersTooEarly(world: World): void {
  world.playKind(({ consumer }) => ({
    consumer: {
      ...consumer,
      addProducer(memory, producer, irqfd) {
        memory.words.set(irqfd + Consumer.producer, producer);
        return consumer?.addProducer?.(memory, producer, irqfd);
      },
    },
  }));
}

/** Reads whom the irqfd is connected to, and changes its target, without the lock under which it is connected. */
function routesUnlocked({ host, vm, eventfd }: World): void {
  const { words, pools } = host;
  playFalse(vm, () => ({
    setGsiRouting() {
      const irqfd = words.load(eventfd.record + E.irqfd);
      const producer = words.get(irqfd + Consumer.producer);
      const target = posted(pools.vcpu.slot(vm.vcpu(0).record), OTHER_VECTOR);
      words.store(irqfd + Consumer.target, target);
      if (producer !== 0) words.store(producer + P.irte, target);
    },
  }));
}

export const managerProofs: readonly Proof[] = [
  prove<(world: World) => void>(
    "A1",
    "registering a consumer takes no more accesses beside 60 others than beside 6",
    shipped,
    {
      "walks a list": ({ host }) => {
        const others: number[] = [];
        playFalse(host.manager, (real) => ({
          registerConsumer(consumer: number, eventfd: number) {
            for (const other of others) assert.notEqual(host.words.get(other + Consumer.eventfd), eventfd);
            others.push(consumer);
            return real("registerConsumer", consumer, eventfd);
          },
        }));
      },
    },
    (play) => assert.ok(costOfOneMore(60, play) <= costOfOneMore(6, play), "it grows with their number"),
  ),

  prove<Play>(
    "A2",
    "a producer that failed to register and is unregistered leaves the one that holds the eventfd alone",
    shipped,
    { "unregisters by the key": byKey },
    (play) => {
      const ends = new Ends();
      const { manager } = ends.host;
      play(ends);
      const [first, second, consumer, eventfd] = [
        ends.producer(),
        ends.producer(),
        ends.consumer(),
        ends.eventfd(),
      ];
      manager.registerConsumer(consumer, eventfd);
      manager.registerProducer(first, eventfd, 1);
      assert.throws(() => manager.registerProducer(second, eventfd, 2), { code: "EBUSY" });
      manager.unregisterProducer(second);
      assert.deepEqual(ends.stateOfProducer(first), { eventfd, partner: consumer });
    },
  ),

  prove<Play>(
    "A3",
    "nor does a consumer that failed to register take the other one away when it is unregistered",
    shipped,
    { "unregisters by the key": byKey },
    (play) => {
      const ends = new Ends();
      const { manager } = ends.host;
      play(ends);
      const [first, second, producer, eventfd] = [
        ends.consumer(),
        ends.consumer(),
        ends.producer(),
        ends.eventfd(),
      ];
      manager.registerProducer(producer, eventfd, 1);
      manager.registerConsumer(first, eventfd);
      assert.throws(() => manager.registerConsumer(second, eventfd), { code: "EBUSY" });
      manager.unregisterConsumer(second);
      assert.deepEqual(ends.stateOfConsumer(first), { eventfd, partner: producer });
    },
  ),

  prove<Play>(
    "A4",
    "what was stopped for a connect that failed is started again, both ends of it",
    shipped,
    { "returns before it starts them again": noStartAfterFailure },
    (play) => {
      for (const refusing of ["prod.addConsumer", "cons.addProducer"] as const) {
        const ends = new Ends();
        const { manager } = ends.host;
        play(ends);
        const [producer, consumer, eventfd] = [ends.producer(), ends.consumer(), ends.eventfd()];
        manager.registerConsumer(consumer, eventfd);
        ends.on(refusing, () => REFUSAL);
        assert.throws(() => manager.registerProducer(producer, eventfd, 1), { code: "ENODEV" });
        const calls = ends.takeLog().map((line) => line.split(" ")[0]!);
        for (const side of ["prod", "cons"]) {
          const hooks = calls.filter((name) => [`${side}.stop`, `${side}.start`].includes(name));
          assert.deepEqual(hooks, [`${side}.stop`, `${side}.start`]);
        }
      }
    },
  ),

  prove<(world: World) => void>(
    "A5",
    "a queue that is given another call eventfd under DRIVER_OK leaves nothing at the old one",
    shipped,
    { "swaps first, and then unregisters by the new key": leavesOldKey },
    (play) => {
      const world = new World();
      play(world);
      const [one, other] = [world.eventfd, Eventfd.create(world.host)];
      const { device, session } = vdpa(world);
      session.setVringCall(0, one);
      session.setStatus(DRIVER_OK);
      session.setVringCall(0, other);
      session.setVringCall(1, one);
      assert.equal(device.queue(1).reason, "no-consumer", "the old eventfd has a producer that nobody owns");
    },
  ),

  prove<(world: World) => void>(
    "A6",
    "on a thread that may not block, setting queues up and down never sleeps: it says EAGAIN and changes nothing",
    shipped,
    { "takes the lock as if it might sleep": sleeps },
    (play) => {
      const world = new World();
      const { thread } = world.host;
      Object.assign(thread, { mayBlock: false });
      Object.defineProperty(thread, "spins", { value: 8 });
      play(world);
      const { session, device } = vdpa(world);
      session.setStatus(DRIVER_OK);
      const holder = world.other();
      const setUp = () => session.setVringCall(0, world.eventfd);
      holder.mutex.guard(() => {
        world.watch((access) => assert.notEqual(access, "wait", "it went to sleep"));
        assert.throws(setUp, { code: "EAGAIN" });
        world.watch();
      });
      assert.equal(device.queue(0).path, undefined);
      setUp();
      assert.equal(device.queue(0).reason, "no-consumer");
    },
  ),

  prove<(session: object, irq: (queue: number) => number) => void>(
    "A7",
    "a queue whose interrupt number is negative is no producer",
    shipped,
    {
      "registers whatever number there is": (session, irq) =>
        playFalse(session, () => ({ irqOf: ({ number }: Virtqueue) => irq(number) })),
    },
    (play) => {
      const world = new World();
      const irq = () => -1;
      const { device, session } = vdpa(world, irq);
      play(session, irq);
      session.setVringCall(0, world.eventfd);
      session.setStatus(DRIVER_OK);
      assert.equal(producers(world), 0);
      assert.equal(device.queue(0).reason, "no-irq");
    },
  ),

  prove<(session: object, reset: () => void) => void>(
    "A8",
    "the device is reset when no queue is a producer any more, at release and at status 0",
    shipped,
    {
      "resets first": (session, reset) =>
        playFalse(session, (real) => ({
          release: () => [reset(), real("release")],
          setStatus: (status: number) => [status === 0 && reset(), real("setStatus", status)],
        })),
    },
    (play) => {
      const world = new World();
      const { device, session, atReset } = vdpa(world);
      play(session, () => void atReset.push(producers(world)));
      session.setVringCall(0, world.eventfd);
      session.setStatus(DRIVER_OK);
      assert.equal(producers(world), 1);
      session.setStatus(0);
      session.setStatus(DRIVER_OK);
      session.release();
      assert.deepEqual([...new Set(atReset)], [0]);
      device.dispose();
    },
  ),

  prove<(world: World) => void>(
    "A9",
    "after a connect that failed a routing update does not touch the producer, nor what has its record by then",
    shipped,
    { "remembers a producer that it refuses": remembersTooEarly },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      play(world);
      vm.irqfd(eventfd, GSI + 1, { bypass: "require" }); // no route, so it cannot be had
      const refused = Producer.create(host);
      assert.throws(() => refused.register(eventfd), { code: "EOPNOTSUPP" });
      refused.dispose();
      const next = Eventfd.create(host);
      vm.irqfd(next, GSI);
      const producer = world.producer(next);
      vm.setGsiRouting([msi(GSI, 0), msi(GSI + 1, 0, OTHER_VECTOR)]);
      producer.signal();
      assert.deepEqual(world.vectors(), [VECTOR]);
    },
  ),

  prove<(world: World) => void>(
    "A10",
    "a producer that is registered at any moment of a routing update posts by the new route",
    shipped,
    { "updates without the lock under which ends are connected": routesUnlocked },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Watched();
          world.vm.irqfd(world.eventfd, GSI);
          play(world);
          return world;
        },
        ({ vm }) => vm.setGsiRouting([msi(GSI, 0, OTHER_VECTOR)]),
        (world) => {
          world.late = world.producer(world.eventfd, world.device);
        },
        (world) => {
          world.late?.signal();
          assert.deepEqual(world.vectors(), [OTHER_VECTOR]);
        },
      );
    },
  ),

  prove<Play>(
    "A11",
    "an end whose connect was refused is not left in the index",
    shipped,
    { "does not erase it": ({ host }) => playFalse(host.manager, () => ({ erase() {} })) },
    (play) => {
      const ends = new Ends();
      const { manager } = ends.host;
      play(ends);
      const [refused, next, consumer, eventfd] = [
        ends.producer(),
        ends.producer(),
        ends.consumer(),
        ends.eventfd(),
      ];
      manager.registerConsumer(consumer, eventfd);
      ends.on("cons.addProducer", () => REFUSAL);
      assert.throws(() => manager.registerProducer(refused, eventfd, 1), { code: "ENODEV" });
      assert.equal(manager.producerAt(eventfd), 0);
      ends.calm();
      manager.registerProducer(next, eventfd, 1);
      assert.deepEqual(ends.stateOfProducer(next), { eventfd, partner: consumer });
    },
  ),
];

/** A world with a device in another thread. */
class Watched extends World {
  readonly device = this.other();
  late: Producer | undefined;
}
