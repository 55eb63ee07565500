// The explorer itself: it counts right, models sleeping and dying right, and sees what breaks the rules.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Cast,
  Explorer,
  type ExploreSettings,
  formatSchedule,
  parseSchedule,
  replay,
  sharedArray,
  shorten,
  type World,
} from "#src/index.js";
import type { Words } from "#src/world/words.js";

type Body = (words: Words) => unknown;

/** Threads over a memory of eight words. */
const cast =
  (bodies: Readonly<Record<string, Body>>, more: Partial<Cast> = {}) =>
  (world: World): Cast => {
    world.memory(8, ["x", "y", "z"]);
    const threads = Object.fromEntries(
      Object.entries(bodies).map(([name, body]) => {
        const words = world.words(name);
        return [name, () => body(words)];
      }),
    );
    return { threads, ...more };
  };

async function explore(setup: (world: World) => Cast, settings: ExploreSettings = {}): Promise<Explorer> {
  const explorer = new Explorer(setup, settings);
  await explorer.explore();
  return explorer;
}

const steps =
  (count: number, word: number): Body =>
  (words) => {
    for (let i = 0; i < count; i++) words.add(word, 1);
  };

test("the schedules of threads that touch the same word are counted exactly, with and without states", async () => {
  // Interleavings of m and n steps are (m + n)! / (m! n!); of three times three, 9! / 3!^3.
  for (const reduce of [true, false]) {
    assert.equal((await explore(cast({ a: steps(7, 0), b: steps(7, 0) }), { reduce })).tally.schedules, 3432);
    assert.equal((await explore(cast({ a: steps(2, 0), b: steps(5, 0) }), { reduce })).tally.schedules, 21);
    assert.equal(
      (await explore(cast({ a: steps(3, 0), b: steps(3, 0), c: steps(3, 0) }), { reduce })).tally.schedules,
      1680,
    );
  }
});

test("three threads of eight steps stand for 9,465,511,770 schedules, visited as states", async () => {
  const { tally } = await explore(cast({ a: steps(8, 0), b: steps(8, 1), c: steps(8, 2) }));
  assert.equal(tally.schedules, 9_465_511_770);
  assert.equal(tally.states, 9 ** 3);
});

test("every outcome of store buffering that is sequentially consistent is seen, and the other never", async () => {
  const seen = new Set<string>();
  const setup = cast(
    {
      a: (words) => {
        words.store(0, 1);
        return words.load(1);
      },
      b: (words) => {
        words.store(1, 1);
        return words.load(0);
      },
    },
    { end: ({ a, b }) => void seen.add(`${a}${b}`) },
  );
  assert.equal((await explore(setup)).violation, undefined);
  assert.deepEqual([...seen].sort(), ["01", "10", "11"]);
});

test("a bound on preemptions leaves out what needs more of them, and 0 runs each order once", async () => {
  const setup = cast({ a: steps(3, 0), b: steps(3, 0) });
  assert.equal((await explore(setup, { preemptions: 0 })).tally.schedules, 2);
  // One switch away from a running thread: after each of two inner places, in either order.
  assert.equal((await explore(setup, { preemptions: 1 })).tally.schedules, 6);
  assert.equal((await explore(setup, { preemptions: 99 })).tally.schedules, 20);
});

const lostUpdate = cast(
  {
    a: (words) => words.store(0, words.load(0) + 1),
    b: (words) => words.store(0, words.load(0) + 1),
    c: (words) => words.load(2),
  },
  {},
);
const counts = (world: World): Cast => {
  const made = lostUpdate(world);
  const words = world.words("a");
  return {
    ...made,
    end() {
      assert.equal(words.load(0), 2, "an update is lost");
    },
  };
};

test("a lost update is found, its schedule is the shortest, and it can be replayed", async () => {
  const { violation } = await explore(counts);
  assert.match(violation!.message, /an update is lost/);
  const shortest = await shorten(counts, {}, violation!);
  assert.equal(shortest.preemptions, 1);
  const again = await replay(counts, {}, parseSchedule(formatSchedule(shortest.choices)));
  assert.match(again.violation!, /an update is lost/);
  assert.equal(again.id, formatSchedule(shortest.choices));
  assert.ok(again.lines.some(({ text }) => text === "load x: 0"));
  assert.equal((await replay(counts, {}, parseSchedule("a2b2c"))).violation, undefined);
});

