/**
 * What the end of the last handle brings, of an eventfd or an epoll.
 */
import { Consumer, Reference } from "../host/layout.js";
import type { EventfdHost } from "./kind.js";
import { dropReference, endHandle, irqfdOf } from "./reference.js";
import { unwatchAll, unwatchEventfd } from "./watch.js";

/**
 * Gives a handle back. With the last handle of an eventfd its irqfd is deassigned (EPOLLHUP), and no epoll watches it any more;
 * an epoll watches nothing any more. The record is kept alive until that is through. A thread that dies in between leaves a
 * reference of role hold, to be closed again. `closed` is called when it is certain to be closed. Not under the host mutex.
 */
export function closeHandle(memory: EventfdHost, reference: number, closed: () => void = () => {}): void {
  const { words, mutex, pools } = memory;
  const record = mutex.guard(() => {
    const last = endHandle(memory, reference);
    closed();
    return last ? words.get(reference + Reference.eventfd) : 0;
  });
  if (pools.epoll.has(record)) unwatchAll(memory, record);
  else if (record !== 0) {
    unwatchEventfd(memory, record);
    hangUp(memory, record);
  }
  dropReference(memory, reference);
}

/** Nobody can write to the eventfd any more: deassigns its irqfd. */
function hangUp(memory: EventfdHost, eventfd: number): void {
  const { words, mutex, kinds } = memory;
  const irqfd = irqfdOf(memory, eventfd);
  if (irqfd === 0) return;
  // Under the host mutex: the record may be on its way back to its pool.
  const kind = mutex.guard(() => words.get(irqfd + Consumer.kind));
  kinds[kind]?.hangup?.(memory, irqfd);
}
