/**
 * What the library needs from the platform it runs on. One adapter for each platform, a page at most.
 */

/** Who a thread is to the operating system; zeros where the platform has no such names. */
export interface OsThread {
  readonly pid: number;
  readonly tid: number;
  /** Start time in clock ticks since boot, so that a reused tid is told from the old one. */
  readonly startTime: number;
  /** What the platform calls its worker, 0 for the main thread and where it has no numbers for them; below 2^29. */
  readonly worker: number;
}

/** A worker as whoever started it has it: Node's `Worker`. */
export interface WatchableWorker {
  /** Its number; that of a worker that has ended is -1. */
  readonly threadId: number;
  once(event: "exit", listener: () => void): unknown;
  off(event: "exit", listener: () => void): unknown;
  terminate(): Promise<unknown>;
}

/** A thread that the library started for its own work (the relay). */
export interface SpawnedThread {
  /** Its number, as {@link OsThread.worker}. */
  readonly worker: number;
  /** Called once when the thread has ended, with the error that ended it if there was one. */
  onExit(listener: (error?: Error) => void): void;
  /** Ends the thread; resolves when it is gone. The thread must not be inside a blocking foreign call. */
  terminate(): Promise<void>;
}

export interface Platform {
  readonly name: string;
  /** May the calling thread block in `Atomics.wait`? False on a browser's main thread. */
  readonly mayBlock: boolean;
  /** Processor cores: a wait spins only where another core can make progress meanwhile. */
  readonly cores: number;
  /** The calling thread. */
  self(): OsThread;
  /** Is that thread alive? undefined where the platform has no proof either way. */
  alive(thread: OsThread): boolean | undefined;
  /** Starts a module worker that does not keep the process alive; `data` is structured-cloned. */
  spawn(module: URL, data: unknown): SpawnedThread;
  /** Is this a worker whose exit event proves that it is gone? */
  isWorker(value: unknown): value is WatchableWorker;
  /** Keeps the event loop of this thread alive until the returned function is called. */
  hold(): () => void;
  /** Calls `tick` about every `ms` without keeping the event loop alive; returns the stop. */
  every(ms: number, tick: () => void): () => void;
}
