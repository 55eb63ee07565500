/**
 * A worker thread of a run, from its owner's side. It says "ready" when it is set up and "done" when its work is,
 * and keeps what it holds until it is released.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

/** What a thread tells its owner. */
export type Progress = "ready" | "done";

export class RunThread {
  /** Resolves when the thread is set up. Rejects where it failed before. */
  readonly ready: Promise<void>;
  /** Resolves when its work is done. Rejects where it failed before. */
  readonly done: Promise<void>;
  /** Resolves when the thread has ended, however. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  #inOrder = false;

  /**
   * @param name how messages call it.
   * @param data structured-cloned; the thread finds it as `workerData`.
   */
  constructor(url: URL, name: string, data: unknown) {
    const worker = new Worker(url, { workerData: data, name });
    this.#worker = worker;
    this.ended = new Promise((resolve) => {
      worker.once("exit", (code) => {
        this.#inOrder = code === 0;
        resolve();
      });
    });
    const said = (wanted: Progress): Promise<void> => {
      const promise = new Promise<void>((resolve, reject) => {
        worker.on("message", (progress: Progress) => {
          if (progress === wanted) resolve();
        });
        worker.once("error", reject);
        worker.once("exit", () => reject(new Error(`the thread ${name} ended before it was ${wanted}`)));
      });
      // Whoever waits for it gets the error; that nobody does is no error of its own.
      promise.catch(() => {});
      return promise;
    };
    this.ready = said("ready");
    this.done = said("done");
  }

  /** Has it ended by itself, without an error? */
  get inOrder(): boolean {
    return this.#inOrder;
  }

  /** `postMessage` to the thread. */
  send(message: string): void {
    this.#worker.postMessage(message);
  }

  /** A thread that is done gives back what it holds, and ends. */
  release(): void {
    this.send("release");
  }

  /** Ends the thread wherever it is. What it held stays taken. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** A thread that was asked to end gets this long. */
const PATIENCE_MS = 1000;

/**
 * Waits for threads that were asked to end, and terminates those that do not. Whether all ended in order: only
 * then have they given back what they held.
 */
export async function endThreads(threads: readonly RunThread[]): Promise<boolean> {
  const giveUp = new AbortController();
  const patience = sleep(PATIENCE_MS, undefined, { signal: giveUp.signal }).catch(() => {});
  await Promise.race([Promise.all(threads.map((thread) => thread.ended)), patience]);
  giveUp.abort();
  await Promise.all(threads.map((thread) => thread.terminate()));
  return threads.every((thread) => thread.inOrder);
}
