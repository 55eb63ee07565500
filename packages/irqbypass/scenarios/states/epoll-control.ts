import { EpollControl } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const { ready, kicked, asleep } = {
  ready: EpollControl.ready,
  kicked: EpollControl.kicked,
  asleep: EpollControl.asleep,
};

/**
 * What an epoll's waiter is called for, and whether it sleeps (`src/eventfd/ready.ts`). Others only set bits, and the waiter, awake, only
 * clears them, but for its own `asleep`, which it sets where nothing else is: so what it sleeps on does not come back.
 */
export const epollControl: StateTable = {
  name: "epoll's control word",
  words: ["epoll.control"],
  keeper: "owner",
  states: {
    quiet: { mask: WHOLE, value: 0, is: "there is nothing to look at, and nobody sleeps" },
    ready: { mask: WHOLE, value: ready, is: "there may be bits" },
    kicked: { mask: WHOLE, value: kicked, is: "the wait is to end" },
    both: { mask: WHOLE, value: ready | kicked, is: "there may be bits, and the wait is to end" },
    asleep: {
      mask: WHOLE,
      value: asleep,
      is: "the waiter sleeps, or is about to: whoever takes it from here wakes it",
    },
    woken: {
      mask: asleep,
      value: asleep,
      is: "the waiter was called, and has not said yet that it is awake",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "quiet", to: "ready", who: "anyone", does: "a watch is fired", shown: "epoll/add" },
    { from: "kicked", to: "both", who: "anyone", does: "a watch is fired", shown: "epoll/kick" },
    { from: "asleep", to: "woken", who: "anyone", does: "a watch is fired, or a kick comes, which wakes the waiter", shown: "epoll/add" },
    { from: "woken", to: "woken", who: "anyone", does: "the other of the two", shown: "epoll/kick" },
    { from: "quiet", to: "kicked", who: "anyone", does: "a kick", shown: "epoll/kick" },
    { from: "ready", to: "both", who: "anyone", does: "a kick", shown: "epoll/kick" },
    { from: "ready", to: "quiet", who: "owner", does: "the waiter is about to look, and to sleep after it", shown: "epoll/forget" },
    { from: "both", to: "kicked", who: "owner", does: "the waiter is about to look, and to sleep after it", shown: "epoll/kick" },
    { from: "kicked", to: "quiet", who: "owner", does: "the waiter ends its wait", shown: "epoll/kick" },
    { from: "both", to: "ready", who: "owner", does: "the waiter ends its wait, and leaves what there may be to the next", shown: "epoll/kick" },
    { from: "quiet", to: "asleep", who: "owner", does: "the waiter is about to sleep", shown: "epoll/add" },
    { from: "asleep", to: "quiet", who: "owner", does: "the waiter has slept in vain", shown: "epoll/kick" },
    { from: "woken", to: "ready", who: "owner", does: "the waiter is awake", shown: "epoll/add" },
    { from: "woken", to: "kicked", who: "owner", does: "the waiter is awake", shown: "epoll/kick" },
    { from: "woken", to: "both", who: "owner", does: "the waiter is awake", shown: "epoll/kick" },
    { from: "asleep", to: "quiet", who: "repairer", does: "wakes up for a dead waiter", unused: "in each scenario something is written before the repair" },
    { from: "woken", to: "ready", who: "repairer", does: "wakes up for a dead waiter", shown: "death-epoll/sleep" },
    { from: "woken", to: "kicked", who: "repairer", does: "wakes up for a dead waiter", unused: "no scenario kicks a waiter that dies" },
    { from: "woken", to: "both", who: "repairer", does: "wakes up for a dead waiter", unused: "no scenario kicks a waiter that dies" },
  ],
};
