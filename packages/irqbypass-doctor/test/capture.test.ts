/**
 * Captures: what is saved gives the same report again, what could tell whose host it is stays out, and a tree that a
 * stranger made cannot reach outside of itself.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readHost } from "#src/facts/host.js";
import type { Report } from "#src/judge/report.js";
import { Capture } from "#src/source/capture.js";
import { liveSampling } from "#src/source/live.js";
import { NewTree } from "#src/source/new-tree.js";
import { openSaved } from "#src/source/saved.js";
import type { Source } from "#src/source/source.js";
import { runDoctor } from "./run.js";
import { CASES, hostNames, loadCase, loadHost, withTree } from "./tree.js";

/** A report without what is bound to differ between a host and its capture. */
function essence(stdout: string): unknown {
  const report = JSON.parse(stdout) as Report;
  return { ...report, measured: { ...report.measured, at: "", from: "", seconds: 0 } };
}

async function capture(root: string, dir: string, ...more: string[]): Promise<string> {
  const { stdout, stderr } = await runDoctor([
    "--root",
    root,
    "--interval",
    "0.1",
    "--json",
    "--capture",
    dir,
    ...more,
  ]);
  assert.match(stderr, /saved \d+ files in/);
  return stdout;
}

/** All names, texts and targets of links below a directory. */
function contentsUnder(dir: string): string {
  const parts: string[] = [];
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stat = lstatSync(path);
    parts.push(name);
    if (stat.isSymbolicLink()) parts.push(readlinkSync(path));
    else parts.push(stat.isDirectory() ? contentsUnder(path) : readFileSync(path, "utf8"));
  }
  return parts.join("\n");
}

describe("a capture gives the report of its host again", () => {
  for (const name of hostNames()) {
    it(name, async () => {
      const host = loadHost(name);
      await withTree(name, host, async (tree) => {
        const dir = join(tree, "case");
        const live = await capture(join(tree, "1"), dir, "--raw");
        const again = await runDoctor(["--from", dir, "--json"]);
        assert.equal(again.stderr, "");
        const words = (text: string) => JSON.stringify(essence(text)).replace(/flat for [\d.]+ s/g, "flat");
        assert.equal(words(again.stdout), words(live));
      });
    });
  }
});

describe("masking", () => {
  it("hides command lines, names and paths, and keeps the words that matter", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (tree) => {
      symlinkSync("/srv/images/customer-42.qcow2", join(tree, "1/proc/4242/fd/50"));
      const dir = join(tree, "case");
      await capture(join(tree, "1"), dir);
      const everything = contentsUnder(dir);
      assert.ok(everything.includes("anon_inode:kvm-vm"), "the links are among what is searched");
      for (const secret of ["web1", "sda2", "vmlinuz", "-nodefaults", "customer", "/dev/null"]) {
        assert.ok(!everything.includes(secret), secret);
      }
    });
  });

  it("leaves what a VMM was told of interrupts, and nothing of libvirt's files", async () => {
    for (const name of readdirSync(CASES).filter((one) => /^2[01]-/.test(one))) {
      const host = loadCase(name);
      await withTree(name, host, async (tree) => {
        const dir = join(tree, "case");
        const live = JSON.parse(await capture(host.root ? tree : join(tree, "1"), dir)) as Report;
        const again = JSON.parse((await runDoctor(["--from", dir, "--json"])).stdout) as Report;
        assert.ok(!/web1|db7/.test(contentsUnder(dir)), name);
        // The name of a guest is in what libvirt logged of it: masked, nothing is left but the program.
        if (name === "20-libvirt-log") return assert.equal(again.vms[0]?.vmm.state, "unknown");
        const says = ({ verdict }: Report) => verdict.says.replace(/(VM \w+|process \d+) is/, "it is");
        assert.deepEqual([again.verdict.exit, says(again)], [live.verdict.exit, says(live)], name);
        const states = (report: Report) => report.vms.map(({ vmm }) => vmm);
        assert.deepEqual(states(again), states(live), name);
        const commands = (report: Report) => report.advice.map((one) => one.commands);
        assert.deepEqual(commands(again), commands(live), name);
      });
    }
  });

  it("says in the report that names are masked, and gives the same verdicts", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (tree) => {
      const dir = join(tree, "case");
      const live = JSON.parse(await capture(join(tree, "1"), dir)) as Report;
      const again = JSON.parse((await runDoctor(["--from", dir, "--json"])).stdout) as Report;
      assert.equal(again.vms[0]?.name, null);
      assert.equal(again.vms[0]?.program, "qemu-system-x86_64");
      assert.deepEqual(again.verdict, live.verdict);
      assert.match(readFileSync(join(dir, "about"), "utf8"), /^masked: yes$/m);
      assert.equal(
        readFileSync(join(dir, "1/proc/cmdline"), "utf8"),
        "BOOT_IMAGE=masked masked masked intel_iommu=on iommu=pt intremap=nopost\n",
      );
    });
  });
});

