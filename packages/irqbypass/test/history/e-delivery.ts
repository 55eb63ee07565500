/** Fixes of 2022 to 2026 in interrupt delivery (E1 to E22): what of it has a part here. */
import assert from "node:assert/strict";
import { Eventfd, type Host, Producer, type Refusal, type Vcpu } from "irqbypass";
import { Consumer, Vm as M, Vcpu as V } from "#src/host/layout.js";
import { DelayedEois } from "#src/vm/delayed-eois.js";
import type { IoBus } from "#src/vm/io-bus.js";
import { serviceWaiting } from "#src/vm/ioapic.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { irqfdProofs } from "./b-irqfd.js";
import { inside, type Proof, playFalse, prove } from "./proof.js";
import { GSI, msi, OTHER_VECTOR, recordOf, VECTOR, World } from "./world.js";

type Play = (world: World) => void;
const shipped: Play = () => {};

/** The proof of an earlier row of the table: the same mistake. */
function as(id: string, bug: string, proofs: readonly Proof[]): Proof {
  return { ...proofs.find((proof) => proof.id === bug)!, id };
}

/** Finds out once that nothing can be delivered, and does not look again. */
function keepsTheNo(vcpu: Vcpu): void {
  let has = true;
  playFalse(vcpu, (real) => ({
    hasPosted() {
      has &&= real<boolean>("hasPosted");
      return has;
    },
  }));
}

/** Reads what is in service once, and believes that from then on (before 97a71c444a14). */
function keepsInService(world: World): void {
  const isr = world.vm.vcpu(0).record + V.isr;
  const known = new Map<number, number>();
  world.playWords((real) => ({
    get(word) {
      if (word < isr || word >= isr + 8) return real.get(word);
      const value = known.get(word) ?? real.get(word);
      known.set(word, value);
      return value;
    },
  }));
}

/** Wants each part of a store aligned to its length within the whole (before f1edbed787ba). */
function wantsItAligned(bus: IoBus): void {
  let offset = 0;
  playFalse(bus, (real) => ({
    write(space: string, address: number, length: number, value: number) {
      if (offset % length !== 0)
        throw new Error(`the part at byte ${offset} is not aligned to its ${length}`);
      offset += length;
      return real("write", space, address, length, value);
    },
  }));
}

/** A world whose other thread is in the middle of a signal of another eventfd, and never goes on. */
class Beside extends World {
  readonly device = this.other();

  constructor() {
    super();
    const unrelated = Eventfd.create(this.host);
    this.device.words.store(this.device.thread.writing, unrelated.record);
  }

  /** Fails where this thread would wait for the other one. */
  waitsForNobody(): void {
    const { thread } = this.host;
    const fence = thread.fence.bind(thread);
    thread.fence = (inflight, what) => {
      assert.equal(
        this.host.words.load(inflight) === what,
        false,
        "it waits for what is none of its business",
      );
      fence(inflight, what);
    };
  }
}

const PIN = 10;
const LEVEL_VECTOR = 0x51;

/** A world with a level-triggered pin that a device holds, and its vCPU. */
class Level extends World {
  readonly running = this.vcpu();

  constructor() {
    super();
    this.vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
    this.vm.ioapic.redirect(PIN, { vcpu: 0, vector: LEVEL_VECTOR, level: true });
  }

  /** Does an EOI take the VM's mutex? */
  eoiLocks(): boolean {
    let locked = false;
    const mutex = recordOf(this.vm) + M.mutex;
    this.watch((access, word) => {
      locked ||= access === "compareExchange" && word === mutex;
    });
    this.running.eoi();
    this.watch();
    return locked;
  }
}

/** The refusals of a connect, by who makes them, and on which side of what the shipped callback does. */
type Refuses = (world: World) => void;
const ENTRY_FAILS: Refusal = { code: "EIO", reason: "refused" };

