import { IrqBypassError } from "../host/errors.js";
import { Rec, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Mutex } from "../host/mutex.js";

/**
 * The mutex of the VM in a record: its routing, its list of irqfds, its lines. Taken before the host mutex, never after it.
 * Whoever waited for it may find another VM in the record, or none: {@link VmLife} looks.
 */
export function vmMutex(memory: HostMemory, vm: number): Mutex {
  const name = `the mutex of VM ${memory.pools.vm.slot(vm)}`;
  return new Mutex(memory.words, vm + Vm.mutex, memory.thread, name, () => memory.repair!.vm(vm));
}

/** The VM that has this record now. Under the host mutex, or by the thread that has just made it. */
export function lifeOf(memory: HostMemory, record: number): VmLife {
  return new VmLife(memory, record, memory.words.get(record + Rec.generation));
}

/** One VM, and not the next one in its record. */
export class VmLife {
  readonly mutex: Mutex;

  constructor(
    readonly memory: HostMemory,
    readonly record: number,
    /** By which it is told from another VM in the same record. */
    readonly generation: number,
  ) {
    this.mutex = vmMutex(memory, record);
  }

  /** A small number that no other VM of this host has while this one lives, for tables and messages. */
  get id(): number {
    return this.memory.pools.vm.slot(this.record);
  }

  /** Is it there? True for as long as the caller holds its mutex, or the host's. */
  isLive(): boolean {
    const { words } = this.memory;
    return words.get(this.record + Rec.generation) === this.generation;
  }

  /**
   * Runs `section` under the VM's mutex, and so while the VM is there: it goes under both mutexes. Blocks. Throws EBADF where
   * it has gone.
   */
  guard<T>(section: () => T): T {
    return this.mutex.enclose(() => this.checked(section));
  }

  /** The same, unless it is `over` before: see {@link Mutex.encloseUnless}. With the mutex, it `ends` in any case. */
  guardUnless<T>(over: () => boolean, section: () => T, ends: () => void): T | undefined {
    return this.mutex.encloseUnless(over, () => {
      try {
        return this.checked(section);
      } finally {
        ends();
      }
    });
  }

  private checked<T>(section: () => T): T {
    this.memory.mutex.guard(() => this.check());
    return section();
  }

  /** The same under the host mutex alone, for a look at what does not change while the VM is there; in a callback too. */
  look<T>(section: () => T): T {
    return this.memory.look(() => {
      this.check();
      return section();
    });
  }

  /** Throws EBADF where it has gone, or is about to. For a caller that holds one of the mutexes. */
  check(): void {
    const { words } = this.memory;
    if (!this.isLive() || words.get(this.record + Vm.dying) !== 0)
      throw new IrqBypassError("EBADF", `VM ${this.id} was disposed: make another one`);
  }
}
