/**
 * What keeps an eventfd context alive: the library handles by which it is open, and whatever else uses it. Each is
 * counted in the context, and each belongs to something that repair can find, so that the counts can be made anew: a
 * reference record of a thread, or the `holds` word of a producer or an irqfd, or a watch. It is the same with an epoll, which
 * has its two counts at the same places.
 */
import { Epoll, Eventfd, EventfdFlag, Header, LEAVING, Reference, Role } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";

/** Takes a reference for the calling thread; `eventfd` is 0 for a watcher, or an epoll. Under the host mutex. Throws ENOMEM. */
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
 * What had been a handle only keeps the context alive from here on, until it is dropped. Returns whether that was the last one.
 * Under the host mutex; done again, it changes nothing.
 */
export function endHandle(memory: HostMemory, reference: number): boolean {
  const { words } = memory;
  const eventfd = words.get(reference + Reference.eventfd);
  if (words.get(reference + Reference.role) === Role.handle) {
    count(memory, eventfd, Role.handle, -1);
    count(memory, eventfd, Role.hold, 1);
    words.set(reference + Reference.role, Role.hold);
  }
  return words.get(eventfd + Eventfd.handles) === 0;
}

/** The irqfd that an eventfd is bound to, 0 where there is none or it is on its way out. */
export function irqfdOf({ words }: HostMemory, eventfd: number): number {
  const irqfd = words.load(eventfd + Eventfd.irqfd);
  return irqfd & LEAVING ? 0 : irqfd;
}

/** Counts a producer, an irqfd or a watch that keeps the context alive, and says so in a word of its own. Under the host mutex. */
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
 * Frees a context, or an epoll, that nobody uses any more. Where its kind has something to close, that is returned, to be
 * called after the host mutex: the record lives until then and says who closes it.
 */
export function releaseUnused(memory: EventfdHost, context: number): (() => void) | undefined {
  const { words, pools, mutex, thread } = memory;
  if (words.get(context + Eventfd.holds) !== 0 || words.get(context + Eventfd.handles) !== 0)
    return undefined;
  const pool = pools.epoll.has(context) ? pools.epoll : pools.eventfd;
  const close = pool === pools.epoll ? closeOfEpoll(memory, context) : closeOf(memory, context);
  if (close === undefined) {
    pool.release(context);
    return undefined;
  }
  setCloser(words, context, thread.record);
  return () => {
    try {
      close();
    } finally {
      mutex.guard(() => pool.release(context));
    }
  };
}

function closeOf(memory: EventfdHost, eventfd: number): (() => void) | undefined {
  const { words, kinds, thread } = memory;
  const kind = kinds[words.load(eventfd + Eventfd.flags) >>> EventfdFlag.kindShift];
  const { forget } = kind ?? {};
  if (forget === undefined) return undefined;
  return thread.runCallback("forget", () => forget.call(kind, memory, eventfd));
}

function closeOfEpoll(memory: EventfdHost, epoll: number): (() => void) | undefined {
  if (memory.words.load(epoll + Epoll.fd) === 0) return undefined;
  return () => {
    for (const { watching } of memory.kinds) watching?.close(memory, epoll);
  };
}

/** The thread that closes the descriptor of an eventfd which nobody uses any more; 0 where it is not so far. Under the host mutex. */
export function closerOf(words: Words, eventfd: number): number {
  return Math.max(0, -words.get(eventfd + Eventfd.holds));
}

/** The mirror image: that is for the thread of this record to do. */
export function setCloser(words: Words, eventfd: number, closer: number): void {
  words.set(eventfd + Eventfd.holds, -closer);
}

/** Counts all references anew, after a thread has died in the middle of it. Under the host mutex. */
export function recount(
  memory: HostMemory,
  live: (name: "reference" | "eventfd" | "epoll") => Iterable<number>,
): void {
  const { words } = memory;
  for (const pool of ["eventfd", "epoll"] as const) {
    for (const context of live(pool)) {
      if (closerOf(words, context) !== 0) continue;
      words.set(context + Eventfd.handles, 0);
      words.set(context + Eventfd.holds, 0);
    }
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
}
