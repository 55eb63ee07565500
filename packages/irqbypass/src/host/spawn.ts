/**
 * Threads that the library starts for its own work: the relays, and those that run the vCPUs of KVM.
 */
import { show } from "./argument.js";
import { IrqBypassError } from "./errors.js";
import type { Platform, ThreadWorker } from "./platform.js";
import { platformHere } from "./platform-here.js";

/** A module that runs as a thread: what the package exports it as. */
export type ThreadName =
  | "irqbypass/relay-worker"
  | "irqbypass/linux-relay-worker"
  | "irqbypass/kvm-vcpu-worker";

/**
 * The caller's own way to start a worker that the library needs: it returns a new `Worker`, Node's or the DOM's, whose module
 * imports `name` and does nothing else. What the thread is to do it is told by a message. For whatever bundles the program
 * in a way in which the library does not find its own files, for a pool, or for a policy about workers.
 *
 * ```ts
 * const host = Host.create({ spawn: () => new Worker("/assets/my-relay.js", { type: "module" }) });
 * // my-relay.js: import "irqbypass/relay-worker";
 * ```
 */
export type Spawn = (name: ThreadName) => ThreadWorker;

/** A module of this library that runs as a thread. */
export interface ThreadModule {
  readonly name: ThreadName;
  /** Starts a worker with it, where the caller has no way of its own to do that. */
  start(platform: Platform): ThreadWorker;
}

/** Where a thread is started: a host, for one. */
export interface Spawner {
  readonly platform: Platform;
  readonly spawn?: Spawn | undefined;
}

/** What a thread gets as its first message: the name says whose it is, as one module may import several of them. */
interface ThreadStart {
  readonly irqbypass: ThreadName;
  readonly data: unknown;
}

/** A thread that the library has started. */
export class SpawnedThread {
  /** Its number, as {@link OsThread.worker}, also when it has ended; 0 where the platform has none. */
  readonly number: number;
  private readonly worker: ThreadWorker;
  private readonly name: ThreadName;
  private readonly isOurs: boolean;
  /** Where a page loads it from. */
  private readonly url: string | undefined;

  /** Starts it and tells it `data`, which is structured-cloned. Throws EINVAL where the caller's `spawn` returns no worker. */
  constructor(module: ThreadModule, data: unknown, { platform, spawn }: Spawner) {
    this.name = module.name;
    this.isOurs = spawn === undefined;
    const started = seeingUrl(module.name, () =>
      spawn === undefined ? module.start(platform) : spawnedBy(spawn, module.name),
    );
    this.worker = started.worker;
    this.url = started.url;
    const start: ThreadStart = { irqbypass: module.name, data };
    this.number = this.worker.threadId ?? 0;
    this.worker.postMessage(start);
  }

  /** Ends it, wherever it is; not where the caller has started it, who may have other uses for the worker. */
  terminate(): void {
    if (this.isOurs) void this.worker.terminate?.();
  }

  /** Lets the process end while the thread runs. */
  unref(): void {
    this.worker.unref?.();
  }

  /**
   * Calls `listener` once when the thread has ended, with the error that ended it if there was one. A page says nothing of a
   * thread that ended well.
   */
  onExit(listener: (error?: Error) => void): void {
    const { worker, name } = this;
    let failure: Error | undefined;
    if (worker.once !== undefined) {
      worker.once("error", (error) => {
        failure = error as Error;
      });
      worker.once("exit", () => listener(failure));
      return;
    }
    worker.addEventListener?.("error", (event) => {
      if (failure !== undefined) return;
      // A mere event says that the module could not be loaded, and why says the page's console alone.
      const { message } = event as { readonly message?: string };
      failure = message === undefined ? notLoaded(name, this.url) : new Error(message);
      listener(failure);
    });
  }
}

/** A worker whose module a page could not load: the error names its place, and what may be wrong there. */
function notLoaded(name: ThreadName, url = "where spawn has it", cause?: unknown): IrqBypassError {
  return new IrqBypassError(
    "EIO",
    `the worker of ${name} did not start from ${url}: that file must be there as JavaScript, its response must have the header ` +
      "Cross-Origin-Embedder-Policy: require-corp, and the page's Content-Security-Policy must allow it (worker-src); where the " +
      `bundler has not put it there, start it with Host.create({ spawn }) from a module that imports "${name}"`,
    { subject: name, cause },
  );
}

type WorkerClass = new (module: URL | string, options?: unknown) => object;

/**
 * Starts a worker, and sees from where a page loads it. A bundler puts that place into the expression that starts it, and only there:
 * so for the length of this call the page's `Worker` is one that looks at what it is given. Throws where the page refuses it at once.
 */
function seeingUrl(
  name: ThreadName,
  start: () => ThreadWorker,
): { readonly worker: ThreadWorker; readonly url?: string | undefined } {
  const scope = globalThis as unknown as { Worker?: WorkerClass };
  const real = scope.Worker;
  if (real === undefined) return { worker: start() };
  let url: string | undefined;
  scope.Worker = class extends real {
    constructor(module: URL | string, options?: unknown) {
      url = String(module);
      super(module, options);
    }
  };
  try {
    return { worker: start(), url };
  } catch (error) {
    throw url === undefined ? error : notLoaded(name, url, error);
  } finally {
    scope.Worker = real;
  }
}

/** Looks at a caller's own way to start workers. */
export function checkSpawn(spawn: unknown): void {
  if (spawn === undefined || typeof spawn === "function") return;
  throw new IrqBypassError(
    "EINVAL",
    `spawn is ${show(spawn)}: give a function that returns a new Worker, or none`,
  );
}

function spawnedBy(spawn: Spawn, name: ThreadName): ThreadWorker {
  const worker: unknown = spawn(name);
  const { postMessage, once, addEventListener } = (worker ?? {}) as Partial<ThreadWorker>;
  if (
    typeof postMessage !== "function" ||
    (typeof once !== "function" && typeof addEventListener !== "function")
  )
    throw new IrqBypassError("EINVAL", `spawn returned ${show(worker)} for ${name}: return a new Worker`);
  return worker as ThreadWorker;
}

/**
 * In the module of a thread: calls `run` with the data that {@link SpawnedThread} sends, once, and ends the worker after
 * that, or after what it returns. It listens no more when another thread's module in the same worker was meant.
 */
export function runThread<Data>(name: ThreadName, run: (data: Data) => undefined | Promise<void>): void {
  const platform = platformHere();
  const stop = platform.messages((message) => {
    const { irqbypass, data } = (message ?? {}) as Partial<ThreadStart>;
    if (irqbypass === undefined) return; // the caller's own
    stop();
    if (irqbypass !== name) return;
    const running = run(data as Data);
    if (running === undefined) platform.leave();
    else {
      running.then(
        () => platform.leave(),
        // As what it throws itself: of a promise whoever has started a page's worker does not hear.
        (error: unknown) =>
          queueMicrotask(() => {
            throw error;
          }),
      );
    }
  });
}
