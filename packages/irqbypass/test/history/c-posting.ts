/** Bugs of posted interrupts (C1 to C16). */
import assert from "node:assert/strict";
import { override } from "atomics-explorer";
import { Eventfd, type Host, type Producer, VfioPciDevice, type Words } from "irqbypass";
import { refresh } from "#src/bypass/remapping.js";
import {
  Consumer,
  Descriptor,
  Eventfd as E,
  Header,
  NOTIFICATION_VECTOR,
  ON,
  Producer as P,
  SN,
  Vcpu as V,
  WAKEUP_VECTOR,
} from "#src/host/layout.js";
import type { Pool } from "#src/host/pool.js";
import * as descriptor from "#src/posting/descriptor.js";
import { Mode, modeOf, relayed, targetOf, vectorOf } from "#src/posting/irte.js";
import { assignWith, type Resolve, resolveShipped, resolveUnchecked } from "./b-irqfd.js";
import { type Proof, playFalse, prove } from "./proof.js";
import { atEveryMoment, GSI, msi, OTHER_VECTOR, recordOf, VECTOR, World } from "./world.js";

type Play = (world: World) => void;
const shipped: Play = () => {};

const controlOf = (file: number) => file + Descriptor.control;
const NV_SHIFT = 16;
const withNv = (control: number, vector: number) => (control & ~(0xff << NV_SHIFT)) | (vector << NV_SHIFT);

/** A world whose first vCPU is loaded on this thread, and a device in another one. */
class Loaded extends World {
  readonly device = this.other();
  readonly running = this.vcpu();
  readonly file = this.running.file;
  readonly words = this.host.words;
  blocked = 1;
  posted = false;
  registered: Producer | undefined;

  /** How often somebody was woken on the control word. */
  wakes = 0;

  constructor() {
    super();
    this.playWords((real) => this.counts(real));
  }

  counts(real: Words): Pick<Words, "notify"> {
    return {
      notify: (word, count) => {
        if (word === controlOf(this.file)) this.wakes += 1;
        return real.notify(word, count);
      },
    };
  }

  post(): void {
    this.posted = true;
    descriptor.post(override(this.device.words, this.counts(this.device.words)), this.file, VECTOR);
  }
}

/** Posts, but leaves a vCPU asleep that is the calling thread's own: it seems to be awake (before fdba608f15e2). */
function postToOthers(words: Words, file: number, vector: number, current: number): void {
  words.or(file + Descriptor.pir + (vector >>> 5), 1 << (vector & 31));
  const own = words.load(file + Descriptor.ndst) === current;
  const before = words.or(controlOf(file), ON);
  if (!own && before >>> NV_SHIFT === WAKEUP_VECTOR) words.notify(controlOf(file));
}

/** Reads the control word once for the test and once more for the exchange (before cfb0e1306a37). */
function blockReadingTwice(words: Words, file: number): number {
  const control = controlOf(file);
  for (;;) {
    const first = words.load(control);
    if (first & ON) return 0;
    const second = words.load(control);
    const asleep = withNv(first, WAKEUP_VECTOR);
    if (words.compareExchange(control, second, asleep) === second) return asleep;
  }
}

/** Switches the notification vector back by a load and a store. */
function unblockByStore(words: Words, file: number): void {
  const control = controlOf(file);
  words.store(control, withNv(words.load(control), NOTIFICATION_VECTOR));
}

/** Clears SN and leaves ON as it was (before c112b5f50232). */
function loadWithoutLooking(words: Words, file: number, destination: number): void {
  words.store(file + Descriptor.ndst, destination);
  descriptor.unblock(words, file);
  words.and(controlOf(file), ~SN);
}

