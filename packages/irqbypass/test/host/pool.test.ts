/** Typed pools: records, generations and handles. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Rec } from "#src/host/layout.js";
import { POOL_STATE_WORDS, Pool } from "#src/host/pool.js";
import { SharedWords } from "#src/host/words.js";
import { liveRecords, smallHost } from "../support/host.js";

const STRIDE = 8;

/** So close that a generation of the one may be one of the other: of random ones that is one pair in many millions. */
const close = (one: number, other: number) => Math.abs((one - other) | 0) < 1000;

function newPool(capacity: number, firstGeneration = 0, salt = 0): { pool: Pool; words: SharedWords } {
  const base = 2 * STRIDE;
  const length = base + capacity * STRIDE;
  const words = new SharedWords(new SharedArrayBuffer(length * 4), 0, length);
  assert.ok(POOL_STATE_WORDS <= base);
  return { pool: new Pool(words, "eventfd", 0, base, STRIDE, capacity, firstGeneration, { salt }), words };
}

describe("a pool", () => {
  it("hands out each record once, zeroed, until none is left", () => {
    const { pool, words } = newPool(5);
    const records = Array.from({ length: 5 }, () => pool.allocate());
    assert.equal(new Set(records).size, 5);
    assert.deepEqual(
      records.map((record) => pool.slot(record)),
      [0, 1, 2, 3, 4],
    );
    assert.throws(() => pool.allocate(), {
      code: "ENOMEM",
      message: /capacity\.eventfd is 5, and all are in use/,
    });
    assert.equal(pool.live, 5);
    for (const record of records) for (let word = 2; word < STRIDE; word++) words.set(record + word, -1);
    for (const record of records) pool.release(record);
    assert.equal(pool.live, 0);
    for (let i = 0; i < 5; i++) {
      const record = pool.allocate();
      for (let word = 1; word < STRIDE; word++) assert.equal(words.get(record + word), 0);
    }
  });

  it("knows a handle of an earlier life, and of a record that has not been used", () => {
    const { pool } = newPool(4);
    const first = pool.allocate();
    const stale = pool.handle(first);
    assert.equal(pool.open(stale), first);
    pool.release(first);
    assert.throws(() => pool.open(stale), { code: "ESTALE", errno: -116 });
    assert.equal(pool.allocate(), first);
    assert.throws(() => pool.open(stale), { code: "ESTALE" });
    assert.equal(pool.open(pool.handle(first)), first);
    assert.throws(() => pool.open(stale + 1), { code: "EXDEV", errno: -18 });
    assert.equal(pool.lives(first), true);
  });

  it("refuses what is no handle with EINVAL", () => {
    const { pool } = newPool(1);
    for (const wrong of ["1", undefined, null, -1, 0.5, Number.NaN, 2 ** 53, {}, 1n]) {
      assert.throws(() => pool.open(wrong), { code: "EINVAL", message: /not the handle of an eventfd/ });
    }
  });

  it("keeps handles apart when a generation wraps around 2^32", () => {
    const { pool, words } = newPool(1);
    const record = pool.allocate();
    words.set(record + Rec.generation, -1); // 2^32 - 1
    const last = pool.handle(record);
    assert.ok(Number.isSafeInteger(last));
    assert.equal(pool.open(last), record);
    pool.release(record);
    assert.equal(pool.allocate(), record);
    assert.throws(() => pool.open(last), { code: "EXDEV" }); // 2^31 lives ago is as good as never
    assert.equal(pool.open(pool.handle(record)), record);
  });

  it("takes no handle of another host, whatever lives there", () => {
    const salts = [0, 1, 2 ** 31, 0x9e3779b1, -5];
    const pools = salts.map((salt) => newPool(4, 5 << 27, salt).pool);
    for (let lives = 0; lives < 50; lives++) {
      const records = pools.map((pool) => pool.allocate());
      const handles = pools.map((pool, i) => pool.handle(records[i]!));
      for (const [i, pool] of pools.entries()) {
        for (const [j, handle] of handles.entries()) {
          assert.ok(Number.isSafeInteger(handle));
          if (i === j) assert.equal(pool.open(handle), records[i]);
          else if (!close(salts[i]!, salts[j]!)) assert.throws(() => pool.open(handle), { code: "EXDEV" });
        }
      }
      pools.forEach((pool, i) => {
        pool.release(records[i]!);
      });
    }
  });

  it("says so when a record is released twice", () => {
    const { pool } = newPool(2);
    const record = pool.allocate();
    pool.release(record);
    assert.throws(() => pool.release(record), /eventfd record \d+ was released twice/);
  });

  it("never hands out a live record, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 200, size: "max" }), (choices) => {
        const { pool } = newPool(6);
        const live = new Map<number, number>(); // record -> handle
        for (const choice of choices) {
          if (choice < 6 && live.size > choice) {
            const [record, handle] = [...live][choice]!;
            pool.release(record);
            live.delete(record);
            assert.throws(() => pool.open(handle), { code: "ESTALE" });
          } else if (live.size < 6) {
            const record = pool.allocate();
            assert.equal(live.has(record), false);
            live.set(record, pool.handle(record));
          }
          assert.equal(pool.live, live.size);
          for (const [record, handle] of live) assert.equal(pool.open(handle), record);
        }
      }),
    );
  });
});

describe("the pools of a host", () => {
  it("refuse each other's handles", () => {
    const host = smallHost();
    const pools = Object.values(host.pools).filter(({ name }) => name !== "thread");
    const before = liveRecords(host);
    const handles = pools.map((pool) => pool.handle(pool.allocate()));
    for (const [i, pool] of pools.entries()) {
      for (const [j, handle] of handles.entries()) {
        if (i === j) assert.equal(pool.slot(pool.open(handle)), before[pool.name]);
        else assert.throws(() => pool.open(handle), { code: "ESTALE" });
      }
    }
    const after = liveRecords(host);
    for (const { name } of pools) assert.equal(after[name], before[name]! + 1);
  });

  it("do not overlap, and none reaches beyond the host", () => {
    const host = smallHost();
    const size = host.handle.memory.buffer.byteLength / 4;
    let end = 0;
    for (const { base, stride, capacity } of Object.values(host.pools)) {
      assert.ok(base >= end);
      end = base + stride * capacity;
    }
    assert.ok(end <= size);
  });
});
