/**
 * A tree that is read with --root or --from may come from a stranger: it is read inside of itself, only regular files
 * are, and no more than a host has.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Report } from "#src/judge/report.js";
import { LiveSource } from "#src/source/live.js";
import { LIMITS, Tree } from "#src/source/tree.js";
import { runDoctor } from "./run.js";
import { loadHost, unpack } from "./tree.js";
import { isRoot, itAsUsers } from "./users.js";

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** A host laid out below `dir`, and a directory beside it that it must not show. */
function layOut(dir: string, name = "intel-posted-6.18"): { root: string; outside: string } {
  unpack(loadHost(name), join(dir, "tree"));
  put(join(dir, "outside/secret"), "secret\n");
  return { root: join(dir, "tree/1"), outside: join(dir, "outside") };
}

async function reportOf(root: string): Promise<Report> {
  const { stdout, stderr } = await runDoctor(["--root", root, "--interval", "0.1", "--json"]);
  assert.equal(stderr, "");
  return JSON.parse(stdout) as Report;
}

describe("links in a tree", () => {
  itAsUsers("stay inside, absolute ones and those that lead up too", (dir) => {
    put(join(dir, "tree/a/file"), "inside\n");
    put(join(dir, "secret"), "outside\n");
    put(join(dir, "tree/secret"), "the tree's own\n");
    const links = {
      up: "../secret",
      far: "../../../../../../../../../../secret",
      absolute: "/a/file",
      down: "a/file",
      directory: "a",
      "directory-up": "..",
      through: "directory-up/../a/../a/./file",
      outside: join(dir, "secret"),
      loop: "loop",
      "loop-directory": "loop-directory/x",
    };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(dir, "tree", name));
    const source = new LiveSource(join(dir, "tree"));
    const read = (path: string) => {
      const reading = source.read(path);
      return reading.state === "read" ? reading.value.trim() : reading.state;
    };
    assert.equal(read("up"), "the tree's own");
    assert.equal(read("far"), "the tree's own");
    assert.equal(read("absolute"), "inside");
    assert.equal(read("down"), "inside");
    assert.equal(read("directory/file"), "inside");
    assert.equal(read("directory-up/secret"), "the tree's own");
    assert.equal(read("directory-up/directory-up/directory-up/secret"), "the tree's own");
    assert.equal(read("through"), "inside");
    assert.equal(read("outside"), "absent");
    assert.equal(read("loop"), "unreadable");
    assert.equal(read("loop-directory/y"), "unreadable");
    for (const path of ["../secret", "a/../../secret", "/../secret", "a/..", "..", ".", "", "a\0b"])
      assert.equal(read(path), "absent", path);
    const names = (path: string) => {
      const reading = source.list(path);
      return reading.state === "read" && [...reading.value].sort();
    };
    assert.deepEqual(names("directory-up"), names(""));
    assert.equal(source.list("..").state, "absent");
    source.tree.close();
  });

  itAsUsers("show nothing of the reader's files in a report", async (dir) => {
    const { root, outside } = layOut(dir);
    put(join(outside, "cmdline"), "secret=1 intremap=off\n");
    put(join(outside, "enable_apicv"), "N\n");
    rmSync(join(root, "proc/cmdline"));
    symlinkSync(join(outside, "cmdline"), join(root, "proc/cmdline"));
    rmSync(join(root, "sys/module/kvm_intel/parameters"), { recursive: true });
    symlinkSync(outside, join(root, "sys/module/kvm_intel/parameters"));
    const report = await reportOf(root);
    assert.ok(!JSON.stringify(report).includes("secret"));
    for (const link of ["kernel command line", "module parameters"])
      assert.notEqual(report.chain.find(({ name }) => name === link)?.state, "broken");
  });

  itAsUsers("cannot be put in the way while it is read", async (dir) => {
    put(join(dir, "tree/a/b/file"), "inside\n");
    put(join(dir, "outside/b/file"), "secret\n");
    put(join(dir, "outside/file"), "secret\n");
    // Changes the directory and the file for links and back, as fast as it can.
    const script = `
      const fs = require("node:fs");
      process.chdir(${JSON.stringify(join(dir, "tree"))});
      process.stdout.write("ready");
      for (;;) {
        fs.renameSync("a", "kept"); fs.symlinkSync("../outside", "a"); fs.unlinkSync("a"); fs.renameSync("kept", "a");
        fs.renameSync("a/b", "a/kept"); fs.symlinkSync("../../outside/b", "a/b"); fs.unlinkSync("a/b"); fs.renameSync("a/kept", "a/b");
        fs.renameSync("a/b/file", "a/b/kept"); fs.symlinkSync("../../../outside/file", "a/b/file"); fs.unlinkSync("a/b/file"); fs.renameSync("a/b/kept", "a/b/file");
      }`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout!, "data");
      for (const links of ["inside", "data"] as const) {
        const tree = new Tree(join(dir, "tree"), links);
        const seen = new Set<string>();
        const until = Date.now() + 1500;
        let looks = 0;
        for (; looks < 500 || (Date.now() < until && looks < 20_000); looks += 1) {
          try {
            seen.add(tree.read("a/b/file"));
          } catch (error) {
            seen.add((error as { code?: string }).code ?? (error as Error).name);
          }
          tree.close();
        }
        assert.ok(!seen.has("secret\n"), `${links}: ${[...seen].join(", ")}`);
      }
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });
});

