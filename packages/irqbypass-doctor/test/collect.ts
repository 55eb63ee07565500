/**
 * Runs the script that collects a host where there is no Node, on hosts that are laid out as directories.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { collectorScript } from "#src/source/collector.js";
import { runDoctor } from "./run.js";
import { type HostText, unpack } from "./tree.js";
import { isRoot, NOBODY } from "./users.js";

/** Why the script cannot be run here, or false. */
export const skip = process.platform !== "linux" && "the script reads /proc and /sys";

const made: string[] = [];
after(() => {
  for (const dir of made) {
    execFileSync("chmod", ["-R", "u+rwx", dir]);
    rmSync(dir, { recursive: true });
  }
});

/** A directory that any user may write to. */
export function workDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "irqbypass-collector-"));
  chmodSync(dir, 0o777);
  made.push(dir);
  return dir;
}

interface Collected {
  readonly code: number;
  readonly stderr: string;
}

/** Runs the script in `cwd`, as an ordinary user where the test itself is root and does not ask for that. */
export function collect(
  cwd: string,
  args: readonly string[],
  env: Record<string, string> = {},
  shell = "sh",
  asRoot = false,
): Promise<Collected> {
  const script = join(cwd, "collector.sh");
  if (!existsSync(script)) writeFileSync(script, collectorScript());
  const ordinary = isRoot && !asRoot ? { uid: NOBODY, gid: NOBODY } : {};
  return new Promise((resolve) => {
    const [program, ...first] = shell.split(" ");
    execFile(
      program!,
      [...first, script, ...args],
      { cwd, env: { PATH: process.env.PATH ?? "", TMPDIR: cwd, ...env }, ...ordinary, timeout: 60_000 },
      (error, _stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stderr }),
    );
  });
}

/** Lays a made-up host out as a root directory for each of its samples, with what it may not read closed. */
export function layOut(host: HostText, dir: string): void {
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
export function swapWhileAsleep(cwd: string): Record<string, string> {
  mkdirSync(join(cwd, "bin"));
  const sleep = join(cwd, "bin/sleep");
  writeFileSync(sleep, `#!/bin/sh\nrm "${cwd}/root" && ln -s tree/2 "${cwd}/root"\n`);
  chmodSync(sleep, 0o755);
  symlinkSync("tree/1", join(cwd, "root"));
  return { PATH: `${cwd}/bin:${process.env.PATH}` };
}

/** The report, without what tells when and where the capture was taken. */
export async function reportOf(tree: string, options: readonly string[]): Promise<unknown> {
  const { stdout, stderr } = await runDoctor(["--from", tree, "--json", ...options]);
  assert.equal(stderr, "");
  const report = JSON.parse(stdout) as { measured: Record<string, unknown> };
  return { ...report, measured: { ...report.measured, at: "", from: "" } };
}

/**
 * Without what the script cannot know, traces and what --write-devid selects, and without what the mode of a file cannot
 * do: only lockdown forbids with EPERM, and only ptrace's check keeps links from being read (see rights.test.ts).
 */
export function withoutExtras(host: HostText): HostText {
  const entries = [...host.entries].filter(
    ([path, entry]) =>
      path !== "trace.json" &&
      !/irqtbl@/.test(path) &&
      !("code" in entry && (entry.code === "EPERM" || /\/fd\/\d+$/.test(path))),
  );
  return { ...host, seconds: "2.000", entries: new Map(entries) };
}

/** A running host as the two samples that would be taken of it. */
export function twoSamples(host: HostText): HostText {
  if (!host.root) return host;
  const counted = [...host.entries].filter(([path]) =>
    /^1\/(proc\/(interrupts|\d+\/fdinfo)|sys\/kernel\/irq)/.test(path),
  );
  const second = counted.map(([path, entry]) => [path.replace("1", "2"), entry] as const);
  return { ...host, root: false, entries: new Map([...host.entries, ...second]) };
}

/** Whether what the script collects of a host gives the report of the host itself. */
export async function sameReport(given: HostText): Promise<void> {
  const cwd = workDir();
  const host = withoutExtras(given);
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
  assert.deepEqual(await reportOf(join(cwd, "got"), host.options), await reportOf(reference, host.options));
  assert.deepEqual(
    readdirSync(cwd).sort(),
    ["bin", "collector.sh", "got", "got.tar", "reference", "root", "tree"],
    "nothing is left behind",
  );
}
