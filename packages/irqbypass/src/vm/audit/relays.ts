import { relayOf } from "../../bypass/path.js";
import { relayRuns } from "../../eventfd/relay-state.js";
import { Consumer, Header, RelayState } from "../../host/layout.js";
import { Pending } from "../../host/pending.js";
import type { View } from "./view.js";

/** Irqfds that a relay serves which does not run. */
export interface Unserved {
  /** The kind whose relay it is. */
  readonly kind: number;
  readonly eventfd: number;
  /** Is an injection due? Where not, a signal may still be in the kernel. */
  readonly due: boolean;
}

/** Those irqfds, found under the mutexes. */
export function unservedIrqfds(view: View): Unserved[] {
  const { words, host } = view;
  const found: Unserved[] = [];
  for (const irqfd of view.live.consumer) {
    const eventfd = words.get(irqfd + Consumer.holds);
    if (!view.isLive("eventfd", eventfd)) continue;
    const kind = relayOf(host, irqfd);
    if (kind < 0 || relayRuns(words, kind)) continue;
    found.push({ kind, eventfd, due: words.load(irqfd + Consumer.pending) === Pending.due });
  }
  return found;
}

/** What waits for a relay that does not run. Makes system calls, so it is asked after the mutexes. */
export function auditRelays(view: View, unserved: readonly Unserved[]): void {
  const { host, words } = view;
  host.kinds.forEach(({ name, listen }, kind) => {
    const waiting = unserved.filter(
      (one) => one.kind === kind && (one.due || listen?.waits?.(host, one.eventfd) === true),
    ).length;
    if (waiting === 0) return;
    view.waiting += waiting;
    // One that was just started comes to them; of any other nobody knows.
    if (words.load(Header.relays + kind) === RelayState.starting) return;
    const what = waiting === 1 ? "1 irqfd has" : `${waiting} irqfds have`;
    view.find("waiting", `the relay of ${name}`, `does not run, and ${what} an interrupt that waits for it`);
  });
}
