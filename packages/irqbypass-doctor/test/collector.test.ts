import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it, test } from "node:test";
import fc from "fast-check";
import { collectorScript } from "#src/source/collector.js";
import { KERNEL_WORDS, maskLink, maskText } from "#src/source/mask.js";
import { parseLinks } from "#src/source/names.js";
import { runDoctor } from "./run.js";
import { CASES, type HostText, hostNames, loadCase, loadHost, unpack } from "./tree.js";

/** Why the script cannot be run here, or false. */
const skip = process.platform !== "linux" && "the script reads /proc and /sys";

const made: string[] = [];
after(() => {
  for (const dir of made) {
    execFileSync("chmod", ["-R", "u+rwx", dir]);
    rmSync(dir, { recursive: true });
  }
});

/** A directory that any user may write to. */
function workDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "irqbypass-collector-"));
  chmodSync(dir, 0o777);
  made.push(dir);
  return dir;
}

interface Collected {
  readonly code: number;
  readonly stderr: string;
}

/** Runs the script in `cwd`, as an ordinary user where the test itself is root. */
function collect(
  cwd: string,
  args: readonly string[],
  env: Record<string, string> = {},
  shell = "sh",
): Promise<Collected> {
  const script = join(cwd, "collector.sh");
  if (!existsSync(script)) writeFileSync(script, collectorScript());
  const ordinary = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  return new Promise((resolve) => {
    const [program, ...first] = shell.split(" ");
    execFile(
      program!,
      [...first, script, ...args],
      { cwd, env: { PATH: process.env.PATH ?? "", ...env }, ...ordinary, timeout: 60_000 },
      (error, _stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stderr }),
    );
  });
}

/** Lays a made-up host out as a root directory for each of its samples, with what it may not read closed. */
function layOut(host: HostText, dir: string): void {
  unpack(host, dir);
  const closed = [...host.entries].flatMap(([path, entry]) => ("code" in entry ? [path] : []));
  for (const path of closed.sort()) {
    // Below a closed directory nothing can be read anyhow.
    if (closed.some((other) => path.startsWith(`${other}/`))) continue;
    const full = join(dir, path);
    mkdirSync(dirname(full), { recursive: true });
    if (/\/(fd|debug)$/.test(path)) mkdirSync(full, { recursive: true });
    else writeFileSync(full, "");
    chmodSync(full, 0);
  }
}

/** Makes `sleep` swap the host that the script reads for its second sample, so that nothing waits. */
function swapWhileAsleep(cwd: string): Record<string, string> {
  mkdirSync(join(cwd, "bin"));
  const sleep = join(cwd, "bin/sleep");
  writeFileSync(sleep, `#!/bin/sh\nrm "${cwd}/root" && ln -s tree/2 "${cwd}/root"\n`);
  chmodSync(sleep, 0o755);
  symlinkSync("tree/1", join(cwd, "root"));
  return { PATH: `${cwd}/bin:${process.env.PATH}` };
}

/** The report, without what tells when and where the capture was taken. */
async function reportOf(tree: string, options: readonly string[]): Promise<unknown> {
  const { stdout, stderr } = await runDoctor(["--from", tree, "--json", ...options]);
  assert.equal(stderr, "");
  const report = JSON.parse(stdout) as { measured: Record<string, unknown> };
  return { ...report, measured: { ...report.measured, at: "", from: "" } };
}

/** What the script cannot know: traces, and what --write-devid selects. */
function withoutExtras(host: HostText): HostText {
  const entries = [...host.entries].filter(([path]) => path !== "trace.json" && !/irqtbl@/.test(path));
  return { ...host, seconds: "2.000", entries: new Map(entries) };
}

/** A running host as the two samples that would be taken of it. */
function twoSamples(host: HostText): HostText {
  if (!host.root) return host;
  const counted = [...host.entries].filter(([path]) =>
    /^1\/(proc\/(interrupts|\d+\/fdinfo)|sys\/kernel\/irq)/.test(path),
  );
  const second = counted.map(([path, entry]) => [path.replace("1", "2"), entry] as const);
  return { ...host, root: false, entries: new Map([...host.entries, ...second]) };
}

