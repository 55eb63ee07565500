/** The tests of `storm.ts`, for however many posts. */
import { describe, it } from "node:test";
import { compileC, whyNoClang } from "./clang.js";
import { storm } from "./storm.js";

/** With so many posts in all, of which each part takes `timeout` milliseconds at most. */
export function stormTests(posts: number, timeout: number): void {
  describe(`${posts.toLocaleString("en")} posts to two CPUs: after the last of each id a harvest has it`, {
    timeout,
  }, () => {
    it("from TypeScript and the compiled fast path", async (t) => {
      t.diagnostic(await storm(posts, undefined));
    });

    it("from C too", { skip: whyNoClang() ?? false }, async (t) => {
      t.diagnostic(await storm(posts, compileC("test/file/cpu.c")));
    });
  });
}
