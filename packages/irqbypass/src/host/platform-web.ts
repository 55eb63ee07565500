/**
 * The adapter to web pages and their workers. A page has no proof that a worker has ended: it says so itself.
 */
import type { Platform, WatchableWorker } from "./platform.js";

/** The platform of a page or a worker that has no Node.js. */
export function webPlatform(): Platform {
  const scope = globalThis as unknown as {
    navigator?: { hardwareConcurrency?: number };
    Worker: new (module: URL, options: { type: "module" }) => DomWorker;
  };
  const window = "document" in globalThis;
  return {
    name: "web",
    mayBlock: !window,
    cores: scope.navigator?.hardwareConcurrency ?? 1,
    self: () => ({ pid: 0, tid: 0, startTime: 0, worker: 0 }),
    alive: () => undefined,
    spawn(module, data) {
      const worker = new scope.Worker(module, { type: "module" });
      worker.postMessage(data);
      return {
        worker: 0,
        onExit(listener) {
          worker.addEventListener("error", (event) => listener(new Error(event.message)), { once: true });
        },
        async terminate() {
          worker.terminate();
        },
      };
    },
    isWorker: (_value): _value is WatchableWorker => false,
    hold: () => () => {}, // a page and its workers live until they are closed
    every(ms, tick) {
      const timer = setInterval(tick, ms);
      return () => clearInterval(timer);
    },
  };
}

/** The few members of the DOM's Worker that are used: the DOM's own types would claim names that Node lacks. */
interface DomWorker {
  postMessage(data: unknown): void;
  terminate(): void;
  addEventListener(
    type: "error",
    listener: (event: { message: string }) => void,
    options: { once: true },
  ): void;
}
