/**
 * Losses to be planted, one for each place where a signal is taken out of where it is on its way to the guest. The ledger must
 * find each of them. They are put into the objects of a test's own thread: the shipped code has no switch for them.
 */
import { DeviceVector, type Host } from "irqbypass";
import type { DeviceLife } from "#src/device/device-life.js";
import { Virqfd } from "#src/device/virqfd.js";
import { Consumer, Eventfd as E, Gate, LEAVING, Thread } from "#src/host/layout.js";
import { Pending, PendingIrqfds } from "#src/host/pending.js";
import type { Words } from "#src/host/words.js";
import { fdOf } from "#src/linux/calls.js";
import { loadFfi } from "#src/linux/koffi.js";
import { leaveForIt, recoverMutexes } from "#src/vm/repair.js";
import { KVM_LINES, type LineKind } from "./board.js";

/** Whose thread a loss is planted in; `main` is the one that created the host, and repairs. */
export type Role = "main" | "device" | "vmm" | "vcpu" | "relay" | "linux-relay";

interface Plant {
  readonly sentence: string;
  /** The twin of a scenario that loses it in the same place, for the explorer to find. */
  readonly twin: string;
  readonly apply: Partial<Readonly<Record<Role, (host: Host) => void>>>;
  /** The lines that show it; shared ones, where it is not said. */
  readonly lines?: readonly LineKind[];
  /** Threads have to die for it: one in so many rounds, and the device by itself. */
  readonly deathsEvery?: number;
}

/** True every so many calls. */
function every(count: number): () => boolean {
  let calls = 0;
  return () => ++calls % count === 0;
}

/** Claims an injection that is due, now and then, and does not make it. */
function losesClaims(): void {
  const { claim } = PendingIrqfds.prototype;
  const now = every(20);
  PendingIrqfds.prototype.claim = function (irqfd, thread) {
    const claimed = claim.call(this, irqfd, thread);
    if (!claimed || !now()) return claimed;
    this.settle(irqfd, thread);
    return false;
  };
}

/** Takes the count of a Linux eventfd out, now and then, before it looks for one. */
function losesCounts(): void {
  const { takeUp } = PendingIrqfds.prototype;
  const now = every(20);
  const ffi = loadFfi();
  PendingIrqfds.prototype.takeUp = function (irqfd, thread) {
    const found = takeUp.call(this, irqfd, thread);
    const { words } = this as unknown as { words: Words };
    if (found === Pending.idle && now())
      ffi.read(words.get(words.get(irqfd + Consumer.holds) + E.fd) - 1, new BigUint64Array(1));
    return found;
  };
}

const PAUSE = 4000;

export const PLANTS = {
  writer: {
    sentence: "a writer takes its count out, and does not make the irqfd pending",
    twin: "conservation/deassign/writer-forgets",
    apply: {
      device(host) {
        const raise = host.pending.raise.bind(host.pending);
        const now = every(20);
        host.pending.raise = (irqfd) => {
          if (!now()) raise(irqfd);
        };
      },
    },
  },
  "deassign of a shared eventfd": {
    sentence: "a deassign takes the irqfd off first, and throws away what is in the counter after it",
    twin: "conservation/deassign/takes-off-first",
    apply: {
      vmm(host) {
        const { words, thread } = host;
        const kinds = [...host.kinds];
        kinds[0] = {
          ...kinds[0]!,
          listen: {
            start(memory, _irqfd, eventfd) {
              memory.thread.fenceAll(Thread.writing, eventfd);
              return words.load64(eventfd + E.counter) !== 0n;
            },
            stop(_memory, irqfd, eventfd) {
              words.compareExchange(eventfd + E.irqfd, irqfd, irqfd | LEAVING);
              thread.fenceAll(Thread.writing, eventfd);
              for (let left = PAUSE; left > 0; left--) words.load(eventfd + E.irqfd);
              words.store64(eventfd + E.counter, 0n);
            },
          },
        };
        Object.assign(host, { kinds });
      },
    },
  },
  "deassign of a Linux eventfd": {
    sentence: "a deassign reads a Linux eventfd out, and throws away what was in it",
    twin: "linux/deassign/throws-away",
    lines: KVM_LINES,
    apply: {
      vmm(host) {
        const kinds = [...host.kinds];
        const { listen } = kinds[1]!;
        const ffi = loadFfi();
        kinds[1] = {
          ...kinds[1]!,
          listen: {
            start: listen!.start,
            stop(memory, irqfd, eventfd) {
              ffi.read(fdOf(memory, eventfd), new BigUint64Array(1));
              listen!.stop(memory, irqfd, eventfd);
            },
          },
        };
        Object.assign(host, { kinds });
      },
    },
  },
  "deassign of what is pending": {
    sentence: "a deassign throws away an injection that nobody has begun",
    twin: "conservation/deassign/deassign-forgets",
    apply: { vmm: losesClaims },
  },
  relay: {
    sentence: "the relay claims an injection, and does not make it",
    twin: "conservation/deassign/relay-forgets",
    apply: { relay: losesClaims },
  },
  "Linux relay": {
    sentence: "the relay takes the count of a Linux eventfd out, and does not make the injection",
    twin: "linux/deassign/relay-forgets",
    lines: KVM_LINES,
    apply: { "linux-relay": losesCounts },
  },
  vector: {
    sentence: "a vector that is unmasked clears its pending bit, and does not fire",
    twin: "conservation/vector/clears-first",
    apply: {
      device() {
        const { unmask } = DeviceVector.prototype;
        DeviceVector.prototype.unmask = function () {
          const { life, gate } = this as unknown as { life: DeviceLife; gate: number };
          life.host.words.and(gate, ~Gate.pending);
          unmask.call(this);
        };
      },
    },
  },
  listener: {
    sentence: "a device reads its unmask eventfd, and does not unmask",
    twin: "device/release/reads-and-forgets",
    apply: {
      device() {
        const now = every(20);
        const { poll } = Virqfd.prototype;
        Virqfd.prototype.poll = function () {
          const { eventfd } = this as unknown as { eventfd: { tryRead(): bigint | undefined } };
          if (now()) eventfd.tryRead();
          else poll.call(this);
        };
      },
    },
  },
  repair: {
    sentence:
      "a thread dies with a count that it has taken out, and the repair does not make the irqfd pending",
    twin: "conservation/deathInDeassign/repair-forgets",
    lines: ["write", "semaphore", "producer"],
    deathsEvery: 1000,
    apply: {
      main(host) {
        host.repair!.thread = (gone) => {
          recoverMutexes(host, gone);
          // What it was injecting is no count that it had taken out, and the end of its irqfd would wait for that for ever.
          host.forEachLive(host.pools.consumer, (irqfd) => host.pending.resume(irqfd, gone));
          leaveForIt(host, gone);
        };
      },
    },
  },
} as const satisfies Record<string, Plant>;

export type PlantName = keyof typeof PLANTS;

/** Plants a loss in the calling thread, if it is to be there. A relay has no host yet. */
export function plant(name: PlantName | undefined, role: "relay" | "linux-relay"): void;
export function plant(name: PlantName | undefined, role: Role, host: Host): void;
export function plant(name: PlantName | undefined, role: Role, host?: Host): void {
  if (name === undefined) return;
  const { apply }: Plant = PLANTS[name];
  apply[role]?.(host!);
}
