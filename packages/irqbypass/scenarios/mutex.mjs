// The mutex under the host and under every VM: one word that holds the owner and whether anybody sleeps.
import { override } from "atomics-explorer";
import { keepTables } from "#scenarios/support/transitions.js";
import { Mutex } from "#src/host/mutex.js";

const [MUTEX, COUNTER, HEALED, OVER] = [0, 1, 2, 3];

const lockIdOf = (thread) => thread + 1;
const threadOf = (lockId) => (lockId === 0 ? undefined : lockId - 1);

/**
 * Threads that each enter the mutex once and count, after what they do `before`, by what they have in `enters`. `make` makes the mutex
 * of a thread.
 */
function cast(world, names, make, before = () => {}, enters = {}) {
  const words = ["mutex", "counter", "healed", "over"];
  world.memory(words.length, words);
  keepTables(world, {
    fieldOf: (word) => `header.${words[word]}`,
    nameOf: (word) => words[word],
    keeper: (who, _table, _word, before) => (who === "holder" ? threadOf(before >> 1) : undefined),
    named: (_what, lockId) => threadOf(lockId),
    lives: world.thread(names[0]).alive,
    hasEnded: () => false,
  });
  const threads = {};
  for (const [index, name] of names.entries()) {
    const words = world.words(name);
    const { alive } = world.thread(name);
    const thread = {
      lockId: lockIdOf(index),
      mayBlock: true,
      spin: () => false,
      park: (word, expected, timeoutMs) => words.wait(word, expected, timeoutMs),
      isGone: (lockId) => lockId !== 0 && !alive(threadOf(lockId)),
    };
    const mutex = make(words, thread);
    threads[name] = () => {
      before(name, mutex, alive);
      const { [name]: enter = (section) => mutex.guard(section) } = enters;
      const section = () => {
        if (!mutex.held()) throw new Error("the mutex does not say who holds it");
        words.set(COUNTER, words.get(COUNTER) + 1);
        return "in";
      };
      return enter(section, mutex, words);
    };
  }
  return { threads, words: world.words(names[0]) };
}

const shipped = (words, thread) =>
  new Mutex(words, MUTEX, thread, "the mutex", () => words.set(HEALED, words.get(HEALED) + 1));

/** The shipped mutex, with one instruction that its protocol rests on played false. */
const with_ = (change) => (words, thread) => {
  const false_ = override(words, change(words));
  return shipped(false_, { ...thread, park: false_.wait });
};

/** Everybody got in, one at a time. */
function everybody(world, names, make) {
  const { threads, words } = cast(world, names, make);
  return {
    threads,
    end(results) {
      for (const name of names)
        if (results[name] !== "in") throw new Error(`${name} was told of a death, and nobody died`);
      const counted = words.get(COUNTER);
      if (counted !== names.length) throw new Error(`${names.length} threads counted to ${counted}`);
      if (words.load(MUTEX) !== 0) throw new Error("the mutex is held by nobody who lives");
    },
  };
}

const looksThenWrites = with_((words) => ({
  compareExchange(word, expected, value) {
    if (expected !== 0) return words.compareExchange(word, expected, value);
    const old = words.load(word);
    if (old === expected) words.store(word, value);
    return old;
  },
}));

const forgetsWaiters = with_((words) => ({
  compareExchange: (word, expected, value) =>
    words.compareExchange(word, expected, expected === 0 ? value & ~1 : value),
}));

/** Threads: a, b. */
export const exclusion = {
  sentence: "Two threads are never inside at once, each gets in, and the word says who is inside.",
  setup: (world) => everybody(world, ["a", "b"], shipped),
  twins: {
    "looks-then-writes": {
      sentence: "takes the mutex by a load and a store instead of a compare-exchange",
      setup: (world) => everybody(world, ["a", "b"], looksThenWrites),
    },
    "wrong-owner": {
      sentence: "writes another thread's number into the word",
      setup: (world) =>
        everybody(
          world,
          ["a", "b"],
          with_((words) => ({
            compareExchange: (word, expected, value) =>
              words.compareExchange(word, expected, expected === 0 ? value + 4 : value),
          })),
        ),
    },
    "no-wake": {
      sentence: "unlocks without waking the thread that sleeps",
      setup: (world) =>
        everybody(
          world,
          ["a", "b"],
          with_(() => ({ notify: () => 0 })),
        ),
    },
    "sleeps-unannounced": {
      sentence: "goes to sleep without setting the waiters bit",
      setup: (world) =>
        everybody(
          world,
          ["a", "b"],
          with_((words) => ({
            compareExchange: (word, expected, value) =>
              value === (expected | 1) && expected !== 0
                ? expected
                : words.compareExchange(word, expected, value),
            wait: (word, expected, ms) => words.wait(word, expected & ~1, ms),
          })),
        ),
    },
  },
};

