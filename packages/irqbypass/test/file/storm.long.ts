/** As `storm.test.ts`, ten times as much. */
import { describe, it } from "node:test";
import { compileC, whyNoClang } from "./clang.js";
import { storm } from "./storm.js";

const POSTS = 1e8;

describe("100,000,000 posts to two CPUs: after the last of each id a harvest has it", {
  timeout: 3_000_000,
}, () => {
  it("from TypeScript and the compiled fast path", async (t) => {
    t.diagnostic(await storm(POSTS, undefined));
  });

  it("from C too", { skip: whyNoClang() ?? false }, async (t) => {
    t.diagnostic(await storm(POSTS, compileC("test/file/cpu.c")));
  });
});
