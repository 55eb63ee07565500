/**
 * `--trace`: follows KVM's and the interrupt core's tracepoints for a while and says what they showed. Needs root.
 * Records into a tracing instance of its own, which is removed on every path, Ctrl-C included; it changes nothing
 * else. KVM reports an update of a table entry when it happens, so what was set up before the trace does not show.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { LineCutter } from "../parse/trace-line.js";
import { DoctorError } from "../source/error.js";
import { LiveSource } from "../source/live.js";
import { rightFor } from "../source/rights.js";
import { type AbortSignalLike, attempt } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { codeOf, type TraceFiles, traceFiles } from "./files.js";
import { startInstance } from "./instance.js";
import { TraceJoin } from "./join.js";

export interface TraceOptions {
  /** For how long to follow. */
  readonly seconds: number;
  readonly signal?: AbortSignalLike | undefined;
  /** Called some times a second with the seconds that are left. */
  readonly progress?: ((secondsLeft: number) => void) | undefined;
  /** Called once, when the events are recorded and not before: start now what is to be seen. */
  readonly started?: (() => void) | undefined;
}

/** What the trace needs of its surroundings. */
export interface TraceIo {
  readonly files: TraceFiles;
  /** Names the instance. */
  readonly pid: number;
  /** Whether this process runs, as far as can be told from here. */
  readonly runs: (pid: number) => boolean;
  /** Seconds of the monotonic clock, the one that events are stamped with. */
  readonly now: () => number;
  /** Runs `call` when the process ends by another way; gives the function that takes it back. */
  readonly atExit: (call: () => void) => () => void;
}

/** Between two looks at the pipe, in milliseconds. */
const LOOK_MS = 50;
/** Reads of a page between two turns of the event loop, so that a flood of events cannot keep Ctrl-C waiting. */
const READS = 32;
const TICK_SECONDS = 0.25;

/**
 * Follows the events. Leaves the event loop free between short looks at the pipe.
 * @throws DoctorError EINTR when `signal` aborts; ENOENT, EACCES and the like where the trace cannot start; EBUSY if
 * the instance cannot be removed.
 */
export async function followTrace(options: TraceOptions, io: TraceIo): Promise<TraceFacts> {
  const interrupted = () => {
    if (options.signal?.aborted === true)
      throw new DoctorError("EINTR", "interrupted before the trace was over");
  };
  interrupted();
  const instance = startInstance(io);
  const takeBack = io.atExit(() => instance.remove());
  try {
    const began = io.now();
    const join = new TraceJoin(instance.formats, instance.monotonic ? began : null);
    const cutter = new LineCutter();
    /** True if there may be more at once. */
    const drain = () => {
      for (let i = 0; i < READS; i += 1) {
        const text = instance.pipe.read();
        if (text === "") return false;
        for (const line of cutter.push(text)) join.add(line);
      }
      return true;
    };
    options.started?.();
    let told = Number.POSITIVE_INFINITY;
    for (;;) {
      const left = options.seconds - (io.now() - began);
      if (left <= 0) break;
      if (told - left >= TICK_SECONDS) {
        options.progress?.(left);
        told = left;
      }
      const more = drain();
      await pause(more ? 0 : Math.min(LOOK_MS, left * 1000), options.signal);
      interrupted();
    }
    instance.stop();
    const seconds = io.now() - began;
    // What was recorded is bounded by the buffer, so this ends.
    while (drain()) {
      await pause(0, options.signal);
      interrupted();
    }
    return join.facts(seconds, instance.followed, instance.generation, instance.notes);
  } finally {
    takeBack();
    instance.remove();
  }
}

/**
 * The tracing directory of the host whose files are under `root` ("/" for this one).
 * @throws DoctorError ENOENT if none is mounted there; EACCES if it may not be looked into; EPERM if others may change
 * what is below `root`.
 */
export function findTraceFiles(root: string): TraceFiles {
  const { tree } = new LiveSource(root);
  let closed: string | undefined;
  try {
    for (const place of PLACES) {
      const found = attempt(place, () => tree.writable(place));
      if (found.state === "unreadable") closed ??= join(root, place);
      // Not by access(2), which asks for the user and not for the capabilities.
      if (
        found.state === "read" &&
        attempt(place, () => lstatSync(join(found.value, "events"))).state === "read"
      )
        return traceFiles(found.value);
    }
  } finally {
    tree.close();
  }
  if (closed !== undefined)
    throw new DoctorError("EACCES", `--trace may not look into ${closed}: that needs ${rightFor("trace")}`);
  const first = join(root, PLACES[0]);
  throw new DoctorError(
    "ENOENT",
    `--trace finds no tracing file system at ${first}: mount it with: sudo mount -t tracefs tracefs ${first}`,
  );
}

const PLACES = ["sys/kernel/tracing", "sys/kernel/debug/tracing"] as const;

/** The trace's surroundings in this process. */
export function processTraceIo(root: string): TraceIo {
  return {
    files: findTraceFiles(root),
    pid: process.pid,
    runs(pid) {
      try {
        return process.kill(pid, 0);
      } catch (error) {
        return codeOf(error) !== "ESRCH"; // EPERM: another user's
      }
    },
    now: () => Number(process.hrtime.bigint()) / 1e9,
    atExit(call) {
      process.once("exit", call);
      return () => process.off("exit", call);
    },
  };
}

/** Waits; an abort ends it early. */
function pause(ms: number, signal: AbortSignalLike | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
