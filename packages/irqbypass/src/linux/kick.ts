/**
 * How a kick reaches who sleeps in poll(2) until a Linux eventfd can be read, or written to: by a second eventfd of the kernel's, which
 * the first one to sleep makes and which lives as long as the record. It can be read while a kick may not have been heard of; the word
 * that all readers sleep on says whether there is one.
 */
import { isReadKicked } from "../eventfd/signal.js";
import { ERRNO } from "../host/errors.js";
import { Eventfd as E } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { NONE } from "./blocking.js";
import { checked } from "./checked.js";
import { closeNamed, handOverAt, openOwn } from "./descriptor.js";
import { type Ffi, O_CLOEXEC, O_NONBLOCK } from "./ffi.js";

/**
 * The descriptor by which a kick wakes the calling thread, to be had before it looks whether there is one: whoever kicks after that look
 * finds it. {@link NONE} where the process has no descriptor left: then it looks again after a moment.
 */
export function kickDescriptor(memory: HostMemory, ffi: Ffi, eventfd: number): number {
  const there = descriptorOf(memory, eventfd);
  if (there !== NONE) return there;
  const made = openOwn(memory, () => ffi.eventfd(0, O_CLOEXEC | O_NONBLOCK));
  if (made === -ERRNO.EMFILE || made === -ERRNO.ENFILE) return NONE;
  checked(made, "eventfd", `the kicks of eventfd ${memory.pools.eventfd.slot(eventfd)}`);
  return handOverAt(memory, ffi, eventfd + E.kick, made);
}

/** Wakes who sleeps, once the word says why. From any thread that has a handle. */
export function ring(memory: HostMemory, ffi: Ffi, eventfd: number): void {
  const kick = descriptorOf(memory, eventfd);
  if (kick !== NONE) ffi.eventfdWrite(kick, 1);
}

/** By whom a kick has woken that was another's: nobody is to be woken by that again. */
export function hush(memory: HostMemory, ffi: Ffi, eventfd: number): void {
  ffi.read(descriptorOf(memory, eventfd), new BigUint64Array(1));
  // Looked at after that: the next kick may have rung before it, for one who still sleeps.
  if (isReadKicked(memory.words, eventfd)) ring(memory, ffi, eventfd);
}

/** Nobody sleeps on the eventfd any more. */
export function closeKick(memory: HostMemory, ffi: Ffi, eventfd: number): void {
  closeNamed(memory, ffi, eventfd + E.kick);
}

function descriptorOf({ words }: HostMemory, eventfd: number): number {
  return words.load(eventfd + E.kick) - 1;
}
