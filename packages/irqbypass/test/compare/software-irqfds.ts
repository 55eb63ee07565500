/** The irqfds of a software VM: for each route one at an eventfd, one at a Linux eventfd, and one that a device's vector is connected to. */
import { VfioPciDevice } from "#src/device/vfio-pci.js";
import { Eventfd } from "#src/eventfd/eventfd.js";
import { IrqBypassError } from "#src/host/errors.js";
import { Consumer, Eventfd as E, Producer, Vcpu } from "#src/host/layout.js";
import { realCalls } from "#src/linux/calls.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { LinuxRelay } from "#src/linux/relay.js";
import { Mode, modeOf, targetOf, vectorOf } from "#src/posting/irte.js";
import { markTrigger } from "#src/vm/apic/accept.js";
import type { Host } from "#src/vm/host.js";
import type { RouteRef } from "#src/vm/route-ref.js";
import type { Vm } from "#src/vm/vm.js";
import { type Irqfds, ROUTES, type RoutedMsi, type Source } from "./routed.js";

interface Route {
  readonly ref: RouteRef;
  readonly signal: Readonly<Record<Source, () => void>>;
  readonly eventfds: readonly (Eventfd | LinuxEventfd)[];
}

export class SoftwareIrqfds implements Irqfds {
  private readonly routes = new Map<number, Route>();
  private readonly relay: LinuxRelay;
  private readonly device: VfioPciDevice;

  constructor(
    private readonly host: Host,
    private readonly vm: Vm,
  ) {
    this.relay = new LinuxRelay(host, realCalls());
    this.device = new VfioPciDevice(host, { msix: ROUTES });
  }

  has(route: number): boolean {
    return this.routes.has(route);
  }

  lead(route: number, msi: RoutedMsi): string {
    try {
      const known = this.routes.get(route);
      if (known !== undefined) known.ref.change(msi);
      else this.routes.set(route, this.make(route, msi));
    } catch (error) {
      if (error instanceof IrqBypassError) return error.code;
      throw error;
    }
    return "done";
  }

  signal(route: number, source: Source): void {
    this.routes.get(route)!.signal[source]();
    // What comes of shared eventfds, and of devices that are relayed, the side itself passes on.
    while (this.relay.round(0) > 0);
  }

  [Symbol.dispose](): void {
    this.device.dispose();
    for (const { eventfds } of this.routes.values()) for (const eventfd of eventfds) eventfd.close();
  }

  private make(route: number, msi: RoutedMsi): Route {
    const { host, vm } = this;
    const ref = vm.routeMsi(msi);
    const [eventfd, linuxEventfd, trigger] = [
      Eventfd.create(host),
      LinuxEventfd.create(host),
      Eventfd.create(host),
    ];
    for (const one of [eventfd, linuxEventfd, trigger]) vm.irqfd(one, ref.gsi);
    this.device.setTrigger("msix", route, trigger);
    const vector = this.device.vector("msix", route);
    return {
      ref,
      signal: {
        eventfd: () => eventfd.write(),
        "linux eventfd": () => linuxEventfd.write(),
        device: () => {
          vector.signal();
          this.noteEdge(trigger.record);
        },
      },
      eventfds: [eventfd, linuxEventfd, trigger],
    };
  }

  /** What a device posts leaves TMR alone, as hardware does; KVM_SIGNAL_MSI, which stands for it there, notes that it was an edge. */
  private noteEdge(eventfd: number): void {
    const { words, pools } = this.host;
    const irqfd = words.load(eventfd + E.irqfd);
    const entry = words.load(words.get(irqfd + Consumer.producer) + Producer.irte);
    if (modeOf(entry) !== Mode.posted) return;
    markTrigger(words, pools.vcpu.base + targetOf(entry) * Vcpu.words, vectorOf(entry), false);
  }
}
