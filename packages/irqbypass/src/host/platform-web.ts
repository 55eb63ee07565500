/**
 * The adapter to web pages and their workers. That a worker has ended is proven by its Web Lock, which nobody else gets before.
 */
import type { Platform, ThreadLocks, WatchableWorker } from "./platform.js";

/** A page has no number for its threads: by this one knows itself when it meets itself, and proves nothing of another. */
const REALM = 1 + Math.floor(Math.random() * (2 ** 31 - 1));

/** The few members that are used: the DOM's own types would claim names that Node lacks. */
interface Scope {
  readonly navigator?: { readonly hardwareConcurrency?: number; readonly locks?: LockManager };
  /** Of a worker, what it was started with. */
  readonly name?: string;
  addEventListener(type: "message", listener: MessageListener): void;
  removeEventListener(type: "message", listener: MessageListener): void;
  close(): void;
}

interface LockManager {
  request(
    name: string,
    options: { mode: "exclusive" | "shared"; signal: AbortSignal },
    got: () => Promise<void>,
  ): Promise<void>;
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

type MessageListener = (event: { readonly data: unknown }) => void;

/** The platform of a page or a worker that has no Node.js. */
export function webPlatform(): Platform {
  const scope = globalThis as unknown as Scope;
  const locks = scope.navigator?.locks;
  return {
    name: "web",
    mayBlock: mayBlock(),
    cores: scope.navigator?.hardwareConcurrency ?? 1,
    threadName: "document" in globalThis ? "main" : (scope.name ?? ""),
    ...(locks === undefined ? {} : { locks: locksOf(locks) }),
    self: () => ({ pid: REALM, tid: 0, startTime: 0, worker: 0 }),
    alive: () => undefined,
    messages(listener) {
      const heard: MessageListener = ({ data }) => listener(data);
      scope.addEventListener("message", heard);
      return () => scope.removeEventListener("message", heard);
    },
    leave: () => scope.close(),
    isWorker: (_value): _value is WatchableWorker => false,
    hold: () => () => {}, // a page and its workers live until they are closed
    onExit: () => () => {}, // none of them says so
    every(ms, tick) {
      const timer = setInterval(tick, ms);
      return () => clearInterval(timer);
    },
  };
}

/**
 * A browser asks with a thread's first request for a lock whether its page may store anything, and hears the answer in the thread's
 * event loop. Asked when the library is loaded, it mostly has it when the thread attaches, which may block from then on.
 */
export function askForStorage(): void {
  (globalThis as unknown as Scope).navigator?.locks?.query().catch(() => {});
}

/** A page's main thread may not, nor may a worklet or a service worker: it is asked by a wait that would end at once. */
function mayBlock(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}

function locksOf(manager: LockManager): ThreadLocks {
  return {
    request(name, mode, got) {
      const asking = new AbortController();
      let release = () => asking.abort();
      let wanted = true;
      const given = () => {
        if (wanted) got();
      };
      // What `got` throws is an error of this thread, and not of the request, whose own end (a refusal, or that it was called off) is none.
      const ask = () =>
        manager.request(name, { mode, signal: asking.signal }, () => {
          queueMicrotask(given);
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        });
      ask().catch(() => {});
      return () => {
        wanted = false;
        release();
      };
    },
    held: () =>
      manager.query().then(
        ({ held }) => (held ?? []).flatMap(({ name }) => name ?? []),
        () => undefined,
      ),
  };
}
