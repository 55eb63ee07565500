import { Eventfd, EventfdFlag } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";

/** Takes the counter of a shared eventfd, of a semaphore one unit, if it is not 0; undefined otherwise. From any thread; waits for nobody. */
export function takeCount(words: Words, eventfd: number, semaphore: boolean): bigint | undefined {
  const counter = eventfd + Eventfd.counter;
  for (;;) {
    const count = words.load64(counter);
    if (count === 0n) return undefined;
    // Nobody is told: no write waits for room, and to whoever waits for a count less of it is no news.
    if (words.compareExchange64(counter, count, semaphore ? count - 1n : 0n) === count)
      return semaphore ? 1n : BigInt.asUintN(64, count);
    words.relax();
  }
}

/** The same of an eventfd of any kind by its record, for whoever has no handle of it: was there something? */
export function takeRecord(memory: EventfdHost, eventfd: number): boolean {
  const { words, kinds } = memory;
  const flags = words.load(eventfd + Eventfd.flags);
  const take = kinds[flags >>> EventfdFlag.kindShift]?.take;
  if (take !== undefined) return take(memory, eventfd);
  return takeCount(words, eventfd, (flags & EventfdFlag.semaphore) !== 0) !== undefined;
}
