/** Where a situation is played: a software VM, or a real guest of KVM whose vCPU is not run, so that its APIC keeps what arrives. */
import assert from "node:assert/strict";
import {
  Eventfd,
  type EventfdContext,
  Host,
  type Irqfd,
  type IrqfdOptions,
  Vcpu,
  VfioPciDevice,
  type VfioPciOptions,
  Vm,
} from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";

/** GSI n leads to vector n from here on. */
export const FIRST_GSI = 32;
const GSIS = 16;
const IRR = 0x200;
const IRR_BYTES = 0x80;

export interface Platform {
  readonly host: Host;
  eventfd(): EventfdContext;
  /** A handle of the same eventfd on another host object, as another thread would have it. */
  irqfd(eventfd: EventfdContext, gsi: number, options?: IrqfdOptions): Irqfd;
  /** Has GSI `gsi` lead to this vector. */
  route(gsi: number, vector: number): void;
  /** Has it lead nowhere. */
  unroute(gsi: number): void;
  /** No vCPU runs from here on, until the mirror image. */
  pause(): void;
  resume(): void;
  /** What a guest's reset does to the platform. */
  reset(): void;
  /** The vectors that have arrived, taken. */
  take(): number[];
  /** Another attachment to the host, as another thread has one. */
  attach(): Host;
  dispose(): void;
}

/** The routes, as they were changed: undefined is none. */
function routes(changed: ReadonlyMap<number, number | undefined>) {
  return Array.from({ length: GSIS }, (_, n) => FIRST_GSI + n).flatMap((gsi) => {
    const vector = changed.has(gsi) ? changed.get(gsi) : gsi;
    return vector === undefined ? [] : [{ gsi, msi: { vcpu: 0, vector } }];
  });
}

export function software(): Platform {
  const host = Host.create();
  const vm = new Vm(host);
  let vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const changed = new Map<number, number | undefined>();
  vm.setGsiRouting(routes(changed));
  return {
    host,
    eventfd: () => Eventfd.create(host),
    irqfd: (eventfd, gsi, options) => vm.irqfd(eventfd, gsi, options),
    route(gsi, vector) {
      changed.set(gsi, vector);
      vm.setGsiRouting(routes(changed));
    },
    unroute(gsi) {
      changed.set(gsi, undefined);
      vm.setGsiRouting(routes(changed));
    },
    pause: () => vcpu.put(),
    resume() {
      vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    },
    reset: () => vm.reset(),
    take() {
      const taken: number[] = [];
      for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
        vcpu.eoi();
        taken.push(vector);
      }
      return taken;
    },
    attach: () => Host.attach(host.handle),
    dispose() {
      vcpu.put();
      vm.dispose();
      host.dispose();
    },
  };
}

export function realKvm(): Platform {
  const kinds = () => [linux(), kvm()];
  const host = Host.create({ kinds: kinds() });
  const vm = new KvmVm(host);
  const changed = new Map<number, number | undefined>();
  vm.setGsiRouting(routes(changed));
  return {
    host,
    eventfd: () => LinuxEventfd.create(host),
    irqfd: (eventfd, gsi, options) => vm.irqfd(eventfd as LinuxEventfd, gsi, options),
    route(gsi, vector) {
      changed.set(gsi, vector);
      vm.setGsiRouting(routes(changed));
    },
    unroute(gsi) {
      changed.set(gsi, undefined);
      vm.setGsiRouting(routes(changed));
    },
    pause() {}, // its vCPU never runs here
    resume() {},
    reset: () => vm.reset(),
    take() {
      const vcpu = vm.machine.vcpus[0]!;
      const lapic = vcpu.lapic();
      const taken = requestedVectors(lapic);
      if (taken.length > 0) vcpu.setLapic(lapic.fill(0, IRR, IRR + IRR_BYTES));
      return taken;
    },
    attach: () => Host.attach(host.handle, { kinds: kinds() }),
    dispose() {
      vm.dispose();
      host.dispose();
    },
  };
}

/** A situation as a bench: a platform, and what is often needed on it. */
export class Bench {
  constructor(readonly on: Platform) {}

  get host(): Host {
    return this.on.host;
  }

  nic(options: VfioPciOptions = { msi: 4, msix: 8, intx: true }): VfioPciDevice {
    return new VfioPciDevice(this.host, options);
  }

  /** An eventfd whose signals are interrupts of this vector. */
  wired(gsi = FIRST_GSI, options?: IrqfdOptions): EventfdContext {
    const eventfd = this.on.eventfd();
    this.on.irqfd(eventfd, gsi, options);
    return eventfd;
  }

  /** MSI-X on, with vectors 0 to `count` - 1 wired to GSIs of their own. */
  wire(nic: VfioPciDevice, count = 1): EventfdContext[] {
    const eventfds = Array.from({ length: count }, (_, n) => this.wired(FIRST_GSI + n));
    nic.setIrqs({ index: "msix", start: 0, count, action: "trigger", data: "eventfd", eventfds });
    return eventfds;
  }

  /** Exactly these vectors arrive, in whatever order; they may come through a relay. */
  async arrive(...vectors: number[]): Promise<void> {
    const taken: number[] = [];
    for (let turn = 0; turn < 2000 && taken.length < vectors.length; turn++) {
      taken.push(...this.on.take());
      if (taken.length < vectors.length) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    taken.push(...this.on.take());
    assert.deepEqual(taken.sort(), vectors.sort());
  }

  /** Nothing has arrived, and nothing comes in a while. */
  async quiet(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(this.on.take(), []);
  }
}

/** A situation that somebody has reported of a VMM or a device model, told in our own words. */
export interface Report {
  /** What was seen there, and what is right. */
  readonly says: string;
  play(bench: Bench): Promise<void> | void;
}
