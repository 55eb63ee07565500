import { checkKindParts, type Kind } from "../bypass/kind.js";
import { checkFlag, checkObject, checkOptions, type OptionNames, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { checkSpinUs } from "../host/header.js";
import type { MemoryOptions } from "../host/memory.js";
import type { Platform } from "../host/platform.js";
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
  spinUs: true,
};
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
const HANDLE_TEXT = "the handle of a host, as host.handle is";
const HANDLE: OptionNames<HostHandle> = { memory: true, byteOffset: true };

/** Looks at what has no checks of its own in the options of a new host. */
export function checkHostOptions(options: HostOptions): void {
  checkOptions(options, CREATE, 'options such as { size: "medium" }, or none');
  checkSpinUs(options.spinUs);
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
  if (platform !== undefined) checkPlatform(platform);
  checkSpawn(spawn);
  if (words !== undefined && typeof words !== "function") {
    throw new IrqBypassError("EINVAL", `words is ${show(words)}: give a function that makes Words, or none`);
  }
}

/** One of the caller's own may have more than these: what is its own business is not looked at. */
function checkPlatform(platform: Platform): void {
  checkObject(platform, "a Platform, or none");
  const { name, mayBlock, cores } = platform;
  if (typeof name !== "string" || typeof mayBlock !== "boolean" || typeof cores !== "number") {
    throw new IrqBypassError(
      "EINVAL",
      "a platform without its name, mayBlock or cores was passed: see the members of Platform",
    );
  }
  for (const [call, needed] of Object.entries(PLATFORM_CALLS)) {
    const value = platform[call as keyof typeof PLATFORM_CALLS];
    if (typeof value === "function" || (value === undefined && !needed)) continue;
    throw new IrqBypassError("EINVAL", `platform.${call} is ${show(value)}: give a function`);
  }
}
