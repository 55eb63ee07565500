/**
 * The relay: the path that bypass avoids. One thread of the host waits for irqfds that have an injection due and
 * injects them; connected irqfds too, since anybody else may still write to their eventfd.
 */
import { Consumer, Header, LEVEL, Vcpu } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { HostHandle } from "../host/reserve.js";
import { drop } from "../posting/dropped.js";
import { post } from "../posting/fast-path.js";
import { Mode, modeOf, targetOf, vectorOf } from "../posting/irte.js";
import { markTrigger } from "./delivery.js";
import { inject } from "./routing.js";
import { vmMutex } from "./vm-mutex.js";

/** States of {@link Header.relays}. Who takes it from which to which: `scenarios/states/relay-state.ts`. */
export const enum RelayState {
  none = 0,
  wanted = 1,
  running = 2,
  stopping = 3,
}

const NAP_MS = 1000;

/** Asks for the relay thread of a kind; whoever created the host starts it. Costs one load once it is there. */
export function askForRelay({ words }: HostMemory, kind: number): void {
  const state = Header.relays + kind;
  if (words.load(state) !== RelayState.none) return;
  if (words.compareExchange(state, RelayState.none, RelayState.wanted) === RelayState.none)
    words.notify(state);
}

/** Is the relay of a kind to go on? */
export function relayRuns({ words }: HostMemory, kind: number): boolean {
  return words.load(Header.relays + kind) === RelayState.running;
}

/** What the thread of a relay is told. */
export interface RelayStart {
  readonly host: HostHandle;
  /** Names of the host's kinds, in order. */
  readonly kinds: readonly string[];
  /** Number of the kind that it serves. */
  readonly kind: number;
}

/** Runs the relay in the calling thread until it is asked to stop. Blocks. */
export function runRelay(memory: HostMemory): void {
  const { thread, pending } = memory;
  const injectOne = (irqfd: number) => relayOne(memory, irqfd);
  const park = thread.park.bind(thread);
  while (relayRuns(memory, 0)) {
    pending.takeAll(injectOne);
    pending.sleep(NAP_MS, park);
  }
}

/**
 * Injects what is pending of one irqfd, unless another thread has claimed it. The in-flight word is there from before the
 * claim until nothing of the irqfd is used any more: deassign and routing updates fence on it, and they hold no mutex
 * while they do. What deassign finds unclaimed it injects itself, so a claim is never left to a thread that may not look.
 */
export function relayOne(memory: HostMemory, irqfd: number): void {
  const { words, thread } = memory;
  words.store(thread.writing, irqfd);
  try {
    injectDue(memory, irqfd);
  } finally {
    thread.leave(thread.writing);
  }
}

/** The same for an irqfd that the calling thread has announced. */
export function injectDue(memory: HostMemory, irqfd: number): void {
  const { pending, thread } = memory;
  if (!pending.claim(irqfd, thread.record)) return; // deassign was here first, or the record is another's by now
  deliverSignal(memory, irqfd);
  pending.settle(irqfd, thread.record);
}

/** Delivers one signal of an irqfd that the calling thread has announced and claimed. */
function deliverSignal(memory: HostMemory, irqfd: number): void {
  const { words, pools } = memory;
  const target = words.load(irqfd + Consumer.target);
  if (modeOf(target) === Mode.posted) {
    const vcpu = pools.vcpu.base + targetOf(target) * Vcpu.words;
    markTrigger(words, vcpu, vectorOf(target), false); // before the post, as every delivery by software
    post(memory, vcpu, vectorOf(target));
  } else {
    // No plain MSI to one vCPU: by the live table.
    const vm = words.get(irqfd + Consumer.vm);
    const level = (words.get(irqfd + Consumer.flags) & LEVEL) !== 0;
    const dropped = vmMutex(memory, vm).guard(() =>
      inject(memory, vm, words.get(irqfd + Consumer.gsi), level),
    );
    if (dropped !== undefined) drop(words, words.get(irqfd + Consumer.holds), dropped);
  }
}
