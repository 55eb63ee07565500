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
  readonly #plan: PlannedVm;
  readonly #rerouting: NodeJS.Timeout | undefined;
  /** How far around the vCPUs the interrupts have gone. */
  #turns = 0;

  /** Makes the VM with its irqfds and starts its vCPUs. Throws what those refuse; nothing is left behind then. */
  constructor(host: Host, seat: Seat, ledger: Ledger, plan: PlannedVm) {
    const { firstVcpu } = plan;
    this.#plan = plan;
    this.#vm = new Vm(host, { vcpus: plan.vcpus });
    const eventfds: Eventfd[] = [];
    try {
      this.#route();
      this.interrupts = plan.interrupts.map((planned) => {
        const eventfd = Eventfd.create(host);
        eventfds.push(eventfd);
        const { number, gsi, vcpu, vector, bypass, level } = planned;
        const common = { planned, eventfd, mailbox: ledger.mailbox(number), vcpu: firstVcpu + vcpu };
        if (!level) return { ...common, irqfd: this.#vm.irqfd(eventfd, gsi, { bypass }) };
        const resample = Eventfd.create(host);
        eventfds.push(resample);
        this.#vm.ioapic.redirect(gsi, { vcpu, vector, level: true });
        return { ...common, resample, irqfd: this.#vm.irqfd(eventfd, gsi, { bypass, resample }) };
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
          .filter(({ vcpu }) => vcpu === index || plan.reroute !== undefined)
          .map(({ vector, number, deviceNumber }) => ({ vector, interrupt: number, device: deviceNumber })),
      };
      return new RunThread(VCPU_WORKER, `vCPU ${index} of ${plan.name}`, data);
    });
    if (plan.reroute !== undefined) {
      this.#rerouting = setInterval(() => {
        this.#turns += 1;
        this.#route();
      }, plan.reroute);
    }
    this.ready = Promise.all(this.#threads.map((thread) => thread.ready));
    this.ended = Promise.all(this.#threads.map((thread) => thread.done));
    this.ready.catch(() => {});
    this.ended.catch(() => {});
  }

  get reroutes(): number {
    return this.#turns;
  }

  /** Routes every MSI to its vCPU of the moment, and every line to its pin. */
  #route(): void {
    const { interrupts, vcpus } = this.#plan;
    this.#vm.setGsiRouting(
      interrupts.map(({ gsi, vcpu, vector, level }) =>
        level
          ? { gsi, irqchip: { chip: "ioapic", pin: gsi } }
          : { gsi, msi: { vcpu: (vcpu + this.#turns) % vcpus, vector } },
      ),
    );
  }

  async finish(): Promise<void> {
    clearInterval(this.#rerouting);
    // A vCPU notices a kick only when it has nothing left to handle.
    for (let index = 0; index < this.#threads.length; index++) this.#vm.vcpu(index).kick();
    await this.ended;
  }

  async close(): Promise<boolean> {
    clearInterval(this.#rerouting);
    for (let index = 0; index < this.#threads.length; index++) this.#vm.vcpu(index).kick();
    if (!(await endThreads(this.#threads))) return false;
    this.#vm.dispose();
    for (const { eventfd, resample } of this.interrupts) {
      eventfd.close();
      resample?.close();
    }
    return true;
  }
}
