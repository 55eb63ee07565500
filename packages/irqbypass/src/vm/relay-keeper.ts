import type { BypassHost } from "../bypass/bypass-host.js";
import type { Relay } from "../eventfd/kind.js";
import { Header, RelayState } from "../host/layout.js";
import { refuseLoading, somebodyLoads } from "../host/loading.js";
import { SpawnedThread } from "../host/spawn.js";
import { hasWaitAsync } from "../host/words.js";
import type { RelayStart } from "./relay.js";

/** How often whoever created the host looks, while it waits, whether somebody needs a relay that does not run yet. */
const SLICE_MS = 10;
/** The same while it runs. */
const PROBE_MS = 1000;
/** After a relay could not be started: until it is tried again. */
const RETRY_MS = 500;
/** How long a thread may take to begin to relay, until another is started beside it; doubled each time. */
const PATIENCE_MS = 2000;
/** What passes by itself: no descriptor, no memory, no thread, no room in the host for one. */
const SHORTAGES = [
  "ERR_WORKER_INIT_FAILED",
  "ERR_WORKER_OUT_OF_MEMORY",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "EAGAIN",
];
/** The same where Node's loader and the system's say it under a code of their own (a package.json or a library that could not be opened). */
const SHORTAGE = /too many open files|cannot allocate memory|out of memory|resource temporarily unavailable/i;

/**
 * The relay of one kind, in the thread that created the host: started when it is needed, and again when it has ended or could
 * not be started. All in that thread, and nothing in it needs the thread's event loop: of a start that failed the loop alone
 * hears, but one that takes too long is not waited for. Whichever thread is the first to relay is the relay; others leave.
 */
export class RelayKeeper {
  private readonly threads = new Set<SpawnedThread>();
  private readonly word: number;
  private notBefore = 0;
  private patienceMs = PATIENCE_MS;
  /** It has ended by an error that would come again. */
  private gaveUp = false;
  private over = false;

  constructor(
    private readonly host: BypassHost,
    private readonly kind: number,
    private readonly relay: Relay,
  ) {
    this.word = Header.relays + kind;
    void this.hear();
  }

  /** Starts it if somebody needs it. Returns after how many milliseconds at the latest to call this again. */
  serve(): number {
    const { words } = this.host;
    const state = words.load(this.word) & RelayState.mask;
    if (state === RelayState.stopping || this.gaveUp) return Infinity;
    if (state === RelayState.running) return PROBE_MS; // should it die, whoever repairs after it says that it is wanted
    if (state === RelayState.none || words.clock() < this.notBefore) return SLICE_MS;
    words.compareExchange(this.word, RelayState.wanted, RelayState.starting);
    this.start();
    return SLICE_MS;
  }

  /** Has it end, as soon as it sees that. */
  end(): void {
    this.over = true;
    const { host, relay, word } = this;
    const state = host.words.exchange(word, RelayState.stopping) & RelayState.mask;
    host.words.notify(word);
    // One that runs closes what it waits on itself, and one that was only started finds that it is not to.
    if (state === RelayState.running) {
      relay.wake?.(host);
      return;
    }
    relay.close?.(host);
    this.dismiss();
  }

  /** Ends threads that have not come as far as the host, which saves a program with many short hosts most of their start. */
  private dismiss(): void {
    const { host, threads } = this;
    const allowLoading = refuseLoading(host);
    if (!somebodyLoads(host)) {
      for (const thread of threads) if (host.thread.recordsOf(thread.number).length === 0) thread.terminate();
    }
    allowLoading();
  }

  /** Serves the first wish at once where this thread is in its event loop. */
  private async hear(): Promise<void> {
    if (!hasWaitAsync()) return; // then in its next tick
    await this.host.words.waitAsync(this.word, RelayState.none, Infinity);
    if (!this.over) this.serve();
  }

  private start(): void {
    const { host, kind, relay, threads } = this;
    const data: RelayStart = { host: host.handle, kinds: host.kinds.map(({ name }) => name), kind };
    this.notBefore = host.words.clock() + this.patienceMs;
    this.patienceMs *= 2;
    try {
      const thread = new SpawnedThread(relay.thread, data, host);
      thread.unref();
      threads.add(thread);
      thread.onExit((error) => this.ended(thread, error));
    } catch (error) {
      if (threads.size === 0) this.noneLeft(error);
    }
  }

  private ended(thread: SpawnedThread, error: Error | undefined): void {
    const { host, relay, threads } = this;
    threads.delete(thread);
    if (this.over) {
      if (threads.size === 0) relay.close?.(host); // should it have been ended before it could
      return;
    }
    host.repair?.loseAll(thread.number); // of a relay that was ended from outside the word says so then
    if (threads.size === 0) this.noneLeft(error);
    this.serve();
  }

  /** No thread is there that relays or is about to. It is tried again: at once after an end that nothing was wrong with. */
  private noneLeft(error: unknown): void {
    const { words } = this.host;
    const ran =
      words.compareExchange(this.word, RelayState.starting, RelayState.wanted) !== RelayState.starting;
    this.patienceMs = PATIENCE_MS;
    this.notBefore = ran && error === undefined ? 0 : words.clock() + RETRY_MS;
    if (error === undefined || isShortage(error)) return;
    this.gaveUp = true;
    queueMicrotask(() => {
      throw error; // of nobody's call: as an error of this thread
    });
  }
}

function isShortage(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return (typeof code === "string" && SHORTAGES.includes(code)) || SHORTAGE.test(String(message));
}
