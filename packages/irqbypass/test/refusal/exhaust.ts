/** Takes what there is only so much of, to the last one, and gives it back: records, thread records, descriptors. */
import { closeSync, openSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import type { Host } from "irqbypass";
import { type PoolName, Thread, ThreadState } from "#src/host/layout.js";

/** Takes every record of a pool but for the last `left`. Returns what gives them back. */
export function takeRecords(host: Host, name: PoolName, left = 0): () => void {
  const { words, mutex, pools } = host;
  const pool = pools[name];
  const held: number[] = [];
  if (name === "thread") {
    // Who attaches claims one by its state word.
    for (let slot = 0; slot < pool.capacity; slot++) {
      const state = pool.at(slot) + Thread.state;
      if (words.compareExchange(state, ThreadState.free, ThreadState.attached) === ThreadState.free)
        held.push(state);
    }
    for (const state of held.splice(0, left)) words.store(state, ThreadState.free);
    return () => {
      for (const state of held) words.store(state, ThreadState.free);
    };
  }
  mutex.guard(() => {
    while (pool.live < pool.capacity - left) held.push(pool.allocate());
  });
  return () =>
    mutex.guard(() => {
      for (const record of held.reverse()) pool.undo(record);
    });
}

/** getrlimit and setrlimit of this process, RLIMIT_NOFILE. */
const limits = () => {
  const koffi = createRequire(import.meta.url)("koffi") as {
    load(library: null): { func(prototype: string): (what: number, limit: BigUint64Array) => number };
  };
  const libc = koffi.load(null);
  return {
    get: libc.func("int getrlimit(int resource, void *limit)"),
    set: libc.func("int setrlimit(int resource, void *limit)"),
  };
};
let known: ReturnType<typeof limits> | undefined;
const NOFILE = 7;
/** No call takes so many at once. */
const FEW = 48;

/** Lets this process have only `left` descriptors more than it has. Returns what lifts that. */
export function takeDescriptors(left: number): () => void {
  known ??= limits();
  const { get, set } = known;
  const before = new BigUint64Array(2);
  get(NOFILE, before);
  const highest = Math.max(...readdirSync("/proc/self/fd").map(Number));
  set(NOFILE, new BigUint64Array([BigInt(highest + FEW), before[1]!]));
  const held: number[] = [];
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch {
    // The last one.
  }
  for (const fd of held.splice(0, left)) closeSync(fd);
  return () => {
    for (const fd of held) closeSync(fd);
    set(NOFILE, before);
  };
}
