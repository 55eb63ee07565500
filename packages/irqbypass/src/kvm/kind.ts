/**
 * What a host needs to know to hold KVM guests: pass `kvm()` to Host.create and Host.attach in every thread.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { BypassHost } from "../bypass/bypass-host.js";
import type { Kind } from "../bypass/kind.js";
import { irqfdOps } from "../bypass/remapping.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Injection, MAX_VCPUS, Vm as V } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Ffi } from "../linux/ffi.js";
import { fdOf, isCapable, linuxKindOf } from "../linux/kind.js";
import { loadFfi } from "../linux/koffi.js";
import { kickThread, onlyKickUnblocked } from "../linux/signal.js";
import { hangUp } from "../vm/irqfd-kind.js";
import { ioctl, KVM_IRQFD } from "./ioctl.js";
import { signalMsi } from "./machine.js";
import { encodeIrqfdAssign, encodeIrqfdDeassign, encodeMsi } from "./structs.js";

const NAME = "kvm-irqfd";
/** The signal mask inside KVM_RUN, as the kernel prints it; SIGKILL and SIGSTOP are in no mask. */
const INSIDE = insideMask();

/**
 * The kind of irqfds of KVM guests. KVM itself listens to the eventfd from assign to deassign; a connected producer of
 * this host injects with one KVM_SIGNAL_MSI instead, if its thread can make system calls.
 */
export function kvm(): Kind {
  const message = encodeMsi({ addressLow: 0, addressHigh: 0, data: 0 });
  /** The calls of the thread that made this kind, and where `message` is: looked up once, not at each signal. */
  let bound: { readonly ffi: Ffi; readonly address: number } | undefined;
  return {
    name: NAME,
    unbypassed: "irqfd",
    consumer: irqfdOps,
    capable: () => isCapable(loadFfi),
    inject(memory, injection) {
      const { words } = memory;
      bound ??= bind(linuxKindOf(memory).kind.ffi(), message);
      message[0] = words.get(injection + Injection.addressLow);
      message[1] = words.get(injection + Injection.addressHigh);
      message[2] = words.get(injection + Injection.data);
      return signalMsi(bound.ffi, words.get(injection + Injection.fd), bound.address);
    },
    listen: {
      start(memory, irqfd, eventfd) {
        const resample = memory.words.get(irqfd + Consumer.resample);
        irqfdCall(
          memory,
          irqfd,
          encodeIrqfdAssign({
            eventfd: fdOf(memory, eventfd),
            gsi: gsiOf(memory, irqfd),
            ...(resample === 0 ? {} : { resample: fdOf(memory, resample) }),
          }),
        );
        return false; // KVM looks at the counter itself
      },
      stop(memory, irqfd, eventfd) {
        irqfdCall(
          memory,
          irqfd,
          encodeIrqfdDeassign({ eventfd: fdOf(memory, eventfd), gsi: gsiOf(memory, irqfd) }),
        );
      },
    },
    closeVm(memory, vm) {
      const { words } = memory;
      const ffi = linuxKindOf(memory).kind.ffi();
      const fds = [words.get(vm + V.fd) - 1];
      for (let index = 0; index < MAX_VCPUS; index++) fds.push(words.get(vm + V.vcpu + index) - 1);
      for (const fd of fds) if (isKvms(fd)) ffi.close(fd);
    },
    kick(memory) {
      const { ffi } = linuxKindOf(memory).kind;
      for (const tid of threadsInside()) kickThread(ffi(), tid);
    },
    hangup: (memory, consumer) => hangUp(memory as BypassHost, consumer),
  };
}

function bind(ffi: Ffi, message: ArrayBufferView): { ffi: Ffi; address: number } {
  return { ffi, address: ffi.addressOf(message) };
}

function insideMask(): string {
  const mask = new DataView(onlyKickUnblocked().buffer).getBigUint64(0, true);
  const never = (1n << 8n) | (1n << 18n);
  return (mask & ~never).toString(16).padStart(16, "0");
}

/** The threads of this process that are inside KVM_RUN: by the signal mask that it has put on them. */
function threadsInside(): number[] {
  const tids = readdirSync("/proc/self/task").map(Number);
  return tids.filter((tid) => {
    try {
      const status = readFileSync(`/proc/self/task/${tid}/status`, "latin1");
      return /^SigBlk:\s*(\w+)$/m.exec(status)?.[1] === INSIDE;
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

/** Is this descriptor still one of KVM's? The thread that has died may have closed it, and another number took its place. */
function isKvms(fd: number): boolean {
  try {
    return fd >= 0 && readlinkSync(`/proc/self/fd/${fd}`).startsWith("anon_inode:kvm-");
  } catch {
    return false;
  }
}

function irqfdCall(memory: HostMemory, irqfd: number, argument: ArrayBufferView): void {
  const { words } = memory;
  const fd = words.get(words.get(irqfd + Consumer.vm) + V.fd) - 1;
  ioctl(linuxKindOf(memory).kind.ffi(), fd, KVM_IRQFD, argument, `GSI ${gsiOf(memory, irqfd)}`);
}

function gsiOf({ words }: HostMemory, irqfd: number): number {
  return words.get(irqfd + Consumer.gsi) >>> 0;
}

/** Number of the host's KVM kind. Throws EINVAL where the host was made without it. */
export function kvmKindOf(memory: HostMemory): number {
  const number = memory.kinds.findIndex(({ name }) => name === NAME);
  if (number < 0) {
    throw new IrqBypassError(
      "EINVAL",
      "this host was made without KVM guests: pass kinds: [linux(), kvm()] from irqbypass/linux and irqbypass/kvm to Host.create and Host.attach",
    );
  }
  return number;
}