describe("what the script collects gives the same report as the host itself", {
  skip,
  concurrency: 3,
}, () => {
  const hosts = hostNames().map((name) => [name, () => loadHost(name)] as const);
  const cases = readdirSync(CASES).map((name) => [name, () => twoSamples(loadCase(name))] as const);
  for (const [name, load] of [...hosts, ...cases]) {
    it(name, async () => {
      const cwd = workDir();
      const host = withoutExtras(load());
      layOut(host, join(cwd, "tree"));
      const env = swapWhileAsleep(cwd);
      const args = ["--raw", "--root", join(cwd, "root"), "--output", "got.tar"];
      const { code, stderr } = await collect(cwd, args, env);
      if (!existsSync(join(cwd, "tree/1/proc/sys/kernel/osrelease"))) {
        assert.equal(code, 2);
        assert.match(stderr, /is this a Linux host/);
        return;
      }
      assert.equal(code, 0, stderr);
      execFileSync("tar", ["-xf", "got.tar"], { cwd });
      const reference = join(cwd, "reference");
      unpack(host, reference);
      assert.deepEqual(
        await reportOf(join(cwd, "got"), host.options),
        await reportOf(reference, host.options),
      );
      assert.deepEqual(
        readdirSync(cwd).sort(),
        ["bin", "collector.sh", "got", "got.tar", "reference", "root", "tree"],
        "nothing is left behind",
      );
    });
  }
});

test("this host can be collected, and read again", { skip }, async () => {
  const cwd = workDir();
  const { code, stderr } = await collect(cwd, ["--interval", "1", "--output", "here.tar"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /saved \d+ files in here\.tar, masked/);
  execFileSync("tar", ["-xf", "here.tar"], { cwd });
  assert.match(
    readFileSync(join(cwd, "here/about"), "utf8"),
    /^format: irqbypass-capture\/2\nat: .*\nseconds: [1-9]/,
  );
  const { stdout } = await runDoctor(["--from", join(cwd, "here"), "--json"]);
  const report = JSON.parse(stdout) as { measured: { kernel: string; seconds: number } };
  assert.equal(report.measured.kernel, readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
  assert.ok(report.measured.seconds >= 1);
});

test("the script is a POSIX one: every shell here that claims to be runs it", { skip }, async () => {
  const host = withoutExtras(loadHost("odd-names"));
  const shells = ["sh", "dash", "bash --posix", "busybox ash", "ksh", "mksh", "zsh --emulate sh"].filter(
    (shell) => {
      const [program] = shell.split(" ");
      return spawnSync(program!, ["-c", "true"]).error === undefined;
    },
  );
  assert.ok(shells.length > 0);
  for (const shell of shells) {
    const cwd = workDir();
    layOut(host, join(cwd, "tree"));
    const [program, ...first] = shell.split(" ");
    writeFileSync(join(cwd, "collector.sh"), collectorScript());
    execFileSync(program!, [...first, "-n", join(cwd, "collector.sh")]);
    const env = swapWhileAsleep(cwd);
    const args = ["--raw", "--root", join(cwd, "root"), "--output", "got.tar"];
    const { code, stderr } = await collect(cwd, args, env, shell);
    assert.equal(code, 0, `${shell}: ${stderr}`);
    execFileSync("tar", ["-xf", "got.tar"], { cwd });
    const reference = join(cwd, "reference");
    unpack(host, reference);
    assert.deepEqual(await reportOf(join(cwd, "got"), []), await reportOf(reference, []), shell);
  }
});

test("what is masked is masked as a capture masks it", { skip }, async () => {
  const cwd = workDir();
  const tree = join(cwd, "tree/1");
  const kernel =
    "root=UUID=1-2 intremap=nopost kvm-intel.enable_apicv=0 kvm.x nox2apicx iommu=pt iommufd=1 password=intremap=off";
  const targets: Record<string, string> = {
    0: "/home/alice/secret.qcow2",
    1: "anon_inode:kvm-vm",
    2: "anon_inode:[eventfd]",
    3: "/dev/vfio/12",
    4: "/dev/vhost-vdpa-0",
    5: "/dev/kvm",
    6: "socket:[1234]",
    7: "/tmp/name with -> arrow and blanks",
  };
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  put("proc/sys/kernel/osrelease", "6.18.0\n");
  put("proc/cmdline", `${kernel}\n`);
  put("proc/77/cmdline", "/usr/bin/qemu-system-x86_64\0-name\0guest=alice\0");
  put("proc/77/comm", "alice\n");
  put("proc/77/fdinfo/2", "eventfd-count: 0\neventfd-id: 7\n");
  mkdirSync(join(tree, "proc/77/fd"));
  for (const [fd, target] of Object.entries(targets)) symlinkSync(target, join(tree, "proc/77/fd", fd));
  const { code, stderr } = await collect(cwd, [
    "--root",
    join(cwd, "tree/1"),
    "--interval",
    "1",
    "--output",
    "m.tar",
  ]);
  assert.equal(code, 0, stderr);
  execFileSync("tar", ["-xf", "m.tar"], { cwd });
  const got = (path: string) => join(cwd, "m/1", path);
  const links = parseLinks(readFileSync(join(cwd, "m/links"), "utf8"));
  for (const path of ["proc/cmdline", "proc/77/cmdline", "proc/77/comm"]) {
    const text = readFileSync(join(tree, path), "utf8");
    assert.equal(readFileSync(got(path), "utf8"), maskText(path, text), path);
  }
  for (const [fd, target] of Object.entries(targets)) {
    const path = `proc/77/fd/${fd}`;
    assert.equal(links.get(`1/${path}`), maskLink(path, target));
  }
  assert.doesNotMatch(readFileSync(join(cwd, "m.tar"), "latin1"), /alice|secret|UUID|password/);
});

test("the words that are not masked are those of a capture", () => {
  const words = /kernel_words='([^']+)'/.exec(collectorScript())?.[1];
  assert.equal(words, KERNEL_WORDS.source.replaceAll("\\w", "[[:alnum:]_]"));
});

