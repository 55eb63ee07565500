/** The xarray against a Map, at the corners of its index space, and down to its last node. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newTree, snapshot, type Tree } from "./tree.js";

const MAX = 2 ** 32 - 1;
/** 0, 2^k - 1, 2^k, 2^k + 1 and 2^32 - 1: where levels begin and end. */
const CORNERS = [
  ...new Set([0, MAX, ...Array.from({ length: 32 }, (_, k) => [2 ** k - 1, 2 ** k, 2 ** k + 1]).flat()]),
].filter((index) => index <= MAX);

const ascending = (a: number, b: number) => a - b;

function entries({ array }: Tree): [number, number][] {
  const found: [number, number][] = [];
  array.forEach((entry, index) => {
    found.push([index, entry]);
  });
  return found;
}

const indexes = (tree: Tree) => entries(tree).map(([index]) => index);

/** Nodes that a set of indexes needs in a tree that is as high as the largest of them. */
function nodesFor(indexes: Iterable<number>): number {
  const all = [...indexes];
  if (all.length === 0) return 0;
  const largest = Math.max(...all);
  let levels = 1;
  while (Math.floor(largest / 64 ** levels) > 0) levels += 1;
  let nodes = 0;
  for (let level = 1; level <= levels; level++)
    nodes += new Set(all.map((index) => Math.floor(index / 64 ** level))).size;
  return nodes;
}

describe("an xarray", () => {
  const index = fc.oneof(
    fc.constantFrom(...CORNERS),
    fc.nat(200),
    fc.integer({ min: 0, max: MAX }),
    fc.integer({ min: MAX - 100, max: MAX }),
  );
  // Few indexes, so that most that go in also come out again.
  const steps = fc.uniqueArray(index, { minLength: 1, maxLength: 24, size: "max" }).chain((few) =>
    fc.array(
      fc.record({
        call: fc.constantFrom("insert" as const, "erase" as const),
        index: fc.constantFrom(...few),
      }),
      { maxLength: 200, size: "max" },
    ),
  );

  it("does what a Map does, in order, with as many nodes as it needs and none when it is empty", () => {
    fc.assert(
      fc.property(steps, fc.array(index), (steps, starts) => {
        const tree = newTree(1024);
        const { array, nodes } = tree;
        const model = new Map<number, number>();
        let entry = 0;
        for (const { call, index } of steps) {
          entry += 8;
          if (call === "insert") {
            assert.equal(array.insert(index, entry), model.get(index) ?? 0);
            if (!model.has(index)) model.set(index, entry);
          } else {
            assert.equal(array.erase(index), model.get(index) ?? 0);
            model.delete(index);
          }
          assert.equal(array.load(index), model.get(index) ?? 0);
          assert.equal(nodes.live, nodesFor(model.keys()));
        }
        const sorted = [...model].sort(([a], [b]) => a - b);
        assert.deepEqual(entries(tree), sorted);
        for (const from of starts) {
          assert.equal(array.next(from), sorted.find(([at]) => at >= from)?.[0]);
          assert.equal(array.load(from), model.get(from) ?? 0);
        }
        for (const at of model.keys()) array.erase(at);
        assert.equal(nodes.live, 0);
        assert.equal(tree.levels(), 0);
      }),
      { numRuns: 150 },
    );
  });

  it("keeps every corner apart from its neighbours, whatever the order", () => {
    const entryOf = (at: number) => 8 * (CORNERS.indexOf(at) + 1);
    for (const order of [CORNERS, [...CORNERS].reverse(), [...CORNERS].sort((a, b) => (a % 7) - (b % 7))]) {
      const tree = newTree(1024);
      for (const at of order) assert.equal(tree.array.insert(at, entryOf(at)), 0);
      assert.deepEqual(indexes(tree), [...CORNERS].sort(ascending));
      for (const at of CORNERS) assert.equal(tree.array.load(at), entryOf(at));
      for (const at of order) {
        assert.equal(tree.array.erase(at), entryOf(at));
        assert.equal(tree.array.load(at), 0);
      }
      assert.equal(tree.nodes.live, 0);
    }
  });

  it("leaves every word of its nodes as it found them when an insert finds no room", () => {
    // From an empty tree, from one with a low and from one with a high entry, with 0, 1, ... nodes to spare.
    for (const present of [[], [0], [63, 64], [MAX], [0, MAX]]) {
      for (const index of CORNERS) {
        for (let spare = 0; ; spare++) {
          const tree = newTree(nodesFor(present) + spare);
          for (const at of present) tree.array.insert(at, 8);
          const before = snapshot(tree);
          const shape = [tree.levels(), tree.nodes.live];
          let failed = false;
          try {
            tree.array.insert(index, 16);
          } catch (error) {
            assert.equal((error as { code?: string }).code, "ENOMEM");
            failed = true;
          }
          if (!failed) {
            assert.equal(tree.array.load(index), present.includes(index) ? 8 : 16);
            break;
          }
          assert.deepEqual([tree.levels(), tree.nodes.live], shape);
          assert.deepEqual(
            entries(tree),
            present.map((at) => [at, 8]),
          );
          assert.deepEqual(snapshot(tree), before);
        }
      }
    }
  });

  it("leaves every word as it found it when an insert is taken back, with nodes that are new or were in use", () => {
    fc.assert(
      fc.property(steps, index, (steps, late) => {
        const tree = newTree(400);
        for (const { call, index } of steps) {
          if (call === "insert") tree.array.insert(index, 8);
          else tree.array.erase(index);
        }
        const before = snapshot(tree);
        if (tree.array.insert(late, 16) !== 0) return;
        assert.equal(tree.array.undo(late), 16);
        assert.deepEqual(snapshot(tree), before);
      }),
      { numRuns: 300 },
    );
  });

  it("needs one node more for each 64 dense entries, and gives them back one by one", () => {
    const { array, nodes } = newTree(100);
    for (let at = 0; at < 4096; at++) array.insert(at, 8);
    assert.equal(nodes.live, 65);
    for (let at = 4095; at >= 64; at--) array.erase(at);
    assert.equal(nodes.live, 1);
  });
});

