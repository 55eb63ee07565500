import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "irqbypass";
import { TestThread } from "../support/worker.js";
import { type SurvivorWork, Word } from "./work.js";

/** A device and a vCPU in threads of their own that go on while others die: no interrupt of theirs is lost. */
export class Survivors {
  private readonly words = new Int32Array(new SharedArrayBuffer(Word.words * 4));
  private readonly threads: readonly TestThread[];
  private readonly failed: Promise<never>;

  /** The vCPU that takes the device's interrupts, by vector 0x41, and the eventfd that it signals. */
  constructor(host: Host, vcpu: number, eventfd: number) {
    const kinds = host.kinds.slice(1).map(({ name }) => name);
    const start = (part: "device" | "vcpu", handle: number) => {
      const work: SurvivorWork = { host: host.handle, part, handle, shared: this.words.buffer, kinds };
      return new TestThread(new URL("./survivor.js", import.meta.url), work);
    };
    this.threads = [start("vcpu", vcpu), start("device", eventfd)];
    this.failed = Promise.race(this.threads.map(({ done }) => done.then(() => new Promise<never>(() => {}))));
    this.failed.catch(() => {});
  }

  /** Interrupts that were taken. */
  get taken(): number {
    return Atomics.load(this.words, Word.taken);
  }

  /** Resolves with `work`; rejects where one of the two fails meanwhile. */
  during<T>(work: Promise<T>): Promise<T> {
    return Promise.race([this.failed, work]);
  }

  /** Waits until both rest, so that nothing changes in the memory. */
  async rest(): Promise<void> {
    Atomics.store(this.words, Word.rest, 1);
    const deadline = Date.now() + 30_000;
    while (Atomics.load(this.words, Word.resting) < 2) {
      if (Date.now() > deadline) throw new Error("the survivors do not come to rest");
      await this.during(sleep(2));
    }
  }

  goOn(): void {
    this.tell(0);
  }

  /** Ends both; rejects with what ended one before. Returns how many interrupts were taken. */
  async end(): Promise<number> {
    this.tell(2); // the device ends, then the vCPU
    await Promise.allSettled(this.threads.map(({ done }) => done));
    for (const { done } of this.threads) await done;
    return this.taken;
  }

  private tell(rest: number): void {
    Atomics.store(this.words, Word.rest, rest);
    Atomics.notify(this.words, Word.rest);
  }
}
