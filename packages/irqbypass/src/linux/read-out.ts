/**
 * Taking the count out of a Linux eventfd that an irqfd of a software VM listens to. The kernel's own irqfd does that inside
 * the write. Here it comes after it, by whoever finds the count, and so has to tell a signal from what has been an interrupt
 * already and is still in the counter: the count at assign, and the units of a semaphore. That is the eventfd's
 * {@link Eventfd.counter}. A signal is owed before its count is taken out, so that it outlives the thread.
 */
import { mayReadOut } from "../eventfd/listen.js";
import { Consumer, Eventfd, EventfdFlag, Rec } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { injectDue } from "../vm/relay.js";
import { fdOf, type LinuxCalls } from "./calls.js";

/**
 * Takes the signal of an irqfd and injects it, if the irqfd lives and `isThere` says so of its eventfd. The announcement comes
 * before the irqfd is looked at: deassign makes it unreachable first, then waits for the announcement to be gone, so the
 * eventfd's descriptor is open while it is used here.
 */
export function deliver(
  memory: HostMemory,
  calls: LinuxCalls,
  irqfd: number,
  generation: number,
  isThere: (eventfd: number) => boolean = () => true,
): void {
  const { words, thread } = memory;
  words.store(thread.writing, irqfd);
  try {
    const eventfd = words.load(irqfd + Consumer.source);
    if (eventfd === 0 || words.get(irqfd + Rec.generation) !== generation || !isThere(eventfd)) return;
    takeSignal(memory, calls, irqfd, eventfd);
    injectDue(memory, irqfd);
  } finally {
    thread.leave(thread.writing);
  }
}

/** Is there something in the counter that has not been an interrupt? False where nobody can say. */
export function isSignalled(memory: HostMemory, calls: LinuxCalls, eventfd: number): boolean {
  const count = countOf(calls, fdOf(memory, eventfd));
  return count !== undefined && count !== 0n && count !== knownOf(memory, eventfd);
}

/**
 * An event of the eventfd: makes the irqfd's injection due and takes the count out, of a semaphore one unit. The first event
 * after an assign may be of the count that was there: that is an interrupt too and stays, until the next signal. The calling
 * thread has announced the irqfd.
 */
function takeSignal(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): void {
  const { words, pending } = memory;
  const fd = fdOf(memory, eventfd);
  pending.owe(irqfd);
  if (words.load(irqfd + Consumer.leftover) !== 0) {
    words.store(irqfd + Consumer.leftover, 0);
    const count = countOf(calls, fd);
    if (count === undefined || count === knownOf(memory, eventfd)) return; // no signal has come with it
  }
  const count = isSemaphore(memory, eventfd) ? (countOf(calls, fd) ?? 0n) : 0n;
  words.store64(eventfd + Eventfd.counter, count > 0n ? count - 1n : 0n);
  take(calls, fd);
}

/**
 * The end of listening: what is in the counter and has not been an interrupt is one now, and the count is read out, of a
 * semaphore one unit. Nobody else takes counts out for this irqfd any more.
 */
export function readOut(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): void {
  const { words, pending } = memory;
  if (!mayReadOut(words, irqfd)) return;
  const fd = fdOf(memory, eventfd);
  const wasIdle = pending.owe(irqfd);
  const known = knownOf(memory, eventfd);
  // Of a semaphore the read says only that there was a unit. Where there was none, one that comes meanwhile stays.
  const semaphore = isSemaphore(memory, eventfd);
  const before = semaphore ? countOf(calls, fd) : undefined;
  const taken = before === 0n ? 0n : take(calls, fd);
  const count = before ?? taken;
  const isSignal = count !== 0n && count !== known;
  if (isSignal && semaphore) take(calls, fd); // the signal's unit, beside that of the end
  if (wasIdle && !isSignal && words.load(irqfd + Consumer.leftover) === 0) pending.forgive(irqfd);
}

/** The calling thread is about to read the eventfd for itself: of what has been an interrupt, that much is left no more. */
export function forgetRead(memory: HostMemory, eventfd: number): void {
  const { words } = memory;
  for (;;) {
    const known = words.load64(eventfd + Eventfd.counter);
    if (known === 0n) return;
    const left = isSemaphore(memory, eventfd) ? known - 1n : 0n;
    if (words.compareExchange64(eventfd + Eventfd.counter, known, left) === known) return;
    words.relax();
  }
}

/** The count now; undefined where the process has no descriptor left to look with, so that nobody can say. */
function countOf({ info }: LinuxCalls, fd: number): bigint | undefined {
  try {
    return info(fd).count;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EMFILE" || code === "ENFILE") return undefined;
    throw error;
  }
}

/** What is in the counter, or was, and has been an interrupt. */
function knownOf({ words }: HostMemory, eventfd: number): bigint {
  return BigInt.asUintN(64, words.load64(eventfd + Eventfd.counter));
}

/** What was taken, 0 where there was nothing: a software VM listens to non-blocking eventfds only. */
function take({ ffi }: LinuxCalls, fd: number): bigint {
  const count = new BigUint64Array(1);
  return ffi().read(fd, count) < 0 ? 0n : count[0]!;
}

function isSemaphore({ words }: HostMemory, eventfd: number): boolean {
  return (words.get(eventfd + Eventfd.flags) & EventfdFlag.semaphore) !== 0;
}
