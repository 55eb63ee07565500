import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { frame, introduction, progressLine } from "#src/cli/live.js";
import { cut, line, paint, span, wantsColour, width, wrap } from "#src/cli/style.js";
import { summary } from "#src/cli/summary.js";
import { LARGE, lossy, result, SMALL } from "./sample.js";
import { matchSnapshot } from "./snapshot.js";

const moment = (interrupts: typeof SMALL) => ({
  elapsed: 3.24,
  seconds: 5,
  interrupts,
  rates: interrupts.map((one) => one.signals / 5),
});

for (const columns of [40, 80, 120]) {
  test(`the summary in ${columns} columns`, () => {
    matchSnapshot(`summary-${columns}`, summary(result(SMALL), columns), columns);
  });
  test(`the summary of 2,003 interrupts in ${columns} columns stays readable`, () => {
    const lines = summary(result(LARGE), columns);
    assert.ok(lines.length < 40, `${lines.length} lines`);
    matchSnapshot(`summary-large-${columns}`, lines, columns);
  });
  test(`the live table in ${columns} columns`, () => {
    matchSnapshot(`live-${columns}`, frame(moment(SMALL), columns, 24), columns);
    matchSnapshot(`live-large-${columns}`, frame(moment(LARGE), columns, 24), columns);
  });
}

test("each lost interrupt is named, and of too many the first ones", () => {
  matchSnapshot("summary-lost", summary(result(lossy(SMALL, 4)), 80), 80);
  const text = summary(result(lossy(LARGE, 2)), 120)
    .map((one) => paint(one, false))
    .join("\n");
  assert.match(text, /web nic0\.2 \(GSI 26, posted\): 2 lost/);
  assert.match(text, /and 990 more/);
  assert.match(text, /2,004 lost of/);
});

test("without a comparison there is no such table", () => {
  const text = summary({ ...result(SMALL), compare: { posted: null, relayed: null, postMessage: null } }, 80);
  assert.doesNotMatch(text.map((one) => paint(one, false)).join("\n"), /lock-step/);
});

test("a frame never leaves the terminal, however small", () => {
  fc.assert(
    fc.property(fc.nat(2), fc.nat(130), fc.nat(30), (which, columns, height) => {
      const lines = frame(moment([SMALL, LARGE, []][which] ?? []), columns, height);
      assert.ok(lines.length <= height, `${lines.length} lines in ${height}`);
      for (const one of lines) assert.ok(width(one) <= columns, paint(one, false));
    }),
  );
});

test("the plain lines", () => {
  assert.equal(
    paint(progressLine(moment(SMALL)), false),
    "3.2 of 5 s  posted 2.1 M/s  relayed 99 k/s  injected 2.0 k/s  irqfd 141/s  nothing lost",
  );
  assert.equal(paint(progressLine(moment(lossy(SMALL, 4))), false).slice(-6), "6 lost");
  assert.equal(
    paint(introduction("my.json", SMALL), false),
    "irqbypass run  my.json: 3 VMs, 3 devices, 9 interrupts",
  );
});

test("colour does not change the text, and NO_COLOR takes it away", () => {
  for (const one of summary(result(lossy(SMALL, 4)), 80)) {
    assert.equal(stripVTControlCharacters(paint(one, true)).trimEnd(), paint(one, false));
  }
  assert.equal(wantsColour(true, {}), true);
  assert.equal(wantsColour(false, {}), false);
  assert.equal(wantsColour(true, { NO_COLOR: "1" }), false);
  assert.equal(wantsColour(true, { NO_COLOR: "" }), true);
  assert.equal(wantsColour(true, { TERM: "dumb" }), false);
});

test("wrapping keeps every word, cutting marks what is missing", () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(words, fc.integer({ min: 30, max: 90 }), (list, columns) => {
      const lines = wrap(line("  head  ", span(list.join(" "), "dim")), columns);
      assert.ok(lines.every((one) => width(one) <= columns));
      const text = lines.map((one) => paint(one, false)).join(" ");
      assert.deepEqual(text.split(/ +/).filter(Boolean), ["head", ...list]);
    }),
  );
  assert.equal(paint(cut(line("abc", span("def", "bold")), 5), false), "abcd…");
  assert.equal(paint(cut(line("abc"), 3), false), "abc");
  assert.equal(paint(cut(line("abc"), 0), false), "");
});
