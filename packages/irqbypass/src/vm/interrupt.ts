import type { BypassHost } from "../bypass/bypass-host.js";
import {
  irqfdAt,
  type Path,
  pathOf,
  pathOfConsumer,
  reasonOfConsumer,
  reasonOfProducer,
} from "../bypass/path.js";
import { Consumer, Header, Producer } from "../host/layout.js";
import { type Dropped, droppedOf } from "../posting/dropped.js";
import type { Reason } from "../posting/reason.js";

/** One eventfd with its two ends, as `host.interrupts()` lists it. */
export interface Interrupt {
  /** The eventfd's id. */
  readonly eventfd: number;
  /** Which way its signals go. */
  readonly path: Path;
  /** Why it is not bypassed; undefined while it is. "relay-not-running" where nobody relays it either: what comes waits. */
  readonly reason: Reason | undefined;
  /** The irqfd, if one is registered. */
  readonly consumer:
    | {
        /** The id of its VM. */
        readonly vm: number;
        /** The GSI that it raises. */
        readonly gsi: number;
      }
    | undefined;
  /** The device interrupt, if one is registered. */
  readonly producer:
    | {
        /** The device's own number for it, -1 where it gave none. */
        readonly irq: number;
      }
    | undefined;
  /**
   * Signals that went nowhere, as in the kernel, with the reason of the last one; undefined where there were none. What the
   * kernel itself drops, of an irqfd of a KVM guest that nothing injects for, is not seen.
   */
  readonly dropped: Dropped | undefined;
  /** Milliseconds since the connection last changed, to a tenth of a second. */
  readonly sinceMs: number;
}

/** Every eventfd that has a producer or an irqfd. Holds the host mutex for one at a time. */
export function interruptsOf(host: BypassHost): Interrupt[] {
  const now = host.words.load(Header.ticks);
  const found: Interrupt[] = [];
  host.forEachLive(host.pools.eventfd, (eventfd) => {
    const interrupt = interruptAt(host, eventfd, now);
    if (interrupt !== undefined) found.push(interrupt);
  });
  return found;
}

/** What is at an eventfd, undefined for nothing. Under the host mutex. */
function interruptAt(host: BypassHost, eventfd: number, now: number): Interrupt | undefined {
  const { words, pools, manager } = host;
  const producer = manager.producerAt(eventfd);
  const irqfd = irqfdAt(host, eventfd);
  if (producer === 0 && irqfd === 0) return undefined;
  const since = words.get(producer === 0 ? irqfd + Consumer.since : producer + Producer.since);
  return {
    eventfd: pools.eventfd.slot(eventfd),
    path: irqfd === 0 ? pathOf(host, producer) : pathOfConsumer(host, irqfd),
    reason: irqfd === 0 ? reasonOfProducer(host, producer) : reasonOfConsumer(host, irqfd),
    consumer:
      irqfd === 0
        ? undefined
        : {
            vm: pools.vm.slot(words.get(irqfd + Consumer.vm)),
            gsi: words.get(irqfd + Consumer.gsi) >>> 0,
          },
    producer: producer === 0 ? undefined : { irq: words.get(producer + Producer.irq) },
    dropped: droppedOf(words, eventfd),
    sinceMs: Math.max(0, (now - since) | 0),
  };
}
