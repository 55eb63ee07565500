import type { BypassHost } from "../bypass/bypass-host.js";
import type { Relay } from "../eventfd/kind.js";
import { Header } from "../host/layout.js";
import { SpawnedThread } from "../host/spawn.js";
import { loseAll } from "./lost-thread.js";
import { type RelayStart, RelayState } from "./relay.js";

const TICK_MS = 100;
/** In so many ticks whoever created the host looks once whether a thread has died that nobody watches. */
const PROBE_TICKS = 10;

/**
 * What the thread that created a host does for it until it leaves: the coarse clock, a look for threads that died, and the
 * relay of each kind when somebody asks for one.
 */
export class Supervision {
  private readonly relays = new Map<number, SpawnedThread>();
  private readonly stopTicks: () => void;
  private over = false;

  constructor(private readonly host: BypassHost) {
    const { words, platform, kinds } = host;
    const started = words.clock();
    let ticks = 0;
    this.stopTicks = platform.every(TICK_MS, () => {
      words.store(Header.ticks, (words.clock() - started) | 0);
      ticks += 1;
      if (ticks % PROBE_TICKS === 0) loseAll(host);
    });
    kinds.forEach(({ relay }, kind) => {
      if (relay !== undefined) void this.startWhenAsked(kind, relay);
    });
  }

  /** Stops all of it; the relays end as soon as they see it. */
  end(): void {
    this.over = true;
    this.stopTicks();
    this.host.kinds.forEach((_, kind) => {
      this.stopRelay(kind);
    });
  }

  private async startWhenAsked(kind: number, how: Relay): Promise<void> {
    const { words } = this.host;
    const state = Header.relays + kind;
    while (words.load(state) === RelayState.none) await words.waitAsync(state, RelayState.none, Infinity);
    if (words.compareExchange(state, RelayState.wanted, RelayState.running) !== RelayState.wanted) return;
    const start: RelayStart = {
      host: this.host.handle,
      kinds: this.host.kinds.map(({ name }) => name),
      kind,
    };
    const relay = new SpawnedThread(how.thread, start, this.host);
    relay.unref();
    this.relays.set(kind, relay);
    const forget = how.started?.(() => this.stopRelay(kind));
    relay.onExit((error) => {
      this.relays.delete(kind);
      forget?.();
      if (this.over) return;
      loseAll(this.host, relay.number);
      if (error !== undefined) throw error;
      // Ended from outside: another one goes on.
      if (words.compareExchange(state, RelayState.running, RelayState.wanted) === RelayState.running)
        void this.startWhenAsked(kind, how);
    });
  }

  private stopRelay(kind: number): void {
    const { words, kinds } = this.host;
    const state = Header.relays + kind;
    words.store(state, RelayState.stopping);
    words.notify(state);
    if (this.relays.has(kind)) kinds[kind]?.relay?.wake(this.host);
  }
}
