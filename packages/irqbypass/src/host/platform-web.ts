/**
 * The adapter to web pages and their workers. A page has no proof that a worker has ended: it says so itself.
 */
import type { Platform, WatchableWorker } from "./platform.js";

/** A page has no number for its threads: by this one knows itself when it meets itself, and proves nothing of another. */
const REALM = 1 + Math.floor(Math.random() * (2 ** 31 - 1));

/** The platform of a page or a worker that has no Node.js. */
export function webPlatform(): Platform {
  // The few members that are used: the DOM's own types would claim names that Node lacks.
  const scope = globalThis as unknown as {
    navigator?: { hardwareConcurrency?: number };
    addEventListener(type: "message", listener: MessageListener): void;
    removeEventListener(type: "message", listener: MessageListener): void;
    close(): void;
  };
  const window = "document" in globalThis;
  return {
    name: "web",
    mayBlock: !window,
    cores: scope.navigator?.hardwareConcurrency ?? 1,
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

type MessageListener = (event: { readonly data: unknown }) => void;
