/**
 * The thread that runs a vCPU, from its owner's side.
 */

import { ERRNO, type ErrorCode, IrqBypassError } from "../host/errors.js";
import { platformHere } from "../host/platform-here.js";
import { Shown } from "../host/shown.js";
import { type Spawn, SpawnedThread, type ThreadModule } from "../host/spawn.js";
import type { Ffi } from "../linux/ffi.js";
import { files, threads } from "../linux/node.js";
import type { MachineHost } from "./machine-host.js";
import {
  createControl,
  declareGone,
  endsLoading,
  KVM_VCPU_THREAD,
  kick,
  LEFT,
  RUNNING,
  STATE,
  threadOf,
  type VcpuToRun,
  type VcpuWorkerData,
} from "./vcpu-control.js";

/** What a thread needs to know beside its vCPU. */
export interface VcpuThreadFacts {
  readonly ffi: Ffi;
  /** How it is started, where not as usual. */
  readonly spawn?: Spawn | undefined;
  /** The host of the guest, if it has one. */
  readonly host?: MachineHost | undefined;
}

/** A worker thread inside KVM_RUN. It keeps the process alive until it is stopped. */
export class KvmVcpuThread extends Shown implements Disposable {
  /**
   * Resolves when the thread has ended: undefined after a stop, else the error that ended it, such as a guest
   * that shut down. Never rejects.
   */
  readonly ended: Promise<IrqBypassError | undefined>;
  readonly #ffi: Ffi;
  readonly #index: number;
  readonly #control = createControl();

  /** @internal Made by a vCPU's start. */
  constructor(vcpu: VcpuToRun, { ffi, spawn, host }: VcpuThreadFacts) {
    super();
    this.#ffi = ffi;
    this.#index = vcpu.index;
    const module: ThreadModule = {
      name: KVM_VCPU_THREAD,
      start: () => {
        const { Worker } = threads();
        return new Worker(new URL("./kvm-vcpu-worker.js", import.meta.url), { name: `vcpu-${vcpu.index}` });
      },
    };
    const control = this.#control;
    const loading = host?.loads();
    const data: VcpuWorkerData = { ...vcpu, control, loading };
    let thread: SpawnedThread;
    try {
      thread = new SpawnedThread(module, data, { platform: platformHere(), spawn });
    } catch (error) {
      endsLoading(control, loading);
      throw error;
    }
    this.ended = new Promise((resolve) => {
      thread.onExit((error) => {
        endsLoading(control, loading); // should it have ended before
        declareGone(control);
        resolve(error === undefined ? undefined : asFailure(error, vcpu.index));
      });
    });
  }

  /** @internal */
  protected describe(): object {
    return { vcpu: this.#index, tid: this.tid, left: this.left };
  }

  /** Has the thread left KVM_RUN for good? Then the vCPU's requests can be made again. */
  get left(): boolean {
    return Atomics.load(this.#control, STATE) === LEFT;
  }

  /** The thread's kernel id, 0 before it runs and after it has left. */
  get tid(): number {
    return threadOf(this.#control);
  }

  /** Asks the thread to leave and ends its KVM_RUN, also one that it is about to enter. Does not wait. */
  requestStop(): void {
    kick(this.#control, this.#ffi);
  }

  /** Stops the thread; resolves when it has ended, rejects with the error that ended it before. */
  async stop(): Promise<void> {
    this.requestStop();
    const failure = await this.ended;
    if (failure !== undefined) throw failure;
  }

  /** Stops the thread and blocks until it has left KVM_RUN; the worker itself ends soon after. Idempotent. */
  [Symbol.dispose](): void {
    this.requestStop();
    while (Atomics.wait(this.#control, STATE, RUNNING, 100) === "timed-out") {
      // A worker that Node ended by force told nobody, and its exit event cannot come while we block.
      const tid = this.tid;
      if (tid !== 0 && !files().existsSync(`/proc/self/task/${tid}`)) declareGone(this.#control);
    }
  }
}

/** An error that crossed threads has lost its class, but keeps its fields. */
function asFailure(error: unknown, index: number): IrqBypassError {
  const { code, message = String(error), syscall } = error as Partial<IrqBypassError>;
  // Of a worker that could not start, Node says only in words why.
  const said = /^Worker initialization failure: (E[A-Z]+)$/.exec(message)?.[1];
  const known = [code, said].find((one): one is ErrorCode => one !== undefined && one in ERRNO) ?? "EIO";
  const text = message.startsWith(`${known}: `) ? message.slice(known.length + 2) : message;
  return new IrqBypassError(known, text, {
    subject: `vCPU ${index}`,
    cause: error,
    ...(syscall === undefined ? {} : { syscall }),
  });
}
