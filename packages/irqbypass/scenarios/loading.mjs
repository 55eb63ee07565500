// A thread loads native code while another one ends threads: the two are never at it at once.

import { override } from "atomics-explorer";
import { hosts } from "#scenarios/support/hosts.js";
import { Header, Thread } from "#src/host/layout.js";
import { beginLoading, endLoading, refuseLoading, untilNobodyLoads } from "#src/host/loading.js";
import { expect } from "./support/guest.mjs";

/** A word of the header that nobody else uses here: how many threads are inside the loader. */
const INSIDE = Header.ticks;

/** Two threads load, and a third ends threads, which must not be while one of them is inside. */
function scene(world, play = () => {}, begin = beginLoading) {
  const seen = hosts(world, ["ender", "one", "other"]);
  play(seen);
  const loads = (host) => () => {
    begin(host);
    host.words.add(INSIDE, 1);
    host.words.add(INSIDE, -1);
    endLoading(host);
  };
  return {
    threads: {
      ender() {
        const allow = refuseLoading(seen.ender);
        untilNobodyLoads(seen.ender);
        expect(seen.ender.words.load(INSIDE) === 0, "a thread is ended while it loads");
        allow();
      },
      one: loads(seen.one),
      other: loads(seen.other),
    },
    end() {
      for (const { words, thread } of Object.values(seen)) {
        const left = words.load(thread.record + Thread.loading) | words.load(thread.record + Thread.ending);
        expect(left === 0, "a thread still says that it loads, or ends others");
      }
    },
  };
}

/** Has a thread see the words of others as if nobody said anything. */
const blind = (host, word) => {
  const { words } = host;
  const others = host.pools.thread;
  host.words = override(words, {
    load: (at) =>
      at !== host.thread.record + word && others.has(at - word) && at - word !== host.thread.record
        ? 0
        : words.load(at),
  });
};

/** Threads: ender, one, other. */
export const end = {
  sentence: "No thread is ended while one loads native code, and each loads in the end.",
  timeouts: "stuck",
  setup: (world) => scene(world),
  twins: {
    "does-not-wait": {
      sentence: "ends threads without looking who loads",
      setup: (world) => scene(world, ({ ender }) => blind(ender, Thread.loading)),
    },
    "does-not-ask": {
      sentence: "loads without looking whether somebody ends threads",
      setup: (world) =>
        scene(world, ({ one, other }) => {
          for (const host of [one, other]) blind(host, Thread.ending);
        }),
    },
    "says-it-late": {
      sentence: "says that it loads only when it has looked",
      setup: (world) =>
        scene(
          world,
          () => {},
          ({ words, thread, pools }) => {
            const ending = pools.thread.at(0) + Thread.ending;
            while (words.load(ending) !== 0) words.wait(ending, 1, Infinity);
            words.add(thread.record + Thread.loading, 1);
          },
        ),
    },
  },
};
