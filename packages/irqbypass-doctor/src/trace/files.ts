/**
 * The few calls on a tracing file system that the trace needs, behind one interface so that it can be run on a tree
 * of ordinary files. All block, shortly.
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";

/** A tracing directory. Paths are relative to it. Each call throws what the file system throws. */
export interface TraceFiles {
  /** Where it is, for messages. */
  readonly root: string;
  list(path: string): string[];
  read(path: string): string;
  /** Writes into a file that is there already. */
  write(path: string, text: string): void;
  /** The kernel fills the new directory with the files of an instance. */
  makeInstance(path: string): void;
  /** The kernel takes the files away with the directory; EBUSY while one of them is open. */
  removeInstance(path: string): void;
  openPipe(path: string): TracePipe;
}

/** A `trace_pipe`: what is read is consumed. */
export interface TracePipe {
  /** What is there now; the empty text if there is nothing. Never waits. */
  read(): string;
  /** Idempotent. */
  close(): void;
}

/** Text that one read of the pipe gives at most; the kernel gives a page at a time. */
const CHUNK = 64 * 1024;

/** A tracing file system that is mounted at `root`. */
export function traceFiles(root: string): TraceFiles {
  return {
    root,
    list: (path) => readdirSync(join(root, path)),
    read: (path) => readFileSync(join(root, path), "utf8"),
    write(path, text) {
      // Never created: on a tree without this control file the write has to fail. Nor is a link followed.
      const fd = openSync(join(root, path), constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW);
      try {
        writeSync(fd, text);
      } finally {
        closeSync(fd);
      }
    },
    makeInstance: (path) => mkdirSync(join(root, path)),
    removeInstance: (path) => rmdirSync(join(root, path)),
    openPipe: (path) => openPipe(join(root, path)),
  };
}

function openPipe(path: string): TracePipe {
  let fd: number | null = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const buffer = Buffer.alloc(CHUNK);
  const decoder = new StringDecoder("utf8");
  return {
    read() {
      if (fd === null) return "";
      try {
        return decoder.write(buffer.subarray(0, readSync(fd, buffer)));
      } catch (error) {
        if (error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EINTR"))
          return "";
        throw error;
      }
    },
    close() {
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
}

/** The code of a file system error: "ENOENT". */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EIO";
}