test("a wait that nobody ends is a deadlock, and one that is ended in time is not", async () => {
  const waits: Body = (words) => {
    while (words.load(0) === 0) words.wait(0, 0, Infinity);
  };
  const wakes: Body = (words) => {
    words.store(0, 1);
    words.notify(0);
  };
  assert.equal((await explore(cast({ a: waits, b: wakes }))).violation, undefined);
  const early: Body = (words) => {
    words.notify(0);
    words.store(0, 1);
  };
  assert.match((await explore(cast({ a: waits, b: early }))).violation!.message, /deadlock: a sleeps on x/);
});

test("sleepers are woken first come, first served, one for each count", async () => {
  const setup = cast(
    {
      a: (words) => words.wait(0, 0, Infinity),
      b: (words) => words.wait(0, 0, Infinity),
      c: (words) => words.notify(0, 1),
    },
    { daemons: ["a", "b"], end: ({ a, b, c }) => assert.equal(Number(a === "ok") + Number(b === "ok"), c) },
  );
  assert.equal((await explore(setup)).violation, undefined);
});

test("a time limit passes never, when nothing else can happen, or at any moment", async () => {
  const setup = cast({ a: (words) => words.wait(0, 0, 10), b: (words) => words.load(1) });
  assert.match((await explore(setup)).violation!.message, /deadlock/);
  // b goes before or after a falls asleep.
  assert.equal((await explore(setup, { timeouts: "stuck" })).tally.schedules, 2);
  // Besides: the limit passes before b's only step, which then comes before or after a's end.
  assert.equal((await explore(setup, { timeouts: 1 })).tally.schedules, 4);
});

test("relax waits for a change of what the loop looked at, and a loop that nobody ends is reported", async () => {
  const spins: Body = (words) => {
    while (words.load(0) === 0) words.relax();
  };
  assert.equal((await explore(cast({ a: spins, b: (words) => words.store(0, 1) }))).violation, undefined);
  assert.match(
    (await explore(cast({ a: spins, b: (words) => words.store(1, 1) }))).violation!.message,
    /a waits for a change/,
  );
  const blind: Body = (words) => {
    while (words.load(0) === 0);
  };
  assert.match((await explore(cast({ a: blind }))).violation!.message, /does it ever end/);
});

test("relax waits for the death, too, of a thread that the loop has seen alive", async () => {
  const setup = (world: World): Cast => {
    const [words, b] = [world.words("a"), world.words("b")];
    world.memory(1);
    const { alive } = world.thread("a");
    const { index } = world.thread("b");
    const a = () => {
      while (words.load(0) === 0 && alive(index)) words.relax();
    };
    return { threads: { a, b: () => b.store(0, 1) } };
  };
  assert.equal((await explore(setup, { kills: ["b"] })).violation, undefined);
});

test("a failed compare-exchange has seen the change that its retry waits for", async () => {
  const increment: Body = (words) => {
    for (;;) {
      const seen = words.load(0);
      if (words.compareExchange(0, seen, seen + 1) === seen) return;
      words.relax();
    }
  };
  assert.equal((await explore(cast({ a: increment, b: increment }))).violation, undefined);
});

test("a thread dies before each access, guarded ones too, and each is counted", async () => {
  const ends = new Set<string>();
  const setup = (world: World): Cast => {
    const made = cast({
      a: (words) => {
        words.load(2);
        words.set(0, 1);
        words.set(1, 1);
        words.store(2, 1);
      },
    })(world);
    const words = world.words("a");
    return { ...made, end: () => void ends.add(`${words.load(0)}${words.load(1)}${words.load(2)}`) };
  };
  const { tally } = await explore(setup, { kills: ["a"] });
  assert.deepEqual([...ends].sort(), ["000", "100", "110", "111"]);
  // Before the load, after it, after each set; and once it lives.
  assert.equal(tally.killed, 4);
  assert.equal(tally.schedules, 5);
});

