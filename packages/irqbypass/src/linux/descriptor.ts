/**
 * Descriptors that a thread has open and no record of the host names: the thread's own record does, in two places, so that whoever
 * repairs after it closes them. At every moment a descriptor of the host's is named by a record, or by its thread, or by both, and
 * what is named so is open.
 *
 * A thread is ended at the entry of a function or at the end of a loop, and nowhere else (V8's stack guard: that is where a worker sees
 * that it is terminated). Between a system call and the store of what it has returned there is neither, in {@link Words.fill} and in
 * the calls of koffi.ts that open and close. So for a thread that ends, the call and the store are one step.
 */
import { broken } from "../host/errors.js";
import { Epoll, Eventfd, Header, Thread } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import type { Ffi } from "./ffi.js";

/** Two: while a call has one, a thread may repair, and close one then. */
const PLACES = [Thread.descriptor, Thread.descriptor2] as const;

/**
 * Makes a descriptor by `call`, which does nothing after its system call, and names it in the calling thread's record, until
 * {@link handOver} or {@link closeOwn}. Returns what the call has, an error too.
 */
export function openOwn({ words, thread }: HostMemory, call: () => number): number {
  return openAt(words, placeOf(words, thread.record, 0), call);
}

/** The same into any plain word that names a descriptor, plus one. */
export function openAt(words: Words, word: number, call: () => number): number {
  let result = 0;
  fill(words, word, () => {
    result = call();
    return result < 0 ? 0 : result + 1;
  });
  return result;
}

/** A record names the descriptor from here on. */
export function handOver({ words, thread }: HostMemory, fd: number): void {
  words.set(placeOf(words, thread.record, fd + 1), 0);
}

/** The same by an atomic word of it, plus one, unless another thread was first: then it is closed. Returns that which the word names. */
export function handOverAt(memory: HostMemory, ffi: Ffi, word: number, fd: number): number {
  const other = memory.words.compareExchange(word, 0, fd + 1);
  if (other === 0) {
    handOver(memory, fd);
    return fd;
  }
  closeOwn(memory, ffi, fd);
  return other - 1;
}

/** Closes a descriptor that the calling thread's record names. Returns what close(2) has. */
export function closeOwn({ words, thread }: HostMemory, ffi: Ffi, fd: number): number {
  return closeAt(words, ffi, placeOf(words, thread.record, fd + 1));
}

/** Closes the descriptor that an atomic word names, plus one, which is 0 from then on; of several threads one does so. */
export function closeNamed({ words, thread }: HostMemory, ffi: Ffi, word: number): void {
  const place = placeOf(words, thread.record, 0);
  fill(words, place, () => words.exchange(word, 0));
  if (words.get(place) !== 0) closeAt(words, ffi, place);
}

/** The same of the word of an eventfd's own descriptor, once nobody uses that any more. Returns what close(2) has. */
export function closeEventfd({ words, thread, mutex }: HostMemory, ffi: Ffi, eventfd: number): number {
  const own = words.get(eventfd + Eventfd.fd);
  if (own === 0) return 0; // who was to do it has died, and had done it
  mutex.guard(() => {
    words.set(placeOf(words, thread.record, 0), own);
    words.set(eventfd + Eventfd.fd, 0);
  });
  return closeAt(words, ffi, placeOf(words, thread.record, own));
}

/** Closes what a thread that is gone has left open and no record names. What a record names is closed with that. */
export function closeLeft(memory: HostMemory, ffi: Ffi, gone: number): void {
  const { words } = memory;
  for (const at of PLACES) {
    const fd = words.get(gone + at) - 1;
    if (fd < 0) continue;
    if (isNamed(memory, fd)) words.set(gone + at, 0);
    else closeAt(words, ffi, gone + at);
  }
}

/** Does a record other than a thread's name this descriptor? Not under a mutex. */
function isNamed(memory: HostMemory, fd: number): boolean {
  const { words, pools } = memory;
  const name = fd + 1;
  let found = words.load(Header.epoll) === name || words.load(Header.readersEpoll) === name;
  memory.forEachLive(pools.eventfd, (eventfd) => {
    found ||= words.get(eventfd + Eventfd.fd) === name || words.load(eventfd + Eventfd.kick) === name;
  });
  memory.forEachLive(pools.epoll, (epoll) => {
    found ||= words.load(epoll + Epoll.fd) === name;
  });
  return found;
}

/** Where a thread's record names this, a descriptor plus one; or the first free place, where it is 0. */
function placeOf(words: Words, thread: number, name: number): number {
  const at = PLACES.find((place) => words.get(thread + place) === name);
  return thread + (at ?? broken(`a thread names no descriptor ${name - 1}`));
}

/** The mirror image of {@link openAt}: closes what the word names. Returns what close(2) has. */
export function closeAt(words: Words, ffi: Ffi, word: number): number {
  const fd = words.get(word) - 1;
  let result = 0;
  fill(words, word, () => {
    result = ffi.close(fd);
    return 0;
  });
  return result;
}

function fill(words: Words, word: number, make: () => number): void {
  if (words.fill === undefined) words.set(word, make());
  else words.fill(word, make);
}
