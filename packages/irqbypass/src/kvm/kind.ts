/**
 * What a host needs to know to hold KVM guests: pass `kvm()` to Host.create and Host.attach in every thread.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import type { Kind } from "../bypass/kind.js";
import { irqfdOps } from "../bypass/remapping.js";
import { isOf } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Injection, Ioeventfd, MAX_VCPUS, Vm as V } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { removeOrphans } from "../linux/alarm.js";
import { fdOf } from "../linux/calls.js";
import { closeAt } from "../linux/descriptor.js";
import { LinuxEventfd } from "../linux/eventfd.js";
import type { Ffi } from "../linux/ffi.js";
import { isCapable, linuxKindOf } from "../linux/kind.js";
import { loadFfi } from "../linux/koffi.js";
import { hex, readDoorbell } from "../vm/io-access.js";
import { hangUp } from "../vm/irqfd-kind.js";
import { lifeOf } from "../vm/vm-mutex.js";
import { guestRouting } from "./guest-routing.js";
import { ioctl, KVM_IOEVENTFD, KVM_IRQFD } from "./ioctl.js";
import { signalMsi } from "./machine.js";
import {
  encodeIoeventfdAssign,
  encodeIoeventfdDeassign,
  encodeIrqfdAssign,
  encodeIrqfdDeassign,
  encodeMsi,
} from "./structs.js";

const NAME = "kvm-irqfd";

/**
 * The kind of irqfds of KVM guests. KVM itself listens to the eventfd from assign to deassign; a connected producer of
 * this host injects with one KVM_SIGNAL_MSI instead, if its thread can make system calls.
 *
 * @example
 * ```ts
 * import { Host } from "irqbypass";
 * import { kvm } from "irqbypass/kvm";
 * import { linux } from "irqbypass/linux";
 *
 * const host = Host.create({ kinds: [linux(), kvm()] });
 * console.log(host.threadId);
 * ```
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
    ioeventfd: {
      assign: (memory, ioeventfd) => ioeventfdCall(memory, ioeventfd, encodeIoeventfdAssign),
      deassign(memory, ioeventfd) {
        try {
          ioeventfdCall(memory, ioeventfd, encodeIoeventfdDeassign);
        } catch (error) {
          // A thread that died may have come to this, or not to the assign.
          if (!(error instanceof IrqBypassError) || error.code !== "ENOENT") throw error;
        }
      },
    },
    closeVm(memory, vm) {
      const { words } = memory;
      const ffi = linuxKindOf(memory).kind.ffi();
      for (const at of [V.fd, ...Array.from({ length: MAX_VCPUS }, (_, index) => V.vcpu + index)])
        if (words.get(vm + at) !== 0) closeAt(words, ffi, vm + at);
      removeOrphans(ffi); // those of its vCPUs
    },
    settle(memory, vm) {
      const apics = () => ({ ids: [], longIds: false }); // nobody makes a message here
      guestRouting(memory as BypassHost, lifeOf(memory, vm), kvmKindOf(memory), apics).settle();
    },
    hangup: (memory, consumer) => hangUp(memory as BypassHost, consumer),
  };
}

function bind(ffi: Ffi, message: ArrayBufferView): { ffi: Ffi; address: number } {
  return { ffi, address: ffi.addressOf(message) };
}

function irqfdCall(memory: HostMemory, irqfd: number, argument: ArrayBufferView): void {
  const { words } = memory;
  const fd = words.get(words.get(irqfd + Consumer.vm) + V.fd) - 1;
  ioctl(linuxKindOf(memory).kind.ffi(), fd, KVM_IRQFD, argument, `GSI ${gsiOf(memory, irqfd)}`);
}

function ioeventfdCall(memory: HostMemory, ioeventfd: number, encode: typeof encodeIoeventfdAssign): void {
  const { words } = memory;
  const fd = words.get(words.get(ioeventfd + Ioeventfd.vm) + V.fd) - 1;
  const { space, address, length, match } = readDoorbell(words, ioeventfd);
  const eventfd = fdOf(memory, words.get(ioeventfd + Ioeventfd.eventfd));
  const argument = encode({ eventfd, space, address, length, datamatch: match });
  ioctl(linuxKindOf(memory).kind.ffi(), fd, KVM_IOEVENTFD, argument, `${space} ${hex(address)}`);
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

/** Refuses what KVM can neither listen to nor signal: EINVAL. */
export function checkLinux(eventfd: unknown): void {
  if (isOf(eventfd, LinuxEventfd)) return;
  throw new IrqBypassError(
    "EINVAL",
    "KVM listens to Linux eventfds only, and signals no others: make it with LinuxEventfd.create",
  );
}
