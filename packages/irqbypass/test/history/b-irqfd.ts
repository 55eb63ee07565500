/** Bugs of irqfd and routing (B1 to B15). */
import assert from "node:assert/strict";
import { Eventfd, type GsiRoute, Host, type IoApic, type Producer, Vm } from "irqbypass";
import { relayRuns } from "#src/eventfd/relay-state.js";
import { signalContext } from "#src/eventfd/signal.js";
import {
  Consumer,
  Eventfd as E,
  Header,
  IRQFD_LISTS,
  Producer as P,
  RelayState,
  Route,
  Routing,
  Thread,
  Vm as V,
} from "#src/host/layout.js";
import { posted, reasonOf } from "#src/posting/irte.js";
import { assign } from "#src/vm/assignment.js";
import { writeRegister } from "#src/vm/ioapic.js";
import { irqfdList } from "#src/vm/irqfd-list.js";
import { checkRoutes } from "#src/vm/route.js";
import { resolve } from "#src/vm/routing.js";
import { lifeOf, vmMutex } from "#src/vm/vm-mutex.js";
import { liveRecords, smallHost } from "../support/host.js";
import { type Proof, playFalse, prove } from "./proof.js";
import { atEveryMoment, GSI, msi, OTHER_VECTOR, recordOf, VECTOR, World } from "./world.js";

type Play = (world: World) => void;
const shipped: Play = () => {};

/** A world whose device and second VMM thread are other threads. */
class Threads extends World {
  readonly device = this.other();
  readonly vmm = this.other();
  readonly vmThere = Vm.open(this.vmm, this.vm.handle);
  readonly eventfdThere = Eventfd.open(this.vmm, this.eventfd.handle);
  irqfd = this.vm.irqfd(Eventfd.create(this.host), GSI + IRQFD_LISTS); // so that the list is not empty
  late: Producer | undefined;
  outcome: unknown;
}

const irqfdRecord = ({ host, eventfd }: World) => host.words.load(eventfd.record + E.irqfd);

/** Assigns with a way of its own to say what a GSI comes to. */
export function assignWith(world: World, gsi: number, resolveGsi: () => number): void {
  const { host, vm, eventfd } = world;
  assign(host, {
    ...{ life: lifeOf(host, recordOf(vm)), eventfd: eventfd.record, gsi },
    ...{ policy: "prefer", kind: 0, resample: 0, resolve: resolveGsi },
  });
}
export type Resolve = (world: World, gsi: number) => number;
export const resolveShipped: Resolve = ({ host, vm }, gsi) => resolve(host, recordOf(vm), gsi);

/** Takes whatever stands at a GSI's place for an MSI. */
export const resolveUnchecked: Resolve = ({ host, vm }, gsi) => {
  const { words, pools } = host;
  const route = words.get(words.get(recordOf(vm) + V.routing) + Routing.gsi + gsi);
  return posted(pools.vcpu.slot(vm.vcpu(0).record), words.get(route + Route.c) & 0xff);
};

/** Calls a routing update that does not see the VM's irqfds. */
function withoutIrqfds({ host, vm }: World, update: () => void): void {
  const head = irqfdList(recordOf(vm), GSI);
  const first = host.words.get(head);
  host.words.set(head, 0);
  update();
  host.words.set(head, first);
}

const NOT_POSTABLE: readonly (readonly [string, readonly GsiRoute[]])[] = [
  ["no-route", []],
  ["not-msi", [{ gsi: GSI, irqchip: { chip: "ioapic", pin: 5 } }]],
  [
    "several-routes",
    [
      { gsi: GSI, irqchip: { chip: "ioapic", pin: 5 } },
      { gsi: GSI, irqchip: { chip: "pic-master", pin: 5 } },
    ],
  ],
  ["delivery-mode", [{ gsi: GSI, msi: { address: 0xfee00000, data: 0x400 | VECTOR } }]],
  ["multicast", [{ gsi: GSI, msi: { address: 0xfeeff000, data: VECTOR } }]],
  ["no-vcpu", [{ gsi: GSI, msi: { address: 0xfee09000, data: VECTOR } }]],
];

