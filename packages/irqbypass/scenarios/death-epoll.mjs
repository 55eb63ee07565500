// A thread that dies at any access of what it does with an epoll: as it signals, waits, adds or removes. What it owed is done for
// it, what it had taken is reported again, and what it was adding or removing is not watched.

import { override } from "atomics-explorer";
import { Epoll, Eventfd } from "irqbypass";
import { Epoll as E, Watch } from "#src/host/layout.js";
import { dies, mortal, noHeal, noNotification } from "./support/death.mjs";
import { expect } from "./support/guest.mjs";

/** An epoll of the survivor that watches the guest's eventfd, as both threads have them. */
function watched({ host, victim, eventfd }, { edge = false, add = true } = {}) {
  const epoll = Epoll.create(host);
  if (add) epoll.add(eventfd, { data: 7, edge });
  const theirs = { epoll: Epoll.open(victim, epoll.handle), eventfd: Eventfd.open(victim, eventfd.handle) };
  return { epoll, theirs, keeps: [epoll, eventfd, theirs.epoll, theirs.eventfd] };
}

/** The victim writes, and may die; the survivor waits, and gives up when nobody can go on. */
const writes = (made) => {
  const { host, eventfd } = made;
  const { epoll, theirs, keeps } = watched(made);
  return {
    victim: () => theirs.eventfd.write(),
    survivor: () => epoll.wait({ timeoutMs: 100 }),
    keeps,
    signals: (_results, died) => ({ host, eventfd, sent: died ? 0 : 1, most: 1 }),
    check: () => expect(epoll.tryWait().length === Number(eventfd.count), "what was written is not reported"),
  };
};

/** Threads: survivor, victim. */
export const write = {
  sentence: "A thread dies as it writes to an eventfd: what is in the counter is reported.",
  ...mortal,
  setup: (world) => dies(world, writes),
  twins: {
    "no-notification": {
      sentence: "repairs without the notifications that the dead thread owed",
      setup: (world) => dies(world, writes, noNotification),
    },
  },
};

/** The victim takes an event that is reported once, and may die with it. */
const takes = (made) => {
  const { host, victim, eventfd } = made;
  const { epoll, theirs, keeps } = watched(made, { edge: true });
  eventfd.write();
  return {
    victim: () => theirs.epoll.wait(),
    keeps,
    signals: () => ({ host, eventfd }),
    check: (_results, died) => {
      expect(
        epoll.tryWait().length === (died ? 1 : 0),
        died ? "the event died with the waiter" : "it is there twice",
      );
      expect(victim.threadId >= 0, "the victim was never there");
    },
  };
};

/** What a dead waiter had taken is not looked at again. */
function looksNoMore({ host }) {
  const { words } = host;
  host.words = override(words, {
    store(word, value) {
      if (value !== 1 || host.pools.watch.base + Watch.fired !== word) words.store(word, value);
    },
  });
}

/** Threads: survivor, victim. */
export const take = {
  sentence: "What a waiter had taken when it died is reported to the next one.",
  ...mortal,
  setup: (world) => dies(world, takes),
  twins: {
    "looks-no-more": {
      sentence: "repairs without looking again at what the dead thread may have taken",
      setup: (world) => dies(world, takes, looksNoMore),
    },
  },
};

/** The victim waits, and may die asleep; the survivor waits then. */
const sleeps = (made) => {
  const { host, victim, eventfd } = made;
  const { epoll, theirs, keeps } = watched(made);
  const clock = Epoll.create(host);
  const { record } = victim.thread;
  return {
    victim: () => theirs.epoll.wait(),
    survivor() {
      eventfd.write();
      clock.wait({ timeoutMs: 100 }); // until nobody can go on
      if (host.thread.isDead(record)) host.threadLost(victim.pools.thread.slot(record));
    },
    keeps: [...keeps, clock],
    signals: () => ({ host, eventfd }),
    check() {
      const before = host.words.load(epoll.record + E.waiter);
      expect(before === 0, "the dead thread waits for ever");
      expect(epoll.wait().length === 1, "the event is lost");
      expect(victim.threadId >= 0, "the victim was never there");
    },
  };
};

/** Threads: survivor, victim. */
export const sleep = {
  sentence: "A waiter dies, asleep or not: the next one waits, and is told.",
  ...mortal,
  setup: (world) => dies(world, sleeps),
  twins: {
    "waits-for-ever": {
      sentence: "leaves the epoll to the thread that is gone",
      setup: (world) =>
        dies(world, sleeps, ({ host }) => {
          const { words, pools } = host;
          host.words = override(words, {
            store(word, value) {
              if (word !== pools.epoll.base + E.waiter) words.store(word, value);
            },
          });
        }),
    },
  },
};

/** The victim adds an eventfd that the survivor writes to, or removes it. */
const changes = (how) => (made) => {
  const { host, eventfd } = made;
  const { epoll, theirs, keeps } = watched(made, { add: how === "remove" });
  return {
    victim: () => theirs.epoll[how](theirs.eventfd),
    survivor: () => eventfd.write(),
    keeps,
    signals: () => ({ host, eventfd }),
    check(_results, died) {
      const found = epoll.tryWait().length;
      if (!died) expect(found === (how === "add" ? 1 : 0), `it is ${found === 0 ? "not " : ""}reported`);
      const live = host.mutex.guard(() => host.pools.watch.live);
      expect(
        found === live,
        live === 0 ? "what is not watched is reported" : "what is watched is not reported",
      );
    },
  };
};

/** Threads: survivor, victim. */
export const add = {
  sentence: "A thread dies as it adds an eventfd: that is watched whole, or not at all.",
  ...mortal,
  setup: (world) => dies(world, changes("add")),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over without making whole what it guards",
      setup: (world) => dies(world, changes("add"), noHeal),
    },
  },
};

/** Threads: survivor, victim. */
export const remove = {
  sentence: "A thread dies as it removes an eventfd: that is watched whole, or not at all.",
  ...mortal,
  setup: (world) => dies(world, changes("remove")),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over without making whole what it guards",
      setup: (world) => dies(world, changes("remove"), noHeal),
    },
  },
};
