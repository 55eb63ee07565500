/**
 * Assign and deassign of an irqfd, on records, so that any thread can do either (virt/kvm/eventfd.c). Both are O(1)
 * in the number of irqfds; deassign waits for nobody's work but a signal or an injection that is under way.
 */

import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { relayOf } from "../bypass/path.js";
import { POLICIES, type Policy } from "../bypass/remapping.js";
import { checkEventfd, type EventfdContext } from "../eventfd/context.js";
import { listenOf, listensNow } from "../eventfd/listen.js";
import { dropContext, holdContext } from "../eventfd/reference.js";
import { askForRelay } from "../eventfd/relay-state.js";
import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import {
  Consumer,
  Eventfd,
  IRQFD_LISTS,
  LEAVING,
  LEVEL,
  Listening,
  OWN_LINE,
  Producer,
  Thread,
  Vm,
  VmFlag,
} from "../host/layout.js";
import type { Mutex } from "../host/mutex.js";
import { beforeNextLook } from "../host/passing.js";
import { Mode, modeOf, targetOf } from "../posting/irte.js";
import { reasonCode } from "../posting/reason.js";
import { link, unlink } from "./irqfd-list.js";
import { deliverDue } from "./relay.js";
import { type VmLife, vmMutex } from "./vm-mutex.js";

/** What an irqfd is assigned with. */
export interface Assignment {
  readonly life: VmLife;
  readonly eventfd: number;
  readonly gsi: number;
  readonly policy: Policy;
  /** Number of the consumer's kind. */
  readonly kind: number;
  /** The eventfd to signal at EOI, which makes it level-triggered; 0 for none. */
  readonly resample: number;
  /** What the GSI's interrupts come to, as a remapping entry. Called under the VM's mutex. */
  readonly resolve: (irqfd: number) => number;
}

/** Checks what a caller asks for. Throws EBADF for a closed eventfd, EINVAL for the rest. */
export function checkIrqfd(host: BypassHost, eventfd: EventfdContext, gsi: number, policy: Policy): void {
  checkEventfd(host, eventfd, "an irqfd listens to");
  if (!Number.isInteger(gsi) || gsi < 0 || gsi >= 2 ** 32) {
    throw new IrqBypassError("EINVAL", `gsi is ${show(gsi)}: it must be a whole number from 0 to 2^32-1`);
  }
  if (!POLICIES.includes(policy)) {
    throw new IrqBypassError("EINVAL", `bypass is ${show(policy)}: use ${POLICIES.join(", ")}`);
  }
}

/** An irqfd that was assigned. */
export interface Assigned {
  readonly record: number;
  /** By which a later look tells it from another irqfd in the same record. */
  readonly handle: number;
}

/**
 * Assigns: from its return on, each signal of the eventfd is an interrupt of the GSI. Throws EBUSY (the eventfd has an
 * irqfd, in whichever VM), ENOMEM, and for policy "require" what keeps it from being bypassed; nothing is left behind then.
 */
export function assign(host: BypassHost, wanted: Assignment): Assigned {
  const { words, mutex, pools, thread } = host;
  const { life, eventfd, gsi, policy } = wanted;
  const { record: vm, mutex: guard } = life;
  const progress: Progress = { listening: false };
  let taken = 0;
  const take = () => {
    life.check();
    // What is looked at again when it is done: here a refusal has nothing to take back.
    if (words.load(eventfd + Eventfd.irqfd) !== 0) throw isTaken(host, eventfd);
    const record = pools.consumer.allocate();
    taken = record;
    holdContext(host, eventfd);
    words.set(record + Consumer.holds, eventfd);
    if (wanted.resample !== 0) holdContext(host, wanted.resample);
    // Under the host mutex: a close may still look at whose the record was before.
    words.set(record + Consumer.kind, wanted.kind);
    words.set(record + Consumer.policy, POLICIES.indexOf(policy));
    words.set(record + Consumer.vm, vm);
    words.set(record + Consumer.gsi, gsi);
    words.set(record + Consumer.resample, wanted.resample);
    const level = words.get(vm + Vm.flags) & VmFlag.bare ? OWN_LINE : LEVEL;
    words.set(record + Consumer.flags, wanted.resample === 0 ? 0 : level);
    words.set(record + Consumer.owner, thread.record); // last: without an owner it is half made
    return { record, handle: pools.consumer.handle(record), relay: relayOf(host, record) };
  };
  let assigned: ReturnType<typeof take>;
  try {
    assigned = guard.enclose(() => {
      const irqfd = mutex.guard(take);
      try {
        begin(host, wanted, irqfd.record, progress);
      } catch (error) {
        claim(host, irqfd.record); // from here on nobody but this thread takes it down
        throw error;
      }
      return irqfd;
    });
  } catch (error) {
    if (taken !== 0) takeDown(host, guard, taken, eventfd, progress);
    throw error;
  }
  if (assigned.relay >= 0) askForRelay(host, assigned.relay);
  return assigned;
}

