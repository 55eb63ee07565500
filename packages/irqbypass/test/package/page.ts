/**
 * Runs as a thread that looks like a page's worker: no `process`, no Node module can be imported, and threads are started
 * with the DOM's Worker. The first message names a module to import, whose messages are the thread's.
 */
import { register } from "node:module";
import { Worker as NodeWorker, parentPort, workerData } from "node:worker_threads";

/** What a page's thread is started with. */
export interface PageWork {
  /** The module to run. */
  readonly module: string;
  /** What its first `message` event carries; none if absent. */
  readonly data?: unknown;
  /** Without shared memory, as a page that was served without the headers. */
  readonly isolated?: boolean;
}

const { module, data, isolated = true } = workerData as PageWork;
const port = parentPort!;
const page = new URL(import.meta.url);

// The hook runs in a thread of its own, so it is passed as text.
register(
  `data:text/javascript,${encodeURIComponent(`
    import { isBuiltin } from "node:module";
    export async function resolve(specifier, context, next) {
      if (isBuiltin(specifier)) throw new Error("a browser has no module " + specifier);
      return next(specifier, context);
    }`)}`,
);

type Listener = (event: { data: unknown; message?: string }) => void;

/** The members of the DOM's Worker that the library uses. */
class Worker {
  private readonly worker: NodeWorker;

  constructor(url: URL, { type }: { type: string }) {
    if (type !== "module") throw new TypeError("a classic worker cannot import");
    // Its data comes by postMessage: until then nothing is imported.
    this.worker = new NodeWorker(page, { workerData: { module: url.href } satisfies PageWork });
    this.worker.unref();
  }

  postMessage(message: unknown): void {
    this.worker.postMessage(message);
  }
  terminate(): void {
    void this.worker.terminate();
  }
  addEventListener(type: string, listener: Listener): void {
    this.worker.on(type, (value) =>
      listener(type === "error" ? { data: undefined, message: value.message } : { data: value }),
    );
  }
}

const listeners = new Set<Listener>();
const scope = globalThis as Record<string, unknown>;
Object.assign(scope, {
  crossOriginIsolated: isolated,
  Worker,
  addEventListener: (type: string, listener: Listener) => {
    if (type === "message") listeners.add(listener);
  },
  removeEventListener: (_type: string, listener: Listener) => listeners.delete(listener),
  close: () => end(),
  postMessage: (message: unknown) => port.postMessage(message),
});
const end = process.exit.bind(process); // of a worker: ends the worker alone
for (const name of ["process", "Buffer", "global", "setImmediate", "clearImmediate"]) delete scope[name];
if (!isolated) delete scope.SharedArrayBuffer;

const waiting: unknown[] = data === undefined ? [] : [data];
port.on("message", (message) => waiting.push(message));
try {
  await import(module);
} catch (error) {
  port.postMessage({ message: (error as Error).message });
}
for (;;) {
  for (const message of waiting.splice(0)) for (const listener of listeners) listener({ data: message });
  await new Promise((resolve) => setTimeout(resolve, 2));
}
