/**
 * Watches: which eventfds an epoll watches, and which epolls watch an eventfd. A watch is in two lists, in that of its bit in
 * the epoll, through which the waiter goes, and in that of its eventfd, through which whoever signals it goes. Both go without
 * a mutex, and announce it: so a list is changed by one store at a time, under the host mutex, and a watch that is taken out
 * leads on for whoever stands on it, until nobody can.
 */
import { IrqBypassError } from "../host/errors.js";
import { EPOLL_BITS, Epoll, Eventfd, EventfdFlag, Watch } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import type { EventfdHost, Watching } from "./kind.js";
import { raise } from "./ready.js";
import { dropContext, holdContext } from "./reference.js";

/** Says that the eventfd of a watch may be ready. From any thread that has announced the eventfd, or holds the host mutex. */
export function fire(words: Words, watch: number): void {
  // Before the bit: whoever takes that looks at it. Where it is set the waiter has not looked at the counter yet.
  if (words.load(watch + Watch.fired) === 0) words.store(watch + Watch.fired, 1);
  const bit = words.get(watch + Watch.bit);
  raise(words, words.get(watch + Watch.epoll), bit);
}

/** The same where it is not known: whoever would have said so, or would have looked, has died. Under the host mutex. */
export function fireAgain(memory: EventfdHost, watch: number): void {
  const watching = watchingOf(memory, memory.words.get(watch + Watch.eventfd));
  if (watching === undefined) fire(memory.words, watch);
  else if (memory.words.get(watch + Watch.holder) === 0) watching.again(memory, watch);
}

/** The same as {@link fire} for every watch of an eventfd. */
export function fireAll(words: Words, eventfd: number): void {
  for (let watch = words.load(eventfd + Eventfd.watches); watch !== 0; watch = words.load(watch + Watch.next))
    fire(words, watch);
}

/** What a watch reports. */
export function dataOf(words: Words, watch: number): number {
  return words.get(watch + Watch.dataHigh) * 2 ** 32 + (words.get(watch + Watch.dataLow) >>> 0);
}

/** How the kind of an eventfd watches it; undefined for one in the host's memory, whose signallers look for watches. */
export function watchingOf({ words, kinds }: EventfdHost, eventfd: number): Watching | undefined {
  return kinds[words.load(eventfd + Eventfd.flags) >>> EventfdFlag.kindShift]?.watching;
}

/** Has an epoll watch an eventfd. Throws EEXIST, ENOMEM, and what the system says, with nothing done. */
export function addWatch(
  memory: EventfdHost,
  epoll: number,
  eventfd: number,
  data: number,
  edge: boolean,
): void {
  const { words, mutex, pools, thread } = memory;
  const watching = watchingOf(memory, eventfd);
  const watch = mutex.guard(() => {
    if (findWatch(words, epoll, eventfd) !== 0) {
      throw new IrqBypassError(
        "EEXIST",
        `${says(memory, epoll, "watches", eventfd)} already: remove it first`,
        {
          subject: `eventfd ${pools.eventfd.slot(eventfd)}`,
        },
      );
    }
    const added = pools.watch.allocate();
    words.set(added + Watch.holder, thread.record); // first: should this thread die, whoever repairs takes it out again
    words.set(added + Watch.eventfd, eventfd);
    words.set(added + Watch.edge, edge ? 1 : 0);
    words.set(added + Watch.dataLow, data | 0);
    words.set(added + Watch.dataHigh, Math.floor(data / 2 ** 32));
    const number = words.add(epoll + Epoll.number, 1); // before anybody can set its bit
    words.set(added + Watch.bit, number & (EPOLL_BITS - 1));
    holdContext(memory, eventfd);
    holdContext(memory, epoll);
    words.set(added + Watch.epoll, epoll);
    link(words, rowOf(words, added), added + Watch.nextInRow, added);
    link(words, eventfd + Eventfd.watches, added + Watch.next, added);
    if (watching !== undefined) return added;
    // Linked, then looked at: a count that comes from here on fires it.
    if (words.load64(eventfd + Eventfd.counter) !== 0n) fire(words, added);
    words.set(added + Watch.holder, 0);
    return 0;
  });
  if (watch === 0) return;
  try {
    watching?.add(memory, watch);
  } catch (error) {
    dropWatches(memory, [watch]);
    throw error;
  }
  mutex.guard(() => words.set(watch + Watch.holder, 0));
}

