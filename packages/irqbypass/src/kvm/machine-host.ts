import type { LoadingWord } from "../host/loading.js";

/** What a host is told of a machine of its own, so that it can end with its thread, wherever that is. */
export interface MachineHost {
  /**
   * The kernel has given out the VM's descriptor, or that of a vCPU; -1: it was closed again. Whoever repairs after the thread
   * closes it.
   */
  opened(fd: number, vcpu?: number): void;
  /** A thread of the machine is about to load native code. Returns where that thread says that it has; see `host/loading.ts`. */
  loads(): LoadingWord;
}
