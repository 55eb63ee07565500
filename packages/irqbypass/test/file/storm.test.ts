/** Real threads lose no interrupt: TypeScript, the compiled fast path and C over the same files. @threads */
import { it } from "node:test";
import { compileC, whyNoClang } from "./clang.js";
import { storm } from "./storm.js";

it("10,000,000 posts to two CPUs: after the last of each id a harvest has it", {
  timeout: 300_000,
}, async (t) => {
  t.diagnostic(await storm(1e7, whyNoClang() === undefined ? compileC("test/file/cpu.c") : undefined));
});
