/** What the device tests share: a small host, refusals, and a software VM with one route a vector. */
import assert from "node:assert/strict";
import {
  Eventfd,
  Host,
  type HostOptions,
  IrqBypassError,
  type Irqfd,
  type IrqfdOptions,
  Vcpu,
  Vm,
} from "irqbypass";

const SMALL = {
  thread: 16,
  eventfd: 4096,
  producer: 4096,
  consumer: 4096,
  vm: 8,
  vcpu: 32,
  route: 8192,
  routing: 6,
  injection: 8,
};

export function smallHost({ capacity, ...options }: HostOptions = {}): Host {
  return Host.create({ ...options, capacity: { ...SMALL, ...capacity } });
}

/** A host and a number of eventfds in it. */
export function withEventfds(count: number, options?: HostOptions): { host: Host; eventfds: Eventfd[] } {
  const host = smallHost(options);
  return { host, eventfds: Array.from({ length: count }, () => Eventfd.create(host)) };
}

/** An eventfd whose handle was closed, as a bad file descriptor. */
export function closedEventfd(host: Host): Eventfd {
  const eventfd = Eventfd.create(host);
  eventfd.close();
  return eventfd;
}

/** Runs `act`, which must be refused with this code, and returns the error. */
export function refused(code: string, act: () => unknown): IrqBypassError {
  let thrown: unknown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof IrqBypassError, `expected ${code}, got ${String(thrown ?? "no error")}`);
  assert.equal(thrown.code, code, thrown.message);
  return thrown;
}

/** What the counters hold, without taking it. */
export const counts = (eventfds: readonly Eventfd[]): number[] => eventfds.map(({ count }) => Number(count));

/** Reads every counter back to 0 and returns what was in it. */
export const drain = (eventfds: readonly Eventfd[]): number[] =>
  eventfds.map((eventfd) => Number(eventfd.tryRead() ?? 0n));

/** How many producers are registered. */
export const producers = (host: Host): number =>
  host.interrupts().filter(({ producer }) => producer !== undefined).length;

/** A guest with one vCPU on this thread; GSI n goes to vector n. */
export class Guest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;

  constructor(
    readonly host: Host,
    gsis: readonly number[],
  ) {
    this.vm = new Vm(host, { vcpus: 1 });
    this.vcpu = Vcpu.open(host, this.vm.vcpu(0).handle);
    this.route(gsis);
  }

  route(gsis: readonly number[]): void {
    this.vm.setGsiRouting(gsis.map((gsi) => ({ gsi, msi: { vcpu: 0, vector: gsi } })));
  }

  irqfd(eventfd: Eventfd, gsi: number, options?: IrqfdOptions): Irqfd {
    return this.vm.irqfd(eventfd, gsi, options);
  }

  /** The vectors that have been delivered by now, highest first. */
  served(): number[] {
    const vectors: number[] = [];
    for (;;) {
      const vector = this.vcpu.acknowledge();
      if (vector === undefined) return vectors;
      this.vcpu.eoi();
      vectors.push(vector);
    }
  }

  /** The next vector, which may come through the relay. */
  async next(): Promise<number> {
    assert.equal(await this.vcpu.waitAsync({ timeoutMs: 30_000 }), "interrupt");
    const vector = this.vcpu.acknowledge();
    this.vcpu.eoi();
    return vector ?? assert.fail("woken without an interrupt");
  }

  dispose(): void {
    this.vcpu.put();
    this.vm.dispose();
  }
}
