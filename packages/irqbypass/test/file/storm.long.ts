/** As `storm.test.ts`, ten times as much. @threads */
import { it } from "node:test";
import { compileC, whyNoClang } from "./clang.js";
import { storm } from "./storm.js";

it("100,000,000 posts to two CPUs: after the last of each id a harvest has it", {
  timeout: 3_000_000,
}, async (t) => {
  t.diagnostic(await storm(1e8, whyNoClang() === undefined ? compileC("test/file/cpu.c") : undefined));
});
