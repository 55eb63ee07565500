/**
 * The command as a process: what ends it and with which code, what is refused before anything waits, and what it says
 * of what it writes.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Report } from "#src/judge/report.js";
import { runDoctor } from "./run.js";
import { loadHost, withTree } from "./tree.js";
import { as, closedToOthers, isRoot, NOBODY } from "./users.js";

const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

async function onMounted<T>(name: string, use: (root: string, tree: string) => Promise<T> | T): Promise<T> {
  return await withTree(name, loadHost(name), (tree) => use(join(tree, "1"), tree));
}

/** Starts the command, sends the signal once it has printed what `when` matches, gives how it ended. */
async function ended(
  args: readonly string[],
  signal: NodeJS.Signals,
  when: RegExp,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  let sent = false;
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]!.setEncoding("utf8").on("data", (text: string) => {
      texts[stream] += text;
      if (!sent && when.test(texts.stdout)) {
        sent = true;
        child.kill(signal);
      }
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...texts };
}

describe("a signal", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    for (const name of ["intel-nopost", "intel-posted-6.18"]) {
      it(`${signal} ends --watch with ${code}, whatever was found (${name}), and the last report is whole`, async () => {
        await onMounted(name, async (root) => {
          const args = ["--root", root, "--interval", "0.1", "--watch", "--json"];
          const got = await ended(args, signal, /\n.*\n/);
          assert.equal(got.code, code, got.stderr);
          assert.equal(got.stderr, "");
          const lines = got.stdout.trimEnd().split("\n");
          assert.ok(lines.length >= 2);
          for (const line of lines) assert.equal((JSON.parse(line) as Report).format, "irqbypass-doctor/1");
        });
      });
    }
    it(`${signal} ends a wait with ${code}, and a capture that was not taken leaves nothing`, async () => {
      await onMounted("empty-host", async (root, tree) => {
        const dir = join(tree, "case");
        const args = [main, "--root", root, "--interval", "600", "--capture", dir];
        const child = spawn(process.execPath, args, { stdio: "ignore" });
        // The directory is there as soon as it waits.
        while (!existsSync(dir)) await new Promise((resolve) => setTimeout(resolve, 20));
        child.kill(signal);
        const [status] = (await once(child, "exit")) as [number | null];
        assert.equal(status, code);
        assert.ok(!existsSync(dir));
      });
    });
  }
});

describe("what --pid and --device name and is not there", () => {
  for (const args of [
    ["--pid", "99999"],
    ["--device", "0000:99:00.0"],
    ["--pid", "4242", "--device", "0000:99:00.0"],
    ["--pid", "99999", "--watch"],
  ]) {
    it(`is refused before the wait, and makes nothing: ${args.join(" ")}`, async () => {
      await onMounted("intel-nopost", async (root, tree) => {
        const dir = join(tree, "case");
        const capture = args.includes("--watch") ? [] : ["--capture", dir];
        // An hour: a run that waits does not end within the test.
        const { code, stderr } = await runDoctor(["--root", root, "--interval", "3600", ...args, ...capture]);
        assert.equal(code, 2);
        assert.match(stderr, /^irqbypass-doctor: ENOENT: /);
        assert.ok(!existsSync(dir));
      });
    });
  }
});

describe("options that would be ignored are refused", () => {
  const others = [
    ["--json"],
    ["--prometheus"],
    ["--watch"],
    ["--from", "x"],
    ["--root", "/"],
    ["--pid", "1"],
    ["--device", "3b:00.0"],
    ["--capture", "x"],
    ["--trace", "5"],
    ["--interval", "2"],
    ["--raw"],
    ["--force"],
    ["--guest-received"],
    ["--write-devid"],
    ["--storm"],
  ];
  const cases: readonly (readonly [string[], readonly string[][]])[] = [
    [["--collector"], others],
    [["--storm"], others.filter(([option]) => !["--json", "--force", "--storm"].includes(option!))],
  ];
  for (const [mode, refused] of cases) {
    for (const other of refused) {
      it([...mode, ...other].join(" "), async () => {
        const { code, stdout, stderr } = await runDoctor([...mode, ...other]);
        assert.deepEqual([code, stdout], [2, ""]);
        assert.ok(stderr.includes(other[0]!) && stderr.includes(mode[0]!), stderr);
      });
    }
  }

  it("--interval with --from, naming the window of the capture", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      const { code, stdout, stderr } = await runDoctor(["--from", dir, "--interval", "2"]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /window is 2\.0 s: leave --interval out/);
    });
  });

  it("the same option twice", async () => {
    for (const [option, value] of [
      ["--pid", "1"],
      ["--device", "3b:00.0"],
      ["--interval", "1"],
      ["--root", "/"],
    ]) {
      const { code, stderr } = await runDoctor([option!, value!, option!, value!]);
      assert.equal(code, undefined);
      assert.match(stderr, new RegExp(`${option} .*is given twice`));
    }
  });

  it("and those that make sense with --from are taken", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      for (const args of [
        ["--json"],
        ["--prometheus"],
        ["--guest-received"],
        ["--pid", "4242"],
        ["--device", "3b:00.0"],
      ])
        assert.equal((await runDoctor(["--from", dir, ...args])).code, 1, args.join(" "));
    });
  });
});

