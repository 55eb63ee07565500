/** The irqfds of a VM of KVM, each at the eventfd that it was assigned with. */
import { IrqBypassError } from "#src/host/errors.js";
import type { Kvm } from "#src/kvm/kvm.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import type { KvmMsi, KvmRoute } from "#src/kvm/structs.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import { Barrier } from "../kernel/barrier.js";
import type { Irqfds, RoutedMsi, Source } from "./routed.js";

const FIRST_GSI = 24;
const IOAPIC_PINS = 24;
const PIC_PINS = 8;
const [PIC_MASTER, PIC_SLAVE, IOAPIC] = [0, 1, 2];

/** What KVM's irqchip begins with. */
const DEFAULT_ROUTES: readonly KvmRoute[] = [
  ...Array.from({ length: PIC_PINS }, (_, pin) => ({ gsi: pin, chip: PIC_MASTER!, pin })),
  ...Array.from({ length: PIC_PINS }, (_, pin) => ({ gsi: PIC_PINS + pin, chip: PIC_SLAVE!, pin })),
  ...Array.from({ length: IOAPIC_PINS }, (_, pin) => ({ gsi: pin, chip: IOAPIC!, pin })),
];

export class KernelIrqfds implements Irqfds {
  private readonly routes = new Map<number, { readonly eventfd: EventfdFile; msi: KvmMsi }>();
  private readonly barrier: Barrier;

  constructor(
    private readonly machine: KvmMachine,
    kvm: Kvm,
  ) {
    this.barrier = new Barrier(kvm);
  }

  has(route: number): boolean {
    return this.routes.has(route);
  }

  lead(route: number, { address, addressHigh, data }: RoutedMsi): string {
    const msi = { addressLow: address, addressHigh, data };
    const others = [...this.routes]
      .filter(([one]) => one !== route)
      .map(([one, { msi }]) => tableEntry(one, msi));
    try {
      this.machine.setGsiRouting([...DEFAULT_ROUTES, ...others, tableEntry(route, msi)]);
    } catch (error) {
      if (error instanceof IrqBypassError && error.syscall !== undefined) return error.code;
      throw error;
    }
    const known = this.routes.get(route);
    if (known !== undefined) known.msi = msi;
    else {
      const eventfd = EventfdFile.create(this.machine.ffi);
      this.routes.set(route, { eventfd, msi });
      this.machine.assignIrqfd({ eventfd: eventfd.fd, gsi: FIRST_GSI + route });
    }
    return "done";
  }

  signal(route: number, source: Source): void {
    const { eventfd, msi } = this.routes.get(route)!;
    if (source === "device") this.machine.signalMsi(msi);
    else {
      eventfd.write();
      this.barrier.wait();
    }
  }

  [Symbol.dispose](): void {
    for (const { eventfd } of this.routes.values()) eventfd[Symbol.dispose]();
    this.barrier[Symbol.dispose]();
  }
}

const tableEntry = (route: number, msi: KvmMsi): KvmRoute => ({ gsi: FIRST_GSI + route, msi });