test("two threads at one guarded word are reported, unless something keeps them apart", async () => {
  const writes: Body = (words) => {
    words.load(1);
    words.set(0, words.get(0) + 1);
  };
  assert.match(
    (await explore(cast({ a: writes, b: writes }))).violation!.message,
    /a and b touch x at the same time/,
  );
  const locked: Body = (words) => {
    while (words.compareExchange(1, 0, 1) !== 0) words.relax();
    words.set(0, words.get(0) + 1);
    words.store(1, 0);
  };
  assert.equal((await explore(cast({ a: locked, b: locked }))).violation, undefined);
});

test("a thread that keeps something to itself, uses another's words or the bare memory is reported", async () => {
  let runs = 0;
  const forgetful: Body = (words) => {
    words.load(runs++ % 2);
    words.load(2);
  };
  assert.match(
    (await explore(cast({ a: forgetful, b: steps(2, 0) }))).violation!.message,
    /does not repeat itself/,
  );

  const borrowed = (world: World): Cast => {
    world.memory(2);
    const theirs = world.words("b");
    return { threads: { a: () => theirs.load(0), b: () => theirs.load(0) } };
  };
  assert.match((await explore(borrowed)).violation!.message, /words of b are used by another thread/);

  const buffer = new SharedArrayBuffer(64);
  const past = (world: World): Cast => {
    const words = world.adopt("a", buffer, 0, 16);
    return {
      threads: {
        a: () => {
          words.load(0);
          new Int32Array(buffer)[3] = 7;
          words.load(1);
        },
      },
    };
  };
  assert.match((await explore(past)).violation!.message, /word 3 was written past the seam/);
});

test("an invariant that does not hold at one moment is found, though it holds at the end", async () => {
  const setup = (world: World): Cast => {
    const made = cast({
      a: (words) => {
        words.store(0, 1);
        words.store(0, 0);
      },
    })(world);
    const words = world.words("a");
    return { ...made, always: () => assert.equal(words.load(0), 0, "x is not 0") };
  };
  assert.match((await explore(setup)).violation!.message, /x is not 0/);
});

test("64-bit words are one step, and their width is kept", async () => {
  const setup = cast(
    { a: (words) => words.compareExchange64(0, 0n, -1n), b: (words) => words.load64(0) },
    { end: ({ b }) => assert.ok(b === 0n || b === -1n) },
  );
  const { violation, tally } = await explore(setup);
  assert.equal(violation, undefined);
  assert.equal(tally.schedules, 2);
});

test("code that calls Atomics on a shared array is explored, its plain elements too", async () => {
  const setup =
    (early: boolean) =>
    (world: World): Cast => {
      world.memory(2, ["flag", "value"]);
      const [mine, theirs] = [world.words("a"), world.words("b")];
      const [into, from] = [sharedArray(mine, 0, 2), sharedArray(theirs, 0, 2)];
      return {
        threads: {
          a() {
            if (early) Atomics.store(into, 0, 1);
            into[1] = 42;
            if (!early) Atomics.store(into, 0, 1);
          },
          b() {
            while (Atomics.load(from, 0) === 0) theirs.relax();
            return from[1];
          },
        },
        end: ({ b }) => assert.equal(b, 42, "read too early"),
      };
    };
  assert.equal((await explore(setup(false))).violation, undefined);
  assert.match(
    (await explore(setup(true))).violation!.message,
    /read too early|touch value at the same time/,
  );
  const outside = new Int32Array(new SharedArrayBuffer(4));
  assert.equal(Atomics.add(outside, 0, 1), 0, "Atomics is itself again");
});

test("Atomics on the explored memory itself is reported", async () => {
  const buffer = new SharedArrayBuffer(64);
  const past = (world: World): Cast => {
    const words = world.adopt("a", buffer, 0, 16);
    const bare = new Int32Array(buffer);
    return {
      threads: {
        a: () => {
          words.load(0);
          Atomics.load(bare, 1);
          words.load(2);
        },
      },
    };
  };
  assert.match((await explore(past)).violation!.message, /past the seam/);
});
