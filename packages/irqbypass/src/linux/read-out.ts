/**
 * Taking the count out of a Linux eventfd that an irqfd of a software VM listens to. The kernel's own irqfd does that inside
 * the write. Here it comes after it, by whoever finds the count, and so has to tell a signal from what has been an interrupt
 * already and is still in the counter: the count at assign, and the units of a semaphore. That is the eventfd's
 * {@link Eventfd.counter}. Several threads may come to the same count, the relay and whoever changes routes: one at a time takes, and
 * injects what it has taken, so that a count is one interrupt. Who dies in between leaves an injection that is due: so no signal
 * is lost with it, and one that had not been taken out yet may be two interrupts then.
 */
import { mayReadOut } from "../eventfd/listen.js";
import { Consumer, Eventfd, EventfdFlag, Rec } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { injectFound } from "../vm/relay.js";
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
  const { words } = memory;
  const lives = () =>
    words.load(irqfd + Consumer.source) !== 0 && words.get(irqfd + Rec.generation) === generation;
  injectFound(memory, irqfd, lives, () => {
    const eventfd = words.get(irqfd + Consumer.holds);
    return isThere(eventfd) && takeSignal(memory, calls, irqfd, eventfd);
  });
}

/** Is there something in the counter that has not been an interrupt? False where nobody can say. */
export function isSignalled(memory: HostMemory, calls: LinuxCalls, eventfd: number): boolean {
  const count = countOf(calls, fdOf(memory, eventfd));
  return count !== undefined && count !== 0n && count !== knownOf(memory, eventfd);
}

/**
 * An event of the eventfd: takes the count out, of a semaphore one unit, and returns whether that is an interrupt; not where another
 * thread has come to it first. The first event after an assign may be of the count that was there: that is an interrupt too and stays,
 * until the next signal. The calling thread has taken the irqfd up.
 */
function takeSignal(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): boolean {
  const { words } = memory;
  const fd = fdOf(memory, eventfd);
  const isFirst = words.load(irqfd + Consumer.leftover) !== 0;
  if (isFirst) {
    words.store(irqfd + Consumer.leftover, 0);
    const count = countOf(calls, fd);
    if (count === undefined || count === knownOf(memory, eventfd)) return true; // no signal has come with it
  }
  const count = isSemaphore(memory, eventfd) ? (countOf(calls, fd) ?? 0n) : 0n;
  words.store64(eventfd + Eventfd.counter, count > 0n ? count - 1n : 0n);
  return take(calls, fd) !== 0n || isFirst;
}

/**
 * The end of listening: what is in the counter and has not been an interrupt is one now, and the count is read out, of a
 * semaphore one unit. Nobody else takes counts out for this irqfd any more.
 */
export function readOut(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): void {
  const { words } = memory;
  if (!mayReadOut(words, irqfd)) return;
  const fd = fdOf(memory, eventfd);
  injectFound(
    memory,
    irqfd,
    () => true, // it is the calling thread's to give back
    () => {
      const known = knownOf(memory, eventfd);
      // Of a semaphore the read says only that there was a unit. Where there was none, one that comes meanwhile stays.
      const semaphore = isSemaphore(memory, eventfd);
      const before = semaphore ? countOf(calls, fd) : undefined;
      const taken = before === 0n ? 0n : take(calls, fd);
      const count = before ?? taken;
      const isSignal = count !== 0n && count !== known;
      if (isSignal && semaphore) take(calls, fd); // the signal's unit, beside that of the end
      return isSignal || words.load(irqfd + Consumer.leftover) !== 0;
    },
  );
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
  return (words.load(eventfd + Eventfd.flags) & EventfdFlag.semaphore) !== 0;
}