describe("a copy that was made by what keeps no links", () => {
  /** Puts a file with the target in the place of each link. */
  function flatten(dir: string): number {
    let count = 0;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) count += flatten(path);
      if (!entry.isSymbolicLink()) continue;
      const target = readlinkSync(path);
      rmSync(path);
      writeFileSync(path, target + (count % 2 === 0 ? "" : "\n"));
      count += 1;
    }
    return count;
  }

  itAsUsers("gives the report of the host", async (dir) => {
    const { root } = layOut(dir);
    const whole = await reportOf(root);
    assert.ok(flatten(root) > 10);
    const words = ({ vms, verdict }: Report) =>
      JSON.stringify([verdict, vms]).replaceAll(/flat for [\d.]+ s/g, "flat");
    assert.equal(words(await reportOf(root)), words(whole));
  });

  itAsUsers("has no target in an empty file, a long one or a directory", (dir) => {
    put(join(dir, "empty"), "");
    put(join(dir, "long"), "x".repeat(LIMITS.target + 1));
    mkdirSync(join(dir, "directory"));
    const source = new LiveSource(dir);
    for (const name of ["empty", "long", "directory"]) {
      assert.deepEqual(source.link(name), { state: "unreadable", path: name, code: "EINVAL" });
    }
    source.tree.close();
  });
});

