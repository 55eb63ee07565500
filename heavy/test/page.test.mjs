// The unbundled package in a page: threads of a real browser, and the harness itself.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { inBrowser } from "../in-browser.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ROUNDS = 200;
/** What they say of a module that is not there. */
const MISSING = {
  chromium: /Failed to fetch dynamically imported module/,
  firefox: /error loading dynamically imported module/,
};

await inBrowser(({ open, name }) => {
  describe("in a page", () => {
    /** Runs a module of the checkout in a page; nothing may be left uncaught. */
    async function run(module, argument) {
      const page = await open(ROOT);
      try {
        const result = await page.run(module, argument);
        await until("every worker has ended", () => page.workers === 0);
        assert.deepEqual(page.errors, []);
        assert.deepEqual(page.console, []);
        return result;
      } finally {
        await page.close();
      }
    }

    const carried = {
      platform: "web",
      seen: Array(ROUNDS).fill("interrupt 65"),
      asked: [],
      findings: [],
    };

    it("an interrupt is posted from one worker into the vCPU of another", async () => {
      const result = await run("heavy/pages/guest.mjs", { rounds: ROUNDS });
      assert.deepEqual(result, { ...carried, path: "posted", reason: undefined });
    });

    it("the relay carries it, in a worker that ends with the host", async () => {
      const result = await run("heavy/pages/guest.mjs", { rounds: ROUNDS, bypass: false });
      assert.deepEqual(result, { ...carried, path: "relayed", reason: "switched-off" });
    });

    it("the relay runs in a worker that the page starts", async () => {
      const result = await run("heavy/pages/guest.mjs", { rounds: ROUNDS, bypass: false, own: true });
      const asked = ["irqbypass/relay-worker"]; // again where it is slow to start: a second one leaves
      result.asked = [...new Set(result.asked)];
      assert.deepEqual(result, { ...carried, path: "relayed", reason: "switched-off", asked });
    });

    it("without the headers, the refusal names them", async () => {
      const page = await open(ROOT, { isolated: false });
      await assert.rejects(
        page.run("heavy/pages/guest.mjs", { rounds: 1 }),
        /EOPNOTSUPP.*Cross-Origin-Opener/,
      );
      await page.close();
    });
  });

  describe("a page's main thread", () => {
    async function main(what) {
      const page = await open(ROOT);
      const result = await page.run("heavy/pages/main-thread.mjs", { what });
      assert.deepEqual([page.errors, page.console], [[], []]);
      await page.close();
      return result;
    }

    it("is refused each wait that would block, with the name of the form that does not", async () => {
      const { said, looks, others } = await main("waits");
      const forms = {
        "vcpu.wait": /waitAsync/,
        "eventfd.read": /readAsync/,
        "epoll.wait": /waitAsync/,
        "file.block": /blockAsync/,
        "file.imports": /blockAsync/,
      };
      assert.deepEqual(Object.keys(said), Object.keys(forms));
      for (const [name, form] of Object.entries(forms)) {
        assert.match(said[name], /^EAGAIN: .*would block, and this thread may not: use /, name);
        assert.match(said[name], form, name);
      }
      assert.deepEqual(looks, ["timeout", undefined, [], "timeout"]);
      assert.deepEqual(others, looks);
    });

    it("is refused a mutex that is busy, and makes the call when it is free", async () => {
      const { said, findings } = await main("busy");
      for (const [name, sentence] of Object.entries(said))
        assert.match(sentence, /^EAGAIN: the host mutex is busy .*host\.whenFree/, name);
      assert.deepEqual(findings, []);
    });

    it("is told where Atomics.waitAsync is missing, and by nothing else", async () => {
      const { said, looked } = await main("missing");
      for (const [name, sentence] of Object.entries(said))
        assert.match(
          sentence,
          /^EOPNOTSUPP: this platform has no Atomics\.waitAsync: wait in a worker/,
          name,
        );
      assert.equal(looked, undefined);
    });
  });

  describe("the harness", () => {
    it("returns a module's result, and what the page and its workers say", async () => {
      const page = await open(ROOT);
      const result = await page.run("heavy/pages/harness.mjs");
      assert.deepEqual(result, { isolated: true, big: 2n ** 64n, list: [1, undefined, { deep: null }] });
      await until("the page and its worker have said it", () => page.console.length > 1);
      assert.deepEqual(page.console.slice(0, 2), ["log: from the page", "warn: from a worker"]);
      await until("the worker's error is there", () => page.errors.length > 0);
      assert.match(page.errors.join(), /nobody caught it/);
      await page.close();
    });

    it("rejects with what the module throws, and with the console", async () => {
      const page = await open(ROOT);
      const failure = /RangeError: the module failed.*from the page.*from a worker/s;
      await assert.rejects(page.run("heavy/pages/harness.mjs", { fail: true }), failure);
      await assert.rejects(page.run("heavy/pages/missing.mjs"), MISSING[name]);
      await page.close();
    });
  });
});

async function until(what, settled) {
  const deadline = Date.now() + 30_000; // against a hang
  while (!settled()) {
    assert.ok(Date.now() < deadline, `not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
