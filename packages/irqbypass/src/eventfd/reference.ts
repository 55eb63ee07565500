/**
 * What keeps an eventfd context alive: the library handles by which it is open, and whatever else uses it. Each is
 * counted in the context, and each belongs to something that repair can find, so that the counts can be made anew: a
 * reference record of a thread, or the `holds` word of a producer or an irqfd.
 */
import { Consumer, Eventfd, EventfdFlag, Header, LEAVING, Reference, Role } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { EventfdHost } from "./kind.js";

/** Takes a reference for the calling thread; `eventfd` is 0 for a watcher. Under the host mutex. Throws ENOMEM. */
export function addReference(memory: HostMemory, eventfd: number, role: Role): number {
  const { words, pools, thread } = memory;
  const reference = pools.reference.allocate();
  words.set(reference + Reference.eventfd, eventfd);
  words.set(reference + Reference.role, role);
  count(memory, eventfd, role, 1);
  words.set(reference + Reference.owner, thread.record); // last: without an owner it is half made, and nobody's
  return reference;
}

/**
 * The mirror image, not under the host mutex. The last one out frees the context. `undo` where it was part of a call that is
 * refused: then there has been none.
 */
export function dropReference(memory: EventfdHost, reference: number, undo = false): void {
  const { words, pools, mutex, thread } = memory;
  thread.begun = true; // the end of something, which nobody can refuse
  const close = mutex.guard(() => {
    const eventfd = words.get(reference + Reference.eventfd);
    count(memory, eventfd, words.get(reference + Reference.role), -1);
    if (undo) pools.reference.undo(reference);
    else pools.reference.release(reference);
    return eventfd === 0 ? undefined : releaseUnused(memory, eventfd);
  });
  close?.();
}

/**
 * Gives a handle back. With the last handle of the context its irqfd is deassigned (EPOLLHUP), for which the context is
 * kept alive until that is through. A thread that dies in between leaves a reference of role hold, to be closed again. `closed`
 * is called when it is certain to be closed. Not under the host mutex.
 */
export function closeHandle(memory: EventfdHost, reference: number, closed: () => void = () => {}): void {
  const { words, mutex } = memory;
  const eventfd = mutex.guard(() => {
    const record = words.get(reference + Reference.eventfd);
    if (words.get(reference + Reference.role) === Role.handle) {
      count(memory, record, Role.handle, -1);
      count(memory, record, Role.hold, 1);
      words.set(reference + Reference.role, Role.hold);
    }
    closed();
    return words.get(record + Eventfd.handles) === 0 ? record : 0;
  });
  if (eventfd !== 0) hangUp(memory, eventfd);
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

/** The irqfd that an eventfd is bound to, 0 where there is none or it is on its way out. */
export function irqfdOf({ words }: HostMemory, eventfd: number): number {
  const irqfd = words.load(eventfd + Eventfd.irqfd);
  return irqfd & LEAVING ? 0 : irqfd;
}

/** Counts a producer or an irqfd that keeps the context alive, and says so in a word of its own. Under the host mutex. */
export function holdContext({ words }: HostMemory, eventfd: number): void {
  words.set(eventfd + Eventfd.holds, words.get(eventfd + Eventfd.holds) + 1);
}

/** The mirror image: returns what is to be done after the host mutex where that was the last. Under the host mutex. */
export function dropContext(memory: EventfdHost, eventfd: number): (() => void) | undefined {
  const { words } = memory;
  words.set(eventfd + Eventfd.holds, words.get(eventfd + Eventfd.holds) - 1);
  return releaseUnused(memory, eventfd);
}

/**
 * Frees a context that nobody uses any more. Where its kind has something to close, that is returned, to be called after
 * the host mutex: the record lives until then and says who closes it.
 */
export function releaseUnused(memory: EventfdHost, eventfd: number): (() => void) | undefined {
  const { words, pools, mutex, kinds, thread } = memory;
  if (words.get(eventfd + Eventfd.holds) !== 0 || words.get(eventfd + Eventfd.handles) !== 0)
    return undefined;
  const kind = kinds[words.get(eventfd + Eventfd.flags) >>> EventfdFlag.kindShift];
  const { forget } = kind ?? {};
  if (forget === undefined) {
    pools.eventfd.release(eventfd);
    return undefined;
  }
  const close = thread.runCallback("forget", () => forget.call(kind, memory, eventfd));
  words.set(eventfd + Eventfd.closing, thread.record);
  return () => {
    try {
      close();
    } finally {
      mutex.guard(() => pools.eventfd.release(eventfd));
    }
  };
}

/** Counts all references anew, after a thread has died in the middle of it. Under the host mutex. */
export function recount(memory: HostMemory, live: (name: "reference" | "eventfd") => Iterable<number>): void {
  const { words } = memory;
  for (const eventfd of live("eventfd")) {
    words.set(eventfd + Eventfd.handles, 0);
    words.set(eventfd + Eventfd.holds, 0);
    words.store(eventfd + Eventfd.sleepers, 0);
  }
  words.store(Header.watchers, 0);
  for (const reference of live("reference"))
    count(memory, words.get(reference + Reference.eventfd), words.get(reference + Reference.role), 1);
}

function count({ words }: HostMemory, eventfd: number, role: Role, by: 1 | -1): void {
  if (role === Role.watcher) {
    words.add(Header.watchers, by);
    return;
  }
  const counter = eventfd + (role === Role.handle ? Eventfd.handles : Eventfd.holds);
  words.set(counter, words.get(counter) + by);
  if (role === Role.reader) words.add(eventfd + Eventfd.sleepers, by);
}
