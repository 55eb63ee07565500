/** What the relay does for I/O APICs that wait a moment before they deliver a level again: see `delayEois`. */
import { Header, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { DELAY_MS } from "./eoi-guard.js";
import { serviceWaiting } from "./ioapic.js";
import { vmMutex } from "./vm-mutex.js";

/** The VMs that wait, in the thread that relays. */
export class DelayedEois {
  /** When each is due. */
  private due = new Map<number, number>();

  constructor(private readonly memory: HostMemory) {}

  /** Delivers what is due. Returns after how many milliseconds at the latest to call this again. One load where nobody waits. */
  serve(idleMs: number): number {
    const { words, pools } = this.memory;
    if (words.load(Header.delayed) === 0) return idleMs;
    words.store(Header.delayed, 0); // before the look: a VM that waits from here on sets it again
    const found: number[] = [];
    this.memory.forEachLive(pools.vm, (vm) => {
      if (words.load(vm + Vm.delayed) !== 0) found.push(vm);
    });
    const now = words.clock();
    const later = new Map<number, number>();
    for (const vm of found) {
      const due = this.due.get(vm) ?? now + DELAY_MS;
      if (due > now) later.set(vm, due);
      else this.deliver(vm);
    }
    this.due = later;
    if (later.size === 0) return idleMs;
    words.store(Header.delayed, 1);
    return Math.max(1, Math.min(...later.values()) - now);
  }

  /** Nothing where the VM goes, or is another one by now: its vCPUs are given back without this mutex. */
  private deliver(vm: number): void {
    const { words, pools, mutex } = this.memory;
    vmMutex(this.memory, vm).guard(() => {
      if (!mutex.guard(() => pools.vm.lives(vm)) || words.get(vm + Vm.dying) !== 0) return;
      serviceWaiting(this.memory, vm);
      words.store(vm + Vm.delayed, 0);
    });
  }
}
