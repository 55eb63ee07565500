/** What a caller gives a thread to run with, of its own, looked at before it is used: a platform, and a way to the words. */
import { checkObject, reading, show } from "./argument.js";
import { IrqBypassError } from "./errors.js";
import type { Platform } from "./platform.js";
import { NAME_UNITS } from "./thread-name.js";

/** The functions of a {@link Platform}: must it have this one? */
const PLATFORM_CALLS = {
  self: true,
  alive: true,
  messages: true,
  leave: true,
  isWorker: true,
  hold: true,
  onExit: true,
  every: true,
  clock: false,
  spawn: false,
} satisfies Partial<Record<keyof Platform, boolean>>;
const PLATFORM = "a Platform, or none";

/** Throws EINVAL for what is neither a platform nor left out. One of the caller's own may have more: that is its own business. */
export function checkPlatform(platform: Platform | undefined): void {
  if (platform === undefined) return;
  checkObject(platform, PLATFORM);
  reading(PLATFORM, () => {
    const { name, mayBlock, cores } = platform;
    const counts = Number.isSafeInteger(cores) && cores >= 0;
    if (typeof name !== "string" || typeof mayBlock !== "boolean" || !counts) {
      throw new IrqBypassError(
        "EINVAL",
        "a platform without its name, mayBlock or a number of cores was passed: see the members of Platform",
      );
    }
    for (const [call, needed] of Object.entries(PLATFORM_CALLS)) {
      const value = platform[call as keyof typeof PLATFORM_CALLS];
      if (typeof value === "function" || (value === undefined && !needed)) continue;
      throw new IrqBypassError("EINVAL", `platform.${call} is ${show(value)}: give a function`);
    }
    const { locks, threadName } = platform;
    if (locks !== undefined && (typeof locks?.request !== "function" || typeof locks.held !== "function"))
      throw new IrqBypassError(
        "EINVAL",
        `platform.locks is ${show(locks)}: see ThreadLocks, or leave it out`,
      );
    if (threadName !== undefined && typeof threadName !== "string")
      throw new IrqBypassError("EINVAL", `platform.threadName is ${show(threadName)}: give a name, or none`);
  });
}

/** The same for what a thread is to be called. */
export function checkName(name: unknown): void {
  if (name === undefined || (typeof name === "string" && name.length <= NAME_UNITS && !name.includes("\0")))
    return;
  throw new IrqBypassError(
    "EINVAL",
    `name is ${show(name)}: give a text of at most ${NAME_UNITS} characters, or none`,
  );
}

/** The same for another way to the words. */
export function checkWords(words: unknown): void {
  if (words === undefined || typeof words === "function") return;
  throw new IrqBypassError("EINVAL", `words is ${show(words)}: give a function that makes Words, or none`);
}
