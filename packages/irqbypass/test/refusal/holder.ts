/** Holds a mutex against a call, and gives it free in the end where the call would wait for ever. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Held, type Hold } from "./holder-worker.js";

export class Holder {
  private readonly worker = new Worker(new URL("./holder-worker.js", import.meta.url));

  /** Resolves when its thread runs, and opens no descriptor any more. */
  static async start(): Promise<Holder> {
    const holder = new Holder();
    await once(holder.worker, "message");
    holder.worker.unref();
    return holder;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  /** Makes a call that finds the word of a mutex with another owner in it. Throws where the call waits for that. */
  hold<T>(memory: Int32Array, word: number, owner: number, call: () => T): T {
    const state = new Int32Array(new SharedArrayBuffer(4));
    Atomics.store(memory, word, owner);
    this.worker.postMessage({ memory, word, state } satisfies Hold);
    const release = () => {
      const inTime = Atomics.exchange(state, 0, Held.enough) === Held.waiting;
      if (inTime) Atomics.store(memory, word, 0);
      Atomics.notify(state, 0);
      return inTime;
    };
    let came: T;
    try {
      came = call();
    } catch (error) {
      release();
      throw error;
    }
    if (!release()) throw new Error("it waits for the mutex for ever");
    return came;
  }
}
