/** One interrupt has one path and one reason, whichever of its ends is asked, in every state that it can be in. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  type EventfdContext,
  Host,
  type Irqfd,
  type IrqfdOptions,
  type Kind,
  Producer,
  type Reason,
  VdpaDevice,
  VfioPciDevice,
  VIRTIO_STATUS,
  Vm,
} from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { Header, RelayState } from "#src/host/layout.js";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { noRelay, SMALL } from "../support/host.js";

/** A kind whose devices want no bypass: the connection is refused. */
const picky: Kind = { name: "picky", producer: { addConsumer: () => ({ code: "EIO" }) } };
const GSI = 24;
const ROUTE = [{ gsi: GSI, msi: { vcpu: 0, vector: 65 } }];
const TO_ALL = [{ gsi: GSI, msi: { address: 0xfeeff000, data: 65 } }];

interface World {
  readonly host: Host;
  readonly vm: Vm | KvmVm;
  /** The eventfd of which all of this is. */
  readonly eventfd: EventfdContext;
  /** The path of what is not bypassed. */
  readonly otherwise: string;
  /** The path of what is. */
  readonly bypassed: string;
}

function worldOf(kinds: readonly Kind[], make: (host: Host) => Vm | KvmVm, real: boolean) {
  const host = Host.create({
    spawn: noRelay,
    kinds: [...kinds, picky],
    capacity: { ...SMALL, producer: 63 },
  });
  // As if the relays had come to that: that nobody relays is for the irqfd alone to say.
  for (const [kind] of host.kinds.entries())
    host.words.store(Header.relays + kind, RelayState.running | host.thread.record);
  const vm = make(host);
  vm.setGsiRouting(ROUTE);
  const isKvm = vm instanceof KvmVm;
  const eventfd = real ? LinuxEventfd.create(host) : Eventfd.create(host);
  return {
    host,
    vm,
    eventfd,
    otherwise: isKvm ? "irqfd" : "relayed",
    bypassed: isKvm ? "injected" : "posted",
  };
}

const WORLDS: readonly (readonly [string, { skip?: string | boolean }, () => World])[] = [
  [
    "a software VM and eventfds of the host",
    {},
    () => worldOf([], (host) => new Vm(host, { vcpus: 2 }), false),
  ],
  [
    "a software VM and eventfds of the system",
    linux,
    () => worldOf([linuxKind()], (host) => new Vm(host, { vcpus: 2 }), true),
  ],
  [
    "a KVM guest",
    kvmTests,
    () => worldOf([linuxKind(), kvm()], (host) => new KvmVm(host, { vcpus: 2 }), true),
  ],
];

/** What a device's end says of itself. */
interface End {
  readonly path?: string | undefined;
  readonly reason?: Reason | undefined;
}

/** The ends of a device: each signals the eventfd, and is what is returned; `take` lets go of it again. */
const ENDS: Readonly<
  Record<string, (world: World, kind: string | undefined) => { end: End; give(): void; take(): void }>
> = {
  "a producer"({ host, eventfd }, kind) {
    const end = Producer.create(host, kind);
    return { end, give: () => end.register(eventfd), take: () => end.unregister() };
  },
  "a vector"({ host, eventfd }, kind) {
    const nic = new VfioPciDevice(host, { msix: 2, ...(kind && { kind }) });
    return {
      end: nic.vector("msix", 1),
      give: () => nic.setTrigger("msix", 1, eventfd),
      take: () => nic.setTrigger("msix", 1, null),
    };
  },
  "a masked vector"({ host, eventfd }, kind) {
    const nic = new VfioPciDevice(host, { msi: 1, ...(kind && { kind }) });
    const end = nic.vector("msi", 0);
    end.mask();
    return { end, give: () => nic.setTrigger("msi", 0, eventfd), take: () => nic.disable("msi") };
  },
  "a virtqueue"({ host, eventfd }, kind) {
    const block = new VdpaDevice(host, {
      queues: 1,
      ops: { getVqIrq: () => 7 },
      ...(kind && { kind }),
    });
    const session = block.open();
    session.setStatus(VIRTIO_STATUS.driverOk);
    return {
      end: block.queue(0),
      give: () => session.setVringCall(0, eventfd),
      take: () => session.setVringCall(0, null),
    };
  },
};

