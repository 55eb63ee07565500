/** Real threads for tests. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** Far more than any test needs: a bound against hangs, never a measure. */
export const PATIENCE_MS = 30_000;

/**
 * Starts a module as a thread. `next` gives its messages in order and rejects when it ends without another one;
 * `done` resolves when it has ended well.
 */
export class TestThread {
  readonly worker: Worker;
  readonly done: Promise<void>;
  private readonly queue: unknown[] = [];
  private ended = false;
  private failure: Error | undefined;
  private wake: () => void = () => {};

  constructor(module: URL, workerData: unknown) {
    this.worker = new Worker(module, { workerData });
    this.worker.on("message", (message) => {
      this.queue.push(message);
      this.wake();
    });
    this.worker.on("error", (error) => {
      this.failure = error as Error;
    });
    this.done = once(this.worker, "exit").then(() => {
      this.ended = true;
      this.wake();
      if (this.failure !== undefined) throw this.failure;
    });
    this.done.catch(() => {}); // whoever waits for `next` or `done` hears of it
  }

  async next<T>(): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.queue.length === 0) {
      if (this.ended) throw this.failure ?? new Error("the thread ended without a message");
      if (Date.now() > deadline) throw new Error("the thread sent no message in time");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, PATIENCE_MS);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.queue.shift() as T;
  }

  async terminate(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Looks every few milliseconds until `settled` says so; throws after {@link PATIENCE_MS}. */
export async function until(what: string, settled: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!settled()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
