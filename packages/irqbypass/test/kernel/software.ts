/**
 * The software VM as one side of the differential suite. Its relay runs in the calling thread, between operations, so
 * that every effect is there when an operation returns.
 */
import { Eventfd } from "#src/eventfd/eventfd.js";
import { IrqBypassError } from "#src/host/errors.js";
import { Descriptor, Vcpu as V } from "#src/host/layout.js";
import { realCalls } from "#src/linux/calls.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { linux } from "#src/linux/kind.js";
import { LinuxRelay } from "#src/linux/relay.js";
import { droppedOf } from "#src/posting/dropped.js";
import { Host } from "#src/vm/host.js";
import { relayOne } from "#src/vm/relay.js";
import type { GsiRoute, IrqchipPin } from "#src/vm/route.js";
import { Vcpu } from "#src/vm/vcpu.js";
import { Vm } from "#src/vm/vm.js";
import { noRelay } from "../support/host.js";
import type { Attached } from "./beside-work.js";
import {
  type Operation,
  PINS,
  type Route,
  redirection,
  SEMAPHORES,
  type State,
  VCPUS,
  VISIBLE_LINES,
  VMS,
  type World,
} from "./operation.js";

const CAPACITY = {
  thread: 4,
  eventfd: 32,
  producer: 4,
  consumer: 32,
  vm: 8,
  vcpu: 16,
  route: 8400,
  routing: 8,
  injection: 1,
};
const CHIPS = ["pic-master", "pic-slave", "ioapic"] as const;
type Token = Eventfd | LinuxEventfd;

export class SoftwareWorld implements World {
  readonly side = "software";
  private readonly host: Host;
  private readonly real: boolean;
  private readonly relay: LinuxRelay | undefined;
  private readonly vms: { vm: Vm; vcpus: Vcpu[] }[] = [];
  /** The handles of each eventfd, the newest last. */
  private readonly eventfds: Token[][];

  /** With "linux" its eventfds are the kernel's, else they are shared ones. */
  constructor(eventfds: "shared" | "linux" = "shared") {
    this.real = eventfds === "linux";
    this.host = Host.create({
      capacity: CAPACITY,
      spawn: noRelay, // this thread is the relay
      kinds: this.real ? [linux()] : [],
    });
    this.relay = this.real ? new LinuxRelay(this.host, realCalls()) : undefined;
    for (let vm = 0; vm < VMS; vm++) this.vms.push(this.makeVm("full"));
    this.eventfds = SEMAPHORES.map((semaphore) => [this.makeEventfd(semaphore)]);
  }

  perform(operation: Operation): string {
    try {
      return this.outcomeOf(operation);
    } finally {
      this.settle();
    }
  }

  state(): State {
    return {
      irr: this.vms.map(({ vcpus }) => vcpus.map((vcpu) => this.requested(vcpu.record))),
      lines: this.vms.map(({ vm }) => (this.hasIoapic(vm) ? vm.ioapic.lines & VISIBLE_LINES : 0)),
      waiting: this.vms.map(({ vm }) => (this.hasIoapic(vm) ? waiting(vm) : 0)),
      counts: this.eventfds.map((handles) => handles.at(-1)!.count),
    };
  }

  get attached(): Attached {
    return { host: this.host.handle, kinds: this.real ? "linux" : "none" };
  }

  /** What another thread writes to, once it has opened that. */
  target(e: number): number {
    return this.eventfd(e).handle;
  }

  /** The host's switch. */
  set bypass(on: boolean) {
    this.host.bypass = on;
  }

  /** How many signals of an eventfd went nowhere. */
  dropped(e: number): number {
    return droppedOf(this.host.words, this.eventfd(e).record)?.count ?? 0;
  }

  [Symbol.dispose](): void {
    for (const { vm, vcpus } of this.vms) {
      for (const vcpu of vcpus) vcpu.put();
      vm.dispose();
    }
    for (const handles of this.eventfds) for (const handle of handles) handle.close();
    const { eventfd, consumer, vm, vcpu } = this.host.pools;
    const left = [eventfd, consumer, vm, vcpu].filter((pool) => pool.live !== 0);
    if (left.length > 0) throw new Error(`left behind: ${left.map(({ name }) => name).join(", ")}`);
    this.host.dispose();
  }

  private outcomeOf(operation: Operation): string {
    try {
      return this.attempt(operation);
    } catch (error) {
      if (error instanceof IrqBypassError) return error.code;
      throw error;
    }
  }

