/**
 * Can this process run KVM guests?
 */
import { IrqBypassError } from "../host/errors.js";
import { Kvm, type KvmOptions } from "./kvm.js";
import { KvmMachine } from "./machine.js";

/**
 * Tries it: opens /dev/kvm, makes a VM with interrupt chips, closes it. Returns undefined where that works, else
 * the error that says why not. Throws nothing where there is no Node.js: that is an answer, too.
 */
export function whyNoKvm(options: KvmOptions = {}): IrqBypassError | undefined {
  try {
    using kvm = Kvm.open(options);
    using _machine = new KvmMachine(kvm);
    return undefined;
  } catch (error) {
    if (error instanceof IrqBypassError) return error;
    throw error;
  }
}
