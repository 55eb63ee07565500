// How fast schedules are run one by one. Prints the figure; a time never fails a test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Explorer, type World } from "#src/index.js";

test("two threads of seven steps, every schedule by itself", async (t) => {
  const setup = (world: World) => {
    world.memory(2);
    const [a, b] = [world.words("a"), world.words("b")];
    const seven = (words: typeof a) => () => {
      for (let i = 0; i < 7; i++) words.add(0, 1);
    };
    return { threads: { a: seven(a), b: seven(b) } };
  };
  let best = 0;
  for (const started = performance.now(); performance.now() - started < 1000; ) {
    const explorer = new Explorer(setup, { reduce: false });
    const before = performance.now();
    await explorer.explore();
    best = Math.max(best, explorer.tally.schedules / (performance.now() - before));
    assert.equal(explorer.tally.schedules, 3432);
  }
  t.diagnostic(`${Math.round(best * 1000).toLocaleString("en")} schedules/s`);
});
