import { Eventfd, EventfdFlag, READ_KICKED, READER_SLEEPS } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";
import { irqfdOf } from "./reference.js";
import { fireAll } from "./watch.js";

/** Far from the end of the counter, so that nothing has to be said of it. */
const FEW = 0x4000_0000_0000_0000n;

/** The largest count that a write can reach; a kernel-side signal can reach one more. */
export const MAX_COUNT = 2n ** 64n - 2n;
/** A write ends at 2^64-2, a signal from the kernel's side at 2^64-1 (the poll error state). */
const SATURATED = 2n ** 64n - 1n;
/** The sequence counts above its two bits. */
const SEQUENCE_STEP = 4;

/**
 * Adds `value` to a shared eventfd. Without an irqfd the count stays and sleepers wake. With one, the writer
 * itself drains the counter in one compare-exchange (a semaphore by one unit) and makes the irqfd pending: no
 * reader ever sees that count (irqfd_wakeup). Returns false where the counter has no room, unless `saturate`.
 * Waits for nobody.
 *
 * The in-flight word spans everything from reading the binding to raising the irqfd, or firing the watches: deassign clears
 * the binding and then fences on it, so nothing is raised after deassign has returned; and so with a watch that is removed.
 */
export function signalContext(memory: HostMemory, record: number, value: bigint, saturate: boolean): boolean {
  const { words, thread } = memory;
  words.store(thread.writing, record);
  const fits = addTo(memory, record, value, saturate);
  thread.leave(thread.writing);
  return fits;
}

/** The same of a value of 1, as almost all are: without a bigint where nothing special is to be done. */
export function signalOnce(memory: HostMemory, record: number, saturate: boolean): boolean {
  const { words, thread } = memory;
  words.store(thread.writing, record);
  const fits = addOne(memory, record, saturate);
  thread.leave(thread.writing);
  return fits;
}

function addOne(memory: HostMemory, record: number, saturate: boolean): boolean {
  const isPlain = memory.words.load(record + Eventfd.irqfd) === 0;
  return (isPlain && counts(memory, record)) || addTo(memory, record, 1n, saturate);
}

/** {@link signalContext} within the in-flight word. */
function addTo(memory: HostMemory, record: number, value: bigint, saturate: boolean): boolean {
  const { words } = memory;
  const irqfd = irqfdOf(memory, record);
  const drained =
    irqfd === 0 ? 0n : words.load(record + Eventfd.flags) & EventfdFlag.semaphore ? 1n : SATURATED;
  const counter = record + Eventfd.counter;
  let fits = true;
  for (;;) {
    const stored = words.load64(counter);
    const count = BigInt.asUintN(64, stored);
    let next = count + value;
    if (next > MAX_COUNT) {
      fits = saturate;
      if (!fits) break;
      next = SATURATED;
    }
    const left = next > drained ? next - drained : 0n;
    if (left === count || words.compareExchange64(counter, stored, BigInt.asIntN(64, left)) === stored) break;
    words.relax();
  }
  if (fits) {
    if (irqfd === 0) {
      wakeSleepers(words, record);
      fireAll(words, record);
    } else memory.pending.raise(irqfd);
  }
  return fits;
}

function counts({ words, compiled, base }: HostMemory, record: number): boolean {
  return compiled === undefined ? countOne(words, record) : compiled.countOne(base, record) !== 0;
}

/**
 * The common case: adds 1 to an eventfd that has no irqfd, and tells whoever sleeps on it or watches it. Returns false, with nothing
 * done, where the count is so large that this needs a closer look. Compiled to WebAssembly as well (`assembly/compile.mjs`).
 */
export function countOne(words: Words, eventfd: number): boolean {
  const counter = eventfd + Eventfd.counter;
  for (;;) {
    const count = words.load64(counter);
    if (count < 0n || count >= FEW) return false;
    if (words.compareExchange64(counter, count, count + 1n) === count) break;
    words.relax();
  }
  wakeSleepers(words, eventfd);
  fireAll(words, eventfd);
  return true;
}

/** Tells readers that sleep on this eventfd that there is more in its counter, or that it is closed. */
export function wakeSleepers(words: Words, record: number): void {
  const sequence = record + Eventfd.sequence;
  if ((words.add(sequence, SEQUENCE_STEP) & READER_SLEEPS) === 0) return;
  // Before the notify: whoever sleeps from here on has set it anew, or waits for a value that is gone.
  words.and(sequence, ~READER_SLEEPS);
  words.notify(sequence);
}

/**
 * Before a sleep on the sequence as it was read: says in it that somebody sleeps, and returns for which value to wait. Undefined
 * where it has changed since, and so may have the counter. Nobody has to take that back: who sleeps no more costs one notify.
 */
export function fallAsleep(words: Words, record: number, seen: number): number | undefined {
  if (seen & READER_SLEEPS) return seen;
  const asleep = seen | READER_SLEEPS;
  return words.compareExchange(record + Eventfd.sequence, seen, asleep) === seen ? asleep : undefined;
}

/** Ends a read of this eventfd, one that is under way or the next. From any thread that has a handle; waits for nobody. */
export function kickReader(words: Words, record: number): void {
  const before = words.or(record + Eventfd.sequence, READ_KICKED);
  if ((before & READ_KICKED) === 0 && before & READER_SLEEPS) words.notify(record + Eventfd.sequence);
}

/** Is a read to end? */
export function isReadKicked(words: Words, record: number): boolean {
  return (words.load(record + Eventfd.sequence) & READ_KICKED) !== 0;
}

/** Was a read to end? Then this one was, and none of the others that sleep. */
export function takeReadKick(words: Words, record: number): boolean {
  const sequence = record + Eventfd.sequence;
  return isReadKicked(words, record) && (words.and(sequence, ~READ_KICKED) & READ_KICKED) !== 0;
}

/** Signals an eventfd of any kind by its record, as a device does: for whoever has no handle of it. */
export function signalRecord(memory: EventfdHost, record: number): void {
  const { words, thread } = memory;
  words.store(thread.writing, record);
  signalAnnounced(memory, record);
}

/** The same for a thread that has announced the eventfd in its in-flight word, which is clear after it. */
export function signalAnnounced(memory: EventfdHost, record: number): void {
  const { words, kinds, thread } = memory;
  const signal = kinds[words.load(record + Eventfd.flags) >>> EventfdFlag.kindShift]?.signal;
  try {
    if (signal === undefined) addOne(memory, record, true);
    else signal(memory, record);
  } finally {
    thread.leave(thread.writing);
  }
}
