/** The core where there are no Node modules: in a thread that looks like a browser's worker. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestThread } from "../support/worker.js";
import type { PageWork } from "./page.js";

async function inPage(module: string, isolated = true): Promise<unknown> {
  const work: PageWork = { module, isolated };
  const page = new TestThread(new URL("./page.js", import.meta.url), work);
  try {
    return await page.next();
  } finally {
    await page.terminate();
  }
}

const LINUX = new URL("./page-linux.js", import.meta.url).href;
const MAIN = new URL("./page-main.js", import.meta.url).href;

describe("in a browser's worker", () => {
  it("host, eventfd, VM, a posted and a relayed signal work", async () => {
    assert.deepEqual(await inPage(MAIN), {
      platform: "web",
      node: false,
      bypassed: "posted",
      posted: "interrupt",
      relayed: "interrupt",
      vectors: [0x41, 0x41],
      count: 5n,
    });
  });

  it("without shared memory the error names the headers that the page lacks", async () => {
    const { code, message } = (await inPage(MAIN, false)) as { code: string; message: string };
    assert.equal(code, "EOPNOTSUPP");
    assert.match(
      message,
      /Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp/,
    );
  });

  it("the entry points for Linux load, and say that this is another place", async () => {
    const { findings, ...said } = (await inPage(LINUX)) as Record<string, unknown>;
    assert.deepEqual(findings, []);
    for (const [call, sentence] of Object.entries(said))
      assert.match(`${sentence}`, /^ENOSYS: .* Node\.js on Linux, and this is another place/, call);
    assert.equal(Object.keys(said).length, 7);
  });

  it("the test would notice an import of a Node module", async () => {
    const source = 'import "node:fs"; postMessage("imported");';
    const answer = await inPage(`data:text/javascript,${encodeURIComponent(source)}`);
    assert.deepEqual(answer, { message: "a browser has no module node:fs" });
  });
});