const refuses: Refuses = (world) =>
  world.playKind(({ consumer }) => ({
    consumer: {
      ...consumer,
      addProducer(memory, producer, irqfd) {
        consumer?.addProducer?.(memory, producer, irqfd); // the entry is written, and then it fails
        return ENTRY_FAILS;
      },
    },
  }));

const refusesAndRemembers: Refuses = (world) => {
  refuses(world);
  world.playKind(({ consumer }) => ({
    consumer: {
      ...consumer,
      addProducer(memory, producer, irqfd) {
        memory.words.set(irqfd + Consumer.producer, producer);
        return consumer?.addProducer?.(memory, producer, irqfd);
      },
    },
  }));
};

/** Of a refused pair, with the end that came last: nothing leads from the irqfd to what was the producer's record. */
function afterRefusal(last: "producer" | "irqfd", play: Refuses): void {
  const world = new World();
  const { host, vm, eventfd } = world;
  const shippedKind = host.kinds[0]!;
  play(world);
  const refused = Producer.create(host);
  if (last === "producer") vm.irqfd(eventfd, GSI);
  if (last === "irqfd") refused.register(eventfd);
  const record = recordOf(refused);
  if (last === "producer") assert.throws(() => refused.register(eventfd), { code: "EIO" });
  else assert.equal(vm.irqfd(eventfd, GSI).path, "relayed");
  refused.dispose();
  world.playKind(() => shippedKind);
  const next = Eventfd.create(host);
  const producer = world.producer(next);
  assert.equal(recordOf(producer), record, "the next producer has the record of the refused one");
  vm.setGsiRouting([msi(GSI, 0, OTHER_VECTOR)]);
  producer.signal();
  assert.deepEqual([producer.reason, world.vectors()], ["no-consumer", []]);
}