/** Threads: a, b, c. */
export const handover = {
  sentence:
    "Of three threads that want the mutex each gets in: no wake-up is lost on the way from one to the next.",
  setup: (world) => everybody(world, ["a", "b", "c"], shipped),
  twins: {
    "forgets-waiters": {
      sentence: "takes the mutex after a sleep without the waiters bit, so that the next one is not woken",
      setup: (world) => everybody(world, ["a", "b", "c"], forgetsWaiters),
    },
  },
};

/** Thread b wants the mutex until a has done what it is for; c wants it in any case. */
function leaving(world, make) {
  const { threads, words } = cast(world, ["a", "b", "c"], make, () => {}, {
    a: (section, mutex, own) =>
      mutex.guard(() => {
        section();
        own.store(OVER, 1);
        return "in";
      }),
    b: (section, mutex, own) => mutex.encloseUnless(() => own.load(OVER) === 1, section) ?? "over",
  });
  return {
    threads,
    end({ b }) {
      const counted = words.get(COUNTER);
      if (counted !== (b === "in" ? 3 : 2))
        throw new Error(`b is ${b}, and the threads counted to ${counted}`);
      if (words.load(MUTEX) !== 0) throw new Error("the mutex is held by nobody who lives");
    },
  };
}

/** Threads: a, b, c. */
export const leaves = {
  sentence: "A thread that leaves a mutex which it wants no more leaves nobody asleep.",
  setup: (world) => leaving(world, shipped),
  twins: {
    "keeps-the-wake-up": {
      sentence: "leaves with the wake-up that was another's",
      setup: (world) =>
        leaving(
          world,
          with_((words) => ({
            notify: (word, count) =>
              words.load(OVER) === 1 && words.load(MUTEX) === 0 ? 0 : words.notify(word, count),
          })),
        ),
    },
  },
};

/** Threads: a, b, c. Each time limit may pass at any moment, one of them in a schedule. */
export const timeouts = {
  sentence: "A time limit that passes lets a thread look whether the owner lives, and it goes on waiting.",
  timeouts: 1,
  setup: (world) => everybody(world, ["a", "b", "c"], shipped),
  twins: {
    "takes-slow-for-dead": {
      sentence: "takes an owner that is slow for one that died",
      setup: (world) =>
        everybody(world, ["a", "b", "c"], (words, thread) =>
          shipped(words, {
            ...thread,
            isGone: () => true,
          }),
        ),
    },
    "barges-in": {
      sentence: "takes the mutex when its time limit has passed",
      setup: (world) => everybody(world, ["a", "b", "c"], bargesIn),
    },
  },
};

/** The same with two that pass. */
export const timeoutsTwice = {
  ...timeouts,
  sentence: "Two time limits that pass let threads look whether the owner lives, and they go on waiting.",
  timeouts: 2,
  long: true,
};

function bargesIn(words, thread) {
  return shipped(words, {
    ...thread,
    park(word, expected, timeoutMs) {
      const end = words.wait(word, expected, timeoutMs);
      if (end === "timed-out") words.store(word, 0);
      return end;
    },
  });
}

/** Whoever lives got in, and what the mutex guards was healed if its owner died, once. It is b who may die. */
function survivors(world, make, { others = ["a", "c"], before } = {}) {
  const [first, ...rest] = others;
  const { threads, words } = cast(world, [first, "b", ...rest], make, before);
  return {
    threads,
    end(results) {
      for (const name of others) if (results[name] !== "in") throw new Error(`${name} was left behind`);
      const [held, healed] = [words.load(MUTEX), words.get(HEALED)];
      if (results.b === "in" && healed > 0)
        throw new Error("what the mutex guards was healed without a need");
      if (healed > 1) throw new Error("what the mutex guards was healed twice after one death");
      if (held !== 0 && held >> 1 !== 2) throw new Error("the mutex is held by a thread that went on");
    },
  };
}

/** Threads: a, b, c. */
export const death = {
  sentence:
    "When a thread dies while it waits, is woken or owns the mutex, the others get in, after a repair where it owned it.",
  kills: ["b"],
  timeouts: "stuck",
  setup: (world) => survivors(world, shipped),
  twins: {
    "waits-for-ever": {
      sentence: "sleeps without a time limit, so that nobody looks whether the owner lives",
      setup: (world) =>
        survivors(
          world,
          with_((words) => ({ wait: (word, expected) => words.wait(word, expected, Infinity) })),
        ),
    },
  },
};

/** Threads: a, b. Where b has died, a knows it before it wants the mutex. */
const recovers = (knows) => (world) =>
  survivors(world, shipped, {
    others: ["a"],
    before(name, mutex, alive) {
      if (name === "a" && knows(alive)) mutex.recover(lockIdOf(1));
    },
  });

/** Threads: a, b. */
export const recovery = {
  sentence:
    "Whoever knows that a thread is dead takes the mutex over from it at once, and repairs what it guards.",
  kills: ["b"],
  timeouts: "stuck",
  setup: recovers((alive) => !alive(1)),
  twins: {
    unasked: {
      sentence: "takes the mutex over without knowing that its owner is dead",
      setup: recovers(() => true),
    },
  },
};
