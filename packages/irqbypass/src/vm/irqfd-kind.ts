import type { BypassHost } from "../bypass/bypass-host.js";
import type { Kind } from "../bypass/kind.js";
import { irqfdOps } from "../bypass/remapping.js";
import { Consumer, Eventfd } from "../host/layout.js";
import { deassign } from "./assignment.js";
import { relayThread } from "./relay-thread.js";
import { vmMutex } from "./vm-mutex.js";

/** The kind that is always there: irqfds of software VMs. */
export const irqfdKind: Kind = {
  name: "irqfd",
  consumer: irqfdOps,
  hangup(memory, consumer) {
    hangUp(memory as BypassHost, consumer);
  },
  relay: { thread: relayThread, wake: (memory) => memory.pending.ring() },
};

/** Deassigns an irqfd whose eventfd nobody can write to any more. */
export function hangUp(host: BypassHost, irqfd: number): void {
  const { words, mutex } = host;
  const vm = mutex.guard(() => words.get(irqfd + Consumer.vm));
  if (vm === 0) return; // deassigned meanwhile
  deassign(host, vmMutex(host, vm), () => {
    // Looked at again: the record may have become that of another irqfd, whose eventfd is open.
    const eventfd = words.get(irqfd + Consumer.vm) === vm ? words.load(irqfd + Consumer.source) : 0;
    return eventfd !== 0 && words.get(eventfd + Eventfd.handles) === 0 ? irqfd : 0;
  });
}
