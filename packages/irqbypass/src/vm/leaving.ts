/** What a thread gives up that leaves a host, or has died. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { ownedBy } from "../bypass/live-records.js";
import { loseDevices } from "../device/leaving.js";
import { endProducer } from "../device/producers.js";
import { closeHandle } from "../eventfd/close.js";
import { abandonWait } from "../eventfd/ready.js";
import { dropReference } from "../eventfd/reference.js";
import {
  Consumer,
  Eventfd,
  IN_USE,
  Injection,
  Ioeventfd,
  Producer,
  Reference,
  Role,
  Vm,
} from "../host/layout.js";

/** Closes the handles of a thread to eventfds and epolls, for which it waits no more, and drops what else it has of them. */
export function closeReferences(host: BypassHost, owner: number): void {
  host.forEachLive(host.pools.epoll, (epoll) => abandonWait(host.words, epoll, owner));
  for (const reference of ownedBy(host, host.pools.reference, Reference.owner, owner))
    endReference(host, reference);
}

/**
 * What a thread that leaves has made and others may use stays, in no thread's hands: whoever has its record next may die, and what
 * is torn down then is that one's. A producer is of no use to others.
 */
export function disown(host: BypassHost, owner: number): void {
  const { words, mutex, pools } = host;
  loseDevices(host, owner, endProducer);
  for (const producer of ownedBy(host, pools.producer, Producer.owner, owner))
    mutex.guard(() => pools.producer.release(producer));
  for (const [pool, word] of [
    [pools.vm, Vm.owner],
    [pools.consumer, Consumer.owner],
    [pools.ioeventfd, Ioeventfd.owner],
    [pools.eventfd, Eventfd.owner],
    [pools.injection, Injection.owner],
  ] as const) {
    for (const record of ownedBy(host, pool, word, owner)) {
      mutex.guard(() => {
        if (pool.lives(record) && words.get(record + word) === owner) words.set(record + word, IN_USE);
      });
    }
  }
}

function endReference(host: BypassHost, reference: number): void {
  const role = host.mutex.guard(() => host.words.get(reference + Reference.role));
  // What had been a handle may be the last one, whose irqfd is still to be deassigned.
  if (role === Role.handle || role === Role.hold) closeHandle(host, reference);
  else dropReference(host, reference);
}
