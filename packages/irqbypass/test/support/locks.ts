/** Locks as a page's are, and platforms of threads that have them: they end when a test says so, with what they were in the middle of. */
import type { Platform, ThreadLocks } from "irqbypass";
import { platformHere } from "#src/host/platform-here.js";

interface Request {
  readonly thread: PageThread;
  readonly mode: "exclusive" | "shared";
  readonly got: () => void;
  isHeld: boolean;
}

/** What all threads of a page share. */
export class PageLocks {
  private readonly queues = new Map<string, Request[]>();

  get names(): string[] {
    return [...this.queues].filter(([, queue]) => queue[0]?.isHeld === true).map(([name]) => name);
  }

  /** How many requests there are, held or not. */
  get requests(): number {
    return [...this.queues.values()].reduce((sum, queue) => sum + queue.length, 0);
  }

  ask(name: string, request: Request): () => void {
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    queue.push(request);
    this.grant(queue);
    return () => {
      this.drop(queue, (one) => one === request);
    };
  }

  /** The requests of a thread that has ended go with it, whether it has the locks or not. */
  end(thread: PageThread): void {
    for (const queue of this.queues.values()) this.drop(queue, (request) => request.thread === thread);
  }

  private drop(queue: Request[], which: (request: Request) => boolean): void {
    queue.splice(0, queue.length, ...queue.filter((request) => !which(request)));
    this.grant(queue);
  }

  private grant(queue: Request[]): void {
    const first = queue[0];
    for (const request of queue) {
      const isShared = first?.mode === "shared" && request.mode === "shared";
      if (request !== first && !isShared) return;
      if (!request.isHeld) request.thread.tell(request.got);
      request.isHeld = true;
    }
  }
}

/** A thread of a page. What it hears, it hears in its event loop, which it has while it does not block. */
export class PageThread {
  /** Does it run code and not its event loop? */
  private isBlocked = false;
  private ended = false;
  private readonly heard: (() => void)[] = [];
  readonly platform: Platform;

  constructor(
    private readonly locks: PageLocks,
    mayBlock = true,
  ) {
    const own: ThreadLocks = {
      request: (name, mode, got) => {
        let wanted = true;
        const stop = locks.ask(name, { thread: this, mode, got: () => wanted && got(), isHeld: false });
        return () => {
          wanted = false;
          stop();
        };
      },
      held: async () => locks.names,
    };
    const here = platformHere();
    const pid = 1 + Math.floor(Math.random() * (2 ** 31 - 1));
    this.platform = {
      ...here,
      name: "page",
      mayBlock,
      cores: here.cores,
      locks: own,
      self: () => ({ pid, tid: 0, startTime: 0, worker: 0 }),
      alive: () => undefined,
    };
  }

  /** From here on it runs no event loop. */
  block(): void {
    this.isBlocked = true;
  }

  /** Ends it, as `terminate()` does in the end. */
  end(): void {
    this.ended = true;
    this.locks.end(this);
  }

  tell(what: () => void): void {
    this.heard.push(what);
    queueMicrotask(() => {
      if (!this.isBlocked && !this.ended) for (const one of this.heard.splice(0)) one();
    });
  }
}
