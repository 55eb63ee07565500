/** What compiled code calls that leaves interrupt files to its host: the functions of `interrupt_file.h`, by address. */
import { IrqBypassError } from "../host/errors.js";
import type { FileWake } from "./place.js";

/** An import object for `WebAssembly.Instance`. Addresses count bytes, and are those of interrupt files. */
export interface FileImports {
  /** The module that `interrupt_file.h` imports from, with IF_IMPORTED. */
  readonly interrupt_file: {
    /** Posts an id, of which the lower eight bits count. */
    post(file: number, id: number): void;
    /** 1 or 0. */
    pending(file: number): number;
    /** Adds to the eight words at `into`; returns in which of them there was something. */
    harvest(file: number, into: number): number;
    /** Less than 0: for ever. Returns one of `enum if_wake`. */
    block(file: number, timeoutNs: bigint): number;
    /** `InterruptFile.kick`. */
    kick(file: number): void;
    /** `InterruptFile.suspend`. */
    suspend(file: number): void;
    /** `InterruptFile.resume`. */
    resume(file: number): void;
    /** `InterruptFile.renotify`. */
    renotify(file: number): void;
  };
}

/** A file, as far as compiled code uses it. */
interface File {
  post(id: number): void;
  pending(): boolean;
  harvestAt(into: number): number;
  block(options: { readonly timeoutMs: number }): FileWake;
  kick(): void;
  suspend(): void;
  resume(): void;
  renotify(): void;
}

/** `enum if_wake` of the header. */
const WAKES: readonly FileWake[] = ["interrupt", "event", "kicked", "timeout", "suspended"];
const NS_PER_MS = 1e6;

/** The imports over the files that `open` opens, each once. */
export function importsOf(open: (byteOffset: number) => File): FileImports {
  const files = new Map<number, File>();
  const at = (address: number): File => {
    let file = files.get(address);
    if (file === undefined) {
      if (typeof address !== "number")
        throw new IrqBypassError("EINVAL", "an interrupt file's address is an i32, which is a number here");
      file = open(address >>> 0); // an i32 is signed
      files.set(address, file);
    }
    return file;
  };
  return {
    interrupt_file: {
      post: (file, id) => at(file).post(id & 255),
      pending: (file) => (at(file).pending() ? 1 : 0),
      harvest: (file, into) => at(file).harvestAt(into >>> 0),
      block(file, timeoutNs) {
        if (typeof timeoutNs !== "bigint")
          throw new IrqBypassError("EINVAL", "block takes its nanoseconds as an i64, which is a bigint here");
        const timeoutMs = timeoutNs < 0n ? Infinity : Number(timeoutNs) / NS_PER_MS;
        return WAKES.indexOf(at(file).block({ timeoutMs }));
      },
      kick: (file) => at(file).kick(),
      suspend: (file) => at(file).suspend(),
      resume: (file) => at(file).resume(),
      renotify: (file) => at(file).renotify(),
    },
  };
}