interface Case extends World {
  /** Gives the end its eventfd. */
  readonly give: () => void;
  readonly take: () => void;
  irqfd(options?: IrqfdOptions): Irqfd;
}

interface State {
  readonly reason?: Reason;
  readonly kind?: "picky";
  /** Where the end is refused with an error it is not there afterwards. */
  readonly throws?: readonly string[];
  /** Of KVM guests another word is right, or none. */
  readonly software?: true;
  play(it: Case): unknown;
}

const off = { bypass: "off" } as const;

const STATES: Readonly<Record<string, State>> = {
  "no irqfd": { reason: "no-consumer", play: ({ give }) => give() },
  bypassed: { play: (it) => [it.irqfd(), it.give()] },
  "bypassed, the device first": { play: (it) => [it.give(), it.irqfd()] },
  required: { play: (it) => [it.irqfd({ bypass: "require" }), it.give()] },
  "no bypass wanted": { reason: "policy-off", play: (it) => [it.irqfd(off), it.give()] },
  "no bypass wanted, the device first": { reason: "policy-off", play: (it) => [it.give(), it.irqfd(off)] },
  "no bypass wanted, and switched off": {
    reason: "switched-off",
    play: (it) => [it.irqfd(off), it.give(), switchOff(it)],
  },
  "no bypass wanted, and no route": {
    reason: "no-route",
    play: (it) => [it.irqfd(off), it.give(), it.vm.setGsiRouting([])],
  },
  "no bypass wanted, in the place of one that was bypassed": {
    reason: "policy-off",
    play: (it) => [it.give(), it.irqfd().dispose(), it.irqfd(off)],
  },
  "bypassed, in the place of one that wanted none": {
    play: (it) => [it.give(), it.irqfd(off).dispose(), it.irqfd()],
  },
  "the irqfd is gone": { reason: "no-consumer", play: (it) => [it.irqfd(), it.give(), gone(it)] },
  "the irqfd that wanted no bypass is gone": {
    reason: "no-consumer",
    play: (it) => [it.irqfd(off), it.give(), gone(it)],
  },
  "switched off": { reason: "switched-off", play: (it) => [it.irqfd(), it.give(), switchOff(it)] },
  "switched off before": { reason: "switched-off", play: (it) => [switchOff(it), it.irqfd(), it.give()] },
  "switched off, without an irqfd": { reason: "no-consumer", play: (it) => [it.give(), switchOff(it)] },
  "switched on again": { play: (it) => [it.irqfd(), switchOff(it), it.give(), switchOn(it)] },
  "no route": { reason: "no-route", play: (it) => [it.vm.setGsiRouting([]), it.irqfd(), it.give()] },
  "the route goes": { reason: "no-route", play: (it) => [it.irqfd(), it.give(), it.vm.setGsiRouting([])] },
  "no route, and switched off": {
    reason: "no-route",
    play: (it) => [it.irqfd(), it.give(), switchOff(it), it.vm.setGsiRouting([])],
  },
  "to all": {
    reason: "multicast",
    software: true,
    play: (it) => [it.irqfd(), it.give(), it.vm.setGsiRouting(TO_ALL)],
  },
  "to all, switched off": {
    reason: "switched-off",
    software: true,
    play: (it) => [it.irqfd(), it.give(), it.vm.setGsiRouting(TO_ALL), switchOff(it)],
  },
  "the device refuses": {
    kind: "picky",
    reason: "refused",
    throws: ["a producer"],
    play: (it) => [it.irqfd(), it.give()],
  },
  "the device refuses, which was there first": {
    kind: "picky",
    reason: "refused",
    play: (it) => [it.give(), it.irqfd()],
  },
  "the device refuses, and no route": {
    kind: "picky",
    reason: "no-route",
    throws: ["a producer"],
    play: (it) => [it.irqfd(), it.give(), it.vm.setGsiRouting([])],
  },
  "the device would refuse, and is not asked": {
    kind: "picky",
    reason: "policy-off",
    play: (it) => [it.irqfd(off), it.give()],
  },
  "another device had the eventfd, and has left it": {
    reason: "no-producer",
    throws: ["a producer"],
    play: (it) => [it.irqfd(), another(it, () => it.give())],
  },
  "the same where no bypass is wanted": {
    reason: "policy-off",
    throws: ["a producer"],
    play: (it) => [it.irqfd(off), another(it, () => it.give())],
  },
  "the same, and it was given the eventfd again": {
    throws: ["a producer"],
    play: (it) => [it.irqfd(), another(it, () => it.give()), it.take(), it.give()],
  },
};

