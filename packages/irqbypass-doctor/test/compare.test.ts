/**
 * --compare: two storms side by side, with the ratio, its spread and the container of each kernel.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { comparisonText } from "#src/report/comparison-text.js";
import { FormatError } from "#src/source/error.js";
import { compareStorms, type NamedStorm, type StormComparison } from "#src/storm/compare.js";
import { parseStorm } from "#src/storm/saved-storm.js";
import type { StormReport } from "#src/storm/storm.js";
import { runDoctor } from "./run.js";
import { madeStorm } from "./storms.js";

const named = (from: string, report: StormReport): NamedStorm => ({
  from,
  storm: parseStorm(JSON.stringify(report)),
});

describe("two storms", () => {
  let list: StormReport;
  let tree: StormReport;
  before(async () => {
    list = await madeStorm("list");
    tree = await madeStorm("tree");
  });
  const compared = (one: StormReport, other: StormReport) =>
    compareStorms(named("before.json", one), named("after.json", other));

  it("show a kernel that lost its list, with the ratio and its spread", () => {
    const { verdict, host, before, after, notes } = compared(list, tree);
    assert.equal(verdict.exit, 0);
    assert.match(
      verdict.says,
      /^With 3,000 irqfds on the host an assign costs \d\.\d\d times less than before/,
    );
    assert.match(verdict.says, /Kept in: list before, xarray after\.$/);
    const top = host.at(-1)!;
    // 1,500 to 1,800 ns and 4 ns for each of 3,000 against 1,500 to 1,800 ns.
    assert.ok(top.ratio.assign.median > 7 && top.ratio.assign.median < 9, JSON.stringify(top.ratio));
    for (const { ratio } of host)
      for (const { low, median, high } of [ratio.assign, ratio.deassign])
        assert.ok(low <= median && median <= high);
    assert.ok(top.ratio.assign.low > 6 && top.ratio.assign.high < 10);
    assert.match(before.container.because, /measured: the cost grew .*Linux 6\.12\.40 has the list/);
    assert.match(after.container.because, /Linux 6\.18\.4 has the xarray, and the cost did not grow/);
    assert.deepEqual(notes, []);
  });

  it("show a kernel that became dearer, with 1", () => {
    const { verdict } = compared(tree, list);
    assert.equal(verdict.exit, 1);
    assert.match(verdict.says, /an assign costs \d\.\d\d times more than before \(\d/);
  });

  it("show no difference where the spreads meet", () => {
    const { verdict, host } = compared(tree, tree);
    assert.equal(verdict.exit, 0);
    assert.match(verdict.says, /what it did before, within the spread: before\/after is 1\.00/);
    assert.ok(host.every(({ ratio }) => ratio.assign.median === 1));
  });

  it("measured up to different counts are compared where both were", async () => {
    const { host, notes, verdict } = compared(list, await madeStorm("tree", { upTo: 500 }));
    assert.deepEqual(
      host.map(({ irqfds }) => irqfds),
      [10, 32, 100, 316],
    );
    assert.match(verdict.says, /^With 316 irqfds/);
    assert.match(notes.join(" "), /left out: 3\./);
  });

  it("without a count in common could not tell", async () => {
    const { verdict, host } = compared(list, await madeStorm("tree", { upTo: 7 }));
    assert.deepEqual([host.length, verdict.exit], [0, 2]);
  });

  it("name the container by what was measured before what the number says", async () => {
    const kept = async (kind: "list" | "tree", release: string, posting: "Y" | "N" = "Y") =>
      compared(await madeStorm(kind, { release, posting }), tree).before.container.is;
    assert.equal(await kept("list", "5.14.0-427.13.1.el9_4.x86_64"), "list");
    assert.equal(await kept("tree", "5.14.0-427.13.1.el9_4.x86_64"), "no list");
    assert.equal(await kept("tree", "5.14.0-427.13.1.el9_4.x86_64", "N"), "unknown");
    assert.equal(await kept("tree", "6.12.40"), "no list");
    assert.equal(await kept("tree", "6.12.40", "N"), "list");
    assert.equal(await kept("tree", "6.17.0", "N"), "xarray");
    assert.equal(await kept("list", "6.18.4"), "unknown");
    assert.equal(await kept("tree", "4.3.9", "N"), "unknown");
    assert.equal(await kept("tree", "no number", "N"), "unknown");
  });

  it("say where the container took no part", async () => {
    const { notes } = compared(await madeStorm("tree", { posting: "N" }), tree);
    assert.match(notes.join(" "), /Before: KVM registered no irqfd with irqbypass/);
  });

  it("stand side by side in the text", () => {
    const text = comparisonText(compared(list, tree), 100);
    assert.match(text, /^before: before\.json, Linux 6\.12\.40, 2026-01-02 03:04:05 UTC$/m);
    assert.match(text, /^ {2}kept in: list \(measured/m);
    assert.match(text, /^ {3}irqfds {3}assign before {10}after {18}before\/after$/m);
    assert.match(
      text,
      /^ {4}3,000 {3}13\.\d+ +[\d.]+-[\d.]+ +1\.\d+ +[\d.]+-[\d.]+ +[78]\.\d+ +[\d.]+-[\d.]+$/m,
    );
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  });
});

describe("a report that was kept", () => {
  it("is read whatever is left out of it, changed or cut, or refused", async () => {
    const text = JSON.stringify(await madeStorm("tree", { upTo: 40 }));
    const value = JSON.parse(text) as Record<string, unknown>;
    const paths: (readonly (string | number)[])[] = [];
    const walk = (one: unknown, path: readonly (string | number)[]): void => {
      if (path.length > 0) paths.push(path);
      if (typeof one !== "object" || one === null) return;
      for (const [key, inner] of Object.entries(one)) walk(inner, [...path, key]);
    };
    walk(value, []);
    const odd = fc.constantFrom<unknown>(undefined, null, 0, -1, "x", [], {}, 1e308, "\u001b[2J");
    fc.assert(
      fc.property(fc.constantFrom(...paths), odd, (path, change) => {
        const copy = JSON.parse(text) as Record<string, unknown>;
        let at: Record<string | number, unknown> = copy;
        for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
        at[path.at(-1)!] = change;
        let storm: NamedStorm["storm"];
        try {
          storm = parseStorm(JSON.stringify(copy));
        } catch (error) {
          assert.ok(error instanceof FormatError, String(error));
          return;
        }
        // What was let through can be compared, and printed.
        const made = compareStorms({ from: "a", storm }, named("b", value as unknown as StormReport));
        const printed = comparisonText(made, 80);
        for (const odd of ["NaN", "undefined", "\u001b"]) assert.ok(!printed.includes(odd), odd);
      }),
      { numRuns: 500 },
    );
    for (const end of [0, 1, 100, text.length - 1])
      assert.throws(() => parseStorm(text.slice(0, end)), FormatError);
  });
});

describe("the command", () => {
  const work = mkdtempSync(join(tmpdir(), "irqbypass-compare-"));
  after(() => rmSync(work, { recursive: true, force: true }));
  const put = (name: string, text: string): string => {
    writeFileSync(join(work, name), text);
    return join(work, name);
  };

  it("compares two files, as text and as JSON", async () => {
    const one = put("before.json", JSON.stringify(await madeStorm("list")));
    const other = put("after.json", JSON.stringify(await madeStorm("tree")));
    const text = await runDoctor(["--compare", one, other]);
    assert.deepEqual([text.code, text.stderr], [0, ""]);
    assert.match(text.stdout, /Kept in: list before, xarray/);
    const json = await runDoctor(["--compare", other, one, "--json"]);
    assert.equal(json.code, 1);
    const comparison = JSON.parse(json.stdout) as StormComparison;
    assert.equal(comparison.format, "irqbypass-storm-comparison/1");
    assert.deepEqual([comparison.before.from, comparison.after.from], [other, one]);
  });

  it("refuses what is no report, and what makes no sense", async () => {
    const report = put("report.json", '{"format":"irqbypass-doctor/1"}');
    const good = put("good.json", JSON.stringify(await madeStorm("tree", { upTo: 40 })));
    const large = put("large.json", " ".repeat(2 * 1024 * 1024));
    for (const [args, message] of [
      [["--compare", join(work, "none.json")], /ENOENT: .* cannot be read/],
      [["--compare", work], /EINVAL: .* is no report/],
      [["--compare", large], /EINVAL: .* is no report/],
      [["--compare", "/dev/zero"], /EINVAL: .* is no report/],
      [["--compare", report, good], /EINVAL: .*not irqbypass-storm\/1; make it with --storm --json/],
      [["--compare", put("empty.json", ""), good], /EINVAL: .*is not JSON/],
      [["--compare", good, good, good], /EINVAL: .*one report or two, not 3/],
      [["--compare", good, good, "--storm"], /EINVAL: .*measures nothing/],
      [["--compare", good, "--watch"], /EINVAL: .*leave --watch out/],
      [["--compare", good, "--from", "x"], /EINVAL: .*leave --from out/],
    ] as const) {
      const { code, stdout, stderr } = await runDoctor(args);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
      assert.match(stderr, message);
    }
  });
});
