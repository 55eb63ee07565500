/** What goes on beside threads that end, each of which must hear of nothing. */
import assert from "node:assert/strict";
import { type Host, type Irqfd, Vcpu, type Vm } from "irqbypass";
import { KvmVm } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import { PATIENCE_MS, until } from "../support/worker.js";

/** A vector of the software VM that nobody else has, and where it goes. */
export const RELAYED = { gsi: 11, msi: { vcpu: 3, vector: 0x42 } };
const GUESTS = { gsi: 24, msi: { vcpu: 0, vector: 0x41 } };

/** A KVM guest of this thread, a relayed interrupt of the software VM, and a reader of a Linux eventfd. */
export class Beside {
  private readonly guest: KvmVm | undefined;
  private readonly guests: LinuxEventfd;
  private readonly relayed: LinuxEventfd;
  private readonly irqfd: Irqfd;
  private readonly vcpu: Vcpu;
  private readonly read: LinuxEventfd;
  private readonly reads: Promise<void>;
  private readonly stop = new AbortController();
  private written = 0n;
  private taken = 0n;
  /** Interrupts that the guest and the vCPU have handled. */
  handled = 0;

  constructor(host: Host, vm: Vm, withGuest: boolean) {
    this.guests = LinuxEventfd.create(host);
    if (withGuest) {
      this.guest = new KvmVm(host);
      this.guest.setGsiRouting([GUESTS]);
      this.guest.irqfd(this.guests, GUESTS.gsi);
      this.guest.start();
    }
    this.relayed = LinuxEventfd.create(host);
    this.irqfd = vm.irqfd(this.relayed, RELAYED.gsi);
    this.vcpu = Vcpu.open(host, vm.vcpu(RELAYED.msi.vcpu).handle);
    this.read = LinuxEventfd.create(host);
    this.reads = this.readAll();
  }

  private async readAll(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      try {
        this.taken += (await this.read.readAsync({ signal })) ?? 0n;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  /** One interrupt of each kind, and one write to the reader. Throws where one does not come. */
  async turn(): Promise<void> {
    this.read.write(3);
    this.written += 3n;
    this.relayed.write();
    assert.equal(await this.vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt", "the relayed interrupt");
    assert.equal(this.vcpu.acknowledge(), RELAYED.msi.vector);
    this.vcpu.eoi();
    this.handled++;
    if (this.guest === undefined) return;
    const { count } = this.guest.tables(0);
    const before = Atomics.load(count, GUESTS.msi.vector);
    this.guests.write();
    await until("the guest handles an interrupt", () => Atomics.load(count, GUESTS.msi.vector) > before);
    this.handled++;
  }

  /** Has the reader read all that was written, and nothing else? */
  async settled(): Promise<void> {
    await until(`the reader has ${this.written}`, () => this.taken === this.written);
  }

  async end(): Promise<void> {
    this.stop.abort(new Error("the test ends"));
    await this.reads;
    this.vcpu.put();
    this.irqfd.dispose();
    await this.guest?.stop();
    this.guest?.dispose();
    for (const eventfd of [this.guests, this.relayed, this.read]) eventfd.close();
  }
}
