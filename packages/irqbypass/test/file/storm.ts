/**
 * Two CPUs and their devices on real threads: owners in C and in TypeScript, posters in C, in TypeScript and in the compiled fast
 * path. After the last post of each id its owner must have taken it: nobody helps, and nothing is posted after that.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { InterruptFile } from "irqbypass";
import { createMemory } from "#src/host/wasm.js";

/** Where things are in the memory, in bytes; a CPU's counters are in words of their own. */
export const FILES = [0x20000, 0x20040];
export const CPUS = [0x30000, 0x40000];
export const INTO = [0x50000, 0x50100];
export const [SEEN, STOP, TAKEN, SLEPT] = [256, 512, 513, 514];

export type Language = "c" | "typescript" | "wasm";

export interface Part {
  readonly memory: { readonly buffer: ArrayBufferLike };
  /** The module of `cpu.c`, where there is a compiler. */
  readonly module: Uint8Array | undefined;
  readonly role: "owner" | "poster";
  readonly cpu: number;
  readonly language: Language;
  readonly first: number;
  readonly count: number;
  readonly posts: number;
  readonly pace: number;
}

/** Posts so many interrupts in all, and returns what came of them. */
export async function storm(posts: number, module: Uint8Array | undefined, pace = 2000): Promise<string> {
  const memory = createMemory(16);
  const words = new Int32Array(memory.buffer as SharedArrayBuffer);
  for (const byteOffset of FILES) InterruptFile.create(memory, byteOffset);
  const run = (part: Omit<Part, "memory" | "module" | "pace">) =>
    new Promise<void>((resolve, reject) => {
      const data: Part = { memory, module, pace, ...part };
      const worker = new Worker(new URL("./storm-worker.js", import.meta.url), { workerData: data });
      worker.on("error", reject);
      worker.on("exit", () => resolve());
    });
  const none = { first: 0, count: 0, posts: 0 };
  const owners = FILES.map((_, cpu) =>
    run({ role: "owner", cpu, language: cpu === 0 && module !== undefined ? "c" : "typescript", ...none }),
  );
  // Each CPU has all of them, on ids of their own and, the last two, on the same.
  const languages: Language[] = [module === undefined ? "wasm" : "c", "typescript", "wasm", "typescript"];
  const posters = FILES.flatMap((_, cpu) =>
    languages.map((language, at) => {
      const first = Math.min(at, 2) * 80;
      return run({ role: "poster", cpu, language, first, count: 80, posts: Math.ceil(posts / 8) });
    }),
  );
  await Promise.race([Promise.all(posters), Promise.all(owners)]); // an owner that fails would be waited for in vain
  // What is posted is taken in a moment; where it is not after a long one, it is lost.
  const lost = () =>
    CPUS.flatMap((at, cpu) => {
      const start = at / 4;
      const left = Array.from({ length: 256 }, (_, id) => id).filter(
        (id) => Atomics.load(words, start + id) !== Atomics.load(words, start + SEEN + id),
      );
      return left.map((id) => `id ${id} of CPU ${cpu}`);
    });
  for (let wait = 0; wait < 500 && lost().length > 0; wait++) await sleep(20);
  assert.deepEqual(lost(), []);
  for (const [cpu, byteOffset] of FILES.entries()) {
    Atomics.store(words, CPUS[cpu]! / 4 + STOP, 1);
    InterruptFile.open(memory, byteOffset).kick();
  }
  await Promise.all(owners);
  const sum = (word: number) => CPUS.map((at) => words[at / 4 + word]!).join(" and ");
  return `${posts.toLocaleString("en")} posts; taken ${sum(TAKEN)}, slept ${sum(SLEPT)} times`;
}
