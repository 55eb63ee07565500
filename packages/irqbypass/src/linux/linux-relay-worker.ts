/**
 * The thread of the relay for Linux eventfds. `require` loads one file after the other, where `import` opens most at once: that
 * many descriptors a process that is short of them does not have, and the relay is what it needs then.
 */
import { createRequire } from "node:module";

const { runRelayThread } = await load();
runRelayThread();

async function load(): Promise<typeof import("./relay-run.js")> {
  try {
    return createRequire(import.meta.url)("./relay-run.js");
  } catch (error) {
    // In a bundle the other file is somewhere else, and the bundler has seen to that one; and not every Node can do it.
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code !== "MODULE_NOT_FOUND" && code !== "ERR_REQUIRE_ESM") throw error;
    return await import("./relay-run.js");
  }
}
