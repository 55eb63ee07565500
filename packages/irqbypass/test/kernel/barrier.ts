/**
 * Waits until the kernel has done what it does for irqfds in the background.
 *
 * What is no plain MSI the kernel injects from a work item, queued on the processor that signalled, first in first out.
 * So this thread is bound to one processor, and signals an irqfd of its own behind the others: a pin of an I/O APIC, whose
 * interrupt shows when it is through.
 */
import type { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { checked } from "#src/linux/checked.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import type { Ffi } from "#src/linux/ffi.js";
import { redirection } from "./operation.js";
import { programPins } from "./pins.js";
import { WindowVcpu, windowMemory } from "./window.js";

const SYS_SCHED_YIELD = 24;
const SYS_SCHED_SETAFFINITY = 203;
const SYS_SCHED_GETAFFINITY = 204;
const PIN = 3;
const IRR_AT = 0x200;
const PATIENCE_MS = 20_000;

export class Barrier implements Disposable {
  private readonly machine: KvmMachine;
  private readonly vcpu: WindowVcpu;
  private readonly eventfd: EventfdFile;
  private readonly ffi: Ffi;
  private readonly allowed: BigUint64Array;

  constructor(kvm: Kvm) {
    this.ffi = kvm.ffi;
    this.allowed = bindToOneProcessor(kvm.ffi);
    this.machine = new KvmMachine(kvm, { memory: windowMemory() });
    programPins(this.machine);
    this.vcpu = new WindowVcpu(this.machine, kvm, 0);
    this.eventfd = EventfdFile.create(kvm.ffi);
    this.machine.setGsiRouting([{ gsi: PIN, chip: 2, pin: PIN }]);
    this.machine.assignIrqfd({ eventfd: this.eventfd.fd, gsi: PIN });
  }

  /** Blocks until everything that was signalled by this thread before is injected. */
  wait(): void {
    const vector = redirection(PIN)[0] & 0xff;
    const at = IRR_AT + (vector >> 5) * 16;
    this.eventfd.write();
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const lapic = this.vcpu.lapic();
      const view = new DataView(lapic.buffer);
      const bits = view.getUint32(at, true);
      if (bits & (1 << (vector & 31))) {
        view.setUint32(at, bits & ~(1 << (vector & 31)), true);
        this.vcpu.setLapic(lapic);
        return;
      }
      if (Date.now() > deadline) throw new Error("the kernel's work queue does not come to our irqfd");
      this.ffi.syscall(SYS_SCHED_YIELD);
    }
  }

  [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
    this.machine[Symbol.dispose]();
    this.eventfd[Symbol.dispose]();
    affinity(this.ffi, SYS_SCHED_SETAFFINITY, this.allowed);
  }
}

/** Binds this thread to the first processor that it may use; returns those that it could use before. */
function bindToOneProcessor(ffi: Ffi): BigUint64Array {
  const allowed = new BigUint64Array(16);
  affinity(ffi, SYS_SCHED_GETAFFINITY, allowed);
  const one = new BigUint64Array(16);
  const word = allowed.findIndex((bits) => bits !== 0n);
  one[word] = allowed[word]! & -allowed[word]!;
  affinity(ffi, SYS_SCHED_SETAFFINITY, one);
  return allowed;
}

function affinity(ffi: Ffi, call: number, set: BigUint64Array): void {
  checked(ffi.syscall(call, 0, set.byteLength, ffi.addressOf(set)), "sched_setaffinity", "this thread");
}