/** The mirror image: when it has returned, no wait that begins reports the eventfd. Throws ENOENT. */
export function removeWatch(memory: EventfdHost, epoll: number, eventfd: number): void {
  const { words, mutex, pools, thread } = memory;
  const watch = mutex.guard(() => {
    const found = findWatch(words, epoll, eventfd);
    if (found === 0 || words.get(found + Watch.holder) !== 0) {
      throw new IrqBypassError("ENOENT", `${says(memory, epoll, "does not watch", eventfd)}: add it first`, {
        subject: `eventfd ${pools.eventfd.slot(eventfd)}`,
      });
    }
    words.set(found + Watch.holder, thread.record);
    return found;
  });
  dropWatches(memory, [watch]);
}

/** The last handle of an eventfd was closed: no epoll watches it any more, and none is told. */
export function unwatchEventfd(memory: EventfdHost, eventfd: number): void {
  const { words, mutex } = memory;
  if (words.load(eventfd + Eventfd.watches) === 0) return;
  dropWatches(
    memory,
    mutex.guard(() => claim(memory, eventfd + Eventfd.watches, Watch.next)),
  );
}

/** The last handle of an epoll was closed: it watches nothing any more. */
export function unwatchAll(memory: EventfdHost, epoll: number): void {
  const { words, mutex } = memory;
  const claimed: number[] = [];
  for (let row = epoll + Epoll.rows; row < epoll + Epoll.words; row++) {
    if (words.load(row) === 0) continue;
    claimed.push(...mutex.guard(() => claim(memory, row, Watch.nextInRow)));
  }
  dropWatches(memory, claimed);
}

/** Takes those of a list upon the calling thread that no other one adds or removes. Under the host mutex. */
function claim({ words, thread }: HostMemory, head: number, next: Watch.next | Watch.nextInRow): number[] {
  const claimed: number[] = [];
  for (let watch = words.load(head); watch !== 0; watch = words.load(watch + next)) {
    if (words.get(watch + Watch.holder) !== 0) continue;
    words.set(watch + Watch.holder, thread.record);
    claimed.push(watch);
  }
  return claimed;
}

/**
 * Takes watches out that the calling thread adds or removes, or that a dead one did: made unreachable first, then given back
 * once whoever is signalling or waiting has come past them. Done again, it finishes what was begun. Not under a mutex.
 */
export function dropWatches(memory: EventfdHost, watches: readonly number[]): void {
  const { words, mutex, pools, thread } = memory;
  if (watches.length === 0) return;
  thread.begun = true; // the end of something, which nobody can refuse
  for (const watch of watches) {
    // While it is linked, nobody else adds the eventfd to the epoll.
    watchingOf(memory, words.get(watch + Watch.eventfd))?.remove(memory, watch);
    mutex.guard(() => {
      unlink(words, words.get(watch + Watch.eventfd) + Eventfd.watches, Watch.next, watch);
      unlink(words, rowOf(words, watch), Watch.nextInRow, watch);
    });
  }
  thread.quiesce();
  for (const watch of watches) {
    const after = mutex.guard(() => {
      const of = [words.get(watch + Watch.eventfd), words.get(watch + Watch.epoll)];
      pools.watch.release(watch);
      return of.map((context) => dropContext(memory, context));
    });
    for (const close of after) close?.();
  }
}

/** The watch of an eventfd in an epoll, 0 where there is none. Under the host mutex; O(epolls that watch the eventfd). */
function findWatch(words: Words, epoll: number, eventfd: number): number {
  let watch = words.load(eventfd + Eventfd.watches);
  while (watch !== 0 && words.get(watch + Watch.epoll) !== epoll) watch = words.load(watch + Watch.next);
  return watch;
}

/** The head of the watches of the epoll that have the same bit. */
function rowOf(words: Words, watch: number): number {
  return words.get(watch + Watch.epoll) + Epoll.rows + words.get(watch + Watch.bit);
}

function link(words: Words, head: number, next: number, watch: number): void {
  words.store(next, words.load(head));
  words.store(head, watch); // it leads on before anything leads to it
}

/** The mirror image; does nothing where it is not in the list. */
function unlink(words: Words, head: number, next: Watch.next | Watch.nextInRow, watch: number): void {
  for (let before = head; ; ) {
    const one = words.load(before);
    if (one === 0) return;
    if (one === watch) {
      words.store(before, words.load(watch + next)); // what it leads to itself stays, for whoever stands on it
      return;
    }
    before = one + next;
  }
}

function says({ pools }: HostMemory, epoll: number, verb: string, eventfd: number): string {
  return `epoll ${pools.epoll.slot(epoll)} ${verb} eventfd ${pools.eventfd.slot(eventfd)}`;
}
