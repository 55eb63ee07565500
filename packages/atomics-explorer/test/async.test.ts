// Async threads: the same schedules as blocking ones, and one thing at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Explorer, type ExploreSettings, replay, type World } from "#src/index.js";
import type { Words } from "#src/world/words.js";

type Body = (words: Words) => unknown;

const cast = (bodies: Readonly<Record<string, Body>>) => (world: World) => {
  world.memory(4, ["x", "y", "z"]);
  const named = Object.entries(bodies).map(([name, body]) => {
    const words = world.words(name);
    return [name, () => body(words)] as const;
  });
  return { threads: Object.fromEntries(named) };
};

async function explore(bodies: Readonly<Record<string, Body>>, settings: ExploreSettings = {}) {
  const explorer = new Explorer(cast(bodies), settings);
  await explorer.explore();
  return explorer;
}

const blocks: Body = (words) => {
  words.add(1, 1);
  while (words.load(0) === 0) words.wait(0, 0, Infinity);
  words.add(1, 1);
};
/** Nested, with clean-up that touches words: all of it is over before another thread runs. */
const awaits: Body = async (words) => {
  const inner = async () => {
    try {
      while (words.load(0) === 0) await words.waitAsync(0, 0, Infinity);
    } finally {
      words.add(1, 1);
    }
  };
  words.add(1, 1);
  await inner();
};
const wakes: Body = (words) => {
  words.store(0, 1);
  words.notify(0);
};
const forgets: Body = (words) => words.store(0, 1);

test("an async thread has the schedules of the blocking one, with and without states", async () => {
  for (const reduce of [true, false]) {
    const { tally, violation } = await explore({ a: awaits, b: wakes }, { reduce });
    const blocking = await explore({ a: blocks, b: wakes }, { reduce });
    assert.equal(violation, undefined);
    assert.ok(tally.schedules > 5);
    assert.deepEqual(tally, blocking.tally);
  }
});

test("two async threads, and one that dies", async () => {
  const { tally, violation } = await explore({ a: awaits, b: awaits, c: wakes }, { kills: ["a"] });
  assert.equal(violation, undefined);
  assert.deepEqual(tally, (await explore({ a: blocks, b: blocks, c: wakes }, { kills: ["a"] })).tally);
  assert.ok(tally.killed > 0);
});

test("a wake-up that is lost is a deadlock, and can be replayed", async () => {
  const { violation } = await explore({ a: awaits, b: forgets });
  assert.match(violation!.message, /deadlock: a sleeps on x/);
  const again = await replay(cast({ a: awaits, b: forgets }), {}, violation!.choices);
  assert.equal(again.violation, violation!.message);
  assert.ok(again.lines.some(({ text }) => text === "wait x at 0: sleeps"));
});

test("one exploration at a time", async () => {
  const first = explore({ a: awaits, b: wakes });
  await assert.rejects(explore({ a: awaits, b: wakes }), /another exploration is under way/);
  assert.equal((await first).violation, undefined);
  assert.equal((await explore({ a: awaits, b: wakes })).violation, undefined);
});

test("what an async thread throws is a violation", async () => {
  const fails: Body = async (words) => {
    await words.waitAsync(0, 1, Infinity);
    throw new Error("not so");
  };
  assert.equal((await explore({ a: fails, b: wakes })).violation!.message, "thread a threw: not so");
});

test("a thread that does something else while it waits is reported, and not explored in part", async () => {
  const both: Body = async (words) => {
    await Promise.all([words.waitAsync(0, 0, Infinity), words.add(1, 1)]);
  };
  assert.match((await explore({ a: both, b: wakes })).violation!.message, /goes on while it waits/);
  const later: Body = async (words) => {
    const soon = Promise.resolve().then(() => words.add(1, 1));
    await Promise.all([words.waitAsync(0, 0, Infinity), soon]);
  };
  assert.match(
    (await explore({ a: later, b: wakes })).violation!.message,
    /goes on while it waits|used by another thread/,
  );
});
