import { Host } from "irqbypass";
import { Consumer } from "irqbypass/internal/host/layout.js";
import { posted } from "irqbypass/internal/posting/irte.js";

/** A host with so many eventfds, each with a consumer and a producer record that is not registered yet. */
export interface Records {
  readonly host: Host;
  readonly eventfds: Int32Array;
  readonly consumers: Int32Array;
  readonly producers: Int32Array;
  /** A record with words of its own, for baselines that keep something in shared memory. */
  readonly extra: number;
}

/**
 * Records as the library's own calls make them, one level below them: what is measured is the manager, not the making
 * of the objects. `producers: false` leaves the producers out.
 */
export function makeRecords(count: number, { producers = true } = {}): Records {
  const host = Host.create({
    capacity: {
      eventfd: count,
      consumer: count,
      producer: producers ? count : 1,
      route: 16,
      routing: 1,
      injection: 1,
    },
  });
  const { mutex, pools, words } = host;
  const records: Records = {
    host,
    eventfds: new Int32Array(count),
    consumers: new Int32Array(count),
    producers: new Int32Array(producers ? count : 0),
    extra: mutex.guard(() => pools.route.allocate()),
  };
  for (let i = 0; i < count; i++) {
    mutex.guard(() => {
      records.eventfds[i] = pools.eventfd.allocate();
      records.consumers[i] = pools.consumer.allocate();
      if (producers) records.producers[i] = pools.producer.allocate();
      words.store(records.consumers[i]! + Consumer.target, posted(0, 0x41));
    });
  }
  return records;
}
