/** `interrupt_file.h` as clang compiles it, in the explorer: each of its accesses of the file is a step. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { exploreSubject, reportText } from "atomics-explorer";
import { whyNoClang } from "#scenarios/support/clang.js";
import { headerSubjects, rewritten } from "#scenarios/support/header.js";
import { linear } from "#scenarios/support/linear.js";
import { SharedWords } from "#src/host/words.js";

const skip = whyNoClang() ?? false;
const FILE = 0x200000;
const WORDS = 18;

describe("interrupt_file.h in the explorer", { skip }, () => {
  it("holds, and each twin is caught", async (t) => {
    const all = await headerSubjects();
    for (const subject of all) {
      await t.test(`${subject.name}${subject.twin ? " is caught" : " holds"}`, async () => {
        const report = await exploreSubject(subject);
        assert.ok(report.passed, reportText(report));
      });
    }
    assert.deepEqual(
      all.filter(({ twin }) => !twin).map(({ name }) => name),
      ["header/sleep", "header/kick", "header/move", "header/death", "header/owner"],
    );
  });
});

describe("clang's code over the explorer's words", { skip }, () => {
  it("has globals, data, narrow and wide accesses as the instructions have them", async () => {
    const module = await rewritten("test/file/accesses.c");
    const real = new SharedArrayBuffer(4 * WORDS);
    const range = { from: FILE, words: new SharedWords(real, 0, WORDS), length: WORDS };
    const { exports } = linear(module, range);
    const c = exports as Record<string, (...operands: number[]) => number>;
    assert.equal(c.data!(0), "i".charCodeAt(0) + 7);
    assert.equal(c.data!(1), "f".charCodeAt(0) + 8, "a global is kept from call to call");
    const bytes = new DataView(real);
    assert.equal(c.byte_or!(FILE + 5, 0x81), 0);
    assert.equal(c.byte_or!(FILE + 5, 0x12), 0x81);
    assert.equal(bytes.getUint8(5), 0x93);
    assert.equal(bytes.getUint8(4) + bytes.getUint8(6), 0, "its neighbours are as they were");
    assert.equal(c.byte_swap!(FILE + 5, 0x93, 1), 1);
    assert.equal(c.byte_swap!(FILE + 5, 0x93, 2), 0);
    assert.equal(c.short_add!(FILE + 6, 0xffff), 0);
    assert.equal(bytes.getUint16(6, true), 0xffff);
    assert.equal(c.wide_add!(FILE + 8, -1), 0);
    assert.equal(bytes.getBigUint64(8, true), 0xffff_ffff_ffff_ffffn);
    assert.equal(c.wide_add!(FILE + 8, 2), -1);
    assert.equal(bytes.getBigUint64(8, true), 1n);
    assert.equal(c.wide_swap!(FILE + 8, 1, 5), 1);
    assert.equal(bytes.getBigUint64(8, true), 5n);
  });
});
