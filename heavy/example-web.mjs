// The example of a page, built by Vite and served with the headers: `npm run example:web` prints its address, and serves until it is ended.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "./server.mjs";
import { whyNotInstalled } from "./workspace.mjs";

const EXAMPLE = fileURLToPath(new URL("../packages/irqbypass/examples/web/", import.meta.url));

/** Builds it as it is built for production; what is served lies in `out`. */
export async function buildExample(out) {
  const { build } = await import("vite");
  await build({
    root: EXAMPLE,
    configFile: join(EXAMPLE, "vite.config.mjs"),
    logLevel: "error",
    build: { outDir: out, emptyOutDir: true },
  });
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const why = await whyNotInstalled();
  if (why !== false) throw new Error(why);
  const out = mkdtempSync(join(tmpdir(), "example-web-"));
  process.on("exit", () => rmSync(out, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
  const server = await Server.start(await buildExample(out));
  console.log(`the example of a page is at ${server.url} (Ctrl+C ends it)`);
}