/** How far an assign has got, for whoever takes it back. */
interface Progress {
  /** Does it listen? Then others have heard of it, and its end is that of any irqfd. */
  listening: boolean;
  /** The producer that waited for it, and what that said then. */
  producer?: { readonly record: number; readonly irte: number; readonly since: number };
}

function isTaken({ pools }: BypassHost, eventfd: number): IrqBypassError {
  const name = `eventfd ${pools.eventfd.slot(eventfd)}`;
  return new IrqBypassError(
    "EBUSY",
    `${name} has an irqfd already: deassign that first, or use another eventfd`,
    { subject: name },
  );
}

/**
 * The visible part of an assign. All of it under the VM's mutex: whoever deassigns, routes or disposes sees the whole
 * irqfd or none of it (the kernel's assign is an SRCU section, for which the shutdown waits).
 */
function begin(host: BypassHost, wanted: Assignment, irqfd: number, progress: Progress): void {
  const { words } = host;
  const { life, eventfd } = wanted;
  const vm = life.record;
  words.store(irqfd + Consumer.target, wanted.resolve(irqfd));
  // Before the binding: a relay that hears of the eventfd through the binding finds its way back by the source.
  words.store(irqfd + Consumer.source, eventfd);
  if (words.compareExchange(eventfd + Eventfd.irqfd, 0, irqfd) !== 0) throw isTaken(host, eventfd);
  link(host, vm, irqfd);
  // First of the two: a refusal must not read the counter out, as the end of listening does.
  if (wanted.policy !== "off") registerConsumer(host, irqfd, wanted, progress);
  const listen = listenOf(host, irqfd, eventfd);
  const due = host.thread.runCallback("listen start", () => listen.start(host, irqfd, eventfd));
  progress.listening = true;
  if (due) host.pending.raise(irqfd);
  listensNow(words, irqfd, eventfd); // after that: what is in the counter has been dealt with
}

function registerConsumer(
  host: BypassHost,
  irqfd: number,
  { eventfd, policy }: Assignment,
  progress: Progress,
): void {
  const { words, mutex, manager } = host;
  mutex.guard(() => {
    const record = manager.producerAt(eventfd);
    if (record === 0) return;
    const [irte, since] = [words.load(record + Producer.irte), words.get(record + Producer.since)];
    progress.producer = { record, irte, since };
  });
  try {
    host.manager.registerConsumer(irqfd, eventfd);
  } catch (error) {
    if (policy === "require" || !(error instanceof IrqBypassError) || error.code === "EUCLEAN") throw error;
    // Preferred, not required: the interrupt is relayed, and the irqfd says why.
    // The manager has noted the reason of a refused connection; for the rest (no room) there is only this word.
    const noted = error.side !== undefined && error.reason !== undefined;
    if (!noted) host.mutex.guard(() => host.words.set(irqfd + Consumer.refusal, reasonCode("refused")));
  }
}

/**
 * Deassigns the irqfd that `find` names under the VM's and the host mutex, 0 for none. Returns false where there is none; one
 * that another thread is deassigning is waited for. When it has returned, nothing is injected through this irqfd any more,
 * the bypass is torn down, the counter is read out and the eventfd is free.
 */
