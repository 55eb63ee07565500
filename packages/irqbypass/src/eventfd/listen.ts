import { Consumer, Eventfd as E, EventfdFlag, Thread } from "../host/layout.js";
import type { EventfdHost, Listen } from "./kind.js";
import { wakeSleepers } from "./signal.js";

/**
 * How an irqfd listens to an eventfd in the host's memory: the writer looks for it. A writer that saw no irqfd is
 * still adding to the counter when `start` is called, and one that saw it is still raising it when `stop` is: so
 * both wait for the writers that are under way.
 */
const listenShared: Listen = {
  start(memory, _irqfd, eventfd) {
    memory.thread.fenceAll(Thread.writing, eventfd);
    return memory.words.load64(eventfd + E.counter) !== 0n;
  },
  stop(memory, _irqfd, eventfd) {
    const { words, thread } = memory;
    thread.fenceAll(Thread.writing, eventfd);
    const semaphore = (words.get(eventfd + E.flags) & EventfdFlag.semaphore) !== 0;
    for (;;) {
      const count = words.load64(eventfd + E.counter);
      if (count === 0n) return;
      const left = semaphore ? count - 1n : 0n;
      if (words.compareExchange64(eventfd + E.counter, count, left) === count) break;
      words.relax();
    }
    wakeSleepers(words, eventfd);
  },
};

/** How an irqfd listens to an eventfd: its own kind's way, else the eventfd's kind's, else as above. */
export function listenOf({ words, kinds }: EventfdHost, irqfd: number, eventfd: number): Listen {
  const own = kinds[words.get(irqfd + Consumer.kind)]?.listen;
  return own ?? kinds[words.get(eventfd + E.flags) >>> EventfdFlag.kindShift]?.listen ?? listenShared;
}
