// A folder with a package-lock.json of its own: is what it names installed, and how it is.
import { existsSync, readFileSync } from "node:fs";

/** The arguments of npm that install what the lock file names, and run nothing of it. */
export const INSTALL = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];

/** The lock file that npm leaves inside node_modules names what is really installed; it is written last. */
export function isInstalled(folder) {
  const inside = `${folder}/node_modules/.package-lock.json`;
  if (!existsSync(inside)) return false;
  const have = JSON.parse(readFileSync(inside, "utf8")).packages;
  const want = JSON.parse(readFileSync(`${folder}/package-lock.json`, "utf8")).packages;
  return Object.entries(want).every(
    ([name, entry]) =>
      !name.startsWith("node_modules/") ||
      entry.optional ||
      entry.link ||
      entry.version === have[name]?.version,
  );
}
