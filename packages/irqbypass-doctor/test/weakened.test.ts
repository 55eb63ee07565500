// The near misses bite: each parser is weakened, by each of its refusals or by its rule, and each time they have to notice.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FORMATS } from "./formats.js";
import { areNoticed } from "./near-misses.js";
import { compiled } from "./weakened.js";

/** The same one each time: what is tried here is the fuzz, and not the doctor. */
const SEED = 20261128;
const RUNS = 400;

for (const format of FORMATS)
  test(`near misses of ${format.name} notice a parser that lets them pass`, async (t) => {
    const all = format.weakened();
    assert.ok(all.length > 0);
    for (const weakening of all)
      assert.ok(await areNoticed(format, weakening, RUNS, SEED), `${weakening.module}: ${weakening.from}`);
    t.diagnostic(`${all.length} weakened`);
  });

/** Names of functions that are parts of others, or whose results no verdict rests on. */
const NO_VERDICT: Readonly<Record<string, string>> = {
  "parse/kernel-release.parseVersion": "reads the doctor's own tables",
};

test("each parser has such a row, and each refusal of one is weakened", () => {
  const named = new Set(FORMATS.flatMap(({ parsers }) => parsers));
  const weakened = FORMATS.flatMap((format) => format.weakened());
  const modules = readdirSync(fileURLToPath(new URL("../src/parse", import.meta.url)))
    .filter((file) => file.endsWith(".js"))
    .map((file) => `parse/${file.slice(0, -3)}`);
  for (const module of [...modules, "source/descriptor", "source/names", "source/saved-trace"]) {
    const text = compiled(module);
    const parsers = [...text.matchAll(/^export function (parse\w+)\(/gm)].map(
      ([, name]) => `${module}.${name}`,
    );
    for (const parser of parsers)
      assert.ok(named.has(parser) || parser in NO_VERDICT, `${parser} has no row`);
    // What throws for all refusals of a module is none by itself.
    const body = text.replace(/const refuse = [\s\S]*?\n {4}\};/, "");
    for (const [refusal] of body.matchAll(/throw new FormatError\(.*|\brefuse\(.*/g))
      assert.ok(
        weakened.some((one) => one.module === module && one.from.includes(refusal)),
        `${module}: ${refusal}`,
      );
  }
});
