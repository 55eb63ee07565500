import type { EventfdContext } from "../eventfd/context.js";
import { signalRecord } from "../eventfd/signal.js";
import { IrqBypassError } from "../host/errors.js";
import { Injection } from "../host/layout.js";
import { drop } from "../posting/dropped.js";
import { Mode, modeOf, targetOf } from "../posting/irte.js";
import type { BypassHost } from "./bypass-host.js";

/**
 * The rest of a signal that is not posted, which the calling thread has announced: `entry` is what the producer's remapping entry said.
 * It goes into the KVM guest, or to the eventfd, through `handle` where the caller has one. Throws what that throws.
 */
export function signalElsewhere(
  host: BypassHost,
  entry: number,
  eventfd: number,
  handle?: EventfdContext,
): void {
  const { thread } = host;
  try {
    if (modeOf(entry) === Mode.injected) inject(host, targetOf(entry), eventfd);
    else if (handle !== undefined) handle.signal();
    else if (eventfd !== 0) signalRecord(host, eventfd);
  } finally {
    thread.leave(thread.signalling);
  }
}

function inject(host: BypassHost, target: number, eventfd: number): void {
  const { words, pools, kinds } = host;
  const injection = pools.injection.at(target);
  const kind = kinds[words.get(injection + Injection.kind)];
  if (kind?.inject === undefined)
    throw new IrqBypassError("EOPNOTSUPP", "this thread cannot inject into a KVM guest");
  if (kind.inject(host, injection) === false) drop(words, eventfd, "no-vcpu");
}