export function deassign(host: BypassHost, guard: Mutex, find: () => number): boolean {
  const { words, mutex, thread, repair } = host;
  const { begun } = thread;
  for (;;) {
    let irqfd = 0;
    let eventfd = 0;
    let other = 0;
    let vm = 0;
    const claimed = guard.enclose(() =>
      // Both: what is found is not given back before it is claimed.
      mutex.guard(() => {
        irqfd = find();
        if (irqfd === 0) return false;
        eventfd = words.get(irqfd + Consumer.holds);
        other = words.get(irqfd + Consumer.closing);
        vm = words.get(irqfd + Consumer.vm);
        return claim(host, irqfd);
      }),
    );
    if (claimed) takeDown(host, guard, irqfd, eventfd);
    if (claimed || irqfd === 0) return claimed;
    if (repair !== undefined && thread.isDead(other)) {
      repair.thread(other);
      deassignLost(host, vm, irqfd, other);
    } else {
      beforeNextLook(words, thread, begun, "an irqfd", () => words.get(irqfd + Consumer.closing) !== other);
    }
  }
}

/**
 * Deassigns the irqfd that matches both an eventfd and a GSI; returns whether there was one. Throws EBADF for a closed eventfd, EINVAL for
 * what is none of this host.
 */
export function deassignAt(host: BypassHost, life: VmLife, eventfd: EventfdContext, gsi: number): boolean {
  checkIrqfd(host, eventfd, gsi, "off");
  const { words } = host;
  return deassign(host, life.mutex, () => {
    life.check(); // before it is looked for: what the next VM in the record has is none of this one's
    const irqfd = words.load(eventfd.record + Eventfd.irqfd) & ~LEAVING; // one on its way out is waited for
    if (irqfd === 0 || words.get(irqfd + Consumer.vm) !== life.record) return 0;
    return words.get(irqfd + Consumer.gsi) >>> 0 === gsi ? irqfd : 0;
  });
}

/** The deassign is the calling thread's from here on; false where it is another's already. Under the VM's mutex. */
function claim(host: BypassHost, irqfd: number): boolean {
  if (host.words.get(irqfd + Consumer.closing) !== 0) return false;
  take(host, irqfd);
  return true;
}

function take({ words, thread }: BypassHost, irqfd: number): void {
  words.set(irqfd + Consumer.closing, thread.record); // first: a thread that dies here has begun to deassign
  words.store(irqfd + Consumer.source, 0);
}

/**
 * Deassigns an irqfd of this VM that a thread made that is gone, or was deassigning, from wherever it had got to. Returns
 * false where it is neither, or has been given back.
 */
export function deassignLost(host: BypassHost, vm: number, irqfd: number, gone: number): boolean {
  const { words, mutex, pools } = host;
  const guard = vmMutex(host, vm);
  let eventfd = 0;
  const claimIt = () => {
    if (!pools.consumer.lives(irqfd) || words.get(irqfd + Consumer.vm) !== vm) return false;
    const closing = words.get(irqfd + Consumer.closing);
    if (closing !== gone && (closing !== 0 || words.get(irqfd + Consumer.owner) !== gone)) return false;
    take(host, irqfd);
    eventfd = words.get(irqfd + Consumer.holds);
    return true;
  };
  if (!guard.enclose(() => mutex.guard(claimIt))) return false;
  takeDown(host, guard, irqfd, eventfd);
  return true;
}

/**
 * Deassigns every irqfd of a VM that takes no new ones, and waits for those that other threads are deassigning. Returns what
 * the system refused first, if anything; they are all gone then, too.
 */
export function deassignAll(host: BypassHost, guard: Mutex, vm: number): IrqBypassError | undefined {
  const { words } = host;
  let list = 0;
  const first = () => {
    // It takes no new ones: a list that is empty stays so.
    while (list < IRQFD_LISTS - 1 && words.get(vm + Vm.irqfds + list) === 0) list++;
    return words.get(vm + Vm.irqfds + list);
  };
  let failure: IrqBypassError | undefined;
  while (guard.guard(first) !== 0) {
    try {
      deassign(host, guard, first);
    } catch (error) {
      if (!(error instanceof IrqBypassError)) throw error;
      failure ??= error; // that irqfd is gone, and the others go too
    }
  }
  return failure;
}

