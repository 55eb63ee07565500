/**
 * Taking the count out of a Linux eventfd that an irqfd of a software VM listens to. The kernel's own irqfd does that inside
 * the write. Here it comes after it, by whoever finds the count, and so has to tell a signal from what has been an interrupt
 * already and is still in the counter: the count at assign, and the units of a semaphore. That is the irqfd's
 * {@link Consumer.known}. Several threads may come to the same count, the relay and whoever changes routes: one at a time takes, and
 * injects what it has taken, so that a count is one interrupt. Who dies in between leaves an injection that is due: so no signal
 * is lost with it, and one that had not been taken out yet may be two interrupts then.
 */
import type { EventfdHost } from "../eventfd/kind.js";
import { Leftover, listensNow, mayReadOut } from "../eventfd/listen.js";
import { irqfdOf } from "../eventfd/reference.js";
import { ERRNO } from "../host/errors.js";
import { Consumer, Eventfd, EventfdFlag, Listening, Rec, Thread } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { deadlock } from "../host/mutex.js";
import { injectFound } from "../vm/relay.js";
import { isReadable } from "./blocking.js";
import { fdOf, type LinuxCalls, readCount } from "./calls.js";

/**
 * Takes the signal of an irqfd, of which an event has come, and injects it, if the irqfd lives. The announcement comes
 * before the irqfd is looked at: deassign makes it unreachable first, then waits for the announcement to be gone, so the
 * eventfd's descriptor is open while it is used here.
 */
export function deliver(memory: HostMemory, calls: LinuxCalls, irqfd: number, generation: number): void {
  const { words } = memory;
  const lives = () =>
    words.load(irqfd + Consumer.source) !== 0 && words.get(irqfd + Rec.generation) === generation;
  injectFound(memory, irqfd, lives, () =>
    takeSignal(memory, calls, irqfd, words.get(irqfd + Consumer.holds)),
  );
}

/**
 * Takes the signal that is there, whether or not its event has come, and injects it, for as long as the irqfd listens: one whose deassign
 * has begun does until that has read its eventfd out, and waits for the announcement after that.
 */
export function deliverThere(memory: HostMemory, calls: LinuxCalls, irqfd: number, generation: number): void {
  const { words } = memory;
  const listens = () =>
    words.load(irqfd + Consumer.listening) === Listening.yes &&
    words.get(irqfd + Rec.generation) === generation;
  injectFound(memory, irqfd, listens, () => {
    // Looked at again: the end of its listening may have been between the two. What is there then is nobody's signal.
    if (!listens()) return false;
    const eventfd = words.get(irqfd + Consumer.holds);
    if (isSignalled(memory, calls, irqfd, eventfd)) return takeEarly(memory, calls, irqfd, eventfd);
    return words.compareExchange(irqfd + Consumer.leftover, Leftover.due, Leftover.done) === Leftover.due;
  });
}

/** Is there something in the counter that has not been an interrupt? False where nobody can say. */
function isSignalled(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): boolean {
  const fd = fdOf(memory, eventfd);
  const known = knownOf(memory, irqfd);
  if (known === 0n) return isReadable(calls.ffi(), fd); // no count is needed, which takes a descriptor
  const count = countOf(calls, fd);
  return count !== undefined && count !== 0n && count !== known;
}

/**
 * An event of the eventfd: takes the count out, of a semaphore one unit, and returns whether that is an interrupt; not where another
 * thread has come to it first. The first event after an assign may be of the count that was there: that is an interrupt too and stays,
 * until the next signal. The calling thread has taken the irqfd up.
 */
function takeSignal(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): boolean {
  const { words } = memory;
  const fd = fdOf(memory, eventfd);
  const leftover = words.load(irqfd + Consumer.leftover);
  const isDue = leftover === Leftover.due;
  if (leftover !== Leftover.none) {
    words.store(irqfd + Consumer.leftover, Leftover.none);
    const count = countOf(calls, fd);
    if (count === knownOf(memory, irqfd)) return isDue; // no signal has come with it
    if (count === undefined && isDue) return true;
  }
  const count = isSemaphore(memory, eventfd) ? (countOf(calls, fd) ?? 0n) : 0n;
  words.store64(irqfd + Consumer.known, count > 0n ? count - 1n : 0n);
  return take(memory, calls, eventfd) !== 0n || isDue;
}

/**
 * The same of a signal that is there, and whose event may be still to come: what is left of a semaphore then has been an interrupt. The
 * calling thread has taken the irqfd up.
 */
function takeEarly(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): boolean {
  const isSignal = takeSignal(memory, calls, irqfd, eventfd);
  if (isSemaphore(memory, eventfd)) memory.words.store(irqfd + Consumer.leftover, Leftover.done);
  return isSignal;
}

/**
 * The end of listening: what is in the counter and has not been an interrupt is one now, and the count is read out, of a
 * semaphore one unit. Nobody else takes counts out for this irqfd any more.
 */
