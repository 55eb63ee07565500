/**
 * A software VM of a run: its vCPUs are this library's own, each on a thread.
 */
import { Eventfd, type Host, Vm } from "../../index.js";
import type { Guest, GuestInterrupt } from "./guest.js";
import type { Ledger } from "./ledger.js";
import type { PlannedInterrupt, PlannedVm } from "./plan.js";
import { Rerouter } from "./rerouter.js";
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
  readonly #rerouter: Rerouter;

  /** Makes the VM with its irqfds and starts its vCPUs. Throws what those refuse; nothing is left behind then. */
  constructor(
    host: Host,
    seat: Seat,
    ledger: Ledger,
    plan: PlannedVm,
    periods: ReadonlyMap<string, number> = new Map(),
  ) {
    const { firstVcpu } = plan;
    this.#vm = new Vm(host, { vcpus: plan.vcpus });
    const eventfds: Eventfd[] = [];
    try {
      this.#rerouter = new Rerouter(this.#vm, plan.interrupts);
      const make = () => {
        const eventfd = Eventfd.create(host);
        eventfds.push(eventfd);
        return eventfd;
      };
      const all = Array.from({ length: plan.vcpus }, (_, index) => firstVcpu + index);
      this.interrupts = plan.interrupts.map((planned): GuestInterrupt => {
        const { gsi, bypass, level, number } = planned;
        const eventfd = make();
        const triggered = level ? { resample: make() } : {};
        const irqfd = this.#vm.irqfd(eventfd, gsi, { bypass, ...triggered });
        const moves = planned.otherVector === undefined ? {} : { mayMoveTo: all };
        const vcpu = firstVcpu + planned.vcpu;
        return { planned, eventfd, irqfd, mailbox: ledger.mailbox(number), vcpu, ...triggered, ...moves };
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
          .filter(({ vcpu, otherVector }) => vcpu === index || otherVector !== undefined)
          .flatMap(({ vector, otherVector, number, deviceNumber }) =>
            [vector, otherVector ?? vector].map((one) => ({
              ...{ vector: one, interrupt: number, device: deviceNumber },
            })),
          ),
      };
      return new RunThread(VCPU_WORKER, `vCPU ${index} of ${plan.name}`, data);
    });
    this.ready = Promise.all(this.#threads.map((thread) => thread.ready));
    const threads = Promise.all(this.#threads.map((thread) => thread.done));
    this.ended = Promise.race([threads, this.#rerouter.failure]);
    this.#rerouter.start(periods);
    this.ready.catch(() => {});
    this.ended.catch(() => {});
  }

  get reroutes(): number {
    return this.#rerouter.moves;
  }

  vectorOf(planned: PlannedInterrupt): number {
    return this.#rerouter.vectorOf(planned);
  }

  async finish(): Promise<void> {
    this.#rerouter.stop();
    // A vCPU notices a kick only when it has nothing left to handle.
    for (let index = 0; index < this.#threads.length; index++) this.#vm.vcpu(index).kick();
    await this.ended;
  }

  async close(): Promise<boolean> {
    this.#rerouter.stop();
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
