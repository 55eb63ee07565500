/**
 * Loading native code must not be cut short: a thread that is ended meanwhile takes the whole process along. So whoever loads
 * says so in a word of its thread, and whoever is about to end threads says that in another, looks at all of the first, and
 * waits. Each says it before it looks at the other: of two that come at the same moment one waits, or both.
 *
 * Nobody waits for ever: after {@link PATIENCE_MS} it goes on, since a thread that is to end may be stuck in code of others.
 */
import { Header, Thread } from "./layout.js";
import type { Pool } from "./pool.js";
import type { ThisThread } from "./thread.js";
import type { WasmMemory } from "./wasm.js";
import { SharedWords, type Words } from "./words.js";

/** What is used of a host's memory. */
interface View {
  readonly words: Words;
  readonly thread: ThisThread;
  readonly pools: { readonly thread: Pool };
}

/** Where a thread says that it loads: for one that it starts, which has no view of the host. */
export interface LoadingWord {
  readonly memory: WasmMemory;
  readonly byteOffset: number;
  readonly word: number;
}

const PATIENCE_MS = 30_000;
/** A word may have been left by a thread that died: it is looked at again this often. */
const PROBE_MS = 20;

/** Calls `load` while this thread says that it loads. Blocks while another is ending threads. */
export function whileLoading<T>(memory: View, load: () => T): T {
  beginLoading(memory);
  try {
    return load();
  } finally {
    endLoading(memory);
  }
}

/** Says that the calling thread loads, or a thread that it starts and answers for. Blocks while another is ending threads. */
export function beginLoading(memory: View): void {
  const { words, thread } = memory;
  const deadline = words.clock() + PATIENCE_MS;
  for (;;) {
    words.add(thread.record + Thread.loading, 1); // before the look: whoever ends threads from here on waits for this one
    const other = find(memory, Thread.ending);
    if (other === 0 || !thread.mayBlock || words.clock() >= deadline) return;
    endLoading(memory);
    const ending = words.load(other + Thread.ending);
    if (ending !== 0) thread.park(other + Thread.ending, ending, PROBE_MS);
  }
}

/** The mirror image. */
export function endLoading({ words, thread }: View): void {
  end(words, thread.record + Thread.loading);
}

/** Where the calling thread says that it loads. */
export function loadingWord({
  handle: { memory, byteOffset },
  thread,
}: View & { readonly handle: Omit<LoadingWord, "word"> }): LoadingWord {
  return { memory, byteOffset, word: thread.record + Thread.loading };
}

/** {@link endLoading} by a thread that another one answers for. */
export function endLoadingAt({ memory, byteOffset, word }: LoadingWord): void {
  end(new SharedWords(memory.buffer as SharedArrayBuffer, byteOffset, word + 1), word);
}

function end(words: Words, word: number): void {
  words.add(word, -1);
  words.notify(word);
}

/** From here on until the returned function is called no other thread begins to load. */
export function refuseLoading({ words, thread }: View): () => void {
  const mine = thread.record + Thread.ending;
  words.add(mine, 1); // before anybody looks who loads
  return () => {
    if (!thread.left) end(words, mine);
  };
}

/** Does another thread load at this moment? */
export function somebodyLoads(memory: View): boolean {
  return find(memory, Thread.loading) !== 0;
}

/**
 * Waits until nobody loads, those included that the calling thread answers for: it is about to end, and others with it. Blocks.
 */
export function untilNobodyLoads(memory: View): void {
  const { words, thread } = memory;
  const deadline = words.clock() + PATIENCE_MS;
  const next = () => find(memory, Thread.loading, true);
  for (let other = next(); other !== 0 && thread.mayBlock; other = next()) {
    if (words.clock() >= deadline) return;
    const loading = words.load(other + Thread.loading);
    if (loading !== 0) words.wait(other + Thread.loading, loading, PROBE_MS);
  }
}

/** Resolves when no other thread loads. */
export async function untilNobodyLoadsAsync(memory: View): Promise<void> {
  const { words } = memory;
  const deadline = words.clock() + PATIENCE_MS;
  for (let other = find(memory, Thread.loading); other !== 0; other = find(memory, Thread.loading)) {
    if (words.clock() >= deadline) return;
    const loading = words.load(other + Thread.loading);
    if (loading !== 0) await words.waitAsync(other + Thread.loading, loading, PROBE_MS);
  }
}

/** A thread's record whose word is not 0, unless the thread is dead; 0 for none. Another thread's, or any. */
function find({ words, thread, pools }: View, word: Thread.loading | Thread.ending, mineToo = false): number {
  const threads = words.load(Header.threads);
  for (let slot = 0; slot < threads; slot++) {
    const record = pools.thread.at(slot);
    // One that the platform has no name for could not be proven dead, and would be waited for in vain.
    if (words.load(record + word) <= 0 || words.load(record + Thread.tid) === 0) continue;
    if (thread.isMine(record) ? mineToo : !thread.isDead(record)) return record;
  }
  return 0;
}
