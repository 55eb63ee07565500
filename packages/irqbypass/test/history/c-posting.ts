/** Bugs of posted interrupts (C1 to C16). */
import assert from "node:assert/strict";
import { Eventfd, type Host, type Producer, VfioPciDevice, type Words } from "irqbypass";
import { refresh } from "#src/bypass/remapping.js";
import { Consumer, Descriptor, Eventfd as E, Header, Producer as P, Vcpu as V } from "#src/host/layout.js";
import type { Pool } from "#src/host/pool.js";
import * as descriptor from "#src/posting/descriptor.js";
import { Mode, modeOf, relayed, targetOf, vectorOf } from "#src/posting/irte.js";
import { assignWith, type Resolve, resolveShipped, resolveUnchecked } from "./b-irqfd.js";
import { type Proof, playFalse, prove } from "./proof.js";
import { atEveryMoment, GSI, msi, OTHER_VECTOR, recordOf, VECTOR, World } from "./world.js";

type Play = (world: World) => void;
const shipped: Play = () => {};

const { ON, SN, NOTIFICATION_VECTOR, WAKEUP_VECTOR } = descriptor;
const controlOf = (vcpu: number) => vcpu + V.descriptor + Descriptor.control;
const NV_SHIFT = 16;
const withNv = (control: number, vector: number) => (control & ~(0xff << NV_SHIFT)) | (vector << NV_SHIFT);

/** A world whose first vCPU is loaded on this thread, and a device in another one. */
class Loaded extends World {
  readonly device = this.other();
  readonly running = this.vcpu();
  readonly record = this.running.record;
  readonly words = this.host.words;
  blocked = true;
  posted = false;
  registered: Producer | undefined;

  get wakes(): number {
    return this.words.load(this.record + V.wake);
  }

  post(): void {
    this.posted = true;
    descriptor.post(this.device.words, this.record, VECTOR);
  }
}

/** Posts, but leaves a vCPU asleep that is the calling thread's own: it seems to be awake (before fdba608f15e2). */
function postToOthers(words: Words, vcpu: number, vector: number, current: number): void {
  words.or(vcpu + V.descriptor + (vector >>> 5), 1 << (vector & 31));
  const own = words.load(vcpu + V.descriptor + Descriptor.ndst) === current;
  const before = words.or(controlOf(vcpu), ON);
  if (!own && before >>> NV_SHIFT === WAKEUP_VECTOR) descriptor.wake(words, vcpu);
}

/** Reads the control word once for the test and once more for the exchange (before cfb0e1306a37). */
function blockReadingTwice(words: Words, vcpu: number): boolean {
  const control = controlOf(vcpu);
  for (;;) {
    const first = words.load(control);
    if (first & ON) return false;
    const second = words.load(control);
    if (words.compareExchange(control, second, withNv(first, WAKEUP_VECTOR)) === second) return true;
  }
}

/** Switches the notification vector back by a load and a store. */
function unblockByStore(words: Words, vcpu: number): void {
  const control = controlOf(vcpu);
  words.store(control, withNv(words.load(control), NOTIFICATION_VECTOR));
}

/** Clears SN and leaves ON as it was (before c112b5f50232). */
function loadWithoutLooking(words: Words, vcpu: number, destination: number): void {
  words.store(vcpu + V.descriptor + Descriptor.ndst, destination);
  descriptor.unblock(words, vcpu);
  words.and(controlOf(vcpu), ~SN);
}

/** Leaves NDST as it was. */
function loadWithoutNdst(words: Words, vcpu: number): void {
  const ndst = words.load(vcpu + V.descriptor + Descriptor.ndst);
  descriptor.load(words, vcpu, ndst);
}

const hasProducer = ({ host }: World) => host.interrupts().some(({ producer }) => producer !== undefined);

/** A view's walk over records that does not take the host mutex. */
function walkUnlocked(view: Host): void {
  playFalse(view, () => ({
    forEachLive(pool: Pool, visit: (record: number) => void) {
      for (let slot = 0; slot < pool.used; slot++) if (pool.lives(pool.at(slot))) visit(pool.at(slot));
    },
  }));
}