/** Leaves NDST as it was. */
function loadWithoutNdst(words: Words, file: number): void {
  const ndst = words.load(file + Descriptor.ndst);
  descriptor.load(words, file, ndst);
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
      const { words, file } = world;
      descriptor.suspend(words, file);
      world.post();
      load(words, file, world.host.thread.lockId);
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
      const { record, file, handle } = world.vm.vcpu(0);
      descriptor.load(thread.words, file, thread.thread.lockId);
      thread.words.store(record + V.runner, thread.thread.record);
      const asleep = descriptor.block(thread.words, file);
      assert.ok(asleep);
      play(world);
      assert.throws(() => world.vcpu(0), { code: "EBUSY" });
      let woken = 0;
      const { words } = world.host;
      const notify = (word: number) => (word === controlOf(file) ? ++woken : words.notify(word));
      descriptor.post(override(words, { notify }), file, VECTOR);
      assert.equal(woken, 1);
      assert.notEqual(words.load(controlOf(file)), asleep);
      assert.ok(handle > 0);
    },
  ),

  prove(
    "C3",
    "a vCPU with SN set has something pending when PIR has, though ON is clear",
    descriptor.pending,
    { "looks at ON alone": (words: Words, file: number) => (words.load(controlOf(file)) & ON) !== 0 },
    (pending) => {
      const world = new Loaded();
      descriptor.suspend(world.words, world.file);
      assert.equal(pending(world.words, world.file), false);
      world.post();
      assert.equal(pending(world.words, world.file), true);
    },
  ),

  prove<(world: Loaded) => void>(
    "C4",
    "a vCPU that blocked while it had a device is unblocked when the device is gone, and blocks again",
    ({ words, file }) => descriptor.unblock(words, file),
    {
      "unblocks only where there is a device": (world) => {
        if (hasProducer(world)) descriptor.unblock(world.words, world.file);
      },
    },
    (unblock) => {
      const world = new Loaded();
      const { words, file } = world;
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      assert.ok(descriptor.block(words, file));
      producer.dispose();
      unblock(world);
      assert.equal(world.running.inspect().nv, NOTIFICATION_VECTOR);
      assert.ok(descriptor.block(words, file));
      const before = world.wakes;
      world.post();
      assert.notEqual(world.wakes, before);
    },
  ),

  prove<(world: Loaded) => number>(
    "C5",
    "a vCPU that blocked before its VM had a device is woken by the first one",
    ({ words, file }) => descriptor.block(words, file),
    {
      "asks for the wake-up only where something may post": (world) =>
        hasProducer(world) ? descriptor.block(world.words, world.file) : 1,
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

  prove<(words: Words, file: number, vector: number, current: number) => void>(
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
            ...world.counts(real),
            clock: () => now++,
            wait(word, expected) {
              if (real.load(word) !== expected) return "not-equal";
              assert.ok(!world.posted, "it sleeps with an interrupt pending");
              const { wakes } = world;
              world.words.load(word); // a moment while it sleeps, as other work of its thread has with waitAsync
              assert.ok(!world.posted || world.wakes > wakes, "it sleeps on");
              return world.posted ? "ok" : "timed-out";
            },
          }));
          return world;
        },
        ({ running }) => void running.wait({ timeoutMs: 3 }),
        (world) => {
          world.posted = true;
          post(world.words, world.file, VECTOR, world.host.thread.lockId);
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
          world.blocked = block(world.words, world.file);
        },
        (world) => world.post(),
        (world) => {
          assert.ok(descriptor.pending(world.words, world.file), "ON is lost");
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
            return descriptor.post(words, vcpu + V.descriptor, vectorOf(irte));
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
      const { words, file } = world;
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      const entry = words.load(recordOf(producer) + P.irte);
      descriptor.suspend(words, file);
      load(words, file, 77);
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

  prove<(words: Words, file: number) => void>(
    "C13",
    "nobody is notified of what is posted to a vCPU that is put, and it is there when it is loaded",
    descriptor.suspend,
    { "leaves SN clear": () => {} },
    (put) => {
      const world = new Loaded();
      const { words, file, running } = world;
      put(words, file);
      const before = world.wakes;
      world.post();
      assert.deepEqual([running.inspect().on, world.wakes], [false, before]);
      descriptor.load(words, file, world.host.thread.lockId);
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
          descriptor.block(world.words, world.file);
          return world;
        },
        ({ words, file }) => unblock(words, file),
        (world) => world.post(),
        (world) => assert.ok(descriptor.pending(world.words, world.file), "the interrupt sits in PIR"),
      );
    },
  ),
];
