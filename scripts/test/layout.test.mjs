// A layout that changes without its version is found, and told from one that does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf, faultOf } from "../layout/digest.mjs";

const Rec = { generation: 0, link: 1, 0: "generation", 1: "link" };

test("the order in which a table is written down, and its functions, are none of its digest", () => {
  assert.equal(digestOf({ a: 1, Rec, read() {} }), digestOf({ Rec: { link: 1, generation: 0 }, a: 1 }));
});

test("a word that moves, comes, goes or is named anew is", () => {
  const digests = [
    Rec,
    { generation: 0, link: 2 },
    { generation: 0, link: 1, more: 2 },
    { generation: 0 },
    { life: 0, link: 1 },
  ].map((one) => digestOf({ Rec: one }));
  assert.equal(new Set(digests).size, digests.length);
  assert.notEqual(
    digestOf({ pools: [{ name: "vm" }, { name: "vcpu" }] }),
    digestOf({ pools: [{ name: "vcpu" }, { name: "vm" }] }),
  );
});

test("another layout needs another version, and a version never goes back", () => {
  const recorded = { version: 4, digest: "a" };
  assert.equal(faultOf(recorded, { version: 4, digest: "a" }), undefined);
  assert.equal(faultOf(recorded, { version: 5, digest: "b" }), undefined);
  assert.match(faultOf(recorded, { version: 4, digest: "b" }), /raise it to 5 .*npm run layout/);
  assert.match(faultOf(recorded, { version: 3, digest: "a" }), /never goes back/);
});
