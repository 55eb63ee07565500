/**
 * The command: its options, exit codes, refusals and what it does when it is interrupted.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { EndSignal } from "#src/cli/io.js";
import type { Report } from "#src/judge/report.js";
import { runDoctor } from "./run.js";
import { loadHost, withTree } from "./tree.js";

/** Runs on a host that is mounted, so that the path of a running host is taken. */
async function onMounted<T>(name: string, use: (root: string, tree: string) => Promise<T>): Promise<T> {
  return await withTree(name, loadHost(name), (tree) => use(join(tree, "1"), tree));
}

describe("exit codes", () => {
  for (const [name, code] of [
    ["intel-posted-6.18", 0],
    ["intel-nopost", 1],
    ["not-root-and-hidden-parameters", 2],
  ] as const) {
    it(`${name} gives ${code}`, async () => {
      await withTree(name, loadHost(name), async (dir) => {
        assert.equal((await runDoctor(["--from", dir])).code, code);
      });
    });
  }
});

describe("--pid and --device", () => {
  it("narrow the report", async () => {
    await withTree("no-device-enabled", loadHost("no-device-enabled"), async (dir) => {
      const report = JSON.parse(
        (await runDoctor(["--from", dir, "--json", "--pid", "5000"])).stdout,
      ) as Report;
      assert.deepEqual(
        report.vms.map(({ name }) => name),
        ["db1"],
      );
      const one = JSON.parse(
        (await runDoctor(["--from", dir, "--json", "--device", "3B:00.0"])).stdout,
      ) as Report;
      assert.deepEqual(
        one.vms.map(({ name }) => name),
        ["web1"],
      );
    });
  });

  it("are refused, with exit code 2, where there is no such thing", async () => {
    await withTree("intel-posted-6.18", loadHost("intel-posted-6.18"), async (dir) => {
      const device = await runDoctor(["--from", dir, "--device", "0000:01:00.0"]);
      assert.equal(device.code, 2);
      assert.match(device.stderr, /ENOENT: 0000:01:00\.0 is not assigned.*these are: 0000:3b:00\.0/);
      assert.equal(device.stdout, "");
      const pid = await runDoctor(["--from", dir, "--pid", "1"]);
      assert.equal(pid.code, 2);
      assert.match(pid.stderr, /process 1 holds no VM/);
    });
  });

  it("say that a process may be hidden where not all could be looked into", async () => {
    await withTree("not-root", loadHost("not-root"), async (dir) => {
      assert.match((await runDoctor(["--from", dir, "--pid", "4242"])).stderr, /without root/);
    });
  });
});

describe("nonsense is refused before anything is read", () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["--from", "x", "--root", "/"], /--root/],
    [["--from", "x", "--watch"], /--watch/],
    [["--from", "x", "--capture", "y"], /--capture/],
    [["--from", "x", "--trace", "1"], /--trace/],
    [["--raw"], /--raw is about --capture/],
    [["--force"], /--force is about --storm/],
    [["--json", "--prometheus"], /not both/],
    [["--storm", "--from", "x"], /--storm/],
    [["--watch", "--capture", "y"], /--capture/],
    [["--from", "/nonexistent/capture"], /has no file "about"/],
    [["--root", "/nonexistent"], /no proc\/sys\/kernel\/osrelease/],
  ];
  for (const [args, message] of cases) {
    it(args.join(" "), async () => {
      const { code, stderr, stdout } = await runDoctor(args);
      assert.equal(code, 2);
      assert.match(stderr, message);
      assert.equal(stdout, "");
    });
  }
  for (const args of [
    ["--pid", "0"],
    ["--pid", "x"],
    ["--interval", "0"],
    ["--interval", "1e9"],
    ["--device", "a b"],
    ["--what"],
  ]) {
    it(args.join(" "), async () => {
      const { code, stdout, stderr } = await runDoctor(args);
      assert.deepEqual([code, stdout], [undefined, ""]);
      assert.match(stderr, /^error: /);
    });
  }
});

