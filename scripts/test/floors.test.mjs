// Each rule of the house bites: a small house that keeps them all has no problem, and one for each rule that it breaks.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { inspect } from "../house.mjs";

const HOUSE = {
  folder: "house",
  floors: ["ground", "first", "index", "roof"],
  core: { floors: ["ground", "first", "index"], adapter: "ground/adapter.ts" },
  packages: ["allowed", "@scope/allowed"],
};
const SOUND = {
  "house/src/ground/adapter.ts": 'import "node:os";',
  "house/src/ground/stone.ts": "export const stone = 1;\n".repeat(400),
  "house/src/first/room.ts": 'import { stone } from "../ground/stone.js"; export interface Room {}',
  "house/src/first/bell.ts": 'new Worker(new URL("./bell-worker.js", import.meta.url), { type: "module" });',
  "house/src/first/bell-worker.ts": "",
  "house/src/roof/flag-worker.ts": "",
  "house/src/index.ts": 'export * from "./first/room.js";',
  "house/src/roof/roof.ts":
    'import "allowed/part"; import "@scope/allowed"; import "node:fs"; import "../index.js";',
  "beside/one.mjs": 'import "./two.mjs";',
  "beside/two.mjs": "",
  "beside/build/three.ts": 'import "./three.js";',
};

/** The problems of the sound house with some of its files replaced. */
function problemsOf(files) {
  const root = mkdtempSync(join(tmpdir(), "house-"));
  try {
    for (const [name, text] of Object.entries({ ...SOUND, ...files })) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    return inspect(root, [HOUSE], ["beside"]).problems;
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("a house that keeps the rules has no problem", () => assert.deepEqual(problemsOf({}), []));

const BROKEN = {
  "a file on no floor": [
    { "house/src/cellar/barrel.ts": "" },
    ["house/src/cellar/barrel.ts: is on no floor: name it in scripts/floors.mjs"],
  ],
  "a file beside the floors that is none": [
    { "house/src/shed.ts": "" },
    ["house/src/shed.ts: is on no floor: name it in scripts/floors.mjs"],
  ],
  "an import up the house": [
    { "house/src/ground/stone.ts": 'import "../roof/tile.js";', "house/src/roof/tile.ts": "" },
    ["house/src/ground/stone.ts: imports up the house: roof/tile.ts"],
  ],
  "an import of a type up the house": [
    {
      "house/src/first/door.ts": 'import type { Tile } from "../roof/tile.js";',
      "house/src/roof/tile.ts": "",
    },
    ["house/src/first/door.ts: imports up the house: roof/tile.ts"],
  ],
  "a type that is passed on from above": [
    {
      "house/src/first/door.ts": 'export type { Tile } from "../roof/tile.js";',
      "house/src/roof/tile.ts": "",
    },
    ["house/src/first/door.ts: imports up the house: roof/tile.ts"],
  ],
  "a type that is imported in place from above": [
    { "house/src/first/door.ts": 'let a: import("../roof/tile.js").Tile;', "house/src/roof/tile.ts": "" },
    ["house/src/first/door.ts: imports up the house: roof/tile.ts"],
  ],
  "a circle of imports": [
    { "house/src/roof/a.ts": 'import "./b.js";', "house/src/roof/b.ts": 'import "./a.js";' },
    ["house/src: imports in a circle: roof/a.ts -> roof/b.ts -> roof/a.ts"],
  ],
  "a circle of types alone": [
    {
      "house/src/first/a.ts": 'import type { B } from "./b.js";',
      "house/src/first/b.ts": 'import { type A } from "./c.js";',
      "house/src/first/c.ts": 'import type { A } from "./a.js";',
    },
    ["house/src: imports in a circle: first/a.ts -> first/b.ts -> first/c.ts -> first/a.ts"],
  ],
  "a circle beside the houses": [
    { "beside/two.mjs": 'import "./one.mjs";' },
    ["beside: imports in a circle: one.mjs -> two.mjs -> one.mjs"],
  ],
  "a Node API in the core": [
    { "house/src/first/room.ts": 'import "node:fs";' },
    ["house/src/first/room.ts: the core imports nothing from outside: node:fs"],
  ],
  "a package in the core": [
    { "house/src/first/room.ts": 'import "allowed";' },
    ["house/src/first/room.ts: the core imports nothing from outside: allowed"],
  ],
  "a package that the house does not have": [
    { "house/src/roof/roof.ts": 'import "other/part"; import "@scope/other";' },
    [
      "house/src/roof/roof.ts: the package does not have other/part",
      "house/src/roof/roof.ts: the package does not have @scope/other",
    ],
  ],
  "an import out of the house": [
    { "house/src/roof/roof.ts": 'import "../../../beside/two.mjs";' },
    ["house/src/roof/roof.ts: imports out of the house: ../../beside/two.mjs"],
  ],
  "two workers of one name": [
    { "house/src/roof/bell-worker.ts": "" },
    [
      "house/src/roof/bell-worker.ts: a worker's file has a name of its own, not that of first/bell-worker.ts",
    ],
  ],
  "a worker that no bundler finds": [
    {
      "house/src/first/bell.ts":
        'const bell = new URL("./bell-worker.js", import.meta.url); new Worker(bell);',
    },
    ['house/src/first/bell-worker.ts: nothing says new Worker(new URL("./bell-worker.js", import.meta.url)'],
  ],
  "a file that is too long": [
    { "house/src/ground/stone.ts": "export const stone = 1;\n".repeat(401) },
    ["house/src/ground/stone.ts: 401 lines, at most 400"],
  ],
};
for (const [what, [files, problems]] of Object.entries(BROKEN))
  test(`${what} is a problem`, () => assert.deepEqual(problemsOf(files), problems));
