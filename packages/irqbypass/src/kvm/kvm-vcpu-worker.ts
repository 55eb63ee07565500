/**
 * The thread that runs a vCPU, from the inside: KVM_RUN until it is told to leave.
 */
import { ERRNO, IrqBypassError } from "../host/errors.js";
import { runThread } from "../host/spawn.js";
import { Alarm } from "../linux/alarm.js";
import { checked } from "../linux/checked.js";
import { type Ffi, MAP_SHARED, PROT_READ } from "../linux/ffi.js";
import { loadFfi } from "../linux/koffi.js";
import { blockKick, kickTaker, onlyKickUnblocked, threadId } from "../linux/signal.js";
import {
  exitReasonName,
  ioctl,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_RUN,
  KVM_SET_SIGNAL_MASK,
} from "./ioctl.js";
import { encodeSignalMask } from "./structs.js";
import {
  endsLoading,
  enter,
  KVM_VCPU_THREAD,
  leave,
  stopRequested,
  type VcpuWorkerData,
} from "./vcpu-control.js";

// Offsets in struct kvm_run.
const EXIT_REASON_AT = 8;
const DETAIL_AT = 32;
const IO_PORT_AT = 34;
const IO_DATA_OFFSET_AT = 40;

/** The thread looks this often whether it is to go on: what ends its worker does not reach into KVM_RUN. */
const SLICE_MS = 50;

/**
 * Runs the guest. Returns where a stop was requested, throws for everything else that ends KVM_RUN. It may be ended between
 * any two calls, so it holds nothing that would keep the VM: no memory of KVM's is mapped while the guest runs.
 */
function run(ffi: Ffi, vcpu: VcpuWorkerData): void {
  const subject = `vCPU ${vcpu.index}`;
  ioctl(ffi, vcpu.fd, KVM_SET_SIGNAL_MASK, encodeSignalMask(onlyKickUnblocked()), subject);
  using alarm = new Alarm(ffi, SLICE_MS);
  const takeKicks = kickTaker(ffi);
  alarm.set();
  while (!stopRequested(vcpu.control)) {
    const result = ffi.ioctl(vcpu.fd, KVM_RUN.request, 0);
    if (result === -ERRNO.EINTR) {
      takeKicks();
      alarm.set();
      continue;
    }
    checked(result, KVM_RUN.name, subject);
    const exit = lookAtExit(ffi, vcpu, subject);
    if (exit.getUint32(EXIT_REASON_AT, true) !== KVM_EXIT_INTR) throw unexpected(exit, subject);
  }
}

/** A copy of the vCPU's struct kvm_run. */
function lookAtExit(ffi: Ffi, vcpu: VcpuWorkerData, subject: string): DataView {
  const area = checked(ffi.mmap(vcpu.runBytes, PROT_READ, MAP_SHARED, vcpu.fd, 0), "mmap", subject);
  const exit = new DataView(new ArrayBuffer(vcpu.runBytes));
  ffi.copyFrom(area, exit);
  checked(ffi.munmap(area, vcpu.runBytes), "munmap", subject);
  return exit;
}

/** The guest left its code, which a guest of ours never does by itself. */
function unexpected(exit: DataView, subject: string): IrqBypassError {
  const reason = exit.getUint32(EXIT_REASON_AT, true);
  let detail = "";
  if (reason === KVM_EXIT_IO) {
    const value = exit.getUint8(Number(exit.getBigUint64(IO_DATA_OFFSET_AT, true)));
    detail = `, port 0x${exit.getUint16(IO_PORT_AT, true).toString(16)}, value ${value}`;
  }
  if (reason === KVM_EXIT_FAIL_ENTRY) detail = `, hardware reason ${exit.getBigUint64(DETAIL_AT, true)}`;
  if (reason === KVM_EXIT_INTERNAL_ERROR) detail = `, suberror ${exit.getUint32(DETAIL_AT, true)}`;
  return new IrqBypassError("EIO", `${subject} left the guest: ${exitReasonName(reason)}${detail}`, {
    subject,
    syscall: KVM_RUN.name,
  });
}

runThread<VcpuWorkerData>(KVM_VCPU_THREAD, (vcpu) => {
  const ffi = loadFfi();
  endsLoading(vcpu.control, vcpu.loading);
  blockKick(ffi);
  if (!enter(vcpu.control, threadId())) return;
  try {
    run(ffi, vcpu);
  } finally {
    leave(vcpu.control);
  }
});
