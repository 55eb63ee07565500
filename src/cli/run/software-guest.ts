/**
 * A software VM of a run: its vCPUs are this library's own, each on a thread.
 */
import { Eventfd, type Host, Vm } from "../../index.js";
import type { Guest, GuestInterrupt } from "./guest.js";
import type { Ledger } from "./ledger.js";
import type { PlannedVm } from "./plan.js";
import type { Seat } from "./seat.js";
import { endThreads, RunThread } from "./thread.js";
import type { VcpuWorkerData } from "./vcpu-worker.js";

const VCPU_WORKER = new URL("./vcpu-worker.js", import.meta.url);

export class SoftwareGuest implements Guest {
  readonly interrupts: readonly GuestInterrupt[];
  readonly ready: Promise<unknown>;
  readonly ended: Promise<unknown>;
  readonly #vm: Vm;
  readonly #threads: readonly RunThread[];

  /** Makes the VM with its irqfds and starts its vCPUs. Throws what those refuse; nothing is left behind then. */
  constructor(host: Host, seat: Seat, ledger: Ledger, plan: PlannedVm) {
    const { firstVcpu } = plan;
    this.#vm = new Vm(host, { vcpus: plan.vcpus });
    const eventfds: Eventfd[] = [];
    try {
      this.#vm.setGsiRouting(
        plan.interrupts.map(({ gsi, vcpu, vector }) => ({ gsi, msi: { vcpu, vector } })),
      );
      this.interrupts = plan.interrupts.map((planned) => {
        const eventfd = Eventfd.create(host);
        eventfds.push(eventfd);
        const irqfd = this.#vm.irqfd(eventfd, planned.gsi, { bypass: planned.bypass });
        const mailbox = ledger.mailbox(planned.number);
        return { planned, eventfd, irqfd, mailbox, vcpu: firstVcpu + planned.vcpu };
      });
    } catch (error) {
      this.#vm.dispose();
      for (const eventfd of eventfds) eventfd.close();
      throw error;
    }
    this.#threads = Array.from({ length: plan.vcpus }, (_, index) => {
      const data: VcpuWorkerData = {
        seat,
        ledger: ledger.handle,
        vcpu: this.#vm.vcpu(index).handle,
        number: firstVcpu + index,
        handlers: plan.interrupts
          .filter(({ vcpu }) => vcpu === index)
          .map(({ vector, number, deviceNumber }) => ({ vector, interrupt: number, device: deviceNumber })),
      };
      return new RunThread(VCPU_WORKER, `vCPU ${index} of ${plan.name}`, data);
    });
    this.ready = Promise.all(this.#threads.map((thread) => thread.ready));
    this.ended = Promise.all(this.#threads.map((thread) => thread.done));
    this.ready.catch(() => {});
    this.ended.catch(() => {});
  }

  async finish(): Promise<void> {
    // A vCPU notices a kick only when it has nothing left to handle.
    for (let index = 0; index < this.#threads.length; index++) this.#vm.vcpu(index).kick();
    await this.ended;
  }

  async close(): Promise<boolean> {
    for (let index = 0; index < this.#threads.length; index++) this.#vm.vcpu(index).kick();
    if (!(await endThreads(this.#threads))) return false;
    this.#vm.dispose();
    for (const { eventfd } of this.interrupts) eventfd.close();
    return true;
  }
}
