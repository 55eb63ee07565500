/**
 * The relay: the path that bypass avoids. One thread of the host waits for irqfds that have an injection due and
 * injects them; connected irqfds too, since anybody else may still write to their eventfd.
 */
import { Consumer, Header, LEVEL, RelayState, Thread, Vcpu } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Pending } from "../host/pending.js";
import type { HostHandle } from "../host/reserve.js";
import type { Words } from "../host/words.js";
import { drop } from "../posting/dropped.js";
import { post } from "../posting/fast-path.js";
import { Mode, modeOf, targetOf, vectorOf } from "../posting/irte.js";
import { markTrigger } from "./apic/accept.js";
import { DelayedEois } from "./delayed-eois.js";
import { isOwnLine, raiseLine } from "./line.js";
import { inject } from "./routing.js";
import { vmMutex } from "./vm-mutex.js";

const NAP_MS = 1000;

/** What the thread of a relay is told. */
export interface RelayStart {
  readonly host: HostHandle;
  /** Names of the host's kinds, in order. */
  readonly kinds: readonly string[];
  /** Number of the kind that it serves. */
  readonly kind: number;
}

/**
 * Makes the calling thread the relay of a kind: calls `begin`, and what that returns again and again until it is to end,
 * which it can ask. Does nothing, and returns false, where another thread was first or the host's creator has left. Blocks.
 */
export function relayRounds(
  memory: HostMemory,
  kind: number,
  begin: (goesOn: () => boolean) => () => void,
): boolean {
  const { words, thread } = memory;
  const word = Header.relays + kind;
  const mine = RelayState.running | thread.record;
  if (words.compareExchange(word, RelayState.starting, mine) !== RelayState.starting) return false;
  try {
    const goesOn = () => words.load(word) === mine;
    const round = begin(goesOn);
    while (goesOn()) round();
  } finally {
    relaysNoMore(words, word, mine);
  }
  return true;
}

/** The thread that has relayed does so no more: another one is wanted, unless the host's creator leaves. */
export function relaysNoMore(words: Words, word: number, mine: number): void {
  if (words.compareExchange(word, mine, RelayState.wanted) === mine) words.notify(word);
}

/** Runs the relay of irqfds in the calling thread. */
export function runRelay(memory: HostMemory): void {
  const { thread, pending } = memory;
  const injectOne = (irqfd: number) => relayOne(memory, irqfd);
  const park = thread.park.bind(thread);
  const delayed = new DelayedEois(memory);
  relayRounds(memory, 0, (goesOn) => () => {
    pending.takeAll(injectOne);
    pending.sleep(delayed.serve(NAP_MS), park, goesOn);
  });
}

/**
 * Injects what is pending of one irqfd, unless another thread has claimed it. The in-flight word is there from before the
 * claim until nothing of the irqfd is used any more: deassign and routing updates fence on it, and they hold no mutex
 * while they do. What deassign finds unclaimed it injects itself, so a claim is never left to a thread that may not look.
 * Returns whether it has injected.
 */
export function relayOne(memory: HostMemory, irqfd: number): boolean {
  const { words, thread } = memory;
  words.store(thread.writing, irqfd);
  try {
    return injectDue(memory, irqfd);
  } finally {
    thread.leave(thread.writing);
  }
}

/**
 * Injects what is due of one irqfd, and waits for another thread that is at it: what was signalled before has been delivered
 * when this returns. Not under a mutex.
 */
export function deliverDue(memory: HostMemory, irqfd: number): void {
  const { words, thread } = memory;
  const pending = irqfd + Consumer.pending;
  // Again where another thread was at it: if that has died, it is due once more. The second time that this thread has injected, that was
  // in it; what comes meanwhile is not waited for, which might never end.
  let turns = 2;
  do {
    if (relayOne(memory, irqfd)) turns--;
    thread.fenceAll(Thread.writing, irqfd);
  } while (turns > 0 && words.load(pending) !== 0);
}

/**
 * Injects what is due of one irqfd, and then the signal that `take` finds, which says whether it has taken one out of where it was. While
 * another thread is at that this waits, and looks after it: each signal that is taken out is one injection. `lives` says whether the irqfd
 * is there still; it is not given back from then on. A thread that dies in `take` leaves an injection that is due. Not under a mutex.
 */
export function injectFound(
  memory: HostMemory,
  irqfd: number,
  lives: () => boolean,
  take: () => boolean,
): void {
  const { words, pending, thread } = memory;
  for (;;) {
    let found: number;
    words.store(thread.writing, irqfd);
    try {
      if (!lives()) return;
      found = pending.takeUp(irqfd, thread.record);
      if (found === Pending.due) injectDue(memory, irqfd);
      if (found === Pending.idle) {
        injectTaken(memory, irqfd, take);
        return;
      }
    } finally {
      thread.leave(thread.writing);
    }
    // Announced no more: if the other has died, its repair may take the irqfd down.
    if (found !== Pending.due) thread.fence(found + Thread.writing, irqfd);
  }
}

/** Injects what `take` takes, for a thread that has announced the irqfd and taken it up. */
function injectTaken(memory: HostMemory, irqfd: number, take: () => boolean): void {
  const { pending, thread } = memory;
  try {
    if (take()) deliverSignal(memory, irqfd);
  } finally {
    pending.settle(irqfd, thread.record);
  }
}

/** As {@link relayOne}, for an irqfd that the calling thread has announced. */
function injectDue(memory: HostMemory, irqfd: number): boolean {
  const { pending, thread } = memory;
  if (!pending.claim(irqfd, thread.record)) return false; // deassign was here first, or the record is another's by now
  deliverSignal(memory, irqfd);
  pending.settle(irqfd, thread.record);
  return true;
}

/** Delivers one signal of an irqfd that the calling thread has announced and claimed. */
function deliverSignal(memory: HostMemory, irqfd: number): void {
  const { words, pools } = memory;
  const target = words.load(irqfd + Consumer.target);
  if (modeOf(target) === Mode.posted) {
    const vcpu = pools.vcpu.base + targetOf(target) * Vcpu.words;
    markTrigger(words, vcpu, vectorOf(target), false); // before the post, as every delivery by software
    post(memory, vcpu + Vcpu.descriptor, vectorOf(target));
  } else {
    // No plain MSI to one vCPU: by the live table.
    const vm = words.get(irqfd + Consumer.vm);
    const level = (words.get(irqfd + Consumer.flags) & LEVEL) !== 0;
    const dropped = vmMutex(memory, vm).guard(() => {
      if (isOwnLine(words, irqfd)) raiseLine(words, irqfd); // with its interrupt: a reset finds both, or neither
      return inject(memory, vm, words.get(irqfd + Consumer.gsi), level);
    });
    if (dropped !== undefined) drop(words, words.get(irqfd + Consumer.holds), dropped);
  }
}
