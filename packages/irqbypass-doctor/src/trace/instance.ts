/**
 * A tracing instance of the doctor's own: a buffer apart from the host's, so that nobody else's trace is disturbed.
 */

import { parseEventFormat } from "../parse/trace-format.js";
import { DoctorError } from "../source/error.js";
import { rightFor } from "../source/rights.js";
import { FOLLOWED, type FollowedEvent, type MatchedFormat } from "./events.js";
import { codeOf, type TraceFiles, type TracePipe } from "./files.js";

const PREFIX = "irqbypass-doctor-";
/** Kilobytes of buffer for each CPU. */
const BUFFER_KB = 1024;
/** A file of the instance may stay in use for a moment after it was closed. */
const REMOVE_ATTEMPTS = 20;
const REMOVE_PAUSE_MS = 10;
const MAKE_ATTEMPTS = 10;
/** The instance is gone, or was found and is being removed by another process. */
const GONE: readonly string[] = ["ENOENT", "ENODEV"];

/** An instance that records. */
export interface TraceInstance {
  readonly pipe: TracePipe;
  /** "kvm:kvm_pi_irte_update", in the order in which they were started. */
  readonly followed: readonly string[];
  /** How to read each event, by its name without the system. */
  readonly formats: ReadonlyMap<string, MatchedFormat>;
  readonly generation: string | null;
  /** True if the events carry the monotonic clock; false for the kernel's own choice. */
  readonly monotonic: boolean;
  readonly notes: readonly string[];
  /** Stops recording; the pipe still gives what was recorded. */
  stop(): void;
  /**
   * Stops recording and removes the instance. Idempotent; blocks up to a fifth of a second.
   * @throws DoctorError EBUSY if it cannot be removed.
   */
  remove(): void;
}

/** By which an instance is told from those of other doctors. */
interface Owner {
  readonly files: TraceFiles;
  readonly pid: number;
  readonly runs: (pid: number) => boolean;
}

/**
 * Makes the instance of process `pid` and starts every event of {@link FOLLOWED} that this kernel has in a known
 * format. If that fails, nothing of it is left.
 * @throws DoctorError ENOENT where no event can be followed; EACCES or EPERM without the right to make an instance.
 */
