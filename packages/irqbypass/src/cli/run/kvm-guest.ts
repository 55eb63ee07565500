/**
 * A KVM guest of a run: the kernel runs its vCPUs, and its handlers count in its own memory.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../index.js";
import { inServiceVectors, KvmVm, requestedVectors } from "../../kvm/index.js";
import { LinuxEventfd } from "../../linux/index.js";
import type { Guest, GuestInterrupt } from "./guest.js";
import type { Mailbox } from "./ledger.js";
import type { PlannedVm } from "./plan.js";

/** How often to look whether the guest has moved on. */
const LOOK_MS = 1;

export class KvmGuest implements Guest {
  readonly interrupts: readonly GuestInterrupt[];
  readonly reroutes = 0;
  readonly ready: Promise<unknown>;
  readonly ended: Promise<unknown>;
  readonly #vm: KvmVm;
  #disposed = false;

  /** Makes the guest with its irqfds and starts it. Throws what KVM refuses; nothing is left behind then. */
  constructor(host: Host, plan: PlannedVm) {
    this.#vm = new KvmVm(host, { vcpus: plan.vcpus });
    const eventfds: LinuxEventfd[] = [];
    try {
      this.#vm.setGsiRouting(
        plan.interrupts.map(({ gsi, vcpu, vector }) => ({ gsi, msi: { vcpu, vector } })),
      );
      this.interrupts = plan.interrupts.map((planned) => {
        const eventfd = LinuxEventfd.create(host);
        eventfds.push(eventfd);
        const irqfd = this.#vm.irqfd(eventfd, planned.gsi, { bypass: planned.bypass });
        return { planned, eventfd, irqfd, mailbox: mailbox(this.#vm, planned), vcpu: null };
      });
      this.#vm.start();
    } catch (error) {
      this.#vm.dispose();
      for (const eventfd of eventfds) eventfd.close();
      throw error;
    }
    this.ended = this.#failure();
    this.ended.catch(() => {});
    this.ready = this.#running();
    this.ready.catch(() => {});
  }

  async finish(): Promise<void> {
    await this.#vm.stop();
    // Stopped between an interrupt and the end of its handler: on until there is none.
    while (!this.#disposed && this.#vm.machine.vcpus.some((vcpu) => isBusy(vcpu.lapic()))) {
      this.#vm.start();
      await sleep(LOOK_MS);
      await this.#vm.stop();
    }
  }

  async close(): Promise<boolean> {
    this.#disposed = true;
    this.#vm.dispose();
    for (const { eventfd } of this.interrupts) eventfd.close();
    await this.ended.catch(() => {}); // whoever needs to know was told
    return true;
  }

  async #running(): Promise<void> {
    const threads = this.#vm.machine.vcpus.map((vcpu) => vcpu.thread);
    while (threads.some((thread) => thread?.tid === 0 && !thread.left)) await sleep(LOOK_MS);
  }

  async #failure(): Promise<void> {
    for (const error of await Promise.all(this.#vm.machine.vcpus.map((vcpu) => vcpu.thread?.ended))) {
      if (error !== undefined) throw error;
    }
  }
}

function isBusy(lapic: Uint8Array): boolean {
  return requestedVectors(lapic).length > 0 || inServiceVectors(lapic).length > 0;
}

/** Where the guest's handler of a vector notes what it finds. */
function mailbox(vm: KvmVm, { vcpu, vector }: { vcpu: number; vector: number }): Mailbox {
  const { avail, seen, count } = vm.tables(vcpu);
  const at = (table: Uint32Array): number => table.byteOffset / Int32Array.BYTES_PER_ELEMENT + vector;
  const words = new Int32Array(vm.memory.buffer);
  return { words, used: at(avail), seen: at(seen), delivered: at(count) };
}
