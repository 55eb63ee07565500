/** The set of irqfds that have an injection due. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Consumer, Header } from "#src/host/layout.js";
import { Pending, PendingIrqfds } from "#src/host/pending.js";
import { POOL_STATE_WORDS, Pool } from "#src/host/pool.js";
import { SharedWords } from "#src/host/words.js";

/** Of a consumer's record the set touches `pending` alone, so its first line is enough. */
const STRIDE = 16;
/** Records of threads. */
const ME = 32;
const OTHER = 64;

function newSet(capacity: number) {
  const state = Header.words;
  const base = state + 16;
  const bits = base + capacity * STRIDE;
  const length = bits + PendingIrqfds.words(capacity) + 1;
  const words = new SharedWords(new SharedArrayBuffer(length * 4), 0, length);
  assert.ok(POOL_STATE_WORDS <= 16);
  const pool = new Pool(words, "consumer", state, base, STRIDE, capacity, 0);
  return { words, pool, set: new PendingIrqfds(words, pool, bits) };
}

describe("the pending irqfds", () => {
  for (const capacity of [1, 2, 31, 32, 33, 1024, 1025, 40_000]) {
    it(`are taken out once each, of ${capacity}`, () => {
      const { pool, set } = newSet(capacity);
      const some = fc.uniqueArray(fc.nat(capacity - 1), { maxLength: 40 });
      fc.assert(
        fc.property(some, (slots) => {
          assert.equal(set.any, false);
          for (const slot of slots) for (let twice = 0; twice < 2; twice++) set.raise(pool.at(slot));
          assert.equal(set.any, slots.length > 0);
          const taken: number[] = [];
          set.takeAll((irqfd) => {
            assert.equal(set.claim(irqfd, ME), true);
            assert.equal(set.claim(irqfd, ME), false, "claimed twice");
            taken.push(pool.slot(irqfd));
            set.settle(irqfd, ME);
          });
          assert.deepEqual(taken.sort(), [...slots].sort());
          set.takeAll(() => assert.fail("taken twice"));
        }),
        { numRuns: 30 },
      );
    });
  }

  it("stay when they are raised again while they are injected", () => {
    const { words, pool, set } = newSet(100);
    const irqfd = pool.at(70);
    set.raise(irqfd);
    let injections = 0;
    const inject = (taken: number) => {
      if (!set.claim(taken, ME)) return;
      if (++injections === 1) set.raise(taken);
      set.settle(taken, ME);
    };
    set.takeAll(inject);
    set.takeAll(inject);
    assert.equal(injections, 2);
    assert.equal(words.load(irqfd + Consumer.pending), 0);
    assert.equal(set.any, false);
  });

  it("are not injected by the relay when deassign has claimed them", () => {
    const { pool, set } = newSet(4);
    set.raise(pool.at(2));
    assert.equal(set.claim(pool.at(2), ME), true);
    set.settle(pool.at(2), ME);
    set.takeAll((irqfd) => assert.equal(set.claim(irqfd, ME), false));
    assert.equal(set.claim(pool.at(1), ME), false, "nothing was due");
  });

  it("are resumed for the thread that was injecting them, though another was through with them meanwhile", () => {
    const { words, pool, set } = newSet(4);
    const irqfd = pool.at(2);
    set.raise(irqfd);
    assert.equal(set.claim(irqfd, OTHER), true);
    set.raise(irqfd);
    assert.equal(set.claim(irqfd, ME), true);
    set.settle(irqfd, OTHER);
    assert.equal(words.load(irqfd + Consumer.pending), ME, "its injection is not through");
    set.takeAll(() => {});
    set.resume(irqfd, OTHER);
    assert.equal(set.any, false);
    set.resume(irqfd, ME);
    assert.equal(set.claim(irqfd, OTHER), true);
  });

  it("are taken up by one thread at a time, without a ring, and resumed should that die", () => {
    const { words, pool, set } = newSet(4);
    const irqfd = pool.at(1);
    const bell = words.load(Header.doorbell);
    assert.equal(set.takeUp(irqfd, ME), Pending.idle);
    assert.equal(set.takeUp(irqfd, OTHER), ME);
    assert.equal(set.claim(irqfd, OTHER), false, "nothing is due");
    set.settle(irqfd, ME);
    assert.deepEqual([set.any, words.load(Header.doorbell)], [false, bell]);
    set.takeUp(irqfd, OTHER);
    set.resume(irqfd, ME); // not its own
    assert.equal(set.any, false);
    set.resume(irqfd, OTHER);
    assert.equal(set.any, true);
    assert.equal(set.takeUp(irqfd, ME), Pending.due);
    assert.equal(set.claim(irqfd, ME), true);
  });

  it("let the relay sleep only while nothing is due", () => {
    const { words, pool, set } = newSet(4);
    const parked: number[] = [];
    const park = (word: number, expected: number) => {
      assert.equal(words.load(word), expected);
      parked.push(word);
    };
    set.raise(pool.at(1));
    set.sleep(10, park);
    assert.deepEqual(parked, []);
    set.takeAll(() => {});
    set.sleep(10, park);
    assert.deepEqual(parked, [Header.doorbell]);
    assert.equal(words.load(Header.doorbell) & 1, 0, "the bit that says it sleeps is gone when it wakes");
  });

  it("ring the relay that sleeps", () => {
    const { words, pool, set } = newSet(4);
    let rung = 0;
    words.notify = (word) => {
      if (word === Header.doorbell) rung += 1;
      return 0;
    };
    set.raise(pool.at(0));
    assert.equal(rung, 0);
    set.takeAll(() => {});
    set.sleep(10, () => set.raise(pool.at(0)));
    assert.equal(rung, 1);
  });
});
