/** Real threads lose no interrupt: TypeScript, the compiled fast path and C over the same files. */
import { describe, it } from "node:test";
import { compileC, whyNoClang } from "./clang.js";
import { storm } from "./storm.js";

const POSTS = 1e7;

describe("10,000,000 posts to two CPUs: after the last of each id a harvest has it", {
  timeout: 300_000,
}, () => {
  it("from TypeScript and the compiled fast path", async (t) => {
    t.diagnostic(await storm(POSTS, undefined));
  });

  it("from C too", { skip: whyNoClang() ?? false }, async (t) => {
    t.diagnostic(await storm(POSTS, compileC("test/file/cpu.c")));
  });
});
