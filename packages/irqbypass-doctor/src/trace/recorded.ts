/**
 * A trace that somebody else recorded, as text: of trace_pipe or the file `trace` of tracefs (running or stopped), of
 * trace-cmd report, or of perf script. It is joined as the doctor's own is, and so judged the same.
 */
import { closeSync, constants, createReadStream, openSync, readSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { LineCutter, parseTraceLine } from "../parse/trace-line.js";
import { DoctorError } from "../source/error.js";
import type { AbortSignalLike } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { generationOf, readersOfRecorded } from "./events.js";
import { codeOf } from "./files.js";
import { TraceJoin } from "./join.js";

/** What is read between two turns of the event loop. */
const CHUNK = 256 * 1024;

/** Files that hold a trace and not its text, by how they begin. */
const BINARY: readonly (readonly [start: string, advice: string])[] = [
  ["\u0017\bDtracing", "this is a trace.dat; give what `trace-cmd report` prints of it"],
  ["PERFILE2", "this is a perf.data; give what `perf script` prints of it"],
  ["\u001f", "this is packed; unpack it first"],
];

/**
 * Reads the trace in `path`; "-" is standard input. Nothing is written, but reading a trace_pipe takes out of it what is
 * read: only what is there is read, without waiting for more. Leaves the event loop free between chunks.
 * @throws DoctorError EINVAL if it holds no line of a trace, ENOENT, EACCES and the like if it cannot be read, EINTR when
 * `signal` aborts.
 */
export async function readRecordedTrace(path: string, signal?: AbortSignalLike): Promise<TraceFacts> {
  const name = path === "-" ? "standard input" : path;
  const refuse = (why: string): never => {
    throw new DoctorError("EINVAL", `${name}: ${why}`);
  };
  const recorded = new Recorded();
  const cutter = new LineCutter();
  let beginning = true;
  for await (const text of chunksOf(path, name)) {
    if (signal?.aborted === true) throw new DoctorError("EINTR", "interrupted while the trace was read");
    if (beginning) {
      const advice = BINARY.find(([start]) => text.startsWith(start))?.[1];
      if (advice !== undefined) refuse(advice);
      beginning = false;
    }
    for (const line of cutter.push(text)) recorded.add(line);
  }
  for (const line of cutter.push("\n")) recorded.add(line);
  return (
    recorded.facts() ??
    refuse(
      "no line of it is one of trace_pipe, of trace-cmd report or of perf script: give the text of a trace",
    )
  );
}

/** Takes lines and gives the facts; what a trace of the doctor's own knows from its start is learnt from the lines. */
class Recorded {
  readonly #join = new TraceJoin(readersOfRecorded(), null);
  readonly #seen = new Set<string>();
  #generation: string | null = null;
  #first: number | undefined;
  #last = 0;

  add(line: string): void {
    const parsed = parseTraceLine(line);
    if (parsed === null) return;
    this.#join.add(line);
    if ("lost" in parsed) return;
    this.#first = Math.min(this.#first ?? parsed.at, parsed.at);
    this.#last = Math.max(this.#last, parsed.at);
    const system = SYSTEMS.get(parsed.event);
    if (system === undefined) return;
    this.#seen.add(`${system}:${parsed.event}`);
    if (parsed.event === "kvm_pi_irte_update") this.#generation ??= generationOf(parsed.text) ?? null;
  }

  /** undefined if there was no event at all. */
  facts(): TraceFacts | undefined {
    if (this.#first === undefined) return undefined;
    const notes = [
      "the trace was recorded by others: it is taken for one that ended now, and a VM or device that was started since is not in it",
    ];
    if (this.#seen.size === 0)
      notes.push("the trace has none of the events that tell of interrupts that bypass");
    return this.#join.facts(this.#last - this.#first, [...this.#seen], this.#generation, notes);
  }
}

const SYSTEMS: ReadonlyMap<string, string> = new Map(
  [...readersOfRecorded().keys()].map((event) => [event, event.startsWith("irq_") ? "irq" : "kvm"]),
);

async function* chunksOf(path: string, name: string): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  try {
    if (path === "-") {
      for await (const chunk of process.stdin) yield decoder.write(chunk as Buffer);
      return;
    }
    const stat = statSync(path);
    if (stat.isFIFO()) {
      // Such as the shell's <(trace-cmd report): it ends when its writer does.
      for await (const chunk of createReadStream(path)) yield decoder.write(chunk as Buffer);
      return;
    }
    if (!stat.isFile()) throw new DoctorError("EINVAL", `${name} is no file: give the text of a trace`);
    // Without waiting: a trace_pipe has no end while the trace goes on.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      yield* readAll(fd, decoder);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof DoctorError) throw error;
    const code = codeOf(error);
    throw new DoctorError(
      code === "ENOENT" || code === "EACCES" || code === "EPERM" ? code : "EIO",
      `${name} cannot be read (${code}): name a file with the text of a trace`,
      error,
    );
  }
}

async function* readAll(fd: number, decoder: StringDecoder): AsyncGenerator<string> {
  const buffer = Buffer.alloc(CHUNK);
  for (;;) {
    let length: number;
    try {
      length = readSync(fd, buffer);
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return;
      throw error;
    }
    if (length === 0) return;
    yield decoder.write(buffer.subarray(0, length));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
