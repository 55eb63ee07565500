/**
 * The adapter to Node.js. It asks the process for its built-in modules instead of importing them, so that the
 * core loads where there are none.
 */
import type { Platform, WatchableWorker } from "./platform.js";

/** The platform of a Node.js thread, or undefined where this is not Node.js. */
export function nodePlatform(): Platform | undefined {
  const process = globalThis.process;
  if (typeof process?.getBuiltinModule !== "function") return undefined;
  const { Worker, parentPort, threadId: worker } = process.getBuiltinModule("node:worker_threads");
  const { readFileSync, readlinkSync } = process.getBuiltinModule("node:fs");
  const { availableParallelism } = process.getBuiltinModule("node:os");

  /** Field 22 of a thread's stat file; the name in field 2 may contain blanks, so count from its last ")". */
  function startTime(pid: number, tid: number): number {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  }

  return {
    name: "node",
    mayBlock: true,
    cores: availableParallelism(),
    self() {
      try {
        const [pid, , tid] = readlinkSync("/proc/thread-self").split("/");
        return { pid: Number(pid), tid: Number(tid), startTime: startTime(Number(pid), Number(tid)), worker };
      } catch {
        // No /proc: then only an exit event proves anything about a thread, which is what zeros say.
        return { pid: process.pid, tid: 0, startTime: 0, worker };
      }
    },
    alive(thread) {
      if (thread.tid === 0) return undefined;
      try {
        return startTime(thread.pid, thread.tid) === thread.startTime;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === "ENOENT" ? false : undefined;
      }
    },
    spawn: (file, base) => new Worker(new URL(file, base)),
    messages(listener) {
      parentPort?.on("message", listener);
      return () => parentPort?.off("message", listener);
    },
    leave() {}, // a worker ends when nobody listens to its messages any more
    isWorker: (value): value is WatchableWorker => value instanceof Worker,
    hold() {
      const timer = setInterval(() => {}, 0x7fffffff);
      return () => clearInterval(timer);
    },
    every(ms, tick) {
      const timer = setInterval(tick, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}
