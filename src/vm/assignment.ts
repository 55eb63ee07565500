/**
 * Assign and deassign of an irqfd, on records, so that any thread can do either (virt/kvm/eventfd.c). Both are O(1)
 * in the number of irqfds; deassign waits for nobody's work but a signal or an injection that is under way.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { POLICIES, type Policy } from "../bypass/remapping.js";
import { dropContext, holdContext } from "../eventfd/context.js";
import { listenOf } from "../eventfd/listen.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Eventfd, Thread, Vm } from "../host/layout.js";
import type { Mutex } from "../host/mutex.js";
import { relayed } from "../posting/irte.js";
import { reasonCode } from "../posting/reason.js";
import { resolve } from "./routing.js";

/** What an irqfd is assigned with. */
export interface Assignment {
  readonly vm: number;
  readonly vmMutex: Mutex;
  readonly eventfd: number;
  readonly gsi: number;
  readonly policy: Policy;
  /** Number of the consumer's kind. */
  readonly kind: number;
}

/**
 * Assigns: from its return on, each signal of the eventfd is an interrupt of the GSI. Returns the irqfd's record.
 * Throws EBUSY (the eventfd has an irqfd, in whichever VM), ENOMEM, and for policy "require" what keeps it from being
 * bypassed; nothing is left behind then.
 */
export function assign(host: BypassHost, wanted: Assignment): number {
  const { words, mutex, pools, thread } = host;
  const { vm, eventfd, gsi, policy } = wanted;
  const irqfd = mutex.guard(() => {
    const record = pools.consumer.allocate();
    holdContext(host, eventfd);
    return record;
  });
  words.set(irqfd + Consumer.kind, wanted.kind);
  words.set(irqfd + Consumer.owner, thread.record);
  words.set(irqfd + Consumer.policy, POLICIES.indexOf(policy));
  words.set(irqfd + Consumer.vm, vm);
  words.set(irqfd + Consumer.gsi, gsi);
  // Announced before anybody can find it: a deassign that finds it half assigned waits until it is all there.
  words.store(thread.writing, irqfd);
  try {
    complete(host, wanted, irqfd);
  } finally {
    thread.leave(thread.writing);
  }
  return irqfd;
}

function complete(host: BypassHost, wanted: Assignment, irqfd: number): void {
  const { words, mutex, pools, manager } = host;
  const { vm, vmMutex, eventfd, gsi, policy } = wanted;
  const bound = vmMutex.guard(() => {
    // Linked and resolved in one section: a routing update either sees it in the list or was before it. Bound last:
    // a writer that sees it drains the count, and the relay then needs source and target.
    words.store(irqfd + Consumer.target, resolve(host, vm, gsi));
    words.store(irqfd + Consumer.source, eventfd);
    if (words.compareExchange(eventfd + Eventfd.irqfd, 0, irqfd) !== 0) return false;
    link(host, vm, irqfd);
    return true;
  });
  if (!bound) {
    release(host, irqfd, eventfd);
    const name = `eventfd ${pools.eventfd.slot(eventfd)}`;
    throw new IrqBypassError(
      "EBUSY",
      `${name} has an irqfd already: deassign that first, or use another eventfd`,
      {
        subject: name,
      },
    );
  }
  const leftover = listenOf(host, eventfd).start(host, irqfd, eventfd);
  if (policy !== "off") {
    try {
      manager.registerConsumer(irqfd, eventfd);
    } catch (error) {
      if (policy === "require" || !(error instanceof IrqBypassError)) {
        deassign(host, vmMutex, irqfd);
        throw error;
      }
      // Preferred, not required: the interrupt is relayed, and the irqfd says why.
      mutex.guard(() => words.set(irqfd + Consumer.refusal, reasonCode("refused")));
    }
  }
  if (leftover) host.pending.raise(irqfd);
}

/**
 * Deassigns; returns false where another thread has begun to already. When it has returned true, nothing is injected
 * through this irqfd any more, the bypass is torn down, the counter is read out and the eventfd is free.
 */
export function deassign(host: BypassHost, vmMutex: Mutex, irqfd: number): boolean {
  const { words, thread, manager } = host;
  const eventfd = words.exchange(irqfd + Consumer.source, 0);
  if (eventfd === 0) return false;
  vmMutex.guard(() => unlink(host, words.get(irqfd + Consumer.vm), irqfd));
  words.store(eventfd + Eventfd.irqfd, 0);
  listenOf(host, eventfd).stop(host, irqfd, eventfd);
  // The relay announces an irqfd before it looks at its source, so from here on it has either finished or stops there.
  thread.fenceAll(Thread.writing, irqfd);
  words.store(irqfd + Consumer.pending, 0);
  manager.unregisterConsumer(irqfd);
  words.store(irqfd + Consumer.target, relayed("none"));
  release(host, irqfd, eventfd);
  announceChange(words);
  return true;
}

function release(host: BypassHost, irqfd: number, eventfd: number): void {
  host.mutex.guard(() => {
    dropContext(host, eventfd);
    host.pools.consumer.release(irqfd);
  });
}

/** The VM's irqfds are a doubly linked list: out of it in constant time, where the kernel searches. */
function link({ words }: BypassHost, vm: number, irqfd: number): void {
  const head = words.get(vm + Vm.irqfds);
  words.set(irqfd + Consumer.next, head);
  if (head !== 0) words.set(head + Consumer.previous, irqfd);
  words.set(vm + Vm.irqfds, irqfd);
  words.set(vm + Vm.irqfdCount, words.get(vm + Vm.irqfdCount) + 1);
}

function unlink({ words }: BypassHost, vm: number, irqfd: number): void {
  const previous = words.get(irqfd + Consumer.previous);
  const next = words.get(irqfd + Consumer.next);
  if (previous === 0) words.set(vm + Vm.irqfds, next);
  else words.set(previous + Consumer.next, next);
  if (next !== 0) words.set(next + Consumer.previous, previous);
  words.set(vm + Vm.irqfdCount, words.get(vm + Vm.irqfdCount) - 1);
}
