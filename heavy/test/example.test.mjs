// The example of a page, as `npm run example:web` builds it: what it shows, and what its buttons do.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { buildExample } from "../example-web.mjs";
import { inBrowser } from "../in-browser.mjs";
import { whyNotInstalled } from "../workspace.mjs";

describe("the example of a page", { skip: await whyNotInstalled() }, async () => {
  let out;
  before(async () => {
    out = await buildExample(mkdtempSync(join(tmpdir(), "example-web-")));
  });
  after(() => rmSync(out, { recursive: true, force: true }));

  const shows = async (page, selector, wanted) => {
    const deadline = Date.now() + 30_000; // against a hang
    for (;;) {
      const text = await page.text(selector);
      if (wanted.test(text)) return;
      assert.ok(Date.now() < deadline, `${selector} is ${text}, and not ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  await inBrowser(({ open }) => {
    it("shows what its interrupts do, with the bypass and without, and when the device ends", async () => {
      const page = await open(out);
      await shows(page, "#path", /^posted$/);
      await shows(page, "#handled", /^[\d,]*[1-9][\d,]*$/);
      await shows(page, "#threads", /(?=[\s\S]*page)(?=[\s\S]*vCPU)(?=[\s\S]*device)/); // in the order in which they came
      if (process.env.PICTURE !== undefined) await page.picture(process.env.PICTURE);
      await page.click("#bypass");
      await shows(page, "#path", /^relayed$/);
      await shows(page, "#reason", /switched-off/);
      await page.click("#bypass");
      await shows(page, "#path", /^posted$/);
      await page.click("#device");
      await shows(page, "#reason", /thread-died/);
      await page.click("#device");
      await shows(page, "#path", /^posted$/);
      assert.deepEqual([page.errors, page.console], [[], []]);
      await page.close();
    });

    it("says what is missing where it is served without the headers", async () => {
      const page = await open(out, { isolated: false });
      await shows(page, "#refused", /EOPNOTSUPP: .*Cross-Origin-Opener-Policy: same-origin/);
      await page.close();
    });
  });
});