describe("what is no regular file in a tree", () => {
  itAsUsers("is named and never opened: pipes and sockets", async (dir) => {
    const { root } = layOut(dir);
    const paths = [
      "proc/cmdline",
      "proc/cpuinfo",
      "proc/interrupts",
      "sys/module/kvm_intel/parameters/enable_apicv",
    ];
    for (const path of paths) {
      rmSync(join(root, path));
      execFileSync("mkfifo", [join(root, path)]);
    }
    const report = await reportOf(root);
    assert.equal(report.verdict.exit, 2);
    assert.ok(
      report.strange.some(
        ({ path, problem }) => path === "/proc/cmdline" && problem === "is a pipe and not a file",
      ),
    );
  });

  it("does not keep the command from being ended", async () => {
    const dir = mkdtempSync(join(tmpdir(), "irqbypass-tree-"));
    const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
    try {
      for (const path of [
        "proc/sys/kernel/osrelease",
        "proc/interrupts",
        "proc/cpuinfo",
        "about",
        "trace.json",
        "1/proc/cpuinfo",
      ]) {
        const tree = mkdtempSync(join(dir, "t"));
        unpack(loadHost("empty-host"), join(tree, "t"));
        const root = join(tree, "t");
        const full = path.startsWith("proc/") ? join(root, "1", path) : join(root, path);
        rmSync(full, { force: true });
        mkdirSync(dirname(full), { recursive: true });
        execFileSync("mkfifo", [full]);
        const args = path.startsWith("proc/")
          ? ["--root", join(root, "1"), "--interval", "0.1"]
          : ["--from", root];
        const { status, signal } = spawnSync(process.execPath, [main, ...args], { timeout: 30_000 });
        assert.equal(signal, null, path);
        assert.notEqual(status, null, path);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("is named: devices", { skip: !isRoot && "only root makes devices" }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "irqbypass-tree-"));
    try {
      const { root } = layOut(dir);
      rmSync(join(root, "proc/cmdline"));
      const made = spawnSync("mknod", [join(root, "proc/cmdline"), "c", "1", "5"]);
      if (made.status !== 0) return;
      const report = await reportOf(root);
      assert.ok(report.strange.some(({ problem }) => problem === "is a device and not a file"));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("what is larger than a host's", () => {
  itAsUsers("is not read: a file of ten gigabytes", async (dir) => {
    const { root } = layOut(dir);
    const large = [
      "proc/interrupts",
      "sys/kernel/debug/iommu/intel/ir_translation_struct",
      "proc/4242/cmdline",
    ];
    for (const path of large) {
      writeFileSync(join(root, path), "");
      truncateSync(join(root, path), 10 * 1024 ** 3);
    }
    const report = await reportOf(root);
    assert.equal(report.verdict.exit, 2);
    assert.ok(report.missing.some(({ path, why }) => path === "/proc/interrupts" && why.includes("EFBIG")));
  });

  it("is not listed: more names than a directory of a host has", () => {
    const dir = mkdtempSync(join(tmpdir(), "irqbypass-tree-"));
    try {
      const many = `seq 1 ${LIMITS.names + 1} | xargs touch`;
      execFileSync("sh", ["-c", many], { cwd: dir });
      const reading = new LiveSource(dirname(dir)).list(basename(dir));
      assert.equal(reading.state === "unreadable" && reading.code, "E2BIG");
      rmSync(join(dir, "1"));
      assert.equal(new LiveSource(dirname(dir)).list(basename(dir)).state, "read");
    } finally {
      execFileSync("rm", ["-rf", dir]);
    }
  });

  itAsUsers("is refused with a sentence: looks and bytes without an end", (dir) => {
    put(join(dir, "tree/file"), "1234567890");
    for (const [bounds, message] of [
      [{ looks: 100, bytes: 1e6 }, /E2BIG: .* takes more than 100 looks to read/],
      [{ looks: 1e6, bytes: 100 }, /EFBIG: .* takes more than 100 bytes to read/],
    ] as const) {
      const tree = new Tree(join(dir, "tree"), "data", bounds);
      let reads = 0;
      assert.throws(() => {
        for (; reads < 1000; reads += 1) tree.read("file");
      }, message);
      assert.ok(reads === 100 || reads === 10);
      tree.close();
    }
  });
});

describe("what is written below --root", () => {
  itAsUsers("goes through no link: --write-devid", async (dir) => {
    unpack(loadHost("amd-table-of-another-device"), join(dir, "tree"));
    const root = join(dir, "tree/1");
    const amd = join(root, "sys/kernel/debug/iommu/amd");
    put(join(dir, "victim"), "untouched");
    const devid = ["--root", root, "--interval", "0.1", "--write-devid"];
    symlinkSync(join(dir, "victim"), join(amd, "devid"));
    assert.match((await runDoctor(devid)).stderr, /devid may not be written/);
    rmSync(join(amd, "devid"));
    put(join(dir, "elsewhere/devid"), "untouched");
    rmSync(amd, { recursive: true });
    symlinkSync(join(dir, "elsewhere"), amd);
    assert.equal((await runDoctor(devid)).code, 2);
    rmSync(amd);
    mkdirSync(amd);
    execFileSync("mkfifo", [join(amd, "devid")]);
    assert.equal((await runDoctor(devid)).code, 2);
    assert.equal(readFileSync(join(dir, "victim"), "utf8"), "untouched");
    assert.equal(readFileSync(join(dir, "elsewhere/devid"), "utf8"), "untouched");
  });

  itAsUsers("goes through no link: --trace", async (dir) => {
    const { root } = layOut(dir);
    mkdirSync(join(dir, "elsewhere/events"), { recursive: true });
    mkdirSync(join(dir, "elsewhere/instances"), { recursive: true });
    mkdirSync(join(root, "sys/kernel"), { recursive: true });
    rmSync(join(root, "sys/kernel/tracing"), { recursive: true, force: true });
    symlinkSync(join(dir, "elsewhere"), join(root, "sys/kernel/tracing"));
    const { code, stderr } = await runDoctor(["--root", root, "--trace", "1"]);
    assert.equal(code, 2);
    assert.match(stderr, /finds no tracing file system/);
    assert.equal(lstatSync(join(dir, "elsewhere/instances")).nlink, 2, "nothing was made in it");
  });

  itAsUsers("is nothing where others may change what is there", async (dir) => {
    unpack(loadHost("amd-table-of-another-device"), join(dir, "tree"));
    const amd = join(dir, "tree/1/sys/kernel/debug/iommu/amd");
    put(join(amd, "devid"), "untouched");
    execFileSync("chmod", ["o+w", join(dir, "tree/1/sys")]);
    const { code, stderr } = await runDoctor([
      "--root",
      join(dir, "tree/1"),
      "--interval",
      "0.1",
      "--write-devid",
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /EPERM: .*sys may be changed by other users/);
    assert.equal(readFileSync(join(amd, "devid"), "utf8"), "untouched");
    assert.ok(existsSync(join(amd, "devid")));
  });
});
