/**
 * That the rights which the report names are enough, and no more than needed: tried on this host, as a user who owns
 * nothing, with one capability after the other. Debugfs and tracefs are mounted for the time of a try alone.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspectHost } from "#src/index.js";
import { collectorScript } from "#src/source/collector.js";
import { RIGHTS } from "#src/source/rights.js";
import { workDir } from "./collect.js";
import { closedToOthers, isRoot, NOBODY } from "./users.js";

const module = (name: string) => JSON.stringify(import.meta.resolve(`#src/${name}.js`));

/** Runs `body` as a user with these capabilities alone; what it prints, as JSON. */
function withOnly(capabilities: readonly string[], body: string, mounts: Mounts = {}): unknown {
  return JSON.parse(
    runWithOnly(capabilities, [process.execPath, "--input-type=module", "-e", body], "", mounts),
  );
}

/** How /proc is mounted for a try, and the group that it is tried as. */
interface Mounts {
  readonly proc?: string;
  readonly group?: number;
}

/** Runs a program so; what it prints. */
function runWithOnly(
  capabilities: readonly string[],
  program: readonly string[],
  input = "",
  { proc, group = NOBODY }: Mounts = {},
): string {
  const list = capabilities.map((name) => `+${name.replace("CAP_", "").toLowerCase()}`).join(",");
  const granted = list === "" ? [] : [`--inh-caps=${list}`, `--ambient-caps=${list}`];
  const user = ["setpriv", `--reuid=${NOBODY}`, `--regid=${group}`, "--clear-groups", ...granted];
  const hiding = proc === undefined ? "" : `mount -t proc -o ${proc} proc /proc; `;
  const mounts = `${hiding}mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"`;
  const { stdout, stderr, status } = spawnSync(
    "unshare",
    ["--mount", "--propagation", "private", "sh", "-c", mounts, "sh", ...user, ...program],
    { encoding: "utf8", input },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Whether a process of root's, this one, can be looked into. */
const looked = (capabilities: readonly string[]) =>
  withOnly(
    capabilities,
    `const { readProcesses } = await import(${module("facts/processes")});
     const { LiveSource } = await import(${module("source/live")});
     const source = new LiveSource("/");
     const dir = "proc/${process.pid}";
     const fd = source.link(dir + "/fd/0").state;
     const listed = [source.list(dir + "/fd"), source.read(dir + "/fdinfo/0")].map(({ state }) => state);
     console.log(JSON.stringify({ states: [fd, ...listed], hidden: readProcesses(source).hidden }));`,
  ) as { states: string[]; hidden: number };

/** Why processes may not be listed, where /proc is mounted with `proc`. */
const unlisted = (proc: string, capabilities: readonly string[], group?: number) =>
  withOnly(
    capabilities,
    `const { readProcesses } = await import(${module("facts/processes")});
     const { LiveSource } = await import(${module("source/live")});
     console.log(JSON.stringify(readProcesses(new LiveSource("/")).unlisted?.by ?? "all are listed"));`,
    group === undefined ? { proc } : { proc, group },
  );

/** What --trace comes to. */
const traced = (capabilities: readonly string[]) =>
  withOnly(
    capabilities,
    `const { followTrace, processTraceIo } = await import(${module("trace/trace")});
     let found;
     try { found = (await followTrace({ seconds: 0.01 }, processTraceIo("/"))).followed.length > 0; }
     catch (error) { found = error.code + ": " + error.message; }
     console.log(JSON.stringify(found));`,
  );

/** Whether the directory of debugfs can be listed, and what is below it. */
const debugfs = (capabilities: readonly string[]) =>
  withOnly(
    capabilities,
    `const { LiveSource } = await import(${module("source/live")});
     console.log(JSON.stringify(new LiveSource("/").list("sys/kernel/debug").state));`,
  );

const ALL = ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_RAWIO"];

/** What comes of opening a file, of which nothing is read or written then. */
const opened = (capabilities: readonly string[], path: string, flags: "r" | "r+") =>
  withOnly(
    capabilities,
    `const { closeSync, openSync } = await import("node:fs");
     let came = "opened";
     try { closeSync(openSync(${JSON.stringify(path)}, ${JSON.stringify(flags)})); }
     catch (error) { came = error.code; }
     console.log(JSON.stringify(came));`,
  );

/** A file right below debugfs that stands in for one of an IOMMU. */
function fileOfMode(mode: number): string | undefined {
  const found = withOnly(
    ["CAP_DAC_READ_SEARCH"],
    `const { lstatSync, readdirSync } = await import("node:fs");
     const all = readdirSync("/sys/kernel/debug").map((name) => "/sys/kernel/debug/" + name).sort();
     const found = all.find((path) => (lstatSync(path).mode & 0o170777) === (0o100000 | ${mode}));
     console.log(JSON.stringify(found ?? null));`,
  );
  return typeof found === "string" ? found : undefined;
}

/** The capabilities that a row of the table names. */
function named(source: RegExp): string[] {
  const right = RIGHTS.find((one) => source.test(one.source));
  assert.ok(right !== undefined);
  return [...new Set(right.needs.match(/CAP_[A-Z_]+/g) ?? [])];
}

function cannotTry(): string | false {
  if (process.platform !== "linux" || !isRoot) return "only root can take rights away and mount";
  if (closedToOthers !== false) return closedToOthers;
  const tools = ["setpriv", "unshare"].filter((tool) => spawnSync(tool, ["--version"]).status !== 0);
  if (tools.length > 0) return `no ${tools.join(" and ")} here`;
  const mounted = spawnSync("unshare", ["--mount", "sh", "-c", "mount -t debugfs d /sys/kernel/debug"]);
  return mounted.status === 0 ? false : "debugfs cannot be mounted here";
}

describe("the rights that a source needs", { skip: cannotTry() }, () => {
  it("are those named for the descriptors of other users' processes, and each of them", () => {
    const needed = named(/fdinfo of other users/);
    assert.equal(needed.length, 2);
    assert.deepEqual(looked(needed).states, ["read", "read", "read"]);
    for (const one of [[], ...needed.map((name) => [name])]) {
      const { states, hidden } = looked(one);
      assert.ok(states.includes("unreadable"), one.join());
      assert.ok(hidden > 0, `${one.join()} alone: what cannot be looked into is counted`);
    }
  });

  it("are missed by the collector too, where it has one of the two", async () => {
    const dir = workDir();
    const output = join(dir, "x.tar");
    const args = ["-s", "--", "--interval", "1", "--output", output];
    runWithOnly(["CAP_DAC_READ_SEARCH"], ["sh", ...args], collectorScript());
    const { missing } = await inspectHost({ from: output });
    assert.ok(
      missing.some(({ path }) => path === "/proc/*/fd"),
      "what cannot be looked into is counted",
    );
  });

  it("are those named where /proc hides processes, and none where it does not", () => {
    const needed = named(/fdinfo of other users/);
    for (const option of ["hidepid=2", "hidepid=4"]) {
      assert.equal(unlisted(option, []), "hidepid", option);
      assert.equal(unlisted(option, ["CAP_DAC_READ_SEARCH"]), "hidepid", option);
      assert.equal(unlisted(option, needed), "all are listed", option);
    }
    assert.equal(unlisted("hidepid=2,gid=7", [], 7), "all are listed");
    assert.equal(unlisted("hidepid=2,gid=7", [], 8), "hidepid");
    assert.equal(unlisted("hidepid=4,gid=7", [], 7), "hidepid");
    assert.equal(unlisted("hidepid=0", []), "all are listed");
  });

  it("are those named for debugfs", () => {
    assert.equal(debugfs(named(/debug\/iommu/)), "read");
    assert.equal(debugfs([]), "unreadable");
  });

  it("are those named for the tables of an IOMMU, on files of the same modes", (t) => {
    const [table, setting] = [fileOfMode(0o444), fileOfMode(0o644)];
    if (table === undefined || setting === undefined)
      return t.skip("this kernel's debugfs has no files of the same modes");
    const tables = named(/ir_translation_struct/);
    assert.deepEqual(tables, ["CAP_DAC_READ_SEARCH"]);
    assert.equal(opened(tables, table, "r"), "opened");
    assert.equal(opened([], table, "r"), "EACCES");
    const devid = named(/write-devid/);
    // What lockdown forbids it forbids to root too, and that is EPERM: a right that is missing is EACCES.
    const [reads, writes] = (["r", "r+"] as const).map((flags) => opened(ALL, setting, flags));
    assert.ok(
      [reads, writes].every((came) => came === "opened" || came === "EPERM"),
      `${reads}, ${writes}`,
    );
    assert.equal(opened(named(/debug\/irq/), setting, "r"), reads);
    assert.equal(opened(devid, setting, "r+"), writes);
    assert.equal(opened(devid, table, "r"), "opened");
    assert.equal(opened(tables, setting, "r+"), "EACCES");
    assert.equal(opened([], setting, "r+"), "EACCES");
  });

  it("are those named for --trace", (t) => {
    const needed = named(/--trace/);
    const most = traced([...needed, "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"]);
    if (typeof most === "string" && most.startsWith("ENOENT"))
      return t.skip("this kernel has no tracepoints of KVM");
    assert.equal(traced(needed), true);
    assert.match(String(traced([])), /^EACCES: .*needs CAP_DAC_OVERRIDE/);
    assert.match(String(traced(["CAP_DAC_READ_SEARCH"])), /^EACCES: .*CAP_DAC_OVERRIDE/);
  });
});