function switchOff({ host }: World) {
  host.bypass = false;
}

function switchOn({ host }: World) {
  host.bypass = true;
}

function gone({ vm, eventfd }: World) {
  assert.equal(vm.deassign(eventfd as never, GSI), true);
}

/** While another device has the eventfd. */
function another({ host, eventfd }: World, meanwhile: () => void) {
  const producer = Producer.create(host);
  producer.register(eventfd);
  try {
    meanwhile();
  } finally {
    producer.dispose();
  }
}

/** What an object shows of itself, and what it has as JSON. */
function said(object: End): unknown[] {
  const { path, reason } = JSON.parse(JSON.stringify(object)) as { path?: string; reason?: string };
  return [
    [object.path, object.reason],
    [path, reason],
  ];
}

for (const [world, options, create] of WORLDS) {
  describe(`${world}: every end says the same`, options, () => {
    for (const [state, { reason, kind, throws = [], software, play }] of Object.entries(STATES)) {
      it(state, () => {
        for (const [name, make] of Object.entries(ENDS)) {
          if (throws.includes(name)) continue;
          const made = create();
          const { end, give, take } = make(made, kind);
          let irqfd: Irqfd | undefined;
          play({
            ...made,
            give,
            take,
            irqfd: (how) => {
              irqfd = made.vm.irqfd(made.eventfd as never, GSI, how);
              return irqfd;
            },
          });
          const listens = irqfd !== undefined && made.host.pools.consumer.live > 0;
          const is = [end.path, end.reason] as const;
          if (!software || made.otherwise === "relayed") {
            const path = reason === undefined ? made.bypassed : listens ? made.otherwise : "relayed";
            assert.deepEqual(is, [path, reason], name);
          }
          const [listed] = made.host.interrupts();
          const ends: [string, End | undefined][] = [
            [name, end],
            ["irqfd", listens ? irqfd : undefined],
            ["host.interrupts()", listed],
          ];
          for (const [which, one] of ends)
            if (one !== undefined) assert.deepEqual(said(one), [is, [...is]], `${name}: ${which}`);
          if (listens) assert.equal(irqfd?.reasons[0], end.reason);
          assert.deepEqual(made.host.audit().findings, []);
          if (made.vm instanceof KvmVm) made.vm.dispose();
        }
      });
    }
  });
}

describe("an end that is not the producer of its eventfd", () => {
  const [, , create] = WORLDS[0]!;

  it("says so while another one is, and what is worse before it", () => {
    const it = create();
    const nic = new VfioPciDevice(it.host, { msix: 2 });
    const [first, second] = [nic.vector("msix", 0), nic.vector("msix", 1)];
    for (const number of [0, 1]) nic.setTrigger("msix", number, it.eventfd);
    assert.deepEqual([first.reason, second.reason], ["no-consumer", "another-producer"]);
    const irqfd = it.vm.irqfd(it.eventfd as never, GSI);
    assert.deepEqual([first.reason, second.reason, irqfd.reason], [undefined, "another-producer", undefined]);
    assert.deepEqual([first.path, second.path, irqfd.path], ["posted", "relayed", "posted"]);
    it.vm.setGsiRouting([]);
    for (const end of [first, second, irqfd]) assert.equal(end.reason, "no-route");
    nic.setTrigger("msix", 0, null);
    it.vm.setGsiRouting(ROUTE);
    for (const end of [second, irqfd]) assert.equal(end.reason, "no-producer");
  });

  it("a virtqueue without DRIVER_OK or an interrupt is no producer to its irqfd, and says why", () => {
    const it = create();
    const block = new VdpaDevice(it.host, { queues: 1 });
    const session = block.open();
    session.setVringCall(0, it.eventfd);
    const irqfd = it.vm.irqfd(it.eventfd as never, GSI);
    assert.deepEqual([block.queue(0).reason, irqfd.reason], ["no-driver-ok", "no-producer"]);
    session.setStatus(VIRTIO_STATUS.driverOk);
    assert.deepEqual([block.queue(0).reason, irqfd.reason], ["no-irq", "no-producer"]);
    it.vm.setGsiRouting([]);
    assert.deepEqual([block.queue(0).reason, irqfd.reason], ["no-route", "no-route"]);
  });
});
