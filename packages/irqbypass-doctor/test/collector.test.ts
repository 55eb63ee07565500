import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, test } from "node:test";
import fc from "fast-check";
import { parseVmm } from "#src/parse/vmm.js";
import { collectorScript } from "#src/source/collector.js";
import { BOOT_WORDS, KERNEL_WORDS, maskLink, maskText, VMM_PARTS } from "#src/source/mask.js";
import { parseLinks } from "#src/source/names.js";
import { RIGHTS } from "#src/source/rights.js";
import {
  collect,
  layOut,
  reportOf,
  sameReport,
  skip,
  swapWhileAsleep,
  withoutExtras,
  workDir,
} from "./collect.js";
import { runDoctor } from "./run.js";
import { hostNames, loadHost, unpack } from "./tree.js";
import { isRoot } from "./users.js";

describe("what the script collects gives the same report as the host itself", {
  skip,
  concurrency: 3,
}, () => {
  for (const name of hostNames()) it(name, () => sameReport(loadHost(name)));
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
  const vmm = [
    "/home/alice/bin/qemu-system-x86_64",
    ..."-name guest=alice,secret -accel kvm -machine type=q35,kernel-irqchip=split,,secret,accel=kvm:tcg".split(
      " ",
    ),
    ..."-device vfio-pci,host=0000:3b:00.0,id=alice,x-no-kvm-msix=on -device e1000,host=10.0.0.7,mac=secret".split(
      " ",
    ),
    '{"driver":"vfio-pci","id":"alice","host":"0000:3b:00.1","x-no-kvm-msi":true,"a":{"secret":1}}',
    "{secret",
    "secret\nalice",
    "",
    "-chardev",
    "socket,path=/var/lib/libvirt/qemu/domain-1-alice/monitor.sock",
    "-global",
    "vfio-pci.x-no-kvm-msix=on",
    "--irqchip=split",
  ];
  put("proc/cmdline", `BOOT_IMAGE=/secret initrd=\\secret\\initrd ${kernel}\n`);
  put("proc/77/cmdline", `${vmm.join("\0")}\0`);
  put("etc/os-release", 'NAME="secret"\nID=debian\nID_LIKE="a b"\nHOME_URL=alice\n');
  put(
    "etc/modprobe.d/kvm.conf",
    "# alice\noptions kvm_amd \\\n  avic=1\noptions secret kvm=1\n options kvm npt=1\n",
  );
  put("etc/modprobe.d/other.conf", "options alice secret=1\n");
  put("etc/kernel/cmdline", "root=secret\n");
  put("run/libvirt/qemu/alice.pid", "77");
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
  const links = parseLinks(readFileSync(join(cwd, "m/links"), "utf8"));
  const got = (path: string) => join(cwd, "m/1", path);
  const masked = [
    "proc/cmdline",
    "proc/77/cmdline",
    "proc/77/comm",
    "etc/os-release",
    "etc/modprobe.d/kvm.conf",
  ];
  for (const path of masked) {
    const text = readFileSync(join(tree, path), "utf8");
    assert.equal(readFileSync(got(path), "utf8"), maskText(path, text), path);
  }
  for (const [fd, target] of Object.entries(targets)) {
    const path = `proc/77/fd/${fd}`;
    assert.equal(links.get(`1/${path}`), maskLink(path, target));
  }
  assert.doesNotMatch(readFileSync(join(cwd, "m.tar"), "latin1"), /alice|secret|UUID|password|10\.0/);
  assert.deepEqual(readdirSync(join(cwd, "m/1/etc")).sort(), ["kernel", "modprobe.d", "os-release"]);
  assert.deepEqual(readdirSync(join(cwd, "m/1/etc/kernel")), ["cmdline"]);
  assert.deepEqual(
    parseVmm(readFileSync(got("proc/77/cmdline"), "utf8").split("\0")),
    parseVmm(vmm),
    "what the doctor makes of it is the same",
  );
});

