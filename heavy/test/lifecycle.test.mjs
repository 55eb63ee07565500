// What becomes of a host whose page is frozen, left, closed, or discarded.
import assert from "node:assert/strict";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { inBrowser } from "../in-browser.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MODULE = "heavy/pages/lifecycle.mjs";
const NO_COMMAND = "WebDriver BiDi has no command for that";
const ALIVE = { proofs: ["lock", "lock", "lock"], path: "posted", findings: [] };

await inBrowser(({ open, only }) => {
  /** A page with a host and a device, and another one of the same origin, which sees their locks. */
  async function scene() {
    const page = await open(ROOT);
    const other = await page.another();
    assert.deepEqual(await page.run(MODULE, { step: "make" }), ALIVE);
    const locks = () => other.run("heavy/pages/locks.mjs");
    assert.ok((await locks()) >= 2);
    return { page, other, locks };
  }

  const gone = async ({ other, locks }) => {
    const deadline = Date.now() + 30_000; // against a hang
    while ((await locks()) > 0) {
      assert.ok(Date.now() < deadline, "a lock is held after its thread");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual([other.errors, other.console], [[], []]);
  };

  it("a page that is frozen and goes on has lost nobody", only("chromium", NO_COMMAND), async () => {
    const { page, other } = await scene();
    await page.lifecycle("frozen");
    await new Promise((resolve) => setTimeout(resolve, 1500)); // more than one look for threads that have died
    await page.lifecycle("active");
    assert.deepEqual(await page.run(MODULE, { step: "look" }), ALIVE);
    assert.deepEqual([page.errors, page.console], [[], []]);
    await other.close();
    await page.close();
  });

  it("a page that is left ends with all its threads, and the back button loads another one", async () => {
    const made = await scene();
    await made.page.leave("package.json");
    await gone(made);
    await made.page.back();
    await assert.rejects(made.page.run(MODULE, { step: "look" }), /TypeError/, "nothing of it was kept");
    assert.deepEqual(await made.page.run(MODULE, { step: "make" }), ALIVE);
    await made.other.close();
    await made.page.close();
  });

  it("a page that is closed ends with all its threads", async () => {
    const page = await open(ROOT);
    const other = await page.another();
    assert.deepEqual(await other.run(MODULE, { step: "make" }), ALIVE);
    const locks = () => page.run("heavy/pages/locks.mjs");
    await other.close();
    await gone({ other: page, locks });
    await page.close();
  });

  it(
    "a page whose process ends, as that of a discarded tab, ends with all its threads",
    only("chromium", NO_COMMAND),
    async () => {
      const made = await scene();
      await made.page.crash();
      await gone(made);
      await made.other.close();
      await made.page.close();
    },
  );
});
