/**
 * Whose turn it is to write to a Linux eventfd that was made blocking. The kernel has no write of it that does not block, so who writes
 * looks for room first; from that look to its write no other thread of the host writes, and so the write does not sleep. A writer
 * outside the host knows nothing of turns: where that takes the room in between, the write sleeps until somebody reads.
 */
import { Eventfd } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";

const NOBODY = 0n;

/**
 * Runs `write` in the calling thread's turn, and returns true; false where it is another thread's now. Waits for nobody. The turn of a
 * thread that has died in it is anybody's.
 */
export function inTurn({ words, thread }: HostMemory, eventfd: number, write: () => void): boolean {
  const word = eventfd + Eventfd.counter;
  const whose = words.load64(word);
  if (whose !== NOBODY && !thread.isGone(Number(whose))) return false;
  if (words.compareExchange64(word, whose, BigInt(thread.lockId)) !== whose) return false;
  try {
    write();
  } finally {
    words.store64(word, NOBODY);
  }
  return true;
}