describe("what a capture holds", () => {
  it("is nothing of processes without a VM or a device", async () => {
    await withTree("intel-posted-6.12", loadHost("intel-posted-6.12"), async (tree) => {
      const dir = join(tree, "case");
      await capture(join(tree, "1"), dir);
      const pids = readdirSync(join(dir, "1/proc")).filter((name) => /^\d+$/.test(name));
      assert.deepEqual(pids, ["4242"]);
    });
  });

  it("is refused a directory that holds something, before any waiting", async () => {
    await withTree("empty-host", loadHost("empty-host"), async (tree) => {
      const { code, stderr } = await runDoctor([
        "--root",
        join(tree, "1"),
        "--interval",
        "600",
        "--capture",
        tree,
      ]);
      assert.equal(code, 2);
      assert.match(stderr, /EEXIST.*holds something already/);
      assert.ok(existsSync(join(tree, "about")));
    });
  });
});

describe("what may not be read", () => {
  /** A host on which an ordinary user may not look into two processes, one of them a thread of the kernel. */
  const closed: Source = {
    name: "a closed host",
    list: (path) =>
      path === "proc"
        ? { state: "read", path, value: ["2", "700"] }
        : path.endsWith("/fd")
          ? { state: "unreadable", path, code: "EACCES" }
          : { state: "absent", path },
    read: (path) =>
      path.endsWith("/cmdline") && path.startsWith("proc/")
        ? { state: "read", path, value: path.startsWith("proc/2/") ? "" : "qemu\0" }
        : { state: "absent", path },
    link: (path) => ({ state: "absent", path }),
  };

  it("is in the capture as what it is, but for threads of the kernel", async () => {
    await withTree("empty-host", loadHost("empty-host"), async (host) => {
      const dir = join(host, "case");
      const capture = new Capture(liveSampling(closed, 0.01));
      const live = readHost(capture.first);
      await capture.second();
      const tree = new NewTree(dir);
      capture.save(tree, { masked: true, at: new Date().toISOString() });
      tree.close();
      assert.equal(live.processes.hidden, 1);
      assert.equal(readHost(openSaved(dir).sampling.first).processes.hidden, 1);
      assert.equal(readFileSync(join(dir, "unreadable"), "utf8"), "EACCES 1/proc/700/fd\n");
    });
  });
});

describe("a tree that a stranger made", () => {
  it("cannot show files of the reader through links, neither as a file nor as a directory", async () => {
    await withTree("intel-posted-6.18", loadHost("intel-posted-6.18"), async (tree) => {
      writeFileSync(join(tree, "secret"), "intremap=secret\n");
      rmSync(join(tree, "1/proc/cmdline"));
      symlinkSync(join(tree, "secret"), join(tree, "1/proc/cmdline"));
      mkdirSync(join(tree, "elsewhere"));
      writeFileSync(join(tree, "elsewhere/enable_apicv"), "N\n");
      rmSync(join(tree, "1/sys/module/kvm_intel/parameters"), { recursive: true });
      symlinkSync(join(tree, "elsewhere"), join(tree, "1/sys/module/kvm_intel/parameters"));
      const { stdout } = await runDoctor(["--from", tree, "--json"]);
      assert.ok(!stdout.includes("secret"));
      const report = JSON.parse(stdout) as Report;
      assert.equal(report.chain.find(({ name }) => name === "kernel command line")?.state, "unknown");
      assert.equal(report.chain.find(({ name }) => name === "module parameters")?.state, "unknown");
    });
  });

  it("cannot make the reader wait at a pipe", { timeout: 20_000 }, async () => {
    await withTree("empty-host", loadHost("empty-host"), async (tree) => {
      for (const path of ["1/proc/cmdline", "trace.json"]) {
        rmSync(join(tree, path), { force: true });
        execFileSync("mkfifo", [join(tree, path)]);
      }
      assert.notEqual((await runDoctor(["--from", tree])).code, undefined);
    });
  });

  const abouts: readonly (readonly [string, RegExp])[] = [
    ["format: irqbypass-capture/9\nat: 2026-03-01T12:00:00Z\nseconds: 2\n", /irqbypass-capture\/9/],
    ["at: 2026-03-01T12:00:00Z\nseconds: 2\n", /format is not named/],
    ["format: irqbypass-capture/1\nat: yesterday\nseconds: 2\n", /"at"/],
    ["format: irqbypass-capture/1\nat: 2026-03-01T12:00:00Z\nseconds: -1\n", /"seconds"/],
  ];
  for (const [about, message] of abouts) {
    it(`is refused with ${JSON.stringify(about.slice(0, 40))}`, async () => {
      await withTree("empty-host", loadHost("empty-host"), async (tree) => {
        writeFileSync(join(tree, "about"), about);
        const { code, stderr } = await runDoctor(["--from", tree]);
        assert.equal(code, 2);
        assert.match(stderr, message);
      });
    });
  }

  it("is refused with a trace that lacks a field", async () => {
    await withTree("empty-host", loadHost("empty-host"), async (tree) => {
      writeFileSync(join(tree, "trace.json"), "{}");
      assert.match((await runDoctor(["--from", tree])).stderr, /trace\.json: .*take the capture again/);
    });
  });
});
