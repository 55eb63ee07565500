/**
 * Hosts that were judged wrongly once. `cases/NAME/host.txt` is the host and begins with what was wrong; `expect.json`
 * says what any right answer has, whatever its words:
 *
 *     exit       the exit code, or a list of those that are right
 *     must       regular expressions that the text has to match; mustNot: may not
 *     sums       the parts of the verdict line add up to its whole
 *     args       further options
 *
 * `trace.txt`, where there is one, is a trace that was recorded on the host: --trace-from reads it.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Report } from "#src/judge/report.js";
import { prometheusText } from "#src/report/prometheus.js";
import { runDoctor } from "./run.js";
import { CASES, loadCase, withTree } from "./tree.js";

interface Expectation {
  readonly exit: number | readonly number[];
  readonly must?: readonly string[];
  readonly mustNot?: readonly string[];
  readonly sums?: boolean;
  readonly args?: readonly string[];
}

/** Sentences are wrapped: their lines are joined for a second look. */
function matches(text: string, pattern: string): boolean {
  const expression = new RegExp(pattern, "i");
  return expression.test(text) || expression.test(text.replaceAll(/\n(?=\S)/g, " "));
}

describe("hosts that were judged wrongly once", () => {
  for (const name of readdirSync(CASES).sort()) {
    const expected = JSON.parse(readFileSync(join(CASES, name, "expect.json"), "utf8")) as Expectation;
    it(name, async () => {
      const host = loadCase(name);
      await withTree(name, host, async (dir) => {
        const where = host.root ? ["--root", dir, "--interval", "0.1"] : ["--from", dir];
        const trace = join(CASES, name, "trace.txt");
        const traced = existsSync(trace) ? ["--trace-from", trace] : [];
        const args = [...where, ...traced, ...(expected.args ?? [])];
        const { stdout, stderr, code } = await runDoctor(args, { columns: 100 });
        const text = stdout + stderr;
        assert.ok([expected.exit].flat().includes(code!), `exit ${code}\n${text}`);
        for (const pattern of expected.must ?? [])
          assert.ok(matches(text, pattern), `lacks ${pattern}\n${text}`);
        for (const pattern of expected.mustNot ?? [])
          assert.ok(!matches(text, pattern), `has ${pattern}\n${text}`);
        const json = await runDoctor([...args, "--json"]);
        addUp(JSON.parse(json.stdout) as Report);
      });
    });
  }
});

/** What is counted in words and in metrics is what the report lists. */
function addUp(report: Report): void {
  const vectors = [...report.vms.flatMap(({ devices }) => devices), ...report.unclaimed]
    .filter(({ holder }) => holder !== "other")
    .flatMap((device) => device.vectors);
  const whole = /^Of (\d+) interrupts? of [^,]*, (.*?)\./.exec(report.verdict.says);
  if (whole !== null) {
    const parts = [...whole[2]!.matchAll(/(?:^|, |and )(\d+) (?:is|are|was|were|cannot)\b/g)];
    assert.equal(Number(whole[1]), vectors.length, report.verdict.says);
    assert.equal(
      parts.reduce((sum, [, number]) => sum + Number(number), 0),
      vectors.length,
      report.verdict.says,
    );
  }
  const metrics = [...prometheusText(report).matchAll(/^irqbypass_vectors\{[^}]*\} (\d+)$/gm)];
  const all = [...report.vms.flatMap(({ devices }) => devices), ...report.unclaimed].flatMap(
    (device) => device.vectors,
  );
  assert.equal(
    metrics.reduce((sum, [, number]) => sum + Number(number), 0),
    all.length,
  );
}
