import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { BesideWord, type BesideWork } from "./beside-work.js";

const PATIENCE_MS = 20_000;
/** The other thread comes before, in and after what this one does: it waits up to so many times as long as that took. */
const SPREAD = 1.5;
const LEAST_US = 20;

/** Two threads that meet: this one does something, and the other one does its part at any moment of it. */
export class BesideRounds implements AsyncDisposable {
  private readonly words = new Int32Array(new SharedArrayBuffer(BesideWord.words * 4));
  private readonly worker: Worker;
  private round = 0;
  private tookUs = 0;

  /** `module` is the other thread's, which calls `playRounds`. */
  constructor(module: string, host: BesideWork["host"]) {
    const workerData: BesideWork = { words: this.words, host };
    this.worker = new Worker(new URL(module, import.meta.url), { workerData });
  }

  /** Resolves when the other thread is there; rejects with what ended it. */
  async start(): Promise<void> {
    const failed = new Promise<never>((_, reject) => this.worker.once("error", reject));
    failed.catch(() => {});
    while (Atomics.load(this.words, BesideWord.ready) === 0)
      await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 1))]);
  }

  /** One round: returns when both are through. */
  play(target: number, play: number, act: () => void): void {
    const { words } = this;
    this.round += 1;
    Atomics.store(words, BesideWord.target + 1, Math.floor(target / 2 ** 32));
    Atomics.store(words, BesideWord.target, target | 0);
    Atomics.store(words, BesideWord.play, play);
    Atomics.store(words, BesideWord.span, LEAST_US + Math.ceil(this.tookUs * SPREAD));
    Atomics.store(words, BesideWord.round, this.round);
    this.until(BesideWord.begun);
    const began = performance.now();
    act();
    const us = (performance.now() - began) * 1000;
    this.tookUs = this.tookUs === 0 ? us : (this.tookUs * 7 + us) / 8;
    this.until(BesideWord.done);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.worker, "exit");
    Atomics.store(this.words, BesideWord.round, -1);
    await gone;
  }

  private until(word: BesideWord): void {
    const deadline = Date.now() + PATIENCE_MS;
    while (Atomics.load(this.words, word) !== this.round)
      assert.ok(Date.now() < deadline, "the other thread has stopped");
  }
}
