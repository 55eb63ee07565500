/** What this process has open, to show that nothing is left behind. */
import { readdirSync, readlinkSync } from "node:fs";

/** The targets of all open descriptors, sorted; the one that reads the list is not among them. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // the descriptor of the directory itself, closed by now
      }
    })
    .sort();
}