// The checks of lib/test_xarray.c that apply to an array without marks, spans and reservations, by their names.
describe("test_xarray", () => {
  it("xa_err: store and erase report what was there, and a store without room says ENOMEM", () => {
    const { array } = newTree(1);
    assert.equal(array.insert(0, 8), 0);
    assert.equal(array.insert(0, 16), 8);
    assert.equal(array.erase(0), 8);
    assert.equal(array.erase(0), 0);
    assert.throws(() => array.insert(64, 8), {
      code: "ENOMEM",
      message: /capacity\.node is 1, and one more is needed/,
    });
  });

  it("xa_load: growing to 1024 entries and back, every load is right at every step", () => {
    const tree = newTree(64);
    const { array } = tree;
    const check = (from: number, to: number) => {
      for (let at = 0; at < 1024; at++) assert.equal(array.load(at), at >= from && at < to ? at + 1 : 0);
    };
    for (let count = 0; count < 1024; count++) {
      check(0, count);
      array.insert(count, count + 1);
    }
    for (let erased = 0; erased < 1024; erased++) {
      check(erased, 1024);
      assert.equal(array.erase(erased), erased + 1);
    }
    assert.equal(tree.nodes.live, 0);
  });

  it("xa_shrink: the tree is as low as its largest index allows", () => {
    const tree = newTree(16);
    const { array, nodes } = tree;
    array.insert(0, 8);
    array.insert(64, 16);
    assert.deepEqual([tree.levels(), nodes.live], [2, 3]);
    array.erase(64);
    assert.deepEqual([tree.levels(), nodes.live, array.load(0)], [1, 1, 8]);
    array.insert(MAX, 16);
    assert.equal(tree.levels(), 6);
    array.erase(MAX);
    assert.deepEqual([tree.levels(), nodes.live, array.load(0), array.load(MAX)], [1, 1, 8, 0]);
  });

  it("xas_erase: entries are erased while they are visited, in order", () => {
    for (let first = 0; first < 200; first += 7) {
      const tree = newTree(64);
      const wanted = [...Array.from({ length: first + 17 }, (_, i) => first + i), MAX];
      for (const at of wanted) tree.array.insert(at, 8);
      const seen: number[] = [];
      tree.array.forEach((entry, at) => {
        seen.push(at);
        assert.equal(tree.array.erase(at), entry);
      });
      assert.deepEqual(seen, wanted);
      assert.equal(tree.nodes.live, 0);
    }
  });

  it("insert: alone at an index, both neighbours stay empty", () => {
    for (const at of [...Array(1024).keys(), ...CORNERS]) {
      const { array, nodes } = newTree(8);
      array.insert(at, 8);
      assert.equal(array.load(at), 8);
      if (at > 0) assert.equal(array.load(at - 1), 0);
      if (at < MAX) assert.equal(array.load(at + 1), 0);
      assert.deepEqual([array.next(0), at < MAX ? array.next(at + 1) : undefined], [at, undefined]);
      array.erase(at);
      assert.equal(nodes.live, 0);
    }
  });

  it("cmpxchg: an insert over an entry says which, and changes nothing", () => {
    const { array } = newTree(8);
    array.insert(12345678, 8);
    assert.equal(array.insert(12345678, 16), 8);
    assert.equal(array.load(12345678), 8);
    assert.equal(array.erase(5), 0);
    assert.equal(array.erase(12345677), 0);
    assert.equal(array.load(12345678), 8);
  });

  it("find: all pairs of 0 to 99 from all starts", () => {
    for (let a = 0; a < 100; a++) {
      for (let b = a; b < 100; b++) {
        const { array } = newTree(8);
        array.insert(a, 8);
        array.insert(b, 8);
        for (let from = 0; from < 100; from++)
          assert.equal(array.next(from), from <= a ? a : from <= b ? b : undefined);
      }
    }
  });

  it("find: from the largest index, and past it, ends", () => {
    const tree = newTree(8);
    const { array } = tree;
    assert.equal(array.next(MAX), undefined);
    array.insert(MAX, 8);
    assert.equal(array.next(MAX), MAX);
    assert.equal(array.next(MAX + 1), undefined);
    assert.deepEqual(indexes(tree), [MAX]);
  });

  it("destroy: empty, with one entry at any index, and with one at the largest", () => {
    for (const at of [...Array(1000).keys(), MAX]) {
      const { array, nodes } = newTree(8);
      array.forEach((_, index) => {
        assert.fail(`${index} in an empty array`);
      });
      array.insert(at, 8);
      array.forEach((_, index) => {
        array.erase(index);
      });
      assert.equal(nodes.live, 0);
      assert.equal(array.next(0), undefined);
    }
  });

  it("move: over 65,536 entries and over holes", () => {
    const tree = newTree(1100);
    const { array } = tree;
    for (let at = 0; at < 65536; at++) array.insert(at, at + 1);
    let expected = 0;
    array.forEach((entry, at) => {
      assert.equal(at, expected);
      assert.equal(entry, at + 1);
      expected += 1;
    });
    assert.equal(expected, 65536);
    for (let at = 0; at < 65536; at++) if (at % 4096 !== 17) array.erase(at);
    assert.deepEqual(
      indexes(tree),
      Array.from({ length: 16 }, (_, i) => i * 4096 + 17),
    );
  });
});
