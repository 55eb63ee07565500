/**
 * What is done so often that it is compiled to WebAssembly too: each function runs the compiled version where the host has
 * one, and the TypeScript one of the same name otherwise. Both do the same accesses in the same order.
 */
import type { HostMemory } from "../host/memory.js";
import * as descriptor from "./descriptor.js";
import * as producers from "./signal.js";

/** A host's memory as far as these functions go. */
type Memory = Pick<HostMemory, "words" | "compiled" | "base">;

/** As in `signal.ts`. */
export function signal(memory: Memory, inflight: number, producer: number, vcpus: number): number {
  const { compiled } = memory;
  if (compiled === undefined) return producers.signal(memory.words, inflight, producer, vcpus);
  return compiled.signal(memory.base, inflight, producer, vcpus);
}

/** As in `signal.ts`. */
export function signalAnnounced(memory: Memory, inflight: number, producer: number, vcpus: number): number {
  const { compiled } = memory;
  if (compiled === undefined) return producers.signalAnnounced(memory.words, inflight, producer, vcpus);
  return compiled.signalAnnounced(memory.base, inflight, producer, vcpus);
}

/** As in `descriptor.ts`. */
export function post(memory: Memory, file: number, id: number): void {
  const { compiled } = memory;
  if (compiled === undefined) descriptor.post(memory.words, file, id);
  else compiled.post(memory.base, file, id);
}

/** As in `descriptor.ts`. */
export function pending(memory: Memory, file: number): boolean {
  const { compiled } = memory;
  if (compiled === undefined) return descriptor.pending(memory.words, file);
  return compiled.pending(memory.base, file) !== 0;
}

/** As in `descriptor.ts`. */
export function harvest(memory: Memory, file: number, irr: number): number {
  const { compiled } = memory;
  if (compiled === undefined) return descriptor.harvest(memory.words, file, irr);
  return compiled.harvest(memory.base, file, irr);
}
