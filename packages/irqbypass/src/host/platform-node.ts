/**
 * The adapter to Node.js. It asks the process for its built-in modules instead of importing them, so that the
 * core loads where there are none; and late, as a process that starts no thread and waits for none needs few of them.
 */
import { IrqBypassError } from "./errors.js";
import type { OsThread, Platform, WatchableWorker } from "./platform.js";

// The one list of a thread that no object holds: it mirrors the one `process`, whose listeners are limited to ten before Node
// warns of a leak, while a program may well have more hosts and more VMs.
const leaving = new Set<(well: boolean) => void>();

function leaveAll(code: number): void {
  for (const listener of leaving) listener(code === 0);
}

/** The platform of a Node.js thread, or undefined where this is not Node.js. */
export function nodePlatform(): Platform | undefined {
  return typeof globalThis.process?.getBuiltinModule === "function" ? node : undefined;
}

// Who keeps the event loop of this thread alive, of which there is one: a timer for all, and nothing made by each.
let holds = 0;
let held: NodeJS.Timeout | undefined;

function letGo(): void {
  holds -= 1;
  if (holds === 0) held?.unref();
}

// A third of what a process's first host costs, where the process has not loaded it yet.
const threads = () => process.getBuiltinModule("node:worker_threads");
const files = () => process.getBuiltinModule("node:fs");
const countCores = () => process.getBuiltinModule("node:os").availableParallelism();
let cores: number | undefined; // of this machine, once somebody has asked: it is asked in each wait

// Frozen, as it is everybody's.
const node = Object.freeze<Platform>({
  name: "node",
  mayBlock: true,
  get cores() {
    cores ??= countCores();
    return cores;
  },
  clock() {
    // The global `performance` is loaded by the first look at it: a tenth of a process's first host.
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  },
  self,
  alive(thread) {
    if (thread.tid === 0) return undefined;
    try {
      return startTime(thread.pid, thread.tid) === thread.startTime;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENOENT" ? false : undefined;
    }
  },
  spawn: (file, base) => new (threads().Worker)(new URL(file, base)),
  messages(listener) {
    const { parentPort } = threads();
    parentPort?.on("message", listener);
    return () => parentPort?.off("message", listener);
  },
  leave() {}, // a worker ends when nobody listens to its messages any more
  isWorker: (value): value is WatchableWorker => value instanceof threads().Worker,
  hold() {
    held ??= setInterval(() => {}, 0x7fffffff);
    if (holds === 0) held.ref();
    holds += 1;
    return letGo;
  },
  onExit(listener) {
    // Another function for each call, so that the same one may be given twice.
    const own = (well: boolean) => listener(well);
    if (leaving.size === 0) process.on("exit", leaveAll);
    leaving.add(own);
    return () => {
      if (leaving.delete(own) && leaving.size === 0) process.off("exit", leaveAll);
    };
  },
  every(ms, tick) {
    // When this thread has come to the end of what it is doing, before which nothing ticks: timers are slow to load.
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    void Promise.resolve().then(() => {
      if (!stopped) timer = setInterval(tick, ms).unref();
    });
    return () => {
      stopped = true;
      clearInterval(timer);
    };
  },
});

function self(): OsThread {
  try {
    const [pid, , tid] = files().readlinkSync("/proc/thread-self").split("/").map(Number) as [
      number,
      0,
      number,
    ];
    // The process's first thread is no worker: without asking, it is not said to be one.
    const worker = pid === tid ? 0 : threads().threadId;
    return { pid, tid, startTime: startTime(pid, tid), worker };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EMFILE" || code === "ENFILE") {
      throw new IrqBypassError(
        code,
        "this thread cannot look up its name in /proc, by which others know whether it lives: no descriptor is left, close some or raise the limit (ulimit -n)",
        { subject: "/proc/thread-self", syscall: "open", cause },
      );
    }
    // No /proc: then only an exit event proves anything about a thread, which is what zeros say.
    return { pid: process.pid, tid: 0, startTime: 0, worker: threads().threadId };
  }
}

/** Field 22 of a thread's stat file; the name in field 2 may contain blanks, so count from its last ")". */
function startTime(pid: number, tid: number): number {
  const stat = files().readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}
