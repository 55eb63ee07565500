import type { BypassHost } from "../bypass/bypass-host.js";
import { Header } from "../host/layout.js";
import { BusyError } from "../host/mutex.js";
import { RelayKeeper } from "./relay-keeper.js";

const TICK_MS = 100;
/** In so many ticks whoever created the host looks once whether a thread has died that nobody watches. */
const PROBE_TICKS = 10;

/**
 * What the thread that created a host does for it until it leaves: the coarse clock, a look for threads that died, and the
 * relay of each kind when it is needed; that also in whatever it waits for.
 */
export class Supervision {
  private readonly relays: readonly RelayKeeper[];
  private readonly stopTicks: () => void;

  constructor(private readonly host: BypassHost) {
    const { words, platform, kinds, thread } = host;
    const started = words.clock();
    this.relays = kinds.flatMap(({ relay }, kind) =>
      relay === undefined ? [] : [new RelayKeeper(host, kind, relay)],
    );
    const serve = () => {
      let within = Infinity;
      for (const relay of this.relays) within = Math.min(within, relay.serve());
      return within;
    };
    thread.serve = serve;
    let ticks = 0;
    this.stopTicks = platform.every(TICK_MS, () => {
      words.store(Header.ticks, (words.clock() - started) | 0);
      ticks += 1;
      if (ticks % PROBE_TICKS === 0) this.probe();
      serve();
    });
  }

  /** Looks for threads that have died and that nobody watches, and repairs what they have left. */
  probe(): void {
    try {
      this.host.repair?.loseAll();
    } catch (error) {
      // A thread that may not block is refused a mutex that is busy: it looks again.
      if (!(error instanceof BusyError)) throw error;
    }
  }

  /** Stops all of it; the relays end as soon as they see it. */
  end(): void {
    this.stopTicks();
    this.host.thread.serve = undefined;
    for (const relay of this.relays) relay.end();
  }
}