test("the words that are not masked are those of a capture", () => {
  for (const [name, pattern] of Object.entries({
    kernel_words: KERNEL_WORDS,
    boot_words: BOOT_WORDS,
    vmm_parts: VMM_PARTS,
  })) {
    const words = new RegExp(`${name}='([^']+)'`).exec(collectorScript())?.[1];
    const posix = pattern.source.replaceAll("[-\\w]", "[-[:alnum:]_]").replaceAll("\\w", "[[:alnum:]_]");
    assert.equal(words, posix);
  }
});

test("the command prints the script and nothing else", async () => {
  const { stdout, stderr, code } = await runDoctor(["--collector"]);
  assert.deepEqual([stdout, stderr, code], [collectorScript(), "", 0]);
});

test("it says what each source needs before it starts, from the table of --help", { skip }, async () => {
  const { stdout } = await runDoctor(["--help"]);
  const script = collectorScript();
  assert.ok(!script.includes("@RIGHTS@"));
  for (const { source, needs } of RIGHTS) {
    const line = `  ${source}\n      needs ${needs};`;
    assert.ok(stdout.includes(line), source);
    assert.equal(script.includes(line), !source.startsWith("--"), source);
  }
  const cwd = workDir();
  const { stderr } = await collect(cwd, ["--interval", "1", "--output", "x.tar"]);
  assert.ok(stderr.indexOf("CAP_SYS_PTRACE") > 0);
  assert.ok(stderr.indexOf("CAP_SYS_PTRACE") < stderr.indexOf("the second sample follows"));
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

for (const asRoot of isRoot ? [true, false] : [false])
  namesOfOthers(`names that others chose, as ${asRoot ? "root" : "an ordinary user"}`, asRoot);

function namesOfOthers(title: string, asRoot: boolean): void {
  const run = (cwd: string, given: readonly string[], env: Record<string, string> = {}) =>
    collect(cwd, given, env, "sh", asRoot);
  describe(title, { skip }, () => {
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
      const { code, stderr } = await run(cwd, args(tree));
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
      assert.equal((await run(cwd, args(tree))).code, 0);
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
      const { code, stderr } = await run(cwd, args(tree));
      assert.equal(code, 0, stderr);
      assert.ok(!readFileSync(join(cwd, "x.tar"), "latin1").includes("secret"));
      const { stdout, code: exit } = await runDoctor(["--from", join(cwd, "x.tar")]);
      assert.equal(exit, 2);
      assert.match(stdout, /\/proc\/interrupts: could not be read \(EINVAL\)/);
    });

    it("are not overwritten: the archive's name, its mode and a link in its place", async () => {
      const cwd = workDir();
      const tree = hostWithVm(cwd);
      writeFileSync(join(cwd, "victim"), "untouched");
      symlinkSync("victim", join(cwd, "x.tar"));
      assert.match((await run(cwd, args(tree))).stderr, /there already/);
      rmSync(join(cwd, "x.tar"));
      // While it sleeps another puts a link in the place of the archive.
      mkdirSync(join(cwd, "bin"));
      writeFileSync(
        join(cwd, "bin/sleep"),
        `#!/bin/sh\nln -s victim "${cwd}/x.tar"\nls -ld "${cwd}"/.irqbypass-collector.* >"${cwd}/mode"\n`,
      );
      chmodSync(join(cwd, "bin/sleep"), 0o755);
      const { code, stderr } = await run(cwd, args(tree), { PATH: `${cwd}/bin:${process.env.PATH}` });
      assert.equal(code, 2);
      assert.match(stderr, /could not be given its name.*the archive is .*archive\.tar/);
      assert.equal(readFileSync(join(cwd, "victim"), "utf8"), "untouched");
      assert.match(readFileSync(join(cwd, "mode"), "utf8"), /^drwx------/);
    });
  });
}
