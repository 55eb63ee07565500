/**
 * Whether the thread runs that relays for an irqfd. Whoever created the host starts it: in its own call that first needs it,
 * or where another thread has asked, as soon as it waits for anything or returns to its event loop.
 */
import { Header, RelayState } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";

/**
 * Asks for the relay of a kind; in the thread that created the host, also starts it. Costs one load once it runs. May be called
 * from a callback; waits for nobody.
 */
export function askForRelay({ words, thread }: EventfdHost, kind: number): void {
  const word = Header.relays + kind;
  if (relayRuns(words, kind)) return;
  if (words.compareExchange(word, RelayState.none, RelayState.wanted) === RelayState.none) words.notify(word);
  thread.serve?.();
}

/** Does the relay of a kind run? */
export function relayRuns(words: Words, kind: number): boolean {
  return (words.load(Header.relays + kind) & RelayState.mask) === RelayState.running;
}
