import type { EventfdContext, Host, Vm } from "irqbypass";
import { Leftover } from "#src/eventfd/listen.js";
import { Consumer, Descriptor, Eventfd as E, Thread, Vcpu as V } from "#src/host/layout.js";
import type { Accounts } from "./accounts.js";
import { isLinux, type Line } from "./board.js";
import type { RealGuest } from "./real-guest.js";

const LOOKS = 200;
const NAP_MS = 0.1;

/**
 * Waits until nothing is on its way: looked at in the order in which signals go, so that what has left one place is seen in the
 * next. Nobody signals meanwhile.
 */
export class Quiet {
  private readonly nap = new Int32Array(new SharedArrayBuffer(4));
  private readonly vcpus: readonly number[];

  constructor(
    private readonly host: Host,
    vm: Vm | undefined,
    private readonly lines: readonly Line[],
    private readonly eventfds: readonly (EventfdContext | undefined)[],
    private readonly accounts: Accounts,
    private readonly guest: RealGuest | undefined,
  ) {
    this.vcpus =
      vm === undefined ? [] : Array.from({ length: vm.vcpus }, (_, index) => vm.vcpu(index).record);
  }

  /** Resolves with what is still on its way after `patienceMs`, undefined where it is quiet. */
  async wait(patienceMs: number): Promise<string | undefined> {
    const deadline = performance.now() + patienceMs;
    for (let looks = 0; ; looks++) {
      const restless = this.restless();
      if (restless === undefined) break;
      if (performance.now() > deadline) return restless;
      if (looks > LOOKS) Atomics.wait(this.nap, 0, 0, NAP_MS);
      // A relay that died is replaced by the event loop of this thread.
      if (looks % LOOKS === 0) await new Promise(setImmediate);
    }
    return this.guest?.rest(patienceMs) === false ? "the guest" : undefined;
  }

  private restless(): string | undefined {
    return this.uncounted() ?? this.inFlight() ?? this.due() ?? this.requested() ?? this.unanswered();
  }

  /** A count of a Linux eventfd that its irqfd has not come to. */
  private uncounted(): string | undefined {
    const { words } = this.host;
    for (let line = 0; line < this.lines.length; line++) {
      const eventfd = this.eventfds[line];
      if (eventfd === undefined || !isLinux(this.lines[line]!.kind)) continue;
      const irqfd = words.load(eventfd.record + E.irqfd);
      if (irqfd === 0 || this.guest !== undefined) continue;
      if (words.load(irqfd + Consumer.leftover) === Leftover.due)
        return `what was in ${this.accounts.name(line)} at assign`;
      const { count } = eventfd;
      if (count !== 0n && count !== words.load64(irqfd + Consumer.known)) return this.accounts.name(line);
    }
    return undefined;
  }

  private inFlight(): string | undefined {
    const { words, pools } = this.host;
    for (let slot = 0; slot < pools.thread.capacity; slot++) {
      const thread = pools.thread.at(slot);
      if (words.load(thread + Thread.signalling) !== 0 || words.load(thread + Thread.writing) !== 0)
        return `thread ${slot}`;
    }
    return undefined;
  }

  private due(): string | undefined {
    const { host } = this;
    let found: string | undefined = host.pending.any ? "a pending irqfd" : undefined;
    host.forEachLive(host.pools.consumer, (irqfd) => {
      if (host.words.load(irqfd + Consumer.pending) !== 0) found = `irqfd ${host.pools.consumer.slot(irqfd)}`;
    });
    return found;
  }

  private requested(): string | undefined {
    const { words } = this.host;
    for (const vcpu of this.vcpus) {
      for (const start of [V.descriptor + Descriptor.pir, V.irr, V.isr])
        for (let bank = 0; bank < 8; bank++)
          if (words.load(vcpu + start + bank) !== 0) return `vCPU record ${vcpu}`;
    }
    return undefined;
  }

  private unanswered(): string | undefined {
    return this.guest === undefined ? undefined : this.accounts.unanswered;
  }
}
