/** The producers of a device's gates: each gate has one while it has an eventfd, registered or not. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { dropContext, holdContext } from "../eventfd/reference.js";
import { Device, Producer } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";

/** A producer for a gate, of an eventfd that it keeps alive. Throws ENOMEM. */
export function createProducer({ host, record }: DeviceLife, gate: number, eventfd: number): number {
  const { words, pools, mutex } = host;
  return mutex.guard(() => {
    const producer = pools.producer.allocate();
    words.set(producer + Producer.kind, words.get(record + Device.kind));
    words.set(producer + Producer.gate, gate);
    holdContext(host, eventfd);
    words.store(producer + Producer.holds, eventfd);
    words.set(producer + Producer.owner, words.load(record + Device.owner)); // last: without an owner it is half made
    return producer;
  });
}

/** Takes it back, as if it had never been made: for a call that is refused. */
export function undoProducer(host: BypassHost, producer: number): void {
  const { words, pools, mutex, manager } = host;
  manager.unregisterProducer(producer, true);
  const close = mutex.guard(() => {
    const eventfd = words.load(producer + Producer.holds);
    pools.producer.undo(producer);
    return eventfd === 0 ? undefined : dropContext(host, eventfd);
  });
  close?.();
}

/** The mirror image of {@link createProducer}: unregisters it where it is registered, and gives it back. */
export function endProducer(host: BypassHost, producer: number): void {
  const { words, pools, mutex, manager } = host;
  manager.unregisterProducer(producer);
  const close = mutex.guard(() => {
    const eventfd = words.load(producer + Producer.holds);
    pools.producer.release(producer);
    return eventfd === 0 ? undefined : dropContext(host, eventfd);
  });
  close?.();
}

/** Has it keep another eventfd alive, and signal that. The old one is kept alive until {@link letGo}. Under the host mutex. */
export function keep(host: BypassHost, producer: number, eventfd: number): void {
  holdContext(host, eventfd);
  host.words.store(producer + Producer.holds, eventfd);
}

/** An eventfd that a producer has kept alive. Not under a mutex but the device's. */
export function letGo(host: BypassHost, eventfd: number): void {
  const close = host.mutex.guard(() => dropContext(host, eventfd));
  close?.();
}
