/**
 * Re-routes interrupts of a software VM while they are live: each moves to the next vCPU and to its other vector, and
 * back, as a guest does that changes affinities.
 */
import type { GsiRoute, Vm } from "../../index.js";
import type { PlannedInterrupt } from "./plan.js";

export class Rerouter {
  /** How often an interrupt was moved. */
  moves = 0;
  /** Rejects when the VM refuses a table. Never resolves. */
  readonly failure: Promise<never>;
  readonly #vm: Vm;
  readonly #interrupts: readonly PlannedInterrupt[];
  /** How often each interrupt has moved, by its number. */
  readonly #turns = new Map<number, number>();
  readonly #timers: NodeJS.Timeout[] = [];
  #fail: (error: unknown) => void = () => {};

  /** Sets the VM's first table, and programs the pins of level-triggered interrupts. Throws what the VM refuses. */
  constructor(vm: Vm, interrupts: readonly PlannedInterrupt[]) {
    this.#vm = vm;
    this.#interrupts = interrupts;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {});
    this.#route();
    for (const { gsi, vcpu, vector, level } of interrupts) {
      if (level) vm.ioapic.redirect(gsi, { vcpu, vector, level });
    }
  }

  /** Begins to move the interrupts of the devices that have a period in milliseconds. */
  start(periods: ReadonlyMap<string, number>): void {
    for (const [device, period] of periods) {
      const own = this.#interrupts.filter((one) => one.device === device && one.otherVector !== undefined);
      if (own.length > 0) this.#timers.push(setInterval(() => this.#move(own), period));
    }
  }

  /** The mirror image. */
  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** The vector that an interrupt has now. */
  vectorOf(planned: PlannedInterrupt): number {
    const { vector, otherVector = vector } = planned;
    return this.#turn(planned) % 2 === 0 ? vector : otherVector;
  }

  #turn({ number }: PlannedInterrupt): number {
    return this.#turns.get(number) ?? 0;
  }

  #move(own: readonly PlannedInterrupt[]): void {
    for (const one of own) this.#turns.set(one.number, this.#turn(one) + 1);
    try {
      this.#route();
      this.moves += own.length;
    } catch (error) {
      this.stop();
      this.#fail(error);
    }
  }

  #route(): void {
    const { vcpus } = this.#vm;
    this.#vm.setGsiRouting(
      this.#interrupts.map((one): GsiRoute => {
        if (one.level) return { gsi: one.gsi, irqchip: { chip: "ioapic", pin: one.gsi } };
        const vcpu = (one.vcpu + this.#turn(one)) % vcpus;
        return { gsi: one.gsi, msi: { vcpu, vector: this.vectorOf(one) } };
      }),
    );
  }
}
