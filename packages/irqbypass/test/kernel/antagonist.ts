/**
 * The second thread of the irqfd test: assigns and deassigns whatever eventfd the first thread has just then, with GSIs of
 * its own, until it is told to stop. It counts what came of that.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd } from "#src/eventfd/eventfd.js";
import { errorCode, IrqBypassError } from "#src/host/errors.js";
import type { HostHandle } from "#src/host/reserve.js";
import { KVM_IRQFD } from "#src/kvm/ioctl.js";
import { loadFfi } from "#src/linux/koffi.js";
import { Host } from "#src/vm/host.js";
import { Vm } from "#src/vm/vm.js";

export interface AntagonistData {
  /** Word 0: 1 to stop; word 1: rounds made. */
  readonly control: Int32Array;
  /** The eventfd of now: a handle of the host, or a descriptor. */
  readonly eventfd: Float64Array;
  /** Handles or descriptors of the two VMs. */
  readonly vms: readonly number[];
  /** The software side's host; without it the kernel is meant. */
  readonly host?: HostHandle;
}

/** How often each outcome came. */
export type Outcomes = Record<string, number>;

const FIRST_GSI = 0x30;
const DEASSIGN = 1;
const { control, eventfd, vms, host: handle } = workerData as AntagonistData;
const host = handle === undefined ? undefined : Host.attach(handle);
const ffi = handle === undefined ? loadFfi() : undefined;
const outcomes: Outcomes = {};

function tell(call: string, outcome: string): void {
  const key = `${call} ${outcome}`;
  outcomes[key] = (outcomes[key] ?? 0) + 1;
}

function onKernel(vm: number, gsi: number, flags: number): string {
  const argument = Uint32Array.of(eventfd[0]!, gsi, flags, 0, 0, 0, 0, 0);
  const result = ffi!.ioctlBuffer(vm, KVM_IRQFD.request, argument);
  return result === 0 ? "ok" : errorCode(result);
}

function onHost(vm: number, call: (vm: Vm, eventfd: Eventfd) => void): string {
  try {
    // An eventfd that was closed meanwhile is a stale handle here, where a descriptor is a bad one.
    using token = Eventfd.open(host!, eventfd[0]!);
    call(Vm.open(host!, vm), token);
    return "ok";
  } catch (error) {
    if (error instanceof IrqBypassError) return error.code;
    throw error;
  }
}

parentPort?.postMessage("running");
while (Atomics.load(control, 0) === 0) {
  for (const vm of vms) {
    for (let i = 0; i < 2; i++) {
      if (host === undefined) {
        tell("assign", onKernel(vm, FIRST_GSI, 0));
        tell("deassign", onKernel(vm, FIRST_GSI + i, DEASSIGN));
      } else {
        tell(
          "assign",
          onHost(vm, (one, token) => void one.irqfd(token, FIRST_GSI)),
        );
        tell(
          "deassign",
          onHost(vm, (one, token) => void one.deassign(token, FIRST_GSI + i)),
        );
      }
    }
  }
  Atomics.add(control, 1, 1);
}
host?.dispose();
parentPort?.postMessage(outcomes);
