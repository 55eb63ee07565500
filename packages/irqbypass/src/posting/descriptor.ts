/**
 * An interrupt file, at word `file`: who may set, clear and read which bit, in which order. It is the posted-interrupt
 * descriptor of VT-d (64 bytes: 256 PIR bits, then ON, SN, NV and NDST); the protocol is the hardware's for the posting side
 * and KVM's for the vCPU side (arch/x86/kvm/vmx/posted_intr.c). Its owner is a vCPU, or a CPU of the caller's.
 *
 * A running owner looks at ON by itself. A suspended one has SN set, and looks at PIR when it is resumed. One that sleeps does
 * so on the control word, by this rule: it makes NV the wake-up vector by a compare-exchange from a value without ON, SN, KICKED
 * and EVENT, and waits for exactly that value. Others set bits, by `or`, before they notify, and notify all; bits are cleared
 * by the owner alone, awake. So the value does not come back under a sleeper, and whoever changes it wakes him.
 *
 * `post`, `pending` and `harvest` are compiled to WebAssembly as well (`assembly/compile.mjs`), from these very lines; who
 * needs no words of their own calls them through `fast-path.ts`.
 */
import {
  Descriptor,
  EVENT,
  FILE_HEADER,
  KICKED,
  NOTIFICATION_VECTOR,
  NV_MASK,
  NV_SHIFT,
  ON,
  PIR_WORDS,
  SN,
  WAKEUP_VECTOR,
} from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { Bits } from "./bits.js";

/** Bits of the control word with which nobody goes to sleep. */
const AWAKE = ON | SN | KICKED | EVENT;

function withNv(control: number, vector: number): number {
  return (control & ~NV_MASK) | (vector << NV_SHIFT);
}

/** Does this control word ask for a wake-up? */
function asksForWakeUp(control: number): boolean {
  return (control & NV_MASK) >>> NV_SHIFT === WAKEUP_VECTOR;
}

/** Makes a new file of words that are all 0: the control word is to start as `control`. */
function initialiseAs(words: Words, file: number, control: number): void {
  words.store(file + Descriptor.control, withNv(control, NOTIFICATION_VECTOR));
  words.store(file + Descriptor.header, FILE_HEADER); // last: whoever sees it sees a file
}

/** Makes a new file of words that are all 0, whose owner is there. */
export function initialise(words: Words, file: number): void {
  initialiseAs(words, file, 0);
}

/** The same for one that is suspended, as that of a vCPU which is not loaded. */
export function initialiseSuspended(words: Words, file: number): void {
  initialiseAs(words, file, SN);
}

/** Posts `id`, a vector: any thread, waits for nobody, never touches anything but this file. */
export function post(words: Words, file: number, id: number): void {
  words.or(file + Descriptor.pir + (id >>> 5), 1 << (id & 31));
  // ON is looked at even if the PIR bit was set already: whoever set it may have died before setting ON.
  const control = file + Descriptor.control;
  if (words.load(control) & (ON | SN)) return;
  const before = words.or(control, ON);
  if ((before & (ON | SN)) === 0 && asksForWakeUp(before)) words.notify(control);
}

/** Is anything posted that has not been harvested? One load for a file that is not suspended. */
export function pending(words: Words, file: number): boolean {
  const control = words.load(file + Descriptor.control);
  // While SN is set nobody sets ON, so PIR itself has to be asked.
  return (control & ON) !== 0 || ((control & SN) !== 0 && pirHasBits(words, file));
}

/**
 * Takes what is posted out of PIR and adds it to the eight words at `irr` (vmx_sync_pir_to_irr). The owner's own
 * thread only. Returns in which of them there was something, bit n for word n.
 */
export function harvest(words: Words, file: number, irr: number): number {
  const control = file + Descriptor.control;
  if ((words.load(control) & ON) === 0) return 0;
  // ON before PIR: a bit posted after PIR was read then finds ON clear, and sets it again.
  words.and(control, ~ON);
  const pir = file + Descriptor.pir;
  let found = 0;
  for (let i = 0; i < PIR_WORDS; i++) {
    const bits = words.load(pir + i);
    if (bits === 0) continue;
    // There before it is gone here: a vCPU whose thread dies in between has it, once or twice requested.
    words.set(irr + i, words.get(irr + i) | bits);
    words.and(pir + i, ~bits);
    found |= 1 << i;
  }
  return found;
}

/** {@link harvest} into an array of the caller's, which is in no shared word. */
export function harvestInto(words: Words, file: number, into: Bits): number {
  const control = file + Descriptor.control;
  if ((words.load(control) & ON) === 0) return 0;
  words.and(control, ~ON); // as there
  const pir = file + Descriptor.pir;
  let found = 0;
  for (let i = 0; i < PIR_WORDS; i++) {
    const bits = words.load(pir + i);
    if (bits === 0) continue;
    into[i]! |= bits;
    words.and(pir + i, ~bits);
    found |= 1 << i;
  }
  return found;
}

