/**
 * Tests of what a user may be tricked into run as the user that runs them, and where that is root, as an ordinary one
 * too.
 */
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

/** User and group that own nothing. */
export const NOBODY = 65534;
export const isRoot = process.geteuid?.() === 0;

const PACKAGE = fileURLToPath(new URL("../../package.json", import.meta.url));

/** Why nothing of this checkout can be run as an ordinary user by root, or false. */
export const closedToOthers = await whyClosed();

async function whyClosed(): Promise<string | false> {
  try {
    await as(NOBODY, () => readFileSync(PACKAGE));
    return false;
  } catch (error) {
    return `an ordinary user cannot read this checkout (${error instanceof Error ? error.message : error})`;
  }
}

/** Runs `use` as `uid`: what this process opens and makes meanwhile is that user's. */
export async function as<T>(uid: number, use: () => Promise<T> | T): Promise<T> {
  if (!isRoot || uid === 0) return await use();
  process.setegid!(uid);
  process.seteuid!(uid);
  try {
    return await use();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}

/** Registers a test for each user; `dir` is an empty directory of that user's own, and goes away. */
export function itAsUsers(name: string, test: (dir: string, uid: number) => Promise<void> | void): void {
  const own = process.geteuid?.() ?? 0;
  for (const uid of isRoot ? [0, NOBODY] : [own]) {
    const skip = uid === NOBODY && closedToOthers;
    it(`${name}, as ${uid === 0 ? "root" : "an ordinary user"}`, { timeout: 60_000, skip }, async () => {
      const dir = mkdtempSync(join(tmpdir(), "irqbypass-user-"));
      try {
        chmodSync(dir, 0o755);
        if (isRoot) chownSync(dir, uid, uid);
        await as(uid, () => test(dir, uid));
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
  }
}
