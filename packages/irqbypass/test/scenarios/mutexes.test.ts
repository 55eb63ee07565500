// Mutexes that are taken for granted: the same outcomes as with the real ones, in fewer states.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Explorer, type ExploreSettings, type World } from "atomics-explorer";
import { hosts } from "#scenarios/support/hosts.js";
import { Header } from "#src/host/layout.js";
import type { Host } from "#src/vm/host.js";

type Threads = Readonly<Record<string, (host: Host) => unknown>>;

/** Explores threads over one host; `end` gets what each returned. */
async function explore(
  threads: Threads,
  settings: ExploreSettings,
  end: (results: object) => void = () => {},
) {
  const explorer = new Explorer((world: World) => {
    const names = Object.keys(threads) as [string, ...string[]];
    const seen = hosts(world, names);
    const bodies = names.map((name) => [name, () => threads[name]!(seen[name]!)] as const);
    return { threads: Object.fromEntries(bodies), end };
  }, settings);
  await explorer.explore();
  return explorer;
}

/** Takes the mutex twice, and notes who had it before by a word that it guards, and how far all are by one that it does not. */
const enters = (id: number) => (host: Host) => {
  const { words, mutex } = host;
  const seen: number[] = [];
  for (let i = 0; i < 2; i++) {
    mutex.guard(() => {
      seen.push(words.load(Header.ticks));
      words.store(Header.ticks, id);
    });
    seen.push(words.add(Header.watchers, 1));
  }
  return seen.join();
};

async function outcomes(mutexes: "explored" | "assumed") {
  const found = new Set<string>();
  const explorer = await explore({ a: enters(1), b: enters(2) }, { mutexes }, (results) => {
    found.add(JSON.stringify(results));
  });
  assert.equal(explorer.violation, undefined);
  return { found: [...found].sort(), states: explorer.tally.states };
}

test("what can come of two threads is the same with real mutexes and with assumed ones", async () => {
  const explored = await outcomes("explored");
  const assumed = await outcomes("assumed");
  assert.ok(explored.found.length > 10);
  assert.deepEqual(assumed.found, explored.found);
  assert.ok(assumed.states < explored.states);
});

test("two sections have two orders, each with and without a wait", async () => {
  const enter = ({ mutex }: Host) => mutex.guard(() => {});
  const { tally, violation } = await explore({ a: enter, b: enter }, { mutexes: "assumed", reduce: false });
  assert.equal(violation, undefined);
  assert.equal(tally.schedules, 4);
});

test("whoever waits for a mutex that is never given back is named", async () => {
  const keeps = ({ words, thread }: Host) => words.compareExchange(Header.mutex, 0, thread.lockId << 1);
  const enter = ({ mutex }: Host) => mutex.guard(() => {});
  const { violation } = await explore({ a: keeps, b: enter }, { mutexes: "assumed" });
  assert.equal(violation?.message, "deadlock: b waits for mutex, and nobody can go on");
});

test("a thread that may die needs the real one", async () => {
  const enter = ({ mutex }: Host) => mutex.guard(() => {});
  await assert.rejects(
    () => explore({ a: enter }, { mutexes: "assumed", kills: ["a"] }),
    /explore the mutexes/,
  );
});

test("asking whether a thread lives touches no word, whatever its number", async () => {
  const explorer = new Explorer((world) => {
    world.memory(2);
    const asking = world.thread("a");
    const words = world.words("b");
    return {
      threads: {
        a: () => asking.alive(1),
        b() {
          words.set(1, 1);
          words.add(0, 1);
        },
      },
    };
  });
  await explorer.explore();
  assert.equal(explorer.violation, undefined);
});
