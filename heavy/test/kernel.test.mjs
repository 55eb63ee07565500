// The example of a kernel in workers, in a page: its main thread may not block, and does not.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "../../packages/irqbypass/examples/wasm-smp/build.mjs";
import { Browser } from "../browser.mjs";
import { browserTests } from "../workspace.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKETS = 2000;
const has = (name) => spawnSync(name, ["--version"]).status === 0;
const noClang =
  has("clang") && has("wasm-ld") ? {} : { skip: "needs clang and lld: apt-get install clang lld" };

describe("a kernel in a page's workers", { ...(await browserTests()), ...noClang }, () => {
  it("hands each packet of its device from CPU 0 to CPU 1", async () => {
    const browser = await Browser.start();
    try {
      const page = await browser.open(ROOT);
      const { sent, done, cpus } = await page.run("heavy/pages/kernel.mjs", {
        bytes: [...build()],
        packets: PACKETS,
        library: "/packages/irqbypass/build/src/index.js",
      });
      assert.deepEqual([sent, done], [PACKETS, PACKETS]);
      for (const { ticks, packets, ipis, slept } of cpus) {
        assert.equal(packets, PACKETS);
        assert.ok(ticks > 0 && ipis > 0 && slept > 0);
      }
      assert.deepEqual([page.errors, page.console], [[], []]);
    } finally {
      await browser.close();
    }
  });
});
