import assert from "node:assert/strict";
import { test } from "node:test";
import { coalesced, toJson } from "#src/cli/result.js";
import { result, SMALL } from "./sample.js";

test("the JSON has exactly the fields that are promised, none ever missing", () => {
  const json = toJson(result(SMALL));
  assert.deepEqual(Object.keys(json), ["interrupts", "totals", "compare"]);
  assert.deepEqual(Object.keys(json.totals), [
    "signals",
    "delivered",
    "coalesced",
    "lost",
    "reroutes",
    "seconds",
  ]);
  assert.deepEqual(json.compare, { posted_ns: 1210, relayed_ns: 9800, postmessage_ns: 24_100 });
  const fields = "vm gsi vector eventfd path reason signals delivered coalesced lost p50_ns p99_ns".split(
    " ",
  );
  for (const one of json.interrupts) assert.deepEqual(Object.keys(one), fields);
  assert.deepEqual(JSON.parse(JSON.stringify(json)), json);
  assert.equal(json.interrupts[0]?.p50_ns, null, "nothing was sampled");
  assert.equal(json.interrupts[0]?.reason, null, "it is bypassed");
  assert.equal(json.interrupts[3]?.reason, "policy-off");
});

test("totals are the sums, and every signal is delivered, coalesced or lost", () => {
  const { totals, interrupts } = toJson(result(SMALL));
  assert.equal(
    totals.signals,
    interrupts.reduce((sum, one) => sum + one.signals, 0),
  );
  assert.equal(totals.signals, totals.delivered + totals.coalesced + totals.lost);
});

test("an interrupt that came after it was given up makes no negative count", () => {
  assert.equal(coalesced({ signals: 3, delivered: 3, lost: 1 }), 0);
});
