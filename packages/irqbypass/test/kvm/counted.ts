import { KVM_SET_GSI_ROUTING } from "#src/kvm/ioctl.js";
import { realCalls } from "#src/linux/calls.js";
import type { Ffi } from "#src/linux/ffi.js";
import { linuxKind } from "#src/linux/kind.js";

/** Linux's kind, whose C library goes by `give` when KVM is given a routing table: it gets the table, and what does the rest. */
export function withTables(give: (table: ArrayBufferView, real: () => number) => number) {
  const calls = realCalls();
  const real = calls.ffi();
  const ffi: Ffi = {
    ...real,
    ioctlBuffer(fd, request, argument) {
      const call = () => real.ioctlBuffer(fd, request, argument);
      return request === KVM_SET_GSI_ROUTING.request ? give(argument, call) : call();
    },
  };
  return linuxKind({ ...calls, ffi: () => ffi });
}
