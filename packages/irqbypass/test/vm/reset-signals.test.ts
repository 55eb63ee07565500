/** A reset directly after a signal, however that is wired: what was signalled before does not come after it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  type EventfdContext,
  type GsiRoute,
  Host,
  type Irqfd,
  type IrqfdOptions,
  Producer,
  Vcpu,
  VdpaDevice,
  VfioPciDevice,
  VIRTIO_STATUS,
  Vm,
} from "irqbypass";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { linuxKindOf } from "#src/linux/kind.js";
import { LinuxRelay } from "#src/linux/relay.js";
import { relayOne } from "#src/vm/relay.js";
import { linux } from "../linux/available.js";
import { noRelay, smallHost } from "../support/host.js";

const ROUNDS = 30;
const REST_MS = 1;
const [GSI, PIN, VECTOR] = [24, 10, 0x43];
const READY = Object.values(VIRTIO_STATUS).reduce((status, bit) => status | bit, 0) & 0xf;

/** A guest with both of its vCPUs on this thread. */
class Guest {
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  /** Assigns the irqfd, as its wiring has it. */
  assign: () => void = () => {};
  irqfd: Irqfd | undefined;
  private readonly ends: (() => void)[] = [];

  constructor(
    readonly host: Host,
    readonly kind: typeof Eventfd | typeof LinuxEventfd,
    readonly apic = true,
  ) {
    this.vm = new Vm(host, { vcpus: 2, apic });
    this.vcpus = [0, 1].map((index) => Vcpu.open(host, this.vm.vcpu(index).handle));
  }

  eventfd(semaphore = false): EventfdContext {
    return this.kind.create(this.host, { semaphore });
  }

  assigns(eventfd: EventfdContext, options: IrqfdOptions): void {
    this.assign = () => {
      this.irqfd = this.vm.irqfd(eventfd, GSI, options);
    };
    this.assign();
  }

  atEnd(end: () => void): void {
    this.ends.push(end);
  }

  /** Takes what there is, and returns the vectors. */
  taken(): number[] {
    const vectors: number[] = [];
    for (const vcpu of this.vcpus) {
      while (vcpu.wait({ timeoutMs: 0 }) === "interrupt") {
        const vector = this.apic ? vcpu.acknowledge() : this.takeAll(vcpu);
        if (vector === undefined) break;
        vectors.push(vector);
        if (this.apic) vcpu.eoi();
      }
    }
    return vectors;
  }

  private takeAll(vcpu: Vcpu): number | undefined {
    const bits = new Uint32Array(8);
    return vcpu.take(bits) ? VECTOR : undefined;
  }

  dispose(): void {
    for (const end of this.ends) end();
    for (const vcpu of this.vcpus) vcpu.put();
    this.vm.dispose();
  }
}

/** How an eventfd comes to its guest, and what is there of it now. */
interface Wired {
  /** What a VMM may do directly after the reset, so that what is late is seen. */
  after?(): void;
  /** Is its line up? */
  isUp?(): boolean;
  /** Makes it as it was. */
  again?(): void;
}

type Bypass = "off" | "prefer";
interface Wiring {
  readonly apic?: boolean;
  wire(guest: Guest, eventfd: EventfdContext, bypass: Bypass): Wired;
}

const message = (address: number): GsiRoute[] => [{ gsi: GSI, msi: { address, data: VECTOR } }];
const pinRoute: GsiRoute[] = [{ gsi: GSI, irqchip: { chip: "ioapic", pin: PIN } }];

function wirePin({ vm }: Guest, level: boolean): Wired {
  const redirect = () => vm.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level });
  redirect();
  return { after: redirect, isUp: () => (vm.ioapic.lines & (1 << PIN)) !== 0, again: redirect };
}

const wirings: Record<string, Wiring> = {
  "a single MSI": {
    wire(guest, eventfd, bypass) {
      const { vm } = guest;
      vm.setGsiRouting(message(0xfee00000));
      guest.assigns(eventfd, { bypass });
      return {};
    },
  },
  "an MSI to all": {
    wire(guest, eventfd, bypass) {
      const { vm } = guest;
      vm.setGsiRouting(message(0xfeeff000));
      guest.assigns(eventfd, { bypass });
      return {};
    },
  },
  "no route": {
    wire(guest, eventfd, bypass) {
      const { vm } = guest;
      vm.setGsiRouting([]);
      guest.assigns(eventfd, { bypass });
      return {
        after: () => vm.setGsiRouting(message(0xfee00000)),
        again: () => vm.setGsiRouting([]),
      };
    },
  },
  "an edge-triggered pin": {
    wire(guest, eventfd, bypass) {
      guest.vm.setGsiRouting(pinRoute);
      guest.assigns(eventfd, { bypass });
      return wirePin(guest, false);
    },
  },
  "a level-triggered pin": {
    wire(guest, eventfd, bypass) {
      guest.vm.setGsiRouting(pinRoute);
      guest.assigns(eventfd, { bypass, resample: guest.eventfd() });
      return wirePin(guest, true);
    },
  },
  "a line of the emulator's": {
    apic: false,
    wire(guest, eventfd, bypass) {
      guest.vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }]);
      guest.assigns(eventfd, { bypass, resample: guest.eventfd() });
      return { isUp: () => guest.irqfd!.level === true };
    },
  },
};

