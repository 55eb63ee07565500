import { checkKindParts, type Kind } from "../bypass/kind.js";
import { checkFlag, checkObject, checkOptions, type OptionNames, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { MemoryOptions } from "../host/memory.js";
import type { HostHandle } from "../host/reserve.js";
import { checkSpawn } from "../host/spawn.js";

/** Options of a new host. */
export interface HostOptions extends MemoryOptions {
  /** Kinds of producers and consumers beside the built-in one. Fixed from now on, the same in every thread. */
  readonly kinds?: readonly Kind[];
}

/** Options of a thread that joins a host. */
export interface AttachOptions
  extends Pick<HostOptions, "kinds" | "platform" | "spawn" | "repairs" | "words" | "fastPath"> {}

const ATTACH: OptionNames<AttachOptions> = {
  kinds: true,
  platform: true,
  spawn: true,
  repairs: true,
  words: true,
  fastPath: true,
};
const CREATE: OptionNames<HostOptions> = {
  ...ATTACH,
  memory: true,
  byteOffset: true,
  size: true,
  capacity: true,
};
const HANDLE_TEXT = "the handle of a host, as host.handle is";
const HANDLE: OptionNames<HostHandle> = { memory: true, byteOffset: true };

/** Looks at what has no checks of its own in the options of a new host. */
export function checkHostOptions(options: HostOptions): void {
  checkOptions(options, CREATE, 'options such as { size: "medium" }, or none');
  checkShared(options);
}

/** The same for a thread that joins one. */
export function checkAttachOptions(handle: HostHandle, options: AttachOptions): void {
  checkOptions(handle, HANDLE, HANDLE_TEXT);
  if (handle.memory === undefined)
    throw new IrqBypassError("EINVAL", `a handle without a memory was passed: pass on host.handle`);
  checkOptions(options, ATTACH, "options such as { kinds: [linux()] }, or none");
  checkShared(options);
}

function checkShared({ kinds, platform, spawn, repairs, words }: AttachOptions): void {
  if (kinds !== undefined) {
    if (!Array.isArray(kinds))
      throw new IrqBypassError("EINVAL", `kinds is ${show(kinds)}: give an array of kinds`);
    for (const kind of Array.from(kinds as readonly Kind[])) checkKindParts(kind);
  }
  checkFlag(repairs, "repairs");
  if (platform !== undefined) checkObject(platform, "a Platform, or none");
  checkSpawn(spawn);
  if (words !== undefined && typeof words !== "function") {
    throw new IrqBypassError("EINVAL", `words is ${show(words)}: give a function that makes Words, or none`);
  }
}
