/**
 * The posted-interrupt descriptor of a vCPU: who may set, clear and read which bit, in which order. The layout
 * is that of VT-d (64 bytes: 256 PIR bits, then ON, SN, NV and NDST); the protocol is the hardware's for the
 * posting side and KVM's for the vCPU side (arch/x86/kvm/vmx/posted_intr.c).
 *
 * A running vCPU looks at ON by itself. A blocked one has switched NV to the wake-up vector, and whoever sets ON
 * then wakes it. A preempted one has SN set, and looks at PIR when it is loaded again.
 *
 * `post`, `pending` and `harvest` are compiled to WebAssembly as well (`scripts/compile.mjs`), from these very lines; who
 * needs no words of their own calls them through `fast-path.ts`.
 */
import { Descriptor, Vcpu } from "../host/layout.js";
import type { Words } from "../host/words.js";

/**
 * Bits of the control word (bits 256 to 287 of the descriptor). Its states, and who takes it from which to which:
 * `scenarios/states/descriptor-control.ts`.
 */
export const ON = 1;
export const SN = 2;
const NV_SHIFT = 16;
const NV_MASK = 0xff << NV_SHIFT;
/** Notification vectors, with the numbers that Linux gives them on x86. */
export const NOTIFICATION_VECTOR = 0xf2;
export const WAKEUP_VECTOR = 0xf1;

const PIR_WORDS = 8;
/** Bit 0 of the wake word is a kick, bit 1 an NMI; the bits above count wake-ups. Its states: `scenarios/states/wake.ts`. */
export const KICKED = 1;
export const NMI = 2;
const WAKE = 4;

function controlOf(vcpu: number): number {
  return vcpu + Vcpu.descriptor + Descriptor.control;
}

function pirOf(vcpu: number): number {
  return vcpu + Vcpu.descriptor + Descriptor.pir;
}

function withNv(control: number, vector: number): number {
  return (control & ~NV_MASK) | (vector << NV_SHIFT);
}

/** Makes a new descriptor one of a vCPU that is not loaded. */
export function initialise(words: Words, vcpu: number): void {
  words.store(controlOf(vcpu), withNv(SN, NOTIFICATION_VECTOR));
}

/** Posts `vector` to a vCPU: any thread, waits for nobody, never touches anything but this descriptor. */
export function post(words: Words, vcpu: number, vector: number): void {
  words.or(pirOf(vcpu) + (vector >>> 5), 1 << (vector & 31));
  // ON is looked at even if the PIR bit was set already: whoever set it may have died before setting ON.
  const control = controlOf(vcpu);
  if (words.load(control) & (ON | SN)) return;
  const before = words.or(control, ON);
  if ((before & (ON | SN)) === 0 && (before & NV_MASK) >>> NV_SHIFT === WAKEUP_VECTOR) wake(words, vcpu);
}

/** Is anything posted that has not been harvested? One load for a vCPU that is loaded. */
export function pending(words: Words, vcpu: number): boolean {
  const control = words.load(controlOf(vcpu));
  // While SN is set nobody sets ON, so PIR itself has to be asked.
  return (control & ON) !== 0 || ((control & SN) !== 0 && pirHasBits(words, vcpu));
}

/**
 * Takes what is posted out of PIR and adds it to the eight words at `irr` (vmx_sync_pir_to_irr). The vCPU's own
 * thread only. Returns in which of them there was something, bit n for word n.
 */
export function harvest(words: Words, vcpu: number, irr: number): number {
  const control = controlOf(vcpu);
  if ((words.load(control) & ON) === 0) return 0;
  // ON before PIR: a bit posted after PIR was read then finds ON clear, and sets it again.
  words.and(control, ~ON);
  const pir = pirOf(vcpu);
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

/** Puts the eight words at `irr` back into PIR: the mirror image of {@link harvest}, for a vCPU that is not loaded. */
export function unharvest(words: Words, vcpu: number, irr: number): void {
  for (let i = 0; i < PIR_WORDS; i++) {
    if (words.get(irr + i) === 0) continue;
    words.or(pirOf(vcpu) + i, words.get(irr + i));
    words.set(irr + i, 0); // last: whoever dies in between leaves it twice, and not lost
  }
}

/** Puts the vCPU on a thread: from here on posts set ON (vmx_vcpu_pi_load). `destination` names the thread. */
export function load(words: Words, vcpu: number, destination: number): void {
  words.store(vcpu + Vcpu.descriptor + Descriptor.ndst, destination); // SN is still set
  setNv(words, vcpu, NOTIFICATION_VECTOR);
  words.and(controlOf(vcpu), ~SN);
  // What was posted while SN was set left ON clear, and would sit in PIR until the next post.
  if (pirHasBits(words, vcpu)) words.or(controlOf(vcpu), ON);
}

/** Takes the vCPU off its thread without blocking it: from here on posts leave ON alone (vmx_vcpu_pi_put). */
export function put(words: Words, vcpu: number): void {
  words.or(controlOf(vcpu), SN);
}

/**
 * Makes ready to block: from here on whoever sets ON wakes the vCPU. Returns false, with nothing changed, where
 * something is pending already, because its notification went out when nobody needed waking.
 */
export function block(words: Words, vcpu: number): boolean {
  const control = controlOf(vcpu);
  for (;;) {
    const seen = words.load(control); // one read for both the test and the exchange
    if (seen & ON) return false;
    if (words.compareExchange(control, seen, withNv(seen, WAKEUP_VECTOR)) === seen) return true;
    words.relax();
  }
}

/** The mirror image of {@link block}. */
export function unblock(words: Words, vcpu: number): void {
  setNv(words, vcpu, NOTIFICATION_VECTOR);
}

/** Wakes a blocked vCPU. */
export function wake(words: Words, vcpu: number): void {
  words.add(vcpu + Vcpu.wake, WAKE);
  words.notify(vcpu + Vcpu.wake);
}

/** Ends the vCPU's wait, the present one or the next, without an interrupt: `what` is KICKED or NMI. From any thread. */
export function kick(words: Words, vcpu: number, what: number): void {
  words.or(vcpu + Vcpu.wake, what);
  words.notify(vcpu + Vcpu.wake);
}

/** What the vCPU's thread sees of the other side, for tables: who is notified, and how. */
export function inspect(words: Words, vcpu: number): { on: boolean; sn: boolean; nv: number; ndst: number } {
  const control = words.load(controlOf(vcpu));
  return {
    on: (control & ON) !== 0,
    sn: (control & SN) !== 0,
    nv: (control & NV_MASK) >>> NV_SHIFT,
    ndst: words.load(vcpu + Vcpu.descriptor + Descriptor.ndst),
  };
}

/**
 * Notifies once more for everything that is posted and not taken, since whoever posted it may have died before it did.
 * From any thread; too much of it does no harm.
 */
export function renotify(words: Words, vcpu: number): void {
  const control = controlOf(vcpu);
  if (pirHasBits(words, vcpu) && (words.load(control) & SN) === 0) words.or(control, ON);
  // Whoever sleeps looks again: at ON, and at a kick whose wake-up was still to come.
  wake(words, vcpu);
}

function setNv(words: Words, vcpu: number, vector: number): void {
  const control = controlOf(vcpu);
  for (;;) {
    const seen = words.load(control);
    if (words.compareExchange(control, seen, withNv(seen, vector)) === seen) return;
    words.relax();
  }
}

function pirHasBits(words: Words, vcpu: number): boolean {
  const pir = pirOf(vcpu);
  for (let i = 0; i < PIR_WORDS; i++) if (words.load(pir + i) !== 0) return true;
  return false;
}