type Source = (guest: Guest, eventfd: EventfdContext) => () => void;

const sources: Record<string, Source> = {
  "a write": (_guest, eventfd) => () => void eventfd.write(),
  "a write to a semaphore": (_guest, eventfd) => () => void eventfd.write(3n),
  "a count at assign": (guest, eventfd) => () => {
    // The irqfd ends and comes again, with what is in the counter by then.
    guest.irqfd?.dispose();
    eventfd.write();
    guest.assign();
  },
  "a producer": (guest, eventfd) => {
    const producer = Producer.create(guest.host);
    producer.register(eventfd);
    guest.atEnd(() => producer.dispose());
    return () => void producer.signal();
  },
  "a write beside a producer": (guest, eventfd) => {
    sources["a producer"]!(guest, eventfd);
    return () => void eventfd.write();
  },
  "an MSI-X vector": (guest, eventfd) => {
    const device = new VfioPciDevice(guest.host, { msix: 1 });
    device.setTrigger("msix", 0, eventfd);
    guest.atEnd(() => device.dispose());
    return () => device.vector("msix", 0).signal();
  },
  "a virtqueue": (guest, eventfd) => {
    const device = new VdpaDevice(guest.host, { queues: 1, ops: { getVqIrq: (queue) => 100 + queue } });
    const session = device.open();
    session.setVringCall(0, eventfd);
    session.setStatus(READY);
    guest.atEnd(() => device.dispose());
    return () => void device.queue(0).signal();
  },
  "a vDPA device's configuration": (guest, eventfd) => {
    const device = new VdpaDevice(guest.host, { queues: 1 });
    const session = device.open();
    session.setConfigCall(eventfd);
    session.setStatus(READY);
    guest.atEnd(() => device.dispose());
    return () => device.configChanged();
  },
};

/** Every wiring, from every source. */
const combinations = Object.entries(wirings).flatMap(([wiring, { apic, wire }]) =>
  (["off", "prefer"] as const).flatMap((bypass) =>
    Object.entries(sources).map(([source, sourceOf]) => ({
      name: `${source} at ${wiring}, bypass ${bypass}`,
      apic,
      make(guest: Guest) {
        const eventfd = guest.eventfd(source.endsWith("semaphore"));
        const wired = wire(guest, eventfd, bypass);
        return { wired, signal: sourceOf(guest, eventfd) };
      },
    })),
  ),
);

/** Signals and resets, again and again, and returns what was late; `rest` has whoever relays do so. */
async function late(
  host: Host,
  kind: typeof Eventfd | typeof LinuxEventfd,
  { make, apic }: (typeof combinations)[number],
  rest: () => unknown,
): Promise<{ came: number; up: number; first: boolean }> {
  const guest = new Guest(host, kind, apic);
  const { wired, signal } = make(guest);
  const [came, up] = [[] as number[], [] as number[]];
  for (let round = 0; round < ROUNDS; round++) {
    signal();
    guest.vm.reset();
    wired.after?.();
    await rest();
    if (guest.taken().length > 0) came.push(round);
    if (wired.isUp?.()) up.push(round);
    wired.again?.();
  }
  // And what is signalled after it comes.
  wired.after?.();
  signal();
  let first = false;
  for (let turn = 0; turn < 1000 && !first; turn++) {
    await rest();
    first = guest.taken().length > 0;
  }
  guest.dispose();
  return { came: came.length, up: up.length, first };
}

const EXPECTED = { came: 0, up: 0, first: true };

async function all(
  host: Host,
  kind: typeof Eventfd | typeof LinuxEventfd,
  rest: () => unknown,
  wanted = combinations,
): Promise<void> {
  const found: Record<string, unknown> = {};
  for (const combination of wanted) {
    const seen = await late(host, kind, combination, rest);
    if (JSON.stringify(seen) !== JSON.stringify(EXPECTED)) found[combination.name] = seen;
  }
  assert.deepEqual(found, {});
  host.dispose();
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, REST_MS));
const relayHere = (host: Host) => host.pending.takeAll((irqfd) => relayOne(host, irqfd));

describe("what was signalled before a reset of a VM does not come after it", () => {
  it("of an eventfd, beside the relay", () => all(Host.create(), Eventfd, pause));

  it("of an eventfd, before a relay comes", () => {
    const host = smallHost({ spawn: noRelay });
    return all(host, Eventfd, () => relayHere(host));
  });

  it("of a Linux eventfd, beside the relay", linux, () =>
    // Of a semaphore with units left, a relay that is late with the event of a round takes the next one's signal for it, and then a
    // unit for the next event: nothing says how many events there are.
    all(
      Host.create({ kinds: [linuxKind()] }),
      LinuxEventfd,
      pause,
      combinations.filter(({ name }) => !name.includes("semaphore")),
    ),
  );

  it("of a Linux eventfd, before a relay comes", linux, () => {
    const host = smallHost({ kinds: [linuxKind()], spawn: noRelay });
    const relay = new LinuxRelay(host, linuxKindOf(host).kind);
    return all(host, LinuxEventfd, () => {
      while (relay.round(0) > 0);
      relayHere(host);
    });
  });
});