describe("--write-devid", () => {
  const AMD = "sys/kernel/debug/iommu/amd/devid";

  it("says what it wrote where, and selects again what was selected before", async () => {
    await onMounted("amd-table-of-another-device", async (root) => {
      writeFileSync(join(root, AMD), "0000:01:00.0\n");
      for (const more of [[], ["--json"]]) {
        const { stderr } = await runDoctor(["--root", root, "--interval", "0.1", "--write-devid", ...more]);
        assert.equal(readFileSync(join(root, AMD), "utf8"), "0000:01:00.0");
        assert.equal(
          stderr,
          `irqbypass-doctor: --write-devid wrote 0000:c4:00.0 to /${AMD}, and then 0000:01:00.0 again, which was selected before\n`,
        );
      }
    });
  });

  it("says that nothing was selected before", async () => {
    await onMounted("amd-table-of-another-device", async (root) => {
      writeFileSync(join(root, AMD), "No or Invalid input provided\n");
      const { stderr } = await runDoctor(["--root", root, "--interval", "0.1", "--write-devid"]);
      assert.match(
        stderr,
        /wrote 0000:c4:00\.0 to .*; nothing was selected before, so the last one stays selected/,
      );
    });
  });

  it("selects again what was selected before when it is refused or ended", async () => {
    await onMounted("amd-table-of-another-device", async (root) => {
      writeFileSync(join(root, AMD), "0000:01:00.0\n");
      const { code } = await runDoctor(["--root", root, "--write-devid", "--pid", "99999"]);
      assert.equal(code, 2);
      assert.equal(readFileSync(join(root, AMD), "utf8"), "0000:01:00.0");
    });
  });

  it("is refused where there is no devid", async () => {
    await onMounted("intel-nopost", async (root) => {
      const { code, stdout, stderr } = await runDoctor(["--root", root, "--write-devid"]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /ENOENT: --write-devid finds no .*devid: the file is AMD's/);
    });
  });

  it("is refused by name where it may not be written", {
    skip: isRoot ? closedToOthers : "needs a file of root's",
  }, async () => {
    await onMounted("amd-table-of-another-device", async (root, tree) => {
      spawnSync("chmod", ["-R", "a+rX", join(tree, "..")]);
      writeFileSync(join(root, AMD), "0000:01:00.0\n", { mode: 0o644 });
      await as(NOBODY, async () => {
        const { code, stderr } = await runDoctor(["--root", root, "--interval", "0.1", "--write-devid"]);
        assert.equal(code, 2);
        assert.match(stderr, /EACCES: \/sys\/kernel\/debug\/iommu\/amd\/devid may not be written \(EACCES\)/);
      });
      assert.equal(readFileSync(join(root, AMD), "utf8"), "0000:01:00.0\n");
    });
  });
});

describe("a defect", () => {
  it("is no finding: its exit code is 2, and what it quotes is made visible", () => {
    // The report is printed to a stdout that throws.
    const script = `
      process.stdout.write = () => { throw new Error("a\\u001b[2Jb"); };
      process.argv = [process.argv[0], "main", "--version"];
      await import(${JSON.stringify(main)});`;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    assert.equal(status, 2);
    assert.match(stderr, /a defect of the doctor:\nError: a\\x1b\[2Jb/);
  });
});
