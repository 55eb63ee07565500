import { leave } from "../host/in-flight.js";
import { Producer, Vcpu } from "../host/layout.js";
import type { Words } from "../host/words.js";
import { post } from "./descriptor.js";
import { Mode, modeOf, targetOf, vectorOf } from "./irte.js";

/**
 * Signals a producer where it is posted: announces it in the thread's in-flight word, reads its remapping entry, posts,
 * and clears the word. Returns the entry. For an entry that is not posted nothing more is done than the announcement:
 * the caller goes the other way, and leaves. `vcpus` is where the pool of vCPUs starts. Waits for nobody. Only the
 * thread that registered the producer. Compiled to WebAssembly as well (`scripts/compile.mjs`).
 */
export function signal(words: Words, inflight: number, producer: number, vcpus: number): number {
  // Announced before the entry is read: whoever changes the entry waits for this signal to be through.
  words.store(inflight, producer);
  return signalAnnounced(words, inflight, producer, vcpus);
}

/** The same for a thread that has announced the producer: a fence may wait for it by now, which a second store would forget. */
export function signalAnnounced(words: Words, inflight: number, producer: number, vcpus: number): number {
  const irte = words.load(producer + Producer.irte);
  if (modeOf(irte) !== Mode.posted) return irte;
  post(words, vcpus + targetOf(irte) * Vcpu.words + Vcpu.descriptor, vectorOf(irte));
  leave(words, inflight);
  return irte;
}