test("the command prints the script and nothing else", async () => {
  const { stdout, stderr, code } = await runDoctor(["--collector"]);
  assert.deepEqual([stdout, stderr, code], [collectorScript(), "", 0]);
});

test("bad options are refused before anything is written", { skip }, async () => {
  const cwd = workDir();
  writeFileSync(join(cwd, "there.tar"), "");
  for (const [args, words] of [
    [["--interval", "0"], /whole seconds from 1 on/],
    [["--interval", "1;reboot"], /whole seconds/],
    [["--interval"], /--interval needs a value/],
    [["--bogus"], /unknown option: --bogus/],
    [["--root", "/nowhere"], /is this a Linux host/],
    [["--output", "there.tar"], /there already/],
    [["--output", "..tar"], /must name a file/],
    [["--output", "-x.tar"], /must name a file/],
  ] as const) {
    const { code, stderr } = await collect(cwd, args);
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, words);
  }
  assert.deepEqual(readdirSync(cwd).sort(), ["collector.sh", "there.tar"]);
  const help = await collect(cwd, ["--help"]);
  assert.equal(help.code, 0);
});

test("interrupted while it waits, it leaves nothing", { skip }, async () => {
  for (const [signal, status] of [
    ["INT", 130],
    ["TERM", 143],
    ["HUP", 129],
  ] as const) {
    const cwd = workDir();
    mkdirSync(join(cwd, "bin"));
    // The signal comes to the script itself, while it sleeps.
    writeFileSync(join(cwd, "bin/sleep"), `#!/bin/sh\nkill -s ${signal} $PPID\n`);
    chmodSync(join(cwd, "bin/sleep"), 0o755);
    const { code } = await collect(cwd, ["--output", "x.tar"], { PATH: `${cwd}/bin:${process.env.PATH}` });
    assert.equal(code, status);
    assert.deepEqual(readdirSync(cwd).sort(), ["bin", "collector.sh"]);
  }
});