const PIN = 10;
const LEVEL_VECTOR = 0x51;
const toPin = (pin: number): GsiRoute => ({ gsi: pin, irqchip: { chip: "ioapic", pin } });

export const irqfdProofs: readonly Proof[] = [
  prove<Play>(
    "B1",
    "after a deassign the producer of a posted interrupt posts nothing",
    shipped,
    {
      "un-posts only an irqfd that is still active": (world) =>
        world.playKind(({ consumer }) => ({
          consumer: {
            ...consumer,
            delProducer(memory, producer, irqfd) {
              if (memory.words.load(irqfd + Consumer.source) === 0) return;
              consumer?.delProducer?.(memory, producer, irqfd);
            },
          },
        })),
    },
    (play) => {
      const world = new World();
      play(world);
      const irqfd = world.vm.irqfd(world.eventfd, GSI);
      const producer = world.producer();
      assert.equal(producer.path, "posted");
      irqfd.dispose();
      producer.signal();
      assert.deepEqual(world.vectors(), []);
      assert.equal(producer.reason, "no-consumer");
    },
  ),

  prove<(world: Threads) => void>(
    "B2",
    "at any moment of a deassign, once a routing update has returned nothing comes by the old route",
    shipped,
    {
      "takes the irqfd out of the VM's list first": (world) => {
        const head = irqfdList(recordOf(world.vm), GSI);
        const mutex = vmMutex(world.host, recordOf(world.vm));
        playFalse(world.irqfd, (real) => ({
          dispose: () => [mutex.guard(() => world.host.words.set(head, 0)), real("dispose")],
        }));
      },
    },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Threads();
          world.irqfd = world.vm.irqfd(world.eventfd, GSI);
          world.late = world.producer(world.eventfd, world.device);
          play(world);
          return world;
        },
        ({ irqfd }) => irqfd.dispose(),
        ({ vmThere, late }) => {
          vmThere.setGsiRouting([msi(GSI, 0, OTHER_VECTOR)]);
          late?.signal();
        },
        (world) => assert.ok(!world.vectors().includes(VECTOR), "posted by the old route"),
      );
    },
  ),

  prove<(world: Threads) => void>(
    "B3",
    "a handle that another thread closes at any moment of an assign takes nothing away; the last one does",
    shipped,
    {
      "hangs up when any handle closes": ({ eventfdThere, vmm }) =>
        playFalse(eventfdThere, (real) => ({
          close() {
            const irqfd = vmm.words.load(eventfdThere.record + E.irqfd);
            if (irqfd !== 0) vmm.words.set(eventfdThere.record + E.handles, 1);
            real("close");
          },
        })),
    },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Threads();
          play(world);
          return world;
        },
        (world) => {
          world.irqfd = world.vm.irqfd(world.eventfd, GSI);
        },
        ({ eventfdThere }) => eventfdThere.close(),
        (world) => {
          const { host, eventfd } = world;
          eventfd.write();
          world.relay();
          assert.deepEqual(world.vectors(), [VECTOR], "it was hung up");
          eventfd.close();
          assert.throws(() => world.irqfd.path, { code: "EBADF" });
          assert.equal(host.pools.consumer.live, 1);
        },
      );
    },
  ),

  prove<Resolve>(
    "B4",
    "a GSI that no table can have is accepted, and comes to nothing whatever lies behind the table",
    resolveShipped,
    { "looks behind the end of the table": resolveUnchecked },
    (resolveGsi) => {
      const world = new World();
      const behind = new Vm(world.host);
      behind.setGsiRouting([msi(GSI, 0, OTHER_VECTOR)]); // its table is the record behind
      const gsi = Routing.words + GSI;
      assignWith(world, gsi, () => resolveGsi(world, gsi));
      const producer = world.producer();
      assert.equal(producer.reason, "no-route");
      producer.signal();
      world.relay();
      assert.deepEqual([world.vectors(), world.vectors(0, behind)], [[], []]);
      for (const huge of [4096, 0xffffffff]) world.vm.irqfd(Eventfd.create(world.host), huge).dispose();
    },
  ),

  prove<Play>(
    "B5",
    "a route that becomes a pin while its words stay the same is not posted any more",
    shipped,
    {
      "compares the words of the two routes, and not what they are": (world) => {
        const { vm } = world;
        let before = "";
        playFalse(vm, (real) => ({
          setGsiRouting(routes: readonly GsiRoute[]) {
            const now = checkRoutes(routes, {
              ids: Array.from({ length: vm.vcpus }, (_, id) => id),
              longIds: true,
            })
              .map(({ a, b, c }) => [a, b, c])
              .join();
            const update = () => void real("setGsiRouting", routes);
            if (now === before) withoutIrqfds(world, update);
            else update();
            before = now;
          },
        }));
      },
    },
    (play) => {
      const world = new World();
      const { vm, eventfd } = world;
      play(world);
      vm.irqfd(eventfd, GSI);
      const producer = world.producer();
      vm.setGsiRouting([{ gsi: GSI, msi: { address: 2, data: 0 } }]); // chip 2 is the I/O APIC
      assert.equal(producer.path, "posted");
      vm.setGsiRouting([{ gsi: GSI, irqchip: { chip: "ioapic", pin: 0 } }]);
      assert.equal(producer.reason, "not-msi");
    },
  ),

  prove<(world: World, producer: number) => void>(
    "B6",
    "whatever makes a new route one that cannot be posted, the old target gets nothing more",
    () => {},
    {
      "leaves the entry as it is where the new route cannot be posted": ({ host, vm }, producer) =>
        playFalse(vm, (real) => ({
          setGsiRouting(routes: never) {
            const entry = host.words.load(producer + P.irte);
            real("setGsiRouting", routes);
            if (reasonOf(host.words.load(producer + P.irte)) !== undefined) {
              host.words.store(producer + P.irte, entry);
            }
          },
        })),
    },
    (play) => {
      for (const [reason, routes] of NOT_POSTABLE) {
        const world = new World();
        world.vm.irqfd(world.eventfd, GSI);
        const producer = world.producer();
        play(world, recordOf(producer));
        world.vm.setGsiRouting(routes);
        producer.signal();
        assert.deepEqual(world.vectors(), [], reason);
        assert.equal(producer.reason, reason);
      }
    },
  ),

  prove<Play>(
    "B7",
    "an eventfd has one irqfd in the whole host: a second VM is told EBUSY, also through another handle",
    shipped,
    {
      "lets the second take it over": (world) =>
        world.playWords((real) => ({
          load: (word) => (word === world.eventfd.record + E.irqfd ? 0 : real.load(word)),
          compareExchange(word, expected, value) {
            if (word !== world.eventfd.record + E.irqfd) return real.compareExchange(word, expected, value);
            real.store(word, value);
            return 0;
          },
        })),
    },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      const second = new Vm(host);
      second.setGsiRouting([msi(GSI, 0)]);
      vm.irqfd(eventfd, GSI, { bypass: "off" });
      play(world);
      for (const handle of [eventfd, Eventfd.open(host, eventfd.handle)]) {
        assert.throws(() => second.irqfd(handle, GSI, { bypass: "off" }), { code: "EBUSY" });
      }
      eventfd.write();
      world.relay();
      assert.deepEqual([world.vectors(), world.vectors(0, second)], [[VECTOR], []]);
    },
  ),

  prove<Play>(
    "B8",
    "a reader of an eventfd with an irqfd never sees a count, and the count does not grow",
    shipped,
    {
      "leaves the count where the reader finds it": (world) =>
        world.playWords((real) => ({
          exchange(word, value) {
            // What was drained is there again by the time that the irqfd is raised.
            const counter = world.eventfd.record + E.counter;
            if (word === irqfdRecord(world) + Consumer.pending) real.store64(counter, 7n);
            return real.exchange(word, value);
          },
        })),
    },
    (play) => {
      const world = new World();
      const { vm, eventfd } = world;
      vm.irqfd(eventfd, GSI, { bypass: "off" });
      play(world);
      eventfd.write(7);
      eventfd.write(0);
      assert.equal(eventfd.tryRead(), undefined);
      assert.equal(eventfd.count, 0n);
      world.relay();
      assert.deepEqual(world.vectors(), [VECTOR]);
    },
  ),

  prove<Play>(
    "B9",
    "deassign leaves a semaphore at 0 that is at 0, and takes one unit of another",
    shipped,
    {
      "takes a unit that is not there": (world) =>
        world.playKind(() => ({
          listen: {
            start: () => false,
            stop({ words }, _irqfd, eventfd) {
              words.store64(eventfd + E.counter, words.load64(eventfd + E.counter) - 1n);
            },
          },
        })),
    },
    (play) => {
      const world = new World();
      play(world);
      for (const [initial, left] of [
        [0, 0n],
        [5, 4n],
      ] as const) {
        const semaphore = Eventfd.create(world.host, { semaphore: true, initial });
        world.vm.irqfd(semaphore, GSI).dispose();
        assert.equal(semaphore.count, left);
      }
    },
  ),

  prove<(world: World, deliver: () => void) => void>(
    "B10",
    "two irqfds whose resample eventfds signal each other go one step at each EOI",
    () => {},
    {
      "runs whoever listens inside the signal": (world, deliver) =>
        world.playKind(() => ({
          signal(memory, eventfd) {
            signalContext(memory, eventfd, 1n, true);
            deliver();
          },
        })),
    },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      const other = Eventfd.create(host);
      vm.setGsiRouting([toPin(PIN), toPin(PIN + 1)]);
      vm.ioapic.redirect(PIN, { vcpu: 0, vector: LEVEL_VECTOR, level: true });
      vm.ioapic.redirect(PIN + 1, { vcpu: 0, vector: LEVEL_VECTOR + 16, level: true });
      vm.irqfd(eventfd, PIN, { resample: other });
      vm.irqfd(other, PIN + 1, { resample: eventfd });
      const vcpu = world.vcpu();
      const served: (number | undefined)[] = [];
      const deliver = () => {
        assert.ok(served.length < 50, "a signal signals for ever");
        world.relay();
        served.push(vcpu.acknowledge());
        vcpu.eoi();
      };
      play(world, deliver);
      eventfd.write();
      for (let i = 0; i < 4; i++) deliver();
      const [one, two] = [LEVEL_VECTOR, LEVEL_VECTOR + 16];
      assert.deepEqual(served, [one, two, one, two]);
    },
  ),

  prove<(world: World, ioapic: IoApic) => void>(
    "B11",
    "a level that was acknowledged while its pin was masked comes again when the pin is unmasked",
    () => {},
    {
      "asks nobody when a pin is unmasked": ({ host, vm }, ioapic) =>
        playFalse(ioapic, () => ({
          write(register: number, value: number) {
            const record = recordOf(vm);
            vmMutex(host, record).guard(() => writeRegister(host, record, register, value));
          },
        })),
    },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      const resample = Eventfd.create(host);
      const { ioapic } = vm;
      play(world, ioapic);
      vm.setGsiRouting([toPin(PIN)]);
      vm.irqfd(eventfd, PIN, { resample });
      const vcpu = world.vcpu();
      const redirect = (masked: boolean) =>
        ioapic.redirect(PIN, { vcpu: 0, vector: LEVEL_VECTOR, level: true, masked });
      /** The device is asked, and still has something to say. */
      const answer = () => {
        assert.equal(resample.tryRead(), 1n, "nobody asked the device");
        eventfd.write();
        world.relay();
      };
      redirect(false);
      eventfd.write();
      world.relay();
      assert.equal(vcpu.acknowledge(), LEVEL_VECTOR);
      redirect(true);
      vcpu.eoi();
      answer();
      assert.equal(vcpu.acknowledge(), undefined);
      redirect(false);
      answer();
      assert.equal(vcpu.acknowledge(), LEVEL_VECTOR);
    },
  ),

  prove<(view: Host) => void>(
    "B12",
    "a second user of a host that leaves, or a second host at its place, does not end the relay of the first",
    () => {},
    {
      "ends it with any user that leaves": (view) =>
        playFalse(view, (real) => ({
          dispose: () => [real("dispose"), view.words.store(Header.relays, RelayState.stopping)],
        })),
    },
    (play) => {
      const world = new World();
      const { host } = world;
      const { memory } = host.handle;
      const view = Host.attach(host.handle);
      play(view);
      assert.throws(() => smallHost({ memory }), { code: "EEXIST" });
      view.dispose();
      assert.ok(relayRuns(host.words, 0), "the relay ends");
    },
  ),

  prove<(host: Host) => void>(
    "B13",
    "a VM that cannot be made whole is not made: ENOMEM, and nothing of it is left",
    () => {},
    {
      "takes no record for a record": ({ pools }) =>
        playFalse(pools.vcpu, (real) => ({
          checkRoom() {},
          allocate() {
            try {
              return real<number>("allocate");
            } catch {
              return 0;
            }
          },
        })),
    },
    (play) => {
      const host = smallHost({ capacity: { vcpu: 2 } });
      host.words.store(Header.relays, RelayState.stopping); // no relay thread is to start on what the twin writes to
      new Vm(host).dispose(); // the first one makes the routes that all start with
      const before = liveRecords(host);
      play(host);
      assert.throws(() => new Vm(host, { vcpus: 3 }), { code: "ENOMEM" });
      assert.deepEqual(liveRecords(host), before);
      new Vm(host, { vcpus: 2 }).dispose();
      host.dispose();
    },
  ),

  prove<(world: Threads) => void>(
    "B14",
    "a deassign at any moment of an assign takes the whole irqfd away, or nothing",
    shipped,
    {
      "deassigns without waiting for the assign": (world) => {
        world.waitsFor.delete("VM mutex");
        const { life } = world.vmThere as unknown as { readonly life: object };
        const unlocked = <T>(section: () => T) => section();
        Object.assign(life, { mutex: { guard: unlocked, enclose: unlocked } });
      },
    },
    (play) => {
      atEveryMoment(
        () => {
          const world = new Threads();
          play(world);
          return world;
        },
        ({ vm, eventfd }) => vm.irqfd(eventfd, GSI),
        (world) => {
          world.outcome = world.vmThere.deassign(world.eventfdThere, GSI);
        },
        (world) => {
          const { host, vm } = world;
          const left = world.outcome === true ? 1 : 2;
          const { words, pools } = host;
          const listed: number[] = [];
          const first = words.get(irqfdList(recordOf(vm), GSI));
          for (let one = first; one !== 0; one = words.get(one + Consumer.next)) listed.push(one);
          assert.equal(listed.length, left, "the VM's list is damaged");
          assert.equal(pools.consumer.live, left);
          assert.equal(irqfdRecord(world) !== 0, left === 2);
        },
      );
    },
  ),

  prove<Play>(
    "B15",
    "a routing update with nothing in flight waits for nobody, and takes no more accesses beside 40 irqfds of another VM",
    shipped,
    {
      "waits until every irqfd of the host was idle": ({ host, vm }) =>
        playFalse(vm, (real) => ({
          setGsiRouting(routes: never) {
            real("setGsiRouting", routes);
            host.forEachLive(host.pools.consumer, (irqfd) => host.thread.fenceAll(Thread.writing, irqfd));
          },
        })),
    },
    (play) => {
      const cost = (others: number): number => {
        const world = new World();
        const { host, vm, eventfd } = world;
        const neighbour = new Vm(host);
        for (let i = 0; i < others; i++) neighbour.irqfd(Eventfd.create(host), GSI);
        vm.irqfd(eventfd, GSI);
        world.other();
        play(world);
        return world.steps(() => vm.setGsiRouting([msi(GSI, 0, OTHER_VECTOR)]));
      };
      assert.ok(cost(40) <= cost(4), "it grows with other VMs");
    },
  ),
];
