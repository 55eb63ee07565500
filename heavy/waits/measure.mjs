// The suites of waiting in headless Chromium: bundles the two ends, and has a page run them.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { roundTrip } from "../../bench/build/suites/round-trip.js";
import { Browser } from "../browser.mjs";

const LIBRARY = "../../packages/irqbypass/build/src";
const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** The report, of the same form as the benchmark's; each figure is the median of so many batches. */
export async function measure({ batches = 200 } = {}) {
  const { build } = await import("esbuild");
  const folder = mkdtempSync(join(tmpdir(), "irqbypass-waits-"));
  const browser = await Browser.start();
  try {
    await build({
      // The relay's worker too: beside what starts it, where esbuild does not see it.
      entryPoints: [here("sender.mjs"), here("peer.mjs"), here(`${LIBRARY}/vm/relay-worker.js`)],
      entryNames: "[name]",
      outdir: folder,
      bundle: true,
      format: "esm",
      alias: { irqbypass: here(`${LIBRARY}/index.js`) },
      logLevel: "error",
    });
    copyFileSync(here("page.mjs"), join(folder, "page.mjs"));
    const page = await browser.open(folder);
    return await page.run("page.mjs", { trials: roundTrip.trials(false), batches });
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}
