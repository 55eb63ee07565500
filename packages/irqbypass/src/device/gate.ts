/**
 * The gate of a device interrupt: one word that says what holds it back, whether it is pending, and where it goes. Who signals reads
 * it without a lock; who changes it has the device's mutex, and waits for a signal that has seen it open.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { signalElsewhere } from "../bypass/elsewhere.js";
import { signalRecord } from "../eventfd/signal.js";
import { each } from "../host/each.js";
import { Device, Gate, Producer, Vcpu } from "../host/layout.js";
import { post, signalAnnounced } from "../posting/fast-path.js";
import { Mode, modeOf, targetOf, vectorOf } from "../posting/irte.js";
import type { DeviceLife } from "./device-life.js";

/** Does a signal go through? */
export function isOpen(gate: number): boolean {
  return (gate & Gate.held) === 0 && gate >>> Gate.producerShift !== 0;
}

/** The record of its producer, 0 where it has none. */
export function producerOf({ pools }: BypassHost, gate: number): number {
  const number = gate >>> Gate.producerShift;
  return number === 0 ? 0 : pools.producer.at(number - 1);
}

/** What a signal of the device came to. */
export const enum Raised {
  done,
  /** The device has ended, or is another thread's: nothing was done. */
  notMine,
}

/**
 * The device raises the interrupt of a gate. Where that is open it goes where its producer leads, else it stays pending, once however
 * often. For the thread that has the device; waits for nobody. Throws what the eventfd throws.
 */
export function raise(life: DeviceLife, word: number): Raised {
  const { host, record, tenure } = life;
  const { words, thread, pools } = host;
  const { signalling } = thread;
  for (;;) {
    const gate = words.load(word);
    const open = isOpen(gate);
    const to = open ? producerOf(host, gate) : record;
    // Announced before it is looked at again: whoever ends the device, hands it over or closes the gate waits for what it sees here.
    words.store(signalling, to);
    if (words.load(record + Device.tenure) !== tenure) {
      thread.leave(signalling);
      return Raised.notMine;
    }
    if (words.load(word) !== gate) {
      thread.leave(signalling);
      words.relax();
      continue;
    }
    if (open) {
      const entry = signalAnnounced(host, signalling, to, pools.vcpu.base);
      if (modeOf(entry) !== Mode.posted) signalElsewhere(host, entry, words.load(to + Producer.holds));
      return Raised.done;
    }
    const kept = whenRaised(gate);
    // In one step with the look at what holds it back: opened meanwhile, it is looked at again, and nobody has to look for it later.
    const done = kept === gate || words.compareExchange(word, gate, kept) === gate;
    thread.leave(signalling);
    if (done) return Raised.done;
  }
}

/** A closed gate after a signal. What a virtqueue says while nobody is to be called is not kept; while its call is replaced it is. */
function whenRaised(gate: number): number {
  if ((gate & Gate.queue) !== 0 && (gate & Gate.changing) === 0) return gate;
  return gate | Gate.pending;
}

/** Holds a gate back from now on: when this has returned, nothing goes through. Under the device's mutex. */
export function hold(life: DeviceLife, word: number, why: number): void {
  const { host } = life;
  const before = host.words.or(word, why);
  if (isOpen(before)) life.fence(producerOf(host, before));
}

/**
 * The mirror image, of each of these: what is pending goes out once, where nothing else holds it back. Where that throws as {@link raise},
 * it stays pending; that is thrown in the end, and what was masked, all of it, is masked again. Under the device's mutex.
 */
export function release(life: DeviceLife, gates: readonly number[], why: number): void {
  const isMask = why <= Gate.functionMask;
  const masked = isMask ? gates.filter((word) => life.host.words.load(word) & why) : [];
  try {
    each(gates, (word) => {
      life.host.words.and(word, ~why);
      settle(life, word);
    });
  } catch (error) {
    for (const word of masked) hold(life, word, why);
    throw error;
  }
}

/** It was raised, by what its trigger had when that was taken away. Under the device's mutex. */
export function pend(life: DeviceLife, word: number): void {
  life.host.words.or(word, Gate.pending);
  settle(life, word);
}

/**
 * Sends what is pending, where the gate is open, in whichever thread. The entry of the producer does not change under the host mutex,
 * under which it is posted; where it is not to be posted it goes to the eventfd, to which whoever listens listens. Under the device's mutex.
 */
export function settle({ host }: DeviceLife, word: number): void {
  const { words, mutex } = host;
  const gate = words.load(word);
  if ((gate & Gate.pending) === 0) return;
  if (isOpen(gate)) {
    const producer = producerOf(host, gate);
    const posted = mutex.guard(() => postOnce(host, words.load(producer + Producer.irte)));
    if (!posted) signalRecord(host, words.load(producer + Producer.holds));
  } else if ((gate & Gate.queue) === 0 || (gate & Gate.changing) !== 0) return;
  // After it: refused, it is pending as before; and should this thread die in between, it is sent once more.
  words.and(word, ~Gate.pending);
}

function postOnce(host: BypassHost, entry: number): boolean {
  if (modeOf(entry) !== Mode.posted) return false;
  post(host, host.pools.vcpu.at(targetOf(entry)) + Vcpu.descriptor, vectorOf(entry));
  return true;
}
