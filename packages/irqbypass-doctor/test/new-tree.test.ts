/**
 * Where a capture is written: new, this user's own, closed to others, also in a directory of somebody else's.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NewTree } from "#src/source/new-tree.js";
import { runDoctor } from "./run.js";
import { loadHost, unpack } from "./tree.js";
import { as, isRoot, itAsUsers, NOBODY } from "./users.js";

/** Everything below a directory, with its mode. */
function modesUnder(dir: string): [path: string, mode: number][] {
  return readdirSync(dir, { recursive: true }).map((name) => {
    const stat = lstatSync(join(dir, String(name)));
    assert.ok(stat.isFile() || stat.isDirectory(), `${name} is a file or a directory`);
    return [String(name), stat.mode & 0o7777] as const;
  }) as [string, number][];
}

describe("a capture", () => {
  itAsUsers("can be read by its owner alone, and has no links", async (dir) => {
    unpack(loadHost("intel-posted-6.18"), join(dir, "tree"));
    const old = process.umask(0);
    try {
      const to = join(dir, "above/case");
      const args = ["--root", join(dir, "tree/1"), "--interval", "0.1", "--capture", to];
      const { stderr } = await runDoctor(args);
      assert.match(stderr, /saved \d+ files/);
      assert.equal(lstatSync(to).mode & 0o7777, 0o700);
      const modes = modesUnder(to);
      assert.ok(modes.length > 50);
      for (const [path, mode] of modes)
        assert.equal(mode, lstatSync(join(to, path)).isDirectory() ? 0o700 : 0o600, path);
    } finally {
      process.umask(old);
    }
  });

  itAsUsers("is refused, with a sentence, where something is in the way", async (dir) => {
    unpack(loadHost("empty-host"), join(dir, "tree"));
    mkdirSync(join(dir, "victim"));
    writeFileSync(join(dir, "file"), "untouched");
    symlinkSync(join(dir, "victim"), join(dir, "link"));
    symlinkSync(join(dir, "nowhere"), join(dir, "dangling"));
    mkdirSync(join(dir, "open"));
    chmodSync(join(dir, "open"), 0o777);
    mkdirSync(join(dir, "full"));
    writeFileSync(join(dir, "full/x"), "");
    for (const [name, message] of [
      ["link", /EPERM: .*link is there and is a link or a file/],
      ["link/", /EPERM/],
      ["dangling", /EPERM/],
      ["file", /EPERM/],
      ["open", /EPERM: .*other users may write into it/],
      ["full", /EEXIST: .*holds something already/],
      ["file/below", /cannot be made \((EEXIST|ENOTDIR)\)/],
    ] as const) {
      const args = [
        "--root",
        join(dir, "tree/1"),
        "--interval",
        "0.1",
        "--capture",
        join(dir, name) + (name.endsWith("/") ? "/" : ""),
      ];
      const { code, stdout, stderr } = await runDoctor(args);
      assert.deepEqual([code, stdout], [2, ""], name);
      assert.match(stderr, message, name);
      assert.match(stderr, /name a /, name);
    }
    assert.deepEqual(readdirSync(join(dir, "victim")), []);
    assert.ok(!existsSync(join(dir, "nowhere")));
    assert.equal(readFileSync(join(dir, "file"), "utf8"), "untouched");
  });

  itAsUsers("takes an empty directory of one's own", async (dir) => {
    unpack(loadHost("empty-host"), join(dir, "tree"));
    mkdirSync(join(dir, "case"), { mode: 0o755 });
    const args = ["--root", join(dir, "tree/1"), "--interval", "0.1", "--capture", join(dir, "case")];
    assert.match((await runDoctor(args)).stderr, /saved/);
    assert.equal((await runDoctor(["--from", join(dir, "case")])).stderr, "");
  });

  itAsUsers("stays in its own directory when another takes its place meanwhile", (dir) => {
    mkdirSync(join(dir, "victim"));
    const tree = new NewTree(join(dir, "case"));
    renameSync(join(dir, "case"), join(dir, "moved"));
    symlinkSync(join(dir, "victim"), join(dir, "case"));
    tree.put("1/proc/cmdline", "x");
    tree.directory("2");
    tree.close();
    assert.deepEqual(readdirSync(join(dir, "victim")), []);
    assert.equal(readFileSync(join(dir, "moved/1/proc/cmdline"), "utf8"), "x");
  });

  itAsUsers("takes over nothing that is there already", (dir) => {
    const tree = new NewTree(join(dir, "case"));
    writeFileSync(join(dir, "victim"), "untouched");
    symlinkSync(join(dir, "victim"), join(dir, "case/about"));
    assert.throws(() => tree.put("about", "x"), /EIO: .*is not whole: about could not be written \(EEXIST\)/);
    mkdirSync(join(dir, "elsewhere"));
    writeFileSync(join(dir, "case/file"), "");
    assert.throws(() => tree.put("file/x", "x"), /could not be written/);
    tree.close();
    assert.equal(readFileSync(join(dir, "victim"), "utf8"), "untouched");
  });

  it("of root's, in a directory of somebody else who changes it all the time, harms nothing", {
    skip: !isRoot && "needs root and another user",
    timeout: 60_000,
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "irqbypass-other-"));
    try {
      chmodSync(dir, 0o755);
      const theirs = join(dir, "theirs");
      const victim = join(dir, "victim");
      mkdirSync(theirs);
      chownSync(theirs, NOBODY, NOBODY);
      mkdirSync(victim);
      // Whatever appears is moved away, and a link to root's directory put in its place.
      const script = `
        const fs = require("node:fs");
        process.chdir(${JSON.stringify(theirs)});
        process.stdout.write("ready");
        for (let i = 0; ; i += 1) {
          try { fs.renameSync("case", "moved" + i); fs.symlinkSync(${JSON.stringify(victim)}, "case"); fs.unlinkSync("case"); } catch {}
        }`;
      const options = { uid: NOBODY, gid: NOBODY, cwd: "/" };
      const child = spawn(process.execPath, ["-e", script], {
        ...options,
        stdio: ["ignore", "pipe", "inherit"],
      });
      try {
        await once(child.stdout, "data");
        for (let i = 0; i < 200; i += 1) {
          try {
            const tree = new NewTree(join(theirs, "case"));
            tree.put("1/about", "x");
            tree.close();
          } catch (error) {
            assert.match(String(error), /^DoctorError: E/);
          }
        }
      } finally {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      assert.deepEqual(readdirSync(victim), []);
      await as(NOBODY, () => {
        for (const name of readdirSync(theirs)) {
          if (lstatSync(join(theirs, name)).isDirectory())
            assert.throws(() => readdirSync(join(theirs, name)), /EACCES/);
        }
      });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
