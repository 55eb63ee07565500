/**
 * What the threads of the race test tell each other, beside the host: one small shared array.
 *
 * Loss: a device publishes the index of its burst, signals, and waits until the guest's handler has noted that index. An
 * edge may coalesce with one that is pending; the last index must be noted. Only while an irqfd is reassigned a signal may
 * go: deassign reads the counter out. A device that signalled meanwhile does it once more, as behind a careful VMM.
 *
 * Staleness: when a change of routes has returned, the controller lets every vCPU take what was posted until then, and
 * retires the old vectors. A vector that comes while it is retired was set by a signal that should not have.
 */
import type { HostHandle } from "irqbypass";

export const DEVICES = 2;
export const VCPUS = 2;
/** Device d has vectors 0x40 + 16 * n + d, n from 0 to 3. */
export const vectorOf = (device: number, n: number) => 0x40 + 16 * n + device;
export const VARIANTS = 4;

const enum At {
  stop = 0,
  published = 8,
  noted = 16,
  bursts = 24,
  lost = 32,
  delivered = 40,
  drainWanted = 48,
  drained = 56,
  stale = 64,
  reassigns = 72,
  retired = 128,
}
const WORDS = At.retired + VCPUS * 256;

export class Board {
  readonly words: Int32Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(WORDS * 4)) {
    this.words = new Int32Array(buffer);
  }

  /** Devices end first: what they have signalled last must still find its vCPU. */
  get devicesStopped(): boolean {
    return Atomics.load(this.words, At.stop) >= 1;
  }

  get vcpusStopped(): boolean {
    return Atomics.load(this.words, At.stop) >= 2;
  }

  stop(who: "devices" | "vcpus"): void {
    Atomics.store(this.words, At.stop, who === "devices" ? 1 : 2);
  }

  publish(device: number, index: number): void {
    Atomics.store(this.words, At.published + device, index);
  }

  /** The guest's handler: notes what the device has published by now. */
  note(vcpu: number, vector: number): void {
    const device = (vector - vectorOf(0, 0)) % 16;
    if (Atomics.load(this.words, At.retired + vcpu * 256 + vector)) Atomics.add(this.words, At.stale, 1);
    Atomics.add(this.words, At.delivered, 1);
    Atomics.store(this.words, At.noted + device, Atomics.load(this.words, At.published + device));
    Atomics.notify(this.words, At.noted + device);
  }

  /** Waits until the handler has noted `index`; false when it has not within `ms`. */
  awaitNoted(device: number, index: number, ms: number): boolean {
    const deadline = performance.now() + ms;
    for (;;) {
      const noted = Atomics.load(this.words, At.noted + device);
      if (noted === index) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      Atomics.wait(this.words, At.noted + device, noted, left);
    }
  }

  /** The controller: around the reassign of a device's irqfd. Odd while it goes on. */
  reassigning(device: number): void {
    Atomics.add(this.words, At.reassigns + device, 1);
    Atomics.notify(this.words, At.reassigns + device);
  }

  /** The device: how often its irqfd has been reassigned; waits while it is being. */
  reassigned(device: number): number {
    for (;;) {
      const seen = Atomics.load(this.words, At.reassigns + device);
      if (seen % 2 === 0) return seen;
      Atomics.wait(this.words, At.reassigns + device, seen);
    }
  }

  burstDone(device: number, lost: boolean): void {
    Atomics.add(this.words, At.bursts + device, 1);
    if (lost) Atomics.add(this.words, At.lost, 1);
  }

  /** The controller: makes the vCPU take all that is posted to it; `kick` ends its sleep. */
  drain(vcpu: number, kick: () => void): void {
    const wanted = Atomics.add(this.words, At.drainWanted + vcpu, 1) + 1;
    kick();
    for (;;) {
      const drained = Atomics.load(this.words, At.drained + vcpu);
      if (drained === wanted) return;
      Atomics.wait(this.words, At.drained + vcpu, drained, 100);
    }
  }

  /** The vCPU: what is wanted of it before it takes what is posted, to be answered after. */
  drainWanted(vcpu: number): number {
    return Atomics.load(this.words, At.drainWanted + vcpu);
  }

  drained(vcpu: number, wanted: number): void {
    if (Atomics.exchange(this.words, At.drained + vcpu, wanted) !== wanted)
      Atomics.notify(this.words, At.drained + vcpu);
  }

  retire(vcpu: number, vector: number, retired: boolean): void {
    Atomics.store(this.words, At.retired + vcpu * 256 + vector, retired ? 1 : 0);
  }

  result(): { bursts: number[]; delivered: number; lost: number; stale: number } {
    const at = (word: number) => Atomics.load(this.words, word);
    return {
      bursts: Array.from({ length: DEVICES }, (_, device) => at(At.bursts + device)),
      delivered: at(At.delivered),
      lost: at(At.lost),
      stale: at(At.stale),
    };
  }
}

/** What every thread of the race is told. */
export interface RaceWork {
  readonly role: "device" | "vcpu" | "controller";
  readonly number: number;
  readonly host: HostHandle;
  readonly board: SharedArrayBuffer;
  readonly words: "plain" | "dawdling" | "unprotected";
  readonly vm: number;
  readonly eventfds: readonly number[];
  readonly vcpus: readonly number[];
  /** The controller: changes to make, and it ends early once something stale was seen. */
  readonly rounds: number;
}
