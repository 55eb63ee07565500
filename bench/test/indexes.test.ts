import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SharedWords } from "irqbypass/internal/host/words.js";
import type { Index } from "../baselines/index.js";
import { ListIndex } from "../baselines/list-index.js";
import { MapIndex } from "../baselines/map-index.js";

const RECORDS = 16;
const WORDS = 8;
const HEAD = 1;
const recordOf = (key: number) => WORDS * (key + 1);

/** A comparison is worth nothing if the other side does not do the work. */
function agrees(make: () => Index) {
  const operation = fc.record({
    kind: fc.constantFrom("insert", "erase", "load"),
    key: fc.integer({ min: 1, max: RECORDS - 2 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { minLength: 40, maxLength: 400, size: "max" }), (operations) => {
      const index = make();
      const model = new Map<number, number>();
      for (const { kind, key } of operations) {
        const present = model.get(key) ?? 0;
        if (kind === "load") assert.equal(index.load(key), present);
        else if (kind === "erase") {
          assert.equal(index.erase(key), present);
          model.delete(key);
        } else {
          assert.equal(index.insert(key, recordOf(key)), present);
          model.set(key, recordOf(key));
        }
      }
      for (let key = 1; key < RECORDS - 1; key++) assert.equal(index.load(key), model.get(key) ?? 0);
    }),
  );
}

test("the list that is compared against is a correct index", () => {
  agrees(() => {
    const length = WORDS * (RECORDS + 1);
    const words = new SharedWords(new SharedArrayBuffer(length * 4), 0, length);
    return new ListIndex(words, HEAD, { key: 2, next: 3, previous: 4 });
  });
});

test("the Map that is compared against is a correct index", () => {
  agrees(() => new MapIndex());
});
