// Tests that are written once and run in whichever browser is asked for: Chromium, or what IRQBYPASS_BROWSER names.
import { after, before, describe } from "node:test";
import { Browser } from "./browser.mjs";
import { BROWSER, browserTests } from "./workspace.mjs";

/**
 * Declares the tests of `body` for that browser; where it is not installed they are skipped, with the reason. `body` gets `open` and
 * `openAt`, which are those of a browser that they all share, the browser's `name`, and `only`: the options of a test that some can run alone.
 */
export async function inBrowser(body) {
  describe(`in ${BROWSER}`, await browserTests(BROWSER), () => {
    let browser;
    before(async () => {
      browser = await Browser.start(BROWSER);
    });
    after(() => browser?.close());
    body({
      name: BROWSER,
      open: (...what) => browser.open(...what),
      openAt: (url) => browser.openAt(url),
      only: (able, why) => (BROWSER === able ? {} : { skip: `${BROWSER}: ${why}` }),
    });
  });
}
