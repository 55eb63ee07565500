/**
 * What the library needs from the platform it runs on. One adapter for each platform, a page at most.
 */

/** Who a thread is to the operating system; zeros where the platform has no such names. */
export interface OsThread {
  /** The process; where there is none, a number that the thread has drawn for itself. */
  readonly pid: number;
  /** The thread. */
  readonly tid: number;
  /** Start time in clock ticks since boot, so that a reused tid is told from the old one. */
  readonly startTime: number;
  /** What the platform calls its worker, 0 for the main thread and where it has no numbers for them; below 2^28. */
  readonly worker: number;
}

/** A worker as whoever started it has it: Node's `Worker`. */
export interface WatchableWorker {
  /** Its number; that of a worker that has ended is -1. */
  readonly threadId: number;
  /** Hears of its end. */
  once(event: "exit", listener: () => void): unknown;
  /** The mirror image. */
  off(event: "exit", listener: () => void): unknown;
  /** Ends it; resolves when it has ended. */
  terminate(): Promise<unknown>;
}

/**
 * What the library uses of a worker that runs one of its threads: Node's `Worker` and the DOM's both are one, and either's
 * events will do.
 */
export interface ThreadWorker {
  /** Tells the thread what to do. */
  postMessage(message: unknown): void;
  /** Its number, as {@link OsThread.worker}; absent in a page. */
  readonly threadId?: number;
  /** Lets the process end while the worker runs. */
  unref?(): void;
  /** Ends it, wherever it is. */
  terminate?(): unknown;
  /** Node's events. */
  once?(event: "error" | "exit", listener: (value: unknown) => void): unknown;
  /** The DOM's events; it has none for the end of a worker. */
  addEventListener?(event: "error", listener: (event: unknown) => void): unknown;
}

/**
 * Named locks that go with the thread that has them: the proof that it has ended, where threads have no names of the system's. In
 * a page these are Web Locks, which all pages of an origin share.
 */
export interface ThreadLocks {
  /**
   * Asks for the lock `name`, for one thread alone or, "shared", for all that ask so, behind those who have asked before; calls `got`
   * from the event loop when the calling thread has it. It has it until it ends, or until the returned function is called, after
   * which `got` is not called any more. Never throws: where locks are refused, `got` does not come.
   */
  request(name: string, mode: "exclusive" | "shared", got: () => void): () => void;
  /** The names of all locks that somebody has; undefined where that cannot be had. */
  held(): Promise<readonly string[] | undefined>;
}

/** What the library uses of where it runs: one object for Node and one for the web, or the caller's own. */
export interface Platform {
  /** "node", "web", or a name of the caller's. */
  readonly name: string;
  /** May the calling thread block in `Atomics.wait`? False on a browser's main thread. */
  readonly mayBlock: boolean;
  /** Processor cores: a wait spins only where another core can make progress meanwhile. */
  readonly cores: number;
  /** Milliseconds on a monotonic clock; `performance.now` where absent. */
  readonly clock?: () => number;
  /** What the calling thread is called, where it has a name: see `Host.threads`. */
  readonly threadName?: string;
  /** What proves the end of a thread where {@link alive} cannot; absent where it can, or nothing does. */
  readonly locks?: ThreadLocks;
  /** The calling thread. */
  self(): OsThread;
  /** Is that thread alive? undefined where the platform has no proof either way. */
  alive(thread: OsThread): boolean | undefined;
  /**
   * Starts the module `file`, which lies beside `base`, as a worker. Absent where bundlers must see who starts what, as in a
   * page: there whoever wants a worker says `new Worker(new URL("./that-worker.js", import.meta.url))` itself.
   */
  readonly spawn?: (file: string, base: string) => ThreadWorker;
  /** In a worker: calls `listener` with each message of whoever started it, until the returned function is called. */
  messages(listener: (message: unknown) => void): () => void;
  /** In a worker: ends it, as soon as nothing runs in it any more. */
  leave(): void;
  /** Is this a worker whose exit event proves that it is gone? */
  isWorker(value: unknown): value is WatchableWorker;
  /** Keeps the event loop of this thread alive until the returned function is called, once. */
  hold(): () => void;
  /**
   * Calls `listener` when the calling thread comes to its end, by itself or by an error, with whether it ends well; it must not
   * throw, and waits for no event. Returns the function that takes it back. A thread that is ended from outside calls none, and
   * a page says nothing of its end.
   */
  onExit(listener: (well: boolean) => void): () => void;
  /** Calls `tick` about every `ms` without keeping the event loop alive; returns the stop. */
  every(ms: number, tick: () => void): () => void;
}