export function readOut(memory: HostMemory, calls: LinuxCalls, irqfd: number, eventfd: number): void {
  const { words } = memory;
  const fd = fdOf(memory, eventfd);
  injectFound(
    memory,
    irqfd,
    () => true, // it is the calling thread's to give back
    () => {
      if (!mayReadOut(words, irqfd)) return false;
      const known = knownOf(memory, irqfd);
      // Of a semaphore the read says only that there was a unit. Where there was none, one that comes meanwhile stays.
      const semaphore = isSemaphore(memory, eventfd);
      const before = semaphore ? countOf(calls, fd) : undefined;
      const taken = before === 0n ? 0n : take(memory, calls, eventfd);
      const count = before ?? taken;
      const isSignal = count !== 0n && count !== known;
      if (isSignal && semaphore) take(memory, calls, eventfd); // the signal's unit, beside that of the end
      return isSignal || words.load(irqfd + Consumer.leftover) === Leftover.due;
    },
  );
}

/**
 * An irqfd begins to listen: notes what is in the counter. That is one interrupt, and stays there until the next signal. Who reads
 * meanwhile has read before, or does after it.
 */
export function noteCount(memory: HostMemory, irqfd: number, eventfd: number, count: () => bigint): void {
  const { words, thread } = memory;
  thread.fenceAll(Thread.writing, eventfd); // whoever reads, and has seen no irqfd
  injectFound(
    memory,
    irqfd,
    () => true, // the calling thread is making it
    () => {
      const there = count();
      words.store64(irqfd + Consumer.known, there);
      words.store(irqfd + Consumer.leftover, there > 0n ? Leftover.due : Leftover.none);
      listensNow(words, irqfd, eventfd); // in one step with that for who reads
      return false;
    },
  );
}

/**
 * Reads an eventfd for whoever calls it, as {@link readCount}. What was written for an irqfd of a software VM is an interrupt first, whether or not the
 * relay has come to it: the kernel's own irqfd takes it inside the write, so that nobody ever reads it. Throws EDEADLK in a callback
 * where there is such an irqfd, since that cannot be delivered there.
 */
export function readFor(
  memory: EventfdHost,
  calls: LinuxCalls,
  eventfd: number,
  into: BigUint64Array,
): number {
  const { words, thread } = memory;
  for (;;) {
    // Announced before the irqfd is looked at: one that begins to listen notes the count after this read, and none is given back.
    words.store(thread.writing, eventfd);
    const irqfd = irqfdOf(memory, eventfd);
    try {
      if (irqfd === 0 || memory.kinds[words.get(irqfd + Consumer.kind)]?.listen !== undefined)
        return readCount(memory, calls, eventfd, into);
    } finally {
      thread.leave(thread.writing);
    }
    const result = readBeside(memory, calls, irqfd, eventfd, into);
    if (result !== undefined) return result;
  }
}

/** The same where an irqfd of a software VM is there; undefined where it is there no more. */
function readBeside(
  memory: HostMemory,
  calls: LinuxCalls,
  irqfd: number,
  eventfd: number,
  into: BigUint64Array,
): number | undefined {
  const { words, thread } = memory;
  const read = () => readCount(memory, calls, eventfd, into);
  if (thread.callback !== undefined) throw deadlock("the mutex of its VM", thread.callback);
  let result: number | undefined;
  injectFound(
    memory,
    irqfd,
    () => words.load(eventfd + Eventfd.irqfd) === irqfd,
    () => {
      // Before its assign has noted the count, and once its deassign has read it out, what is there is the caller's.
      if (words.load(irqfd + Consumer.listening) !== Listening.yes) {
        result = read();
        return false;
      }
      // The count of before the assign has still to be an interrupt, which no event will bring once it is read.
      const isFirst = words.load(irqfd + Consumer.leftover) === Leftover.due;
      const isDue = isFirst || isSignalled(memory, calls, irqfd, eventfd);
      const isSignal = isDue && takeEarly(memory, calls, irqfd, eventfd);
      const known = knownOf(memory, irqfd);
      if (known === 0n) {
        result = -ERRNO.EAGAIN; // what comes from here on is the irqfd's
        return isSignal;
      }
      const semaphore = isSemaphore(memory, eventfd);
      // Before the read: a thread that dies in between leaves one interrupt too many, and none too few.
      words.store64(irqfd + Consumer.known, semaphore ? known - 1n : 0n);
      result = read();
      if (semaphore || result < 0 || into[0]! <= known) return isSignal;
      into[0] = known; // the rest was written since the look
      return true;
    },
  );
  return result;
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
function knownOf({ words }: HostMemory, irqfd: number): bigint {
  return BigInt.asUintN(64, words.load64(irqfd + Consumer.known));
}

/** What was taken, 0 where there was nothing. */
function take(memory: HostMemory, calls: LinuxCalls, eventfd: number): bigint {
  const count = new BigUint64Array(1);
  return readCount(memory, calls, eventfd, count) < 0 ? 0n : count[0]!;
}

function isSemaphore({ words }: HostMemory, eventfd: number): boolean {
  return (words.load(eventfd + Eventfd.flags) & EventfdFlag.semaphore) !== 0;
}