export function startInstance(owner: Owner): TraceInstance {
  const { files } = owner;
  const notes: string[] = [];
  removeStale(owner, notes);
  const dir = `instances/${PREFIX}${owner.pid}`;
  const pipe = makeInstance(files, dir);
  let removed = false;
  const stop = () => {
    attempt(() => files.write(`${dir}/tracing_on`, "0"));
    attempt(() => files.write(`${dir}/events/enable`, "0"));
  };
  const remove = () => {
    if (removed) return;
    removed = true;
    pipe.close();
    stop();
    removeInstance(files, dir);
  };
  try {
    // A clock that all CPUs share: what happened last is decided by it.
    const monotonic = attempt(() => files.write(`${dir}/trace_clock`, "mono"));
    attempt(() => files.write(`${dir}/buffer_size_kb`, String(BUFFER_KB)));
    const formats = new Map<string, MatchedFormat>();
    const followed: string[] = [];
    let generation: string | null = null;
    for (const wanted of FOLLOWED) {
      const event = presentOf(files, dir, wanted);
      const matched = startEvent(files, dir, event, notes);
      if (matched === null) continue;
      formats.set(event.name, matched);
      followed.push(`${event.system}:${event.name}`);
      generation ??= matched.generation ?? null;
    }
    if (followed.length === 0) {
      throw new DoctorError(
        "ENOENT",
        `--trace found no event to follow under ${files.root}: ${notes.join("; ")}`,
      );
    }
    return { pipe, followed, formats, generation, monotonic, notes, stop, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * Makes an instance and opens its pipe, by which it is known to be in use. Until then a doctor that does not see this
 * process, since it is in another container, takes it for one that was left and removes it: then it is made again.
 */
function makeInstance(files: TraceFiles, dir: string): TracePipe {
  for (let left = MAKE_ATTEMPTS; ; left -= 1) {
    try {
      files.makeInstance(dir);
    } catch (error) {
      // The name of one that is being removed is free when that is done.
      const again = left < MAKE_ATTEMPTS && left > 1 && codeOf(error) === "EEXIST";
      if (!again) throw refusal(files, dir, error);
      pause(REMOVE_PAUSE_MS);
      continue;
    }
    try {
      return files.openPipe(`${dir}/trace_pipe`);
    } catch (error) {
      removeInstance(files, dir);
      const code = codeOf(error);
      // EBUSY: what was found is the memory of another one by now. Nobody else opens this one's.
      if ((GONE.includes(code) || code === "EBUSY") && left > 1) continue;
      throw new DoctorError("EIO", `--trace could not open ${files.root}/${dir}/trace_pipe (${code})`, error);
    }
  }
}

/** The event, or the one that this kernel has in its place. */
function presentOf(files: TraceFiles, dir: string, event: FollowedEvent): FollowedEvent {
  const other = event.elsewhere;
  if (other === undefined) return event;
  const has = ({ system, name }: FollowedEvent) =>
    attempt(() => files.read(`${dir}/events/${system}/${name}/format`));
  return !has(event) && has(other) ? other : event;
}

/** Starts one event; null, with a note, if it is not there, not of a known format, or refuses. */
function startEvent(
  files: TraceFiles,
  dir: string,
  event: FollowedEvent,
  notes: string[],
): MatchedFormat | null {
  const path = `${dir}/events/${event.system}/${event.name}`;
  const name = `${event.system}:${event.name}`;
  const cannot = (why: string) => {
    notes.push(`${name} ${why}, so the trace cannot tell ${event.without}`);
    return null;
  };
  let text: string;
  try {
    text = files.read(`${path}/format`);
  } catch (error) {
    const absent = codeOf(error) === "ENOENT";
    return cannot(absent ? "is not in this kernel" : `has an unreadable format (${codeOf(error)})`);
  }
  let matched: MatchedFormat | null;
  let raw = text.slice(0, 200).replaceAll(/\s+/g, " ").trim();
  try {
    const format = parseEventFormat(text);
    raw = `fields ${format.fields.join(", ")}; text "${format.text}"`;
    matched = event.match(format);
  } catch {
    matched = null;
  }
  if (matched === null) return cannot(`has a format that is not known (${raw})`);
  const { filter } = event;
  if (filter !== undefined && !attempt(() => files.write(`${path}/filter`, filter))) {
    notes.push(`${name} could not be filtered: other devices' interrupts fill the buffer too`);
  }
  if (!attempt(() => files.write(`${path}/enable`, "1"))) return cannot("could not be started");
  return matched;
}

/**
 * Removes what a doctor that was killed has left. One that runs keeps its pipe open, so its instance stays; that of a
 * process that is seen to run is not tried, since it may not have come to that yet.
 */
function removeStale({ files, pid, runs }: Owner, notes: string[]): void {
  let names: string[] = [];
  attempt(() => {
    names = files.list("instances");
  });
  for (const name of names.filter((one) => one.startsWith(PREFIX))) {
    const other = Number(name.slice(PREFIX.length));
    if (other !== pid && other > 0 && runs(other)) continue;
    const path = `instances/${name}`;
    if (attempt(() => files.removeInstance(path)))
      notes.push(`removed ${files.root}/${path}, which no doctor had open`);
  }
}

function removeInstance(files: TraceFiles, dir: string): void {
  for (let left = REMOVE_ATTEMPTS; ; left -= 1) {
    try {
      files.removeInstance(dir);
      return;
    } catch (error) {
      if (GONE.includes(codeOf(error))) return;
      if (left > 1 && codeOf(error) === "EBUSY") {
        pause(REMOVE_PAUSE_MS);
        continue;
      }
      throw new DoctorError(
        "EBUSY",
        `the tracing instance ${files.root}/${dir} could not be removed (${codeOf(error)}); it records nothing any ` +
          `more; remove it with: rmdir ${files.root}/${dir}`,
        error,
      );
    }
  }
}

function refusal(files: TraceFiles, dir: string, error: unknown): DoctorError {
  const code = codeOf(error);
  const path = `${files.root}/${dir}`;
  if (code === "EACCES")
    return new DoctorError(code, `--trace may not make ${path}: that needs ${rightFor("trace")}`, error);
  if (code === "EPERM" || code === "EROFS") {
    const why = "it is mounted to be read only, or the kernel forbids it to root too, as lockdown does";
    return new DoctorError("EPERM", `--trace may not make ${path} (${code}): ${why}`, error);
  }
  if (code === "EEXIST") {
    return new DoctorError(
      "EEXIST",
      `${path} is there already and in use; remove it with: rmdir ${path}`,
      error,
    );
  }
  if (code === "ENOENT") {
    return new DoctorError(
      "ENOENT",
      `--trace finds no ${files.root}/instances: this kernel has no tracing instances`,
      error,
    );
  }
  return new DoctorError("EIO", `--trace could not make ${path} (${code})`, error);
}

/** True if `call` did not throw. */
function attempt(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}

/** Blocks this thread: removal must also work where the event loop runs no more. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