test("it changes nothing on the host that it reads", { skip }, async () => {
  const cwd = workDir();
  const host = withoutExtras(loadHost("intel-posted-6.18"));
  layOut(host, join(cwd, "tree"));
  const look = (dir: string): string[] =>
    readdirSync(dir).flatMap((name) => {
      const full = join(dir, name);
      const stat = lstatSync(full);
      const self = `${full} ${stat.mode} ${stat.mtimeMs} ${stat.size}`;
      return stat.isDirectory() ? [self, ...look(full)] : [self];
    });
  const before = look(join(cwd, "tree"));
  const { code } = await collect(cwd, [
    "--root",
    join(cwd, "tree/1"),
    "--interval",
    "1",
    "--output",
    "x.tar",
  ]);
  assert.equal(code, 0);
  assert.deepEqual(look(join(cwd, "tree")), before);
});

test("any targets of descriptors come through as they are", { skip }, async () => {
  const cwd = workDir();
  const tree = join(cwd, "tree/1");
  mkdirSync(join(tree, "proc/sys/kernel"), { recursive: true });
  writeFileSync(join(tree, "proc/sys/kernel/osrelease"), "6.18.0\n");
  mkdirSync(join(tree, "proc/5/fd"), { recursive: true });
  symlinkSync("anon_inode:kvm-vm", join(tree, "proc/5/fd/0"));
  const target = fc
    .string({ minLength: 1, maxLength: 40 })
    .filter((text) => !text.includes("\0") && text.trim() !== "");
  const targets = fc.sample(target, { numRuns: 60, seed: 11 });
  targets.forEach((text, i) => {
    symlinkSync(text, join(tree, `proc/5/fd/${i + 1}`));
  });
  const args = ["--raw", "--root", tree, "--interval", "1", "--output", "x.tar"];
  const { code, stderr } = await collect(cwd, args);
  assert.equal(code, 0, stderr);
  execFileSync("tar", ["-xf", "x.tar"], { cwd });
  const links = parseLinks(readFileSync(join(cwd, "x/links"), "utf8"));
  targets.forEach((text, i) => {
    assert.equal(links.get(`1/proc/5/fd/${i + 1}`), text);
  });
});