export const deliveryProofs: readonly Proof[] = [
  prove<Play>(
    "E3",
    "what is in service is looked at as it is when it counts, and not as it once was",
    shipped,
    { "believes what it has once seen in service": keepsInService },
    (play) => {
      const world = new World();
      const vcpu = world.vcpu();
      play(world);
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      assert.equal(vcpu.hasInterrupt(), false);
      producer.signal();
      assert.equal(vcpu.hasInterrupt(), true);
      assert.equal(vcpu.acknowledge(), VECTOR);
      producer.signal();
      assert.equal(vcpu.hasInterrupt(), false, "its class is in service");
      vcpu.eoi();
      assert.equal(vcpu.hasInterrupt(), true);
    },
  ),

  as("E5", "B11", irqfdProofs),

  prove<(world: Beside) => void>(
    "E7",
    "a deassign waits for signals of its own eventfd alone, and for no grace period of the host",
    () => {},
    {
      "waits until every other thread is idle": ({ host }) => {
        const { thread } = host;
        thread.fenceAll = () => thread.quiesce();
      },
    },
    (play) => {
      const world = new Beside();
      const irqfd = world.vm.irqfd(world.eventfd, GSI, { bypass: "off" });
      world.waitsForNobody();
      play(world);
      irqfd.dispose();
    },
  ),

  prove<(world: Level) => void>(
    "E10",
    "once its vector comes as an edge again, an EOI goes to no I/O APIC any more",
    () => {},
    {
      "leaves the vector marked as a level's": (world) => {
        const tmr = world.vm.vcpu(0).record + V.tmr + (LEVEL_VECTOR >>> 5);
        world.playWords((real) => ({
          and: (word, value) => (word === tmr ? real.load(word) : real.and(word, value)),
        }));
      },
    },
    (play) => {
      const world = new Level();
      const { vm, running } = world;
      play(world);
      vm.setIrqLine(PIN, true);
      assert.equal(running.acknowledge(), LEVEL_VECTOR);
      vm.setIrqLine(PIN, false);
      assert.equal(world.eoiLocks(), true, "of a level");
      vm.setGsiRouting([msi(GSI, 0, LEVEL_VECTOR)]);
      for (let round = 0; round < 2; round++) {
        vm.setIrqLine(GSI, true);
        assert.equal(running.acknowledge(), LEVEL_VECTOR);
        assert.equal(world.eoiLocks(), false, "of an edge");
      }
    },
  ),

  prove<(world: World) => void>(
    "E11",
    "a task priority that was set before the vCPU moved holds where it is loaded next",
    () => {},
    {
      "leaves it with the thread": (world) =>
        world.playWords((real) => ({
          set: (word, value) => {
            if (word !== world.vm.vcpu(0).record + V.tpr) real.set(word, value);
          },
        })),
    },
    (play) => {
      const world = new World();
      play(world);
      const first = world.vcpu();
      first.tpr = VECTOR;
      first.put();
      world.vm.irqfd(world.eventfd, GSI);
      world.producer().signal();
      const second = world.vcpu();
      assert.deepEqual([second.hasInterrupt(), second.acknowledge()], [false, undefined]);
    },
  ),

  prove<(world: Beside) => void>(
    "E12",
    "a new ioeventfd waits for no store that is under way",
    () => {},
    {
      "waits until every other thread is idle": ({ host }) =>
        playFalse(host.pools.ioeventfd, (real) => ({
          allocate() {
            host.thread.quiesce();
            return real("allocate");
          },
        })),
    },
    (play) => {
      const world = new Beside();
      world.waitsForNobody();
      play(world);
      const notify = Eventfd.create(world.host);
      world.vm.ioeventfd({ address: 0xfe00_0000, length: 4 }, notify);
      assert.equal(world.vm.write("mmio", 0xfe00_0000, 4, 0), true);
      assert.equal(notify.tryRead(), 1n);
    },
  ),

  prove<(world: World) => void>(
    "E13",
    "what is in service when a vCPU moves to another thread is ended by the EOI there, and by no earlier one",
    () => {},
    {
      "loads the vCPU with nothing in service": (world) => {
        const isr = world.vm.vcpu(0).record + V.isr;
        world.playWords((real) => ({
          get: (word) => (word >= isr && word < isr + 8 ? 0 : real.get(word)),
        }));
      },
    },
    (play) => {
      const world = new World();
      const first = world.vcpu();
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      producer.signal();
      assert.equal(first.acknowledge(), VECTOR);
      first.put();
      play(world);
      const second = world.vcpu();
      producer.signal();
      assert.equal(second.acknowledge(), undefined, "its class is in service");
      second.eoi();
      assert.equal(second.acknowledge(), VECTOR);
    },
  ),

  as("E14", "B1", irqfdProofs),

  prove<(world: World) => void>(
    "E17",
    "what holds a mutex waits for nobody who may want one: an assign for writers of its eventfd, a deassign for nobody",
    () => {},
    {
      "waits under the VM's mutex": ({ host, vm }) => {
        const { thread } = host;
        const fenceAll = thread.fenceAll.bind(thread);
        const mutex = vmMutex(host, recordOf(vm));
        thread.fenceAll = (kind, what) =>
          mutex.held() ? fenceAll(kind, what) : mutex.guard(() => fenceAll(kind, what));
      },
    },
    (play) => {
      const world = new World();
      const { host, vm } = world;
      const { thread } = host;
      const other = world.other(); // whom to wait for
      vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
      let waits = 0;
      const mutex = vmMutex(host, recordOf(vm));
      /** Who writes to an eventfd takes no mutex meanwhile; who has announced an irqfd, which is the relay, does. */
      const isWriter = (inflight: number, what: number) =>
        host.pools.eventfd.has(what) && inflight === other.thread.writing;
      const fence = thread.fence.bind(thread);
      thread.fence = (inflight, what) => {
        waits += 1;
        assert.equal(host.mutex.held(), false, "it waits while it holds the host mutex");
        if (mutex.held())
          assert.ok(isWriter(inflight, what), "it waits for the relay, and holds the VM's mutex");
        fence(inflight, what);
      };
      play(world);
      const resample = () => ({ resample: Eventfd.create(host) });
      const one = vm.irqfd(world.eventfd, PIN, resample());
      vm.irqfd(Eventfd.create(host), PIN, resample());
      one.dispose();
      vm.dispose();
      assert.ok(waits > 1, "nothing is waited for: nothing is tested");
    },
  ),

  prove<(bus: IoBus) => void>(
    "E18",
    "a store that crosses a page comes in parts: each is compared by itself, wherever in the store it begins",
    () => {},
    { "wants a part aligned to its length": wantsItAligned },
    (play) => {
      const { host, vm } = new World();
      const page = 0xfe00_1000;
      const notify = Eventfd.create(host);
      vm.ioeventfd({ address: page, length: 8, datamatch: 7 }, notify);
      assert.throws(() => vm.write("mmio", page - 4, 16, 7), { code: "EINVAL" });
      play(inside<IoBus>(vm, "bus"));
      /** Sixteen bytes at the last four of a page, as the processor splits them. */
      const store = (middle: number): boolean[] => {
        const taken: boolean[] = [];
        const part = (at: number, length: number, value: number) =>
          assert.doesNotThrow(() => taken.push(vm.write("mmio", page + at, length, value)));
        part(-4, 4, 0);
        part(0, 8, middle);
        part(8, 4, 0);
        return taken;
      };
      assert.deepEqual([store(7), notify.tryRead()], [[false, true, false], 1n]);
      assert.deepEqual([store(8), notify.tryRead()], [[false, false, false], undefined]);
    },
  ),

  prove<(relay: DelayedEois) => void>(
    "E19",
    "a level that an EOI has left to the relay is not delivered once its VM goes",
    () => {},
    {
      "delivers whatever has become of the VM": (relay) =>
        playFalse(relay, () => ({
          deliver: (vm: number) => serviceWaiting(inside<Host>(relay, "memory"), vm),
        })),
    },
    (play) => {
      const world = new Level();
      const { host, vm, running } = world;
      const { words } = host;
      const record = recordOf(vm);
      const relay = new DelayedEois(host);
      play(relay);
      vm.setIrqLine(PIN, true);
      assert.equal(running.acknowledge(), LEVEL_VECTOR);
      words.set(record + M.eois + PIN, 9999);
      running.eoi();
      assert.deepEqual([running.hasInterrupt(), words.load(record + M.delayed)], [false, 1]);
      relay.serve(0);
      words.set(record + M.dying, host.thread.record); // by then it is being disposed
      const due = words.clock() + 20;
      while (words.clock() < due);
      relay.serve(0);
      words.set(record + M.dying, 0);
      assert.deepEqual(world.vectors(), []);
    },
  ),

  prove<(vcpu: Vcpu) => void>(
    "E20",
    "whatever lowers the processor priority uncovers what it had held back: the task priority, and an EOI",
    () => {},
    { "does not look again where nothing could be delivered": keepsTheNo },
    (play) => {
      const world = new World();
      const vcpu = world.vcpu();
      play(vcpu);
      world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      vcpu.tpr = 0xf0;
      producer.signal();
      assert.deepEqual([vcpu.acknowledge(), vcpu.hasInterrupt()], [undefined, false]);
      vcpu.tpr = 0;
      assert.equal(vcpu.hasInterrupt(), true, "by the task priority");
      assert.equal(vcpu.acknowledge(), VECTOR);
      producer.signal();
      assert.deepEqual([vcpu.acknowledge(), vcpu.hasInterrupt()], [undefined, false]);
      vcpu.eoi();
      assert.equal(vcpu.hasInterrupt(), true, "by the EOI");
    },
  ),

  prove<Refuses>(
    "E22",
    "an entry that cannot be updated as the two connect leaves no producer with the irqfd, whichever came last",
    refuses,
    { "keeps the producer": refusesAndRemembers },
    (play) => {
      afterRefusal("producer", play);
      afterRefusal("irqfd", play);
    },
  ),
];