  private attempt(operation: Operation): string {
    switch (operation.op) {
      case "assign": {
        const { vm, e, gsi, resample } = operation;
        this.vm(vm).irqfd(
          this.eventfd(e),
          gsi,
          resample === undefined ? {} : { resample: this.eventfd(resample) },
        );
        return "ok";
      }
      case "assign wrongly":
        this.vm(operation.vm).irqfd(this.wrong(operation.e), 24);
        return "ok";
      case "resample wrongly":
        this.vm(operation.vm).irqfd(this.eventfd(operation.e), 10, {
          resample: this.wrong(operation.resample),
        });
        return "ok";
      case "assign with an unknown option":
        this.vm(operation.vm).irqfd(this.eventfd(operation.e), 24, { bypass: "sometimes" as "off" });
        return "ok";
      case "deassign":
      case "deassign as level":
        this.vm(operation.vm).deassign(this.eventfd(operation.e), operation.gsi);
        return "ok";
      case "deassign wrongly":
        this.vm(operation.vm).deassign(this.wrong(operation.e), 24);
        return "ok";
      case "write":
        this.eventfd(operation.e).write(BigInt(operation.value));
        return "ok";
      case "read":
        return this.eventfd(operation.e).tryRead()?.toString() ?? "EAGAIN";
      case "close": {
        const { e } = operation;
        for (const handle of this.eventfds[e]!) handle.close();
        this.eventfds[e] = [this.makeEventfd(SEMAPHORES[e]!)];
        return "ok";
      }
      case "dup": {
        const handles = this.eventfds[operation.e]!;
        const { handle } = handles[0]!;
        handles.push(this.real ? LinuxEventfd.open(this.host, handle) : Eventfd.open(this.host, handle));
        return "ok";
      }
      case "close one": {
        const handles = this.eventfds[operation.e]!;
        if (handles.length > 1) handles.shift()!.close();
        return "ok";
      }
      case "routes":
        this.vm(operation.vm).setGsiRouting(operation.routes.map(gsiRoute));
        return "ok";
      case "route of no type":
        this.vm(operation.vm).setGsiRouting([{ gsi: 24 } as GsiRoute]);
        return "ok";
      case "too many routes":
        this.vm(operation.vm).setGsiRouting(
          Array.from({ length: operation.count }, (_, gsi) => ({
            gsi: gsi % 4096,
            msi: { vcpu: 0, vector: 0x41 },
          })),
        );
        return "ok";
      case "line":
        this.vm(operation.vm).setIrqLine(operation.gsi, operation.level);
        return "ok";
      case "serve": {
        const vcpu = this.vms[operation.vm]!.vcpus[operation.vcpu]!;
        const vector = vcpu.acknowledge();
        if (vector === undefined) return "none";
        vcpu.eoi();
        return vector.toString(16);
      }
      case "at once":
        return operation.operations
          .map((one, at, all) => {
            // What KVM has to do for the count at an assign is done by the system call after it. Two signals are one interrupt
            // otherwise, but on a line that user space holds up each takes it down, and only the second finds it down.
            if (one.op === "write" && all[at - 1]?.op === "assign") this.settle();
            return this.outcomeOf(one);
          })
          .join(", ");
      case "renew": {
        const { vm, vcpus } = this.vms[operation.vm]!;
        for (const vcpu of vcpus) vcpu.put();
        vm.dispose();
        this.vms[operation.vm] = this.makeVm(operation.irqchip);
        return "ok";
      }
    }
  }

  private settle(): void {
    const { pending } = this.host;
    // A Linux eventfd whose event came between two rounds is there in the next.
    while (this.relay !== undefined && this.relay.round(0) > 0);
    while (pending.any) pending.takeAll((irqfd) => relayOne(this.host, irqfd));
  }

  private makeVm(irqchip: "full" | "split" | "none"): { vm: Vm; vcpus: Vcpu[] } {
    const vm = new Vm(this.host, { vcpus: VCPUS, apic: irqchip === "full" });
    if (irqchip === "full") {
      for (const pin of Object.keys(PINS).map(Number)) {
        const [low, high] = redirection(pin);
        vm.ioapic.write(0x11 + pin * 2, high);
        vm.ioapic.write(0x10 + pin * 2, low);
      }
    }
    const vcpus = Array.from({ length: VCPUS }, (_, index) => Vcpu.open(this.host, vm.vcpu(index).handle));
    return { vm, vcpus };
  }

  private makeEventfd(semaphore: boolean): Token {
    return this.real
      ? LinuxEventfd.create(this.host, { semaphore })
      : Eventfd.create(this.host, { semaphore });
  }

  private vm(index: number): Vm {
    return this.vms[index]!.vm;
  }

  private eventfd(index: number): Token {
    return this.eventfds[index]!.at(-1)!;
  }

  private wrong(which: "closed" | "not an eventfd"): Eventfd {
    if (which === "not an eventfd") return {} as Eventfd;
    const closed = Eventfd.create(this.host);
    closed.close();
    return closed;
  }

  private hasIoapic(vm: Vm): boolean {
    try {
      return vm.ioapic !== undefined;
    } catch {
      return false;
    }
  }

  /** What is in a local APIC and what is posted and waits to be taken into it. */
  private requested(vcpu: number): number[] {
    const { words } = this.host;
    const pir = vcpu + V.descriptor + Descriptor.pir;
    return Array.from({ length: 256 }, (_, vector) => vector).filter(
      (vector) =>
        (words.get(vcpu + V.irr + (vector >> 5)) | words.load(pir + (vector >> 5))) & (1 << (vector & 31)),
    );
  }
}

/** Pins whose remote IRR is set. */
function waiting(vm: Vm): number {
  let mask = 0;
  for (let pin = 0; pin < 24; pin++) if (vm.ioapic.read(0x10 + pin * 2) & (1 << 14)) mask |= 1 << pin;
  return mask;
}

function gsiRoute(route: Route): GsiRoute {
  const { gsi } = route;
  if ("chip" in route) return { gsi, irqchip: { chip: CHIPS[route.chip], pin: route.pin } as IrqchipPin };
  return { gsi, msi: { address: route.address, addressHigh: route.high, data: route.data } };
}
