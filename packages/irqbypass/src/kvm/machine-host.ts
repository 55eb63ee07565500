import { IrqBypassError } from "../host/errors.js";
import type { LoadingWord } from "../host/loading.js";

/** What a host is told of a machine of its own, so that it can end with its thread, wherever that is. */
export interface MachineHost {
  /** The guest whose machine it is, by name. */
  readonly owner: string;
  /**
   * Makes the VM's descriptor, or that of a vCPU, by a call that does nothing after its system call. Returns what that has. Whoever
   * repairs after the thread closes it.
   */
  opens(call: () => number, vcpu?: number): number;
  /** The mirror image. Returns what close(2) has. */
  closes(vcpu?: number): number;
  /** A thread of the machine is about to load native code. Returns where that thread says that it has; see `host/loading.ts`. */
  loads(): LoadingWord;
}

/** What a host's guest has made ends with the guest, and not before: EBUSY. */
export function checkOwn(host: MachineHost | undefined, what: string): void {
  if (host === undefined) return;
  throw new IrqBypassError("EBUSY", `${what} is that of ${host.owner}: dispose the guest`, { subject: what });
}

/** The same of /dev/kvm itself, while a machine is made. */
export interface KvmHost {
  opens(call: () => number): number;
  closes(fd: number): number;
}