describe("names that others chose", { skip }, () => {
  /** A host with a VM, below `cwd`. */
  function hostWithVm(cwd: string): string {
    const tree = join(cwd, "tree/1");
    for (const dir of ["proc/sys/kernel", "proc/5/fd", "proc/5/fdinfo"])
      mkdirSync(join(tree, dir), { recursive: true });
    writeFileSync(join(tree, "proc/sys/kernel/osrelease"), "6.18.0\n");
    symlinkSync("anon_inode:kvm-vm", join(tree, "proc/5/fd/0"));
    return tree;
  }
  const args = (tree: string) => ["--raw", "--root", tree, "--interval", "1", "--output", "x.tar"];
  const listed = (cwd: string) => execFileSync("tar", ["-tf", "x.tar"], { cwd, encoding: "utf8" });

  it("make no path: a memfd that looks like lines of a listing", async () => {
    const cwd = workDir();
    const tree = hostWithVm(cwd);
    writeFileSync(join(tree, "secret"), "secret\n");
    writeFileSync(join(cwd, "secret"), "secret\n");
    const evil = "../../../../secret -> anon_inode:[eventfd]";
    for (const [fd, target] of [
      ["9", `/memfd:x\nlrwx------ 1 root root 64 Jan 1 00:00 ${evil} (deleted)`],
      ["10", `/memfd: ${evil}\n`],
      ["11", `/memfd:${evil}`],
      ["12", "/memfd:$(touch pwned)`touch pwned`;touch pwned"],
      ["13", "-n\n-e %s%n"],
      ["14", "/memfd:\u001b[2J\u202e\n\n"],
    ] as const)
      symlinkSync(target, join(tree, "proc/5/fd", fd));
    const { code, stderr } = await collect(cwd, args(tree));
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(listed(cwd), /secret|pwned|\.\.|memfd/);
    assert.ok(!readFileSync(join(cwd, "x.tar"), "latin1").includes("secret\n"));
    assert.deepEqual(readdirSync(cwd).sort(), ["collector.sh", "secret", "tree", "x.tar"]);
    execFileSync("tar", ["-xf", "x.tar"], { cwd });
    const links = parseLinks(readFileSync(join(cwd, "x/links"), "utf8"));
    for (const fd of ["9", "10", "11", "12", "13", "14"])
      assert.equal(links.get(`1/proc/5/fd/${fd}`), readlinkSync(join(tree, "proc/5/fd", fd)), fd);
  });

  it("make no process a VM that only looks like one", async () => {
    const cwd = workDir();
    const tree = hostWithVm(cwd);
    mkdirSync(join(tree, "proc/6/fd"), { recursive: true });
    writeFileSync(join(tree, "proc/6/cmdline"), "secret\0");
    symlinkSync("/memfd:x\n 1 -> anon_inode:kvm-vm", join(tree, "proc/6/fd/3"));
    assert.equal((await collect(cwd, args(tree))).code, 0);
    assert.doesNotMatch(listed(cwd), /proc\/6\//);
    assert.ok(!readFileSync(join(cwd, "x.tar"), "latin1").includes("secret"));
  });

  it("pipes are not waited for, and links in a tree lead nowhere", { timeout: 60_000 }, async () => {
    const cwd = workDir();
    const tree = hostWithVm(cwd);
    for (const path of ["proc/interrupts", "proc/cmdline", "proc/cpuinfo", "proc/5/cmdline", "proc/5/comm"])
      execFileSync("mkfifo", [join(tree, path)]);
    execFileSync("mkfifo", [join(tree, "proc/5/fdinfo/1")]);
    symlinkSync("anon_inode:[eventfd]", join(tree, "proc/5/fd/1"));
    mkdirSync(join(cwd, "outside/parameters"), { recursive: true });
    writeFileSync(join(cwd, "outside/parameters/enable_apicv"), "secret\n");
    mkdirSync(join(tree, "sys/module"), { recursive: true });
    symlinkSync(join(cwd, "outside"), join(tree, "sys/module/kvm_intel"));
    const { code, stderr } = await collect(cwd, args(tree));
    assert.equal(code, 0, stderr);
    assert.ok(!readFileSync(join(cwd, "x.tar"), "latin1").includes("secret"));
    const { stdout, code: exit } = await runDoctor(["--from", join(cwd, "x.tar")]);
    assert.equal(exit, 2);
    assert.match(stdout, /\/proc\/interrupts: may not be read \(EINVAL\)/);
  });

  it("are not overwritten: the archive's name, its mode and a link in its place", async () => {
    const cwd = workDir();
    const tree = hostWithVm(cwd);
    writeFileSync(join(cwd, "victim"), "untouched");
    symlinkSync("victim", join(cwd, "x.tar"));
    assert.match((await collect(cwd, args(tree))).stderr, /there already/);
    rmSync(join(cwd, "x.tar"));
    // While it sleeps another puts a link in the place of the archive.
    mkdirSync(join(cwd, "bin"));
    writeFileSync(
      join(cwd, "bin/sleep"),
      `#!/bin/sh\nln -s victim "${cwd}/x.tar"\nls -ld "${cwd}"/.irqbypass-collector.* >"${cwd}/mode"\n`,
    );
    chmodSync(join(cwd, "bin/sleep"), 0o755);
    const { code, stderr } = await collect(cwd, args(tree), { PATH: `${cwd}/bin:${process.env.PATH}` });
    assert.equal(code, 2);
    assert.match(stderr, /could not be given its name.*the archive is .*archive\.tar/);
    assert.equal(readFileSync(join(cwd, "victim"), "utf8"), "untouched");
    assert.match(readFileSync(join(cwd, "mode"), "utf8"), /^drwx------/);
  });
});
