/**
 * Whose turn it is to write to a Linux eventfd that was made blocking. The kernel has no write of it that does not block, so who writes
 * looks for room first; from that look to its write no other thread of the host writes, and so the write does not sleep. A writer
 * outside the host knows nothing of turns: where that takes the room in between, the write sleeps until somebody reads.
 */
import { Eventfd } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";

const NOBODY = 0n;

/**
 * Has `write` write in the calling thread's turn, once `awaits` has found room and `hasRoom` finds it still. Returns false where `awaits`
 * gives up, with nothing written.
 */
export function writeInTurn(
  memory: HostMemory,
  eventfd: number,
  awaits: () => boolean,
  hasRoom: () => boolean,
  write: () => void,
): boolean {
  let done = false;
  const writeOnce = () => {
    if (!hasRoom()) return; // another thread's turn was first
    write();
    done = true;
  };
  while (awaits()) {
    inTurn(memory, eventfd, writeOnce);
    if (done) return true;
    memory.words.relax();
  }
  return false;
}

/** Runs `write` unless it is another thread's turn. Waits for nobody. The turn of a thread that has died in it is anybody's. */
function inTurn({ words, thread }: HostMemory, eventfd: number, write: () => void): void {
  const word = eventfd + Eventfd.counter;
  const whose = words.load64(word);
  if (whose !== NOBODY && !thread.isGone(Number(whose))) return;
  if (words.compareExchange64(word, whose, BigInt(thread.lockId)) !== whose) return;
  try {
    write();
  } finally {
    words.store64(word, NOBODY);
  }
}