export const postingProofs: readonly Proof[] = [
  prove(
    "C1",
    "what was posted while SN was set is seen as soon as the vCPU is loaded again",
    descriptor.load,
    { "clears SN without looking at PIR": loadWithoutLooking },
    (load) => {
      const world = new Loaded();
      const { words, record } = world;
      descriptor.put(words, record);
      world.post();
      load(words, record, world.host.thread.lockId);
      assert.equal(world.running.acknowledge(), VECTOR);
    },
  ),

  prove<Play>(
    "C2",
    "a vCPU that is blocked on one thread cannot be loaded on another, and is woken where it is",
    shipped,
    {
      "loads it all the same": (world) =>
        world.playWords((real) => ({
          compareExchange: (word, expected, value) =>
            word === world.vm.vcpu(0).record + V.runner ? 0 : real.compareExchange(word, expected, value),
        })),
    },
    (play) => {
      const world = new World();
      const thread = world.other();
      const { record, handle } = world.vm.vcpu(0);
      descriptor.load(thread.words, record, thread.thread.lockId);
      thread.words.store(record + V.runner, thread.thread.record);
      assert.ok(descriptor.block(thread.words, record));
      play(world);
      assert.throws(() => world.vcpu(0), { code: "EBUSY" });
      const before = thread.words.load(record + V.wake);
      descriptor.post(world.host.words, record, VECTOR);
      assert.notEqual(thread.words.load(record + V.wake), before);
      assert.ok(handle > 0);
    },
  ),

  prove(
    "C3",
    "a vCPU with SN set has something pending when PIR has, though ON is clear",
    descriptor.pending,
    { "looks at ON alone": (words: Words, vcpu: number) => (words.load(controlOf(vcpu)) & ON) !== 0 },
    (pending) => {
      const world = new Loaded();
      descriptor.put(world.words, world.record);
      assert.equal(pending(world.words, world.record), false);
      world.post();
      assert.equal(pending(world.words, world.record), true);
    },
  ),

  prove<(world: Loaded) => void>(
    "C4",
    "a vCPU that blocked while it had a device is unblocked when the device is gone, and blocks again",
    ({ words, record }) => descriptor.unblock(words, record),
    {
      "unblocks only where there is a device": (world) => {
        if (hasProducer(world)) descriptor.unblock(world.words, world.record);
      },
    },
    (unblock) => {
      const world = new Loaded();
      const { words, record } = world;
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      assert.ok(descriptor.block(words, record));
      producer.dispose();
      unblock(world);
      assert.equal(world.running.inspect().nv, NOTIFICATION_VECTOR);
      assert.ok(descriptor.block(words, record));
      const before = world.wakes;
      world.post();
      assert.notEqual(world.wakes, before);
    },
  ),

  prove<(world: Loaded) => boolean>(
    "C5",
    "a vCPU that blocked before its VM had a device is woken by the first one",
    ({ words, record }) => descriptor.block(words, record),
    {
      "asks for the wake-up only where something may post": (world) =>
        hasProducer(world) ? descriptor.block(world.words, world.record) : true,
    },
    (block) => {
      const world = new Loaded();
      assert.ok(block(world));
      const before = world.wakes;
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      assert.equal(producer.path, "posted");
      producer.signal();
      assert.notEqual(world.wakes, before, "it sleeps on");
    },
  ),

  prove<(words: Words, vcpu: number, vector: number, current: number) => void>(
    "C6",
    "a vCPU never goes to sleep on what its own thread posted to it, at any moment of its wait",
    descriptor.post,
    { "takes its own thread for awake": postToOthers },
    (post) => {
      atEveryMoment(
        () => {
          const world = new Loaded();
          let now = 0;
          world.playWords((real) => ({
            clock: () => now++,
            wait(word, expected) {
              if (real.load(word) !== expected) return "not-equal";
              assert.ok(!world.posted, "it sleeps with an interrupt pending");
              return "timed-out";
            },
          }));
          return world;
        },
        ({ running }) => void running.wait({ timeoutMs: 3 }),
        (world) => {
          world.posted = true;
          post(world.words, world.record, VECTOR, world.host.thread.lockId);
        },
        ({ running }) => assert.equal(running.acknowledge(), VECTOR),
      );
    },
  ),

  prove(
    "C7",
    "a post at any moment of blocking is either seen or wakes: ON is not lost",
    descriptor.block,
    { "reads the control word twice": blockReadingTwice },
    (block) => {
      atEveryMoment(
        () => new Loaded(),
        (world) => {
          world.blocked = block(world.words, world.record);
        },
        (world) => world.post(),
        (world) => {
          assert.ok(descriptor.pending(world.words, world.record), "ON is lost");
          if (world.blocked) assert.notEqual(world.wakes, 0, "it sleeps on");
        },
      );
    },
  ),

  prove<(world: Loaded, producer: Producer) => void>(
    "C8",
    "a signal is delivered, once, whenever bypass is switched off meanwhile",
    () => {},
    {
      "looks whether bypass is on when it has read where to post": ({ host, words }, producer) =>
        playFalse(producer, (real) => ({
          signal() {
            const irte = words.load(recordOf(producer) + P.irte);
            if (modeOf(irte) !== Mode.posted) return real("signal");
            if (words.load(Header.bypass) === 0) return undefined;
            const vcpu = host.pools.vcpu.at(targetOf(irte));
            return descriptor.post(words, vcpu, vectorOf(irte));
          },
        })),
    },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Loaded();
          world.waitsFor.delete("signals in flight"); // what waits for them is the fence, which is left out here
          world.vm.irqfd(world.eventfd, GSI);
          world.registered = world.producer();
          play(world, world.registered);
          return world;
        },
        ({ registered }) => registered?.signal(),
        ({ device, eventfd }) => {
          device.words.store(Header.bypass, 0);
          const irqfd = device.words.load(eventfd.record + E.irqfd);
          device.mutex.guard(() => refresh(device, irqfd));
        },
        (world) => {
          world.relay();
          assert.deepEqual(world.vectors(), [VECTOR], "the interrupt is lost");
        },
      );
    },
  ),

  prove(
    "C9",
    "a vCPU that moves to another thread takes the destination of its notifications along; no entry changes",
    descriptor.load,
    { "leaves the destination where it was": loadWithoutNdst },
    (load) => {
      const world = new Loaded();
      const { words, record } = world;
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      const entry = words.load(recordOf(producer) + P.irte);
      descriptor.put(words, record);
      load(words, record, 77);
      assert.equal(world.running.inspect().ndst, 77);
      assert.equal(words.load(recordOf(producer) + P.irte), entry);
      producer.signal();
      assert.deepEqual(world.vectors(), [VECTOR]);
    },
  ),

  prove<(world: World, waiting: number) => void>(
    "C10",
    "re-targeted, the old vCPU gets nothing more; a table that is refused half-way leaves every irqfd where it was",
    () => {},
    {
      "does not take back what it had changed": ({ host, vm }, waiting) =>
        playFalse(vm, (real) => ({
          setGsiRouting(routes: never) {
            try {
              real("setGsiRouting", routes);
            } catch (error) {
              host.words.store(waiting + Consumer.target, relayed("no-route"));
              throw error;
            }
          },
        })),
    },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      vm.irqfd(eventfd, GSI, { bypass: "require" });
      const producer = world.producer();
      vm.setGsiRouting([msi(GSI, 1), msi(GSI + 1, 1, OTHER_VECTOR)]);
      producer.signal();
      assert.deepEqual([world.vectors(0), world.vectors(1)], [[], [VECTOR]]);
      const lone = Eventfd.create(host);
      vm.irqfd(lone, GSI + 1, { bypass: "require" });
      play(world, host.words.load(lone.record + E.irqfd));
      assert.throws(() => vm.setGsiRouting([]), { code: "EOPNOTSUPP" });
      assert.equal(producer.path, "posted");
      assert.doesNotThrow(() => world.producer(lone), "the old routes stay, and it can be posted by them");
    },
  ),

  prove<(world: Loaded) => void>(
    "C11",
    "an entry that is made at any moment of a switch says what the switch says when both are done",
    () => {},
    {
      "makes entries without the lock under which the switch changes them": (world) => {
        world.waitsFor.delete("host mutex");
        walkUnlocked(world.device);
      },
    },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Loaded();
          world.vm.irqfd(world.eventfd, GSI);
          play(world);
          return world;
        },
        (world) => {
          world.registered = world.producer();
        },
        ({ device }) => {
          device.bypass = false;
        },
        ({ registered }) => assert.equal(registered?.reason, "switched-off"),
      );
    },
  ),

  prove<(world: World, device: VfioPciDevice) => void>(
    "C12",
    "masking and unmasking a vector, or the whole function, leaves the entry of a posted interrupt alone",
    () => {},
    {
      "writes the entry anew, as if nothing were posted": ({ host, eventfd }, device) =>
        playFalse(device.vector("msix", 0), (real) => ({
          unmask() {
            real("unmask");
            const producer = host.mutex.guard(() => host.manager.producerAt(eventfd.record));
            host.words.store(producer + P.irte, relayed("no-consumer"));
          },
        })),
    },
    (play) => {
      const world = new World();
      const device = new VfioPciDevice(world.host, { msix: 2 });
      world.vm.irqfd(world.eventfd, GSI);
      device.setTrigger("msix", 0, world.eventfd);
      play(world, device);
      const vector = device.vector("msix", 0);
      vector.mask();
      vector.unmask();
      device.functionMask = true;
      device.functionMask = false;
      assert.equal(vector.path, "posted");
      vector.signal();
      assert.deepEqual(world.vectors(), [VECTOR]);
    },
  ),

  prove<(words: Words, vcpu: number) => void>(
    "C13",
    "nobody is notified of what is posted to a vCPU that is put, and it is there when it is loaded",
    descriptor.put,
    { "leaves SN clear": () => {} },
    (put) => {
      const world = new Loaded();
      const { words, record, running } = world;
      put(words, record);
      const before = world.wakes;
      world.post();
      assert.deepEqual([running.inspect().on, world.wakes], [false, before]);
      descriptor.load(words, record, world.host.thread.lockId);
      assert.equal(running.acknowledge(), VECTOR);
    },
  ),

  prove<Play>(
    "C14",
    "an interrupt that was re-routed after it was connected is un-posted all the same",
    shipped,
    {
      "un-posts what it posted when it was connected": (world) => {
        const connected = new Map<number, number>();
        world.playKind(({ consumer }) => ({
          consumer: {
            ...consumer,
            addProducer(memory, producer, irqfd) {
              connected.set(producer, memory.words.load(irqfd + Consumer.target));
              return consumer?.addProducer?.(memory, producer, irqfd);
            },
            delProducer(memory, producer, irqfd) {
              if (connected.get(producer) !== memory.words.load(producer + P.irte)) return;
              consumer?.delProducer?.(memory, producer, irqfd);
            },
          },
        }));
      },
    },
    (play) => {
      const world = new World();
      play(world);
      const irqfd = world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      world.vm.setGsiRouting([msi(GSI, 1)]);
      irqfd.dispose();
      producer.signal();
      assert.deepEqual([world.vectors(0), world.vectors(1)], [[], []]);
    },
  ),

  prove<Resolve>(
    "C15",
    "a route to a pin is never posted, whatever its words would say as an MSI",
    resolveShipped,
    { "takes any route for an MSI": resolveUnchecked },
    (resolveGsi) => {
      const world = new World();
      world.vm.setGsiRouting([{ gsi: GSI, irqchip: { chip: "ioapic", pin: 5 } }]);
      assignWith(world, GSI, () => resolveGsi(world, GSI));
      const producer = world.producer();
      assert.equal(producer.reason, "not-msi");
      producer.signal();
      world.relay();
      assert.deepEqual(world.vectors(), []);
    },
  ),

  prove(
    "C16",
    "a post at any moment of the end of a sleep is seen: ON is not overwritten",
    descriptor.unblock,
    { "switches the notification vector by a load and a store": unblockByStore },
    (unblock) => {
      atEveryMoment(
        () => {
          const world = new Loaded();
          descriptor.block(world.words, world.record);
          return world;
        },
        ({ words, record }) => unblock(words, record),
        (world) => world.post(),
        (world) => assert.ok(descriptor.pending(world.words, world.record), "the interrupt sits in PIR"),
      );
    },
  ),
];
