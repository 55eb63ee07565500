/** What this process has open, to show that nothing is left behind. */
import { readdirSync, readlinkSync } from "node:fs";

/** A file that a thread has open for the moment in which it loads it. */
const MODULE = /\.(?:[cm]?js|json|node|wasm)$/;

/**
 * The targets of all open descriptors, sorted; the one that reads the list is not among them, nor are modules: another thread may be
 * loading some.
 */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // the descriptor of the directory itself, closed by now
      }
    })
    .filter((target) => !MODULE.test(target))
    .sort();
}

/** The same as soon as it stays so for a moment: threads that others have ended close theirs on the event loop, a little later. */
export async function settledDescriptors(): Promise<string[]> {
  let found = openDescriptors();
  for (let quiet = 0, turn = 0; quiet < 20 && turn < 500; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = openDescriptors();
    quiet = now.join() === found.join() ? quiet + 1 : 0;
    found = now;
  }
  return found;
}
