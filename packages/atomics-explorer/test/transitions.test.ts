// What `Discipline.transition` hears, and what comes of what it says.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Explorer,
  type ExploreSettings,
  exploreSubject,
  formatSchedule,
  subjectsOf,
  type World,
} from "#src/index.js";
import type { Words } from "#src/world/words.js";

type Body = (words: Words) => unknown;
type Heard = readonly [thread: number, word: number, before: number, after: number];

/** Threads over eight words, whose changes are told to `transition`. */
const cast =
  (
    bodies: Readonly<Record<string, Body>>,
    transition: (world: World, ...heard: Heard) => string | undefined,
  ) =>
  (world: World) => {
    world.memory(8, ["x", "y", "z"]);
    world.discipline = { ...world.discipline!, transition: (...heard) => transition(world, ...heard) };
    const threads = Object.entries(bodies).map(([name, body]) => {
      const words = world.words(name);
      return [name, () => body(words)] as const;
    });
    world.words("a").store(0, 7); // nobody hears of it
    return { threads: Object.fromEntries(threads) };
  };

async function explore(setup: ReturnType<typeof cast>, settings: ExploreSettings = {}): Promise<Explorer> {
  const explorer = new Explorer(setup, settings);
  await explorer.explore();
  return explorer;
}

test("it hears of each change that a thread makes, by whichever operation, and of nothing else", async () => {
  const heard: Heard[] = [];
  const body: Body = (words) => {
    words.load(0);
    words.store(0, 7); // is 7 already
    words.store(0, 1);
    words.or(0, 6);
    words.and(0, 3);
    words.add(0, -4);
    words.exchange(0, 5);
    words.compareExchange(0, 4, 8); // fails
    words.compareExchange(0, 5, 6);
    words.get(1);
    words.set(1, 9);
    words.set(1, 9);
    words.store64(2, (1n << 32n) - 1n); // the upper half stays 0
    words.compareExchange64(2, (1n << 32n) - 1n, 1n << 33n);
    words.compareExchange64(2, 0n, 1n);
    words.notify(0);
  };
  const { violation } = await explore(
    cast({ a: body }, (_, ...change) => {
      heard.push(change);
      return undefined;
    }),
  );
  assert.equal(violation, undefined);
  assert.deepEqual(heard, [
    [0, 0, 7, 1],
    [0, 0, 1, 7],
    [0, 0, 7, 3],
    [0, 0, 3, -1],
    [0, 0, -1, 5],
    [0, 0, 5, 6],
    [0, 1, 0, 9],
    [0, 2, 0, -1],
    [0, 2, -1, 0],
    [0, 3, 0, 2],
  ]);
});

const once: Body = (words) => words.add(0, 1);

test("what it says is the violation, at the step that makes the change", async () => {
  const setup = cast({ a: once, b: once }, (_, thread, _word, before) =>
    thread === 1 && before === 8 ? "b is second" : undefined,
  );
  const { violation } = await explore(setup);
  assert.equal(violation?.message, "b is second");
  // The step of a, and that of b which is under way.
  assert.equal(formatSchedule(violation.choices), "ab");
});

test("what it throws is a violation too, and not the business of the code under test", async () => {
  const catches: Body = (words) => {
    try {
      words.add(0, 1);
    } catch {
      return "caught";
    }
  };
  const { violation } = await explore(
    cast({ a: catches }, () => {
      throw new Error("no such row");
    }),
  );
  assert.equal(violation?.message, "no such row");
});

test("it reads the memory as it is before the change, and asks who lives without a step", async () => {
  const seen = new Set<string>();
  const bodies = { a: once, b: once };
  const setup = cast(bodies, (world, thread, word, before) => {
    const x = world.words("a").load(word);
    seen.add(`${thread} ${x === before} ${world.thread("a").alive(0)} ${world.thread("a").alive(1)}`);
    return undefined;
  });
  const with_ = await explore(setup, { kills: ["a"] });
  assert.equal(with_.violation, undefined);
  // a dies before its step or never: b sees either.
  assert.deepEqual([...seen].sort(), ["0 true true true", "1 true false true", "1 true true true"]);
  const without = await explore(
    cast(bodies, () => undefined),
    { kills: ["a"] },
  );
  assert.deepEqual(with_.tally, without.tally);
});

test("it may be left out, and is for twins: they fail by their own property", async () => {
  const objects = cast({ a: once }, () => "never");
  assert.equal((await explore(objects, { transitions: false })).violation, undefined);
  const fails = (world: World) => ({
    ...objects(world),
    end() {
      throw new Error("its own property");
    },
  });
  const [shipped, twin] = subjectsOf("file/scenario", {
    sentence: "holds",
    setup: objects,
    twins: { wrong: { sentence: "is wrong", setup: fails } },
  });
  assert.equal((await exploreSubject(shipped!)).violation?.message, "never");
  assert.equal((await exploreSubject(twin!)).violation?.message, "its own property");
});
