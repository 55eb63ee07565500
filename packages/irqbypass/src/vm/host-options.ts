import { checkKindParts, type Kind } from "../bypass/kind.js";
import { checkFlag, isList, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { checkSpinUs } from "../host/header.js";
import { checkName, checkPlatform, checkWords } from "../host/means.js";
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
  extends Pick<HostOptions, "kinds" | "platform" | "name" | "spawn" | "repairs" | "words" | "fastPath"> {}

const ATTACH: OptionNames<AttachOptions> = {
  kinds: true,
  platform: true,
  name: true,
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
const HANDLE_TEXT = "the handle of a host, as host.handle is";
const HANDLE: OptionNames<HostHandle> = { memory: true, byteOffset: true };

/** Reads the options of a new host, and looks at what has no checks of its own. */
export function readHostOptions(options: HostOptions): HostOptions {
  const read = readOptions(options, CREATE, 'options such as { size: "medium" }, or none');
  checkSpinUs(read.spinUs);
  return checkShared(read);
}

/** The handle that a thread joins a host with. */
export function readHandle(handle: HostHandle): HostHandle {
  const read = readOptions(handle, HANDLE, HANDLE_TEXT);
  if (read.memory === undefined)
    throw new IrqBypassError("EINVAL", `a handle without a memory was passed: pass on host.handle`);
  return read;
}

/** The same as {@link readHostOptions} for a thread that joins one. */
export function readAttachOptions(options: AttachOptions): AttachOptions {
  return checkShared(readOptions(options, ATTACH, "options such as { kinds: [linux()] }, or none"));
}

function checkShared<Options extends AttachOptions>(options: Options): Options {
  const { kinds, platform, name, spawn, repairs, words } = options;
  if (kinds !== undefined && !isList(kinds))
    throw new IrqBypassError("EINVAL", `kinds is ${show(kinds)}: give an array of kinds`);
  const all = kinds && reading("an array of kinds", () => Array.from(kinds));
  for (const kind of all ?? []) reading("kinds that can be read", () => checkKindParts(kind));
  checkFlag(repairs, "repairs");
  checkPlatform(platform);
  checkName(name);
  checkSpawn(spawn);
  checkWords(words);
  return all === undefined ? options : { ...options, kinds: all };
}
