import { checkKindParts, type Kind } from "../bypass/kind.js";
import { checkObject, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { MemoryOptions } from "../host/memory.js";
import { checkSpawn } from "../host/spawn.js";

/** Options of a new host. */
export interface HostOptions extends MemoryOptions {
  /** Kinds of producers and consumers beside the built-in one. Fixed from now on, the same in every thread. */
  readonly kinds?: readonly Kind[];
}

/** Options of a thread that joins a host. */
export interface AttachOptions
  extends Pick<HostOptions, "kinds" | "platform" | "spawn" | "repairs" | "words" | "fastPath"> {}

/** Looks at what has no checks of its own. */
export function checkHostOptions(options: HostOptions): void {
  checkObject(options, "options such as { capacity: { vm: 4 } }, or none");
  const { kinds, platform, spawn, words } = options;
  if (kinds !== undefined) {
    if (!Array.isArray(kinds))
      throw new IrqBypassError("EINVAL", `kinds is ${show(kinds)}: give an array of kinds`);
    for (const kind of Array.from(kinds as readonly Kind[])) checkKindParts(kind);
  }
  if (platform !== undefined) checkObject(platform, "a Platform, or none");
  checkSpawn(spawn);
  if (words !== undefined && typeof words !== "function") {
    throw new IrqBypassError("EINVAL", `words is ${show(words)}: give a function that makes Words, or none`);
  }
}
