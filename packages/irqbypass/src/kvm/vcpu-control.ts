/**
 * The words that a vCPU's thread and its owner share: how one is stopped by the other.
 *
 * | word    | written by | meaning                                                                    |
 * |---------|------------|----------------------------------------------------------------------------|
 * | STATE   | both       | 0 starting, 1 running, 2 left: the thread touches no descriptor any more   |
 * | STOP    | owner      | 1: leave                                                                   |
 * | TID     | thread     | its kernel id while it may be kicked, else 0                               |
 * | KICKERS | owner      | how many are between reading TID and having sent the signal                |
 * | LOADED  | both       | 1: it has loaded what it needs, or never will; whoever writes it tells the host |
 *
 * The owner writes STOP before it reads TID and sends the signal; the thread reads STOP before each KVM_RUN. A
 * signal sent in between stays pending, as the thread blocks it outside KVM_RUN, and ends the next KVM_RUN at
 * once. The thread clears TID, then waits until KICKERS is 0, then ends: so no signal meets a thread that took
 * over its id.
 */
import { endLoadingAt, type LoadingWord } from "../host/loading.js";
import type { ThreadName } from "../host/spawn.js";
import type { WasmMemory } from "../host/wasm.js";
import type { Ffi } from "../linux/ffi.js";
import { kickThread } from "../linux/signal.js";

/** What the thread runs. The descriptor stays the owner's and must stay open until the thread has left. */
export interface VcpuToRun {
  readonly fd: number;
  readonly index: number;
  readonly runBytes: number;
  readonly memory: WasmMemory;
}

/** What the thread is given. It holds the memory, so that the guest never outlives it. */
export interface VcpuWorkerData extends VcpuToRun {
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Where its owner says that it loads native code; undefined for a machine of no host. */
  readonly loading: LoadingWord | undefined;
}

/** What its module is called. */
export const KVM_VCPU_THREAD: ThreadName = "irqbypass/kvm-vcpu-worker";

export const STATE = 0;
const STOP = 1;
const TID = 2;
const KICKERS = 3;
const LOADED = 4;
const WORDS = 5;

export const STARTING = 0;
export const RUNNING = 1;
export const LEFT = 2;

export function createControl(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(WORDS * 4));
}

/** Either side: the thread loads no more. */
export function endsLoading(control: Int32Array, loading: LoadingWord | undefined): void {
  if (Atomics.exchange(control, LOADED, 1) === 0 && loading !== undefined) endLoadingAt(loading);
}

/** Thread side: may be kicked from here on. False where the owner stopped it before it began. */
export function enter(control: Int32Array, tid: number): boolean {
  Atomics.store(control, TID, tid); // before RUNNING: who sees that state finds the id
  return Atomics.compareExchange(control, STATE, STARTING, RUNNING) === STARTING;
}

export function stopRequested(control: Int32Array): boolean {
  return Atomics.load(control, STOP) !== 0;
}

/** Thread side, the mirror of {@link enter}: is kicked no more, and uses no descriptor any more. */
export function leave(control: Int32Array): void {
  Atomics.store(control, TID, 0); // before KICKERS is read: a later kicker finds no id
  for (let kickers = Atomics.load(control, KICKERS); kickers > 0; kickers = Atomics.load(control, KICKERS)) {
    Atomics.wait(control, KICKERS, kickers);
  }
  Atomics.store(control, STATE, LEFT);
  Atomics.notify(control, STATE);
}

/** Owner side: asks the thread to leave and ends its KVM_RUN. Does not wait. */
export function kick(control: Int32Array, ffi: Ffi): void {
  Atomics.store(control, STOP, 1); // before the signal: the thread that it wakes must see it
  if (Atomics.compareExchange(control, STATE, STARTING, LEFT) !== RUNNING) return;
  Atomics.add(control, KICKERS, 1); // before TID is read: the thread waits for us with its end
  try {
    const tid = Atomics.load(control, TID);
    if (tid !== 0) kickThread(ffi, tid);
  } finally {
    Atomics.sub(control, KICKERS, 1);
    Atomics.notify(control, KICKERS);
  }
}

/** Owner side: the thread is gone, however it ended. */
export function declareGone(control: Int32Array): void {
  Atomics.store(control, TID, 0);
  Atomics.store(control, STATE, LEFT);
  Atomics.notify(control, STATE);
}

/** The kernel id of the thread, 0 where it may not be kicked. */
export function threadOf(control: Int32Array): number {
  return Atomics.load(control, TID);
}