/** Puts the eight words at `irr` back into PIR: the mirror image of {@link harvest}, for a file that is suspended. */
export function unharvest(words: Words, file: number, irr: number): void {
  for (let i = 0; i < PIR_WORDS; i++) {
    if (words.get(irr + i) === 0) continue;
    words.or(file + Descriptor.pir + i, words.get(irr + i));
    words.set(irr + i, 0); // last: whoever dies in between leaves it twice, and not lost
  }
}

/** Puts the vCPU on a thread: {@link resume}, and `destination` names the thread (vmx_vcpu_pi_load). */
export function load(words: Words, file: number, destination: number): void {
  words.store(file + Descriptor.ndst, destination); // SN is still set
  resume(words, file);
}

/** The owner goes on, on whichever thread: from here on posts set ON. */
export function resume(words: Words, file: number): void {
  unblock(words, file); // what its last thread was waiting for is not this one's
  words.and(file + Descriptor.control, ~SN);
  // What was posted while SN was set left ON clear, and would sit in PIR until the next post.
  if (pirHasBits(words, file)) words.or(file + Descriptor.control, ON);
}

/** The mirror image of {@link resume}: from here on posts leave ON alone (vmx_vcpu_pi_put). */
export function suspend(words: Words, file: number): void {
  // First: an asynchronous wait of this thread sees by it that it is over, even if another thread has resumed the file by then.
  words.add(file + Descriptor.suspensions, 1);
  const before = words.or(file + Descriptor.control, SN);
  if (asksForWakeUp(before)) words.notify(file + Descriptor.control);
}

/**
 * Makes ready to block: from here on whoever sets a bit of the control word wakes the owner. Returns what that holds now, for
 * which to wait; 0, with nothing changed, where there is something to see already, because nobody was notified of that.
 */
export function block(words: Words, file: number): number {
  const control = file + Descriptor.control;
  for (;;) {
    const seen = words.load(control); // one read for both the test and the exchange
    if (isNews(seen)) return 0;
    const asleep = withNv(seen, WAKEUP_VECTOR);
    if (words.compareExchange(control, seen, asleep) === seen) return asleep;
    words.relax();
  }
}

/** Does the owner sleep, or stand ready to be woken? Of the owner's own thread: by another wait, beside which none is to {@link unblock}. */
export function isBlocked(words: Words, file: number): boolean {
  return asksForWakeUp(words.load(file + Descriptor.control));
}

/** The mirror image of {@link block}. */
export function unblock(words: Words, file: number): void {
  const control = file + Descriptor.control;
  for (;;) {
    const seen = words.load(control);
    if (words.compareExchange(control, seen, withNv(seen, NOTIFICATION_VECTOR)) === seen) return;
    words.relax();
  }
}

/** Ends the owner's wait, the present one or the next, without an interrupt: `what` is KICKED or EVENT. From any thread. */
export function kick(words: Words, file: number, what: number): void {
  const before = words.or(file + Descriptor.control, what);
  if (asksForWakeUp(before)) words.notify(file + Descriptor.control);
}

/** Takes KICKED or EVENT back, and returns whether it was there. The owner's own thread only. */
export function takeKick(words: Words, file: number, what: number): boolean {
  const control = file + Descriptor.control;
  if ((words.load(control) & what) === 0) return false;
  words.and(control, ~what);
  return true;
}

/** Is there something to see by this control word, with which nobody goes to sleep? */
export function isNews(control: number): boolean {
  return (control & AWAKE) !== 0;
}

/** What the owner's thread sees of the other side, for tables: who is notified, and how. */
export function inspect(words: Words, file: number): { on: boolean; sn: boolean; nv: number; ndst: number } {
  const control = words.load(file + Descriptor.control);
  return {
    on: (control & ON) !== 0,
    sn: (control & SN) !== 0,
    nv: (control & NV_MASK) >>> NV_SHIFT,
    ndst: words.load(file + Descriptor.ndst),
  };
}

/**
 * Notifies once more for everything that is posted and not taken, since whoever posted it may have died before it did.
 * From any thread; too much of it does no harm.
 */
export function renotify(words: Words, file: number): void {
  const control = file + Descriptor.control;
  if (pirHasBits(words, file) && (words.load(control) & SN) === 0) words.or(control, ON);
  // Always: of a kick, and of an ON that somebody has set, the wake-up may be still to come.
  words.notify(control);
}

/**
 * The highest id that a harvest would take now, or -1, with nothing changed. One load where nothing is posted: whoever has set
 * his bit and not yet ON is not heard of, as in {@link harvest}.
 */
export function highestPosted(words: Words, file: number): number {
  if ((words.load(file + Descriptor.control) & ON) === 0) return -1;
  for (let i = PIR_WORDS - 1; i >= 0; i--) {
    const bits = words.load(file + Descriptor.pir + i);
    if (bits !== 0) return i * 32 + 31 - Math.clz32(bits);
  }
  return -1;
}

function pirHasBits(words: Words, file: number): boolean {
  const pir = file + Descriptor.pir;
  for (let i = 0; i < PIR_WORDS; i++) if (words.load(pir + i) !== 0) return true;
  return false;
}