/**
 * Takes an irqfd down that the calling thread has claimed. It leaves the VM's list late: a routing update that comes first
 * still finds it, and takes the old route from its producer and from the relay (b4d37cdb77a0 is what happens otherwise).
 * The eventfd is taken until the end, so that whoever assigns it next does not meet what is being undone here. Each step
 * may have been done before, by a thread that died. Of an assign that has not got to the listening nothing is left.
 */
function takeDown(
  host: BypassHost,
  guard: Mutex,
  irqfd: number,
  eventfd: number,
  { listening, producer }: Progress = { listening: true },
): void {
  const { words, thread, manager } = host;
  const leaving = irqfd | LEAVING;
  let failure: IrqBypassError | undefined;
  // Read out while writers still see the irqfd, and take their own counts out: what comes when they see it no more stays.
  if (listening && words.load(eventfd + Eventfd.irqfd) === irqfd) {
    try {
      listenOf(host, irqfd, eventfd).stop(host, irqfd, eventfd);
    } catch (error) {
      // What the system refuses is told in the end: the irqfd goes all the same, or nobody could ever take it down.
      if (!(error instanceof IrqBypassError)) throw error;
      failure = error;
    }
  }
  const bound = words.compareExchange(eventfd + Eventfd.irqfd, irqfd, leaving);
  // A writer that saw it is still raising it.
  if (bound === irqfd || bound === leaving) thread.fenceAll(Thread.writing, eventfd);
  // A signal from before this is an interrupt (irqfd_shutdown flushes its inject work), whoever of the two claims it. The
  // relay announces the irqfd before it claims, so after the fence it has finished. What is due then was claimed by a
  // relay that died, and raised again.
  do deliverDue(host, irqfd);
  while (words.load(irqfd + Consumer.pending) !== 0);
  manager.unregisterConsumer(irqfd, !listening);
  if (!listening && producer !== undefined) restore(host, eventfd, producer);
  guard.guard(() => {
    if (words.get(irqfd + Consumer.linked) === 1) unlink(host, words.get(irqfd + Consumer.vm), irqfd);
  });
  words.compareExchange(eventfd + Eventfd.irqfd, leaving, 0);
  release(host, irqfd, !listening);
  announceChange(words);
  if (failure !== undefined) throw failure;
}

/** The producer that an irqfd has met for a moment says what it said before, if it is still alone. */
function restore(
  host: BypassHost,
  eventfd: number,
  { record, irte, since }: NonNullable<Progress["producer"]>,
) {
  const { words, mutex, manager } = host;
  mutex.guard(() => {
    if (manager.producerAt(eventfd) !== record || words.get(record + Producer.consumer) !== 0) return;
    words.store(record + Producer.irte, irte);
    words.set(record + Producer.since, since);
  });
}

/** Gives back what a target points to. Nobody uses the target any more. Under the host mutex. */
function forgetTarget({ pools }: BypassHost, target: number, undo = false): void {
  if (modeOf(target) !== Mode.injected) return;
  const injection = pools.injection.at(targetOf(target));
  if (undo) pools.injection.undo(injection);
  else pools.injection.release(injection);
}

function release(host: BypassHost, irqfd: number, undo: boolean): void {
  const { words, pools, mutex } = host;
  const closes = mutex.guard(() => {
    const eventfd = words.get(irqfd + Consumer.holds);
    const resample = words.get(irqfd + Consumer.resample);
    forgetTarget(host, words.load(irqfd + Consumer.target), undo);
    words.store(irqfd + Consumer.listening, Listening.not); // for who looks whether it listens, and has come too late
    if (undo) pools.consumer.undo(irqfd);
    else pools.consumer.release(irqfd);
    return [dropContext(host, eventfd), resample === 0 ? undefined : dropContext(host, resample)];
  });
  for (const close of closes) close?.();
}