describe("a running host", () => {
  it("is sampled twice, with the interval measured and shown", async () => {
    await onMounted("intel-posted-6.18", async (root) => {
      const { stdout, code } = await runDoctor(["--root", root, "--interval", "0.2", "--json"]);
      const report = JSON.parse(stdout) as Report;
      assert.equal(code, 0);
      assert.ok(report.measured.seconds >= 0.2);
      assert.equal(report.measured.from, `the host mounted at ${root}`);
      assert.ok(Math.abs(Date.parse(report.measured.at) - Date.now()) < 60_000);
    });
  });

  it("shows the progress where stderr is a terminal, and takes it away", async () => {
    await onMounted("empty-host", async (root) => {
      const { stderr } = await runDoctor(["--root", root, "--interval", "0.3"], { progress: true });
      assert.match(stderr, /second sample in 0\.\d s/);
      assert.ok(stderr.endsWith("\r\u001b[K"));
    });
  });

  it("sees a line that grows between the samples", async () => {
    await onMounted("intel-posted-6.18", async (root) => {
      const path = join(root, "sys/kernel/irq/131/per_cpu_count");
      const run = runDoctor(["--root", root, "--interval", "0.4", "--json"]);
      writeFileSync(path, "0,45,0,0\n");
      const report = JSON.parse((await run).stdout) as Report;
      const vector = report.vms[0]?.devices[0]?.vectors.find(({ irq }) => irq === 131);
      assert.deepEqual([vector?.verdict, vector?.handledByHost], ["delivered by the host just now", 5]);
    });
  });

  it("calls a line that is gone in the second sample not flat", async () => {
    await onMounted("debugfs-not-mounted", async (root) => {
      const run = runDoctor(["--root", root, "--interval", "0.4", "--json"]);
      const interrupts = readFileSync(join(root, "proc/interrupts"), "utf8");
      writeFileSync(join(root, "proc/interrupts"), interrupts.replace(/^ 131:.*\n/m, ""));
      writeFileSync(join(root, "sys/kernel/irq/131/per_cpu_count"), "");
      const report = JSON.parse((await run).stdout) as Report;
      const vector = report.vms[0]?.devices[0]?.vectors.find(({ irq }) => irq === 131);
      assert.deepEqual([vector?.verdict, vector?.handledByHost], ["unknown", null]);
    });
  });
});

describe("Ctrl-C", () => {
  it("ends the wait with 130 and prints no report", async () => {
    await onMounted("empty-host", async (root) => {
      let stop: ((signal: EndSignal) => void) | undefined;
      let listening = true;
      const run = runDoctor(["--root", root, "--interval", "600"], {
        onInterrupt: (given) => {
          stop = given;
          return () => {
            listening = false;
          };
        },
      });
      setTimeout(() => stop?.("SIGINT"), 50);
      const { code, stdout, stderr } = await run;
      assert.deepEqual([code, stdout, listening], [130, "", false]);
      assert.match(stderr, /EINTR/);
    });
  });

  it("ends --watch with 130 and leaves the last report", async () => {
    await onMounted("intel-nopost", async (root) => {
      let stop: ((signal: EndSignal) => void) | undefined;
      let reports = 0;
      const lines: string[] = [];
      const { code } = await runDoctor(["--root", root, "--interval", "0.1", "--watch", "--json"], {
        onInterrupt: (given) => {
          stop = given;
          return () => {};
        },
        stdout: (text) => {
          lines.push(text);
          reports += 1;
          if (reports === 3) stop?.("SIGINT");
        },
      });
      assert.equal(code, 130);
      assert.equal(lines.length, 3);
      for (const line of lines) {
        assert.equal(line.indexOf("\n"), line.length - 1, "one report a line");
        assert.equal((JSON.parse(line) as Report).format, "irqbypass-doctor/1");
      }
    });
  });
});

describe("--write-devid", () => {
  it("selects each device, and is believed only if its table came", async () => {
    await onMounted("amd-table-of-another-device", async (root) => {
      const amd = join(root, "sys/kernel/debug/iommu/amd");
      writeFileSync(join(amd, "devid"), "");
      const { stdout } = await runDoctor(["--root", root, "--interval", "0.1", "--json", "--write-devid"]);
      assert.equal(readFileSync(join(amd, "devid"), "utf8"), "0000:c4:00.0");
      // A tree of plain files still shows the other device's table, as if another inspector had written in between.
      const report = JSON.parse(stdout) as Report;
      assert.ok(report.vms[0]?.devices[0]?.vectors.every(({ verdict }) => verdict === "able, not seen"));
    });
  });

  it("is not done unless asked for", async () => {
    await onMounted("amd-table-of-another-device", async (root) => {
      const devid = join(root, "sys/kernel/debug/iommu/amd/devid");
      writeFileSync(devid, "untouched");
      await runDoctor(["--root", root, "--interval", "0.1"]);
      assert.equal(readFileSync(devid, "utf8"), "untouched");
    });
  });
});

describe("colour", () => {
  it("paints the states and changes no character", async () => {
    await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
      const plain = await runDoctor(["--from", dir], { columns: 100 });
      const painted = await runDoctor(["--from", dir], { columns: 100, colour: true });
      assert.ok(painted.stdout.includes("\u001b[1;31mbroken\u001b[0m"));
      assert.ok(painted.stdout.includes("\u001b[32mholds\u001b[0m"));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is taken away
      assert.equal(painted.stdout.replace(/\u001b\[[\d;]*m/g, ""), plain.stdout);
    });
  });
});

describe("--help", () => {
  it("explains the exit codes and gives examples", async () => {
    const { stdout } = await runDoctor(["--help"]);
    assert.match(stdout, /Exit codes:\n {2}0 {2}every interrupt/);
    assert.match(stdout, /sudo irqbypass-doctor --capture/);
  });
});

describe("an unusable root", () => {
  it("is refused although it is there", async () => {
    await onMounted("empty-host", async (root) => {
      mkdirSync(join(root, "empty"));
      assert.equal((await runDoctor(["--root", join(root, "empty")])).code, 2);
    });
  });
});
