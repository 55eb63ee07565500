/**
 * No control character, and nothing invisible, that somebody else chose reaches an output: one function makes them
 * visible, and every writer goes through it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Output } from "#src/cli/output.js";
import type { Report } from "#src/judge/report.js";
import { escapeLabel, prometheusText } from "#src/report/prometheus.js";
import { stormText } from "#src/report/storm-text.js";
import { textReport } from "#src/report/text.js";
import { forTerminal, painted } from "#src/report/wrap.js";
import { DoctorError } from "#src/source/error.js";
import { visible, visibleJson, visibleLines } from "#src/source/visible.js";
import type { StormReport } from "#src/storm/storm.js";
import { runDoctor } from "./run.js";
import { hostNames, loadHost, withTree } from "./tree.js";

/** Written out apart from the code under test: C0 but newline, DEL, C1, bidirectional marks, zero width, tags. */
const BAD = new RegExp(
  [
    String.raw`[\0-\t\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f]`,
    String.raw`[\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]`,
  ].join("|"),
  "u",
);
/** What painting puts around a text. */
const PAINT = new RegExp(`${"\u001b"}\\[(?:0|1|2|32|33|1;31|1;36)m`, "g");
const HOSTILE = `a\u001b[2J\u0007\u009b31m\u202e\u200b\u007f\r\t\u2028\u{e0041}z`;

const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(..."\u001b\u0007\u0000\u007f\u009b\u009d\u202e\u2066\u200b\ufeff\u00ad\u2028\n\t\r\\\"'"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
});

describe("a text made visible", () => {
  it("has none of them left, whatever the text", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        assert.doesNotMatch(visible(text), BAD);
        assert.ok(!visible(text).includes("\n"));
        assert.doesNotMatch(visibleLines(text), BAD);
        assert.equal(visibleLines(text).split("\n").length, text.split("\n").length);
        assert.doesNotMatch(escapeLabel(text), BAD);
        assert.doesNotMatch(new DoctorError("EINVAL", text).message, BAD);
        assert.doesNotMatch(forTerminal(text).replaceAll(PAINT, ""), BAD);
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves what can be seen as it is", () => {
    const text = 'qemu-system-x86_64 ü 漢字 🙂 a\\b "c" <d>';
    assert.equal(visible(text), text);
  });

  it("writes each as itself, so that two names that differ look different", () => {
    assert.equal(
      visible("a\u001b\u0007\u007f\u009b\u202e\u{e0041}\n\t"),
      "a\\x1b\\x07\\x7f\\u009b\\u202e\\u{e0041}\\n\\t",
    );
  });

  it("is the same JSON value, for keys and for values", () => {
    fc.assert(
      fc.property(
        fc.dictionary(hostile, fc.oneof(hostile, fc.array(hostile))),
        fc.constantFrom(undefined, 2),
        (value, indent) => {
          const text = visibleJson(value, indent);
          assert.doesNotMatch(text, BAD);
          assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("is a label that Prometheus reads: a backslash only before a backslash, a quote and n", () => {
    assert.equal(escapeLabel('a\u001b\\"\n\u009b'), 'a\\\\x1b\\\\\\"\\n\\\\u009b');
    fc.assert(
      fc.property(hostile, (text) => assert.match(escapeLabel(text), /^(?:[^\\"\n]|\\\\|\\"|\\n)*$/u)),
      { numRuns: 1000 },
    );
  });

  it("keeps our own paint and no other", () => {
    const line = painted(visible(HOSTILE), "bad", true);
    assert.equal(forTerminal(line), line);
    assert.equal(forTerminal("\u001b[31m\u001b[2J"), "\\x1b[31m\\x1b[2J");
  });
});

/** The value with every text in it replaced, but for the words that a program switches on. */
function poison(value: unknown, key = ""): unknown {
  if (typeof value === "string")
    return ["verdict", "state", "name", "holder", "at"].includes(key) ? value : HOSTILE + value;
  if (Array.isArray(value)) return value.map((one) => poison(one, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poison(one, name)]));
}

describe("every writer", () => {
  it("prints no character of a report that is hostile in every text", async () => {
    for (const name of hostNames().filter((one) => one !== "vectors-2000")) {
      await withTree(name, loadHost(name), async (dir) => {
        const report = poison(JSON.parse((await runDoctor(["--from", dir, "--json"])).stdout)) as Report;
        for (const width of [60, 80, 100])
          assert.doesNotMatch(textReport(report, { width, colour: false }), BAD);
        assert.doesNotMatch(prometheusText(report), BAD);
        assert.doesNotMatch(visibleJson(report, 2), BAD);
        const painted = textReport(report, { width: 100, colour: true });
        assert.doesNotMatch(painted.replaceAll(PAINT, ""), BAD);
      });
    }
  });

  it("prints none of a storm's either", () => {
    const report = {
      verdict: "could not tell",
      says: HOSTILE,
      measured: { kernel: HOSTILE, at: "2026-03-01T12:00:00.000Z", tookMs: 1 },
      ended: "complete",
      steps: [],
      notes: [HOSTILE],
    } as unknown as StormReport;
    assert.doesNotMatch(stormText(report, 80), BAD);
  });

  it("is a method of Output, which makes visible what a writer forgot", () => {
    const printed: string[] = [];
    const output = new Output({
      stdout: (text) => printed.push(text),
      stderr: (text) => printed.push(text),
      columns: undefined,
      colour: false,
      progress: true,
      onInterrupt: () => () => {},
      exit: () => {},
    });
    const methods: Record<string, () => void> = {
      report: () => output.report(HOSTILE),
      json: () => output.json({ [HOSTILE]: HOSTILE }),
      lines: () => output.lines(HOSTILE),
      say: () => output.say(HOSTILE),
      complain: () => output.complain(HOSTILE),
      progress: () => output.progress(HOSTILE),
      clear: () => output.clear(),
      progressed: () => output.progressed(),
    };
    const all = Object.getOwnPropertyNames(Output.prototype).filter((name) => name !== "constructor");
    assert.deepEqual(Object.keys(methods).sort(), all.sort(), "a method that is new is tried here");
    for (const call of Object.values(methods)) call();
    assert.equal(printed.at(-1), "\r\u001b[K");
    assert.equal(printed.length, 7);
    for (const text of printed.slice(0, -1)) assert.doesNotMatch(text.replace(/^\r/, ""), BAD);
  });

  it("is the only thing in the sources that writes", () => {
    const src = fileURLToPath(new URL("../../src", import.meta.url));
    const found: string[] = [];
    for (const file of readdirSync(src, { recursive: true }).map(String)) {
      if (!file.endsWith(".ts")) continue;
      const text = readFileSync(join(src, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      if (/process\.(stdout|stderr)\.(write|_handle)|console\.|writeSync\([12],|\/dev\/(tty|std)/.test(text))
        found.push(file);
      if (/\bio\.(stdout|stderr)\(/.test(text)) found.push(file);
    }
    assert.deepEqual(found.sort(), ["cli/io.ts", "cli/output.ts"]);
  });
});

describe("the command on hosts whose names are hostile", () => {
  const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
  const doctor = (args: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [main, ...args], {
      encoding: "utf8",
      timeout: 60_000,
    });
    return { text: `${stdout}${stderr}`, status };
  };

  it("prints none of their characters, whatever is asked for", async () => {
    const temporary = mkdtempSync(join(tmpdir(), "irqbypass-visible-"));
    try {
      await withTree("intel-posted-6.18", loadHost("intel-posted-6.18"), (tree) => {
        const root = join(temporary, "root");
        cpSync(join(tree, "1"), root, { recursive: true, verbatimSymlinks: true });
        const bad = HOSTILE.replace("\u0000", "");
        const interrupts = readFileSync(join(root, "proc/interrupts"), "utf8");
        writeFileSync(
          join(root, "proc/interrupts"),
          `${interrupts} 199: 1 1 1 1 ${bad} 1-edge vfio-irq[0](${bad.replaceAll(/\s/gu, "")})\n`,
        );
        writeFileSync(join(root, "proc/4242/comm"), bad);
        writeFileSync(join(root, "proc/4242/cmdline"), `/usr/bin/qemu${bad}\0-name\0guest=${bad}\0`);
        writeFileSync(join(root, "proc/sys/kernel/osrelease"), `6.18.0-${bad}\n`);
        writeFileSync(join(root, "proc/cmdline"), `intremap=${bad} ${bad}\n`);
        writeFileSync(
          join(root, "proc/cpuinfo"),
          `${readFileSync(join(root, "proc/cpuinfo"), "utf8").replaceAll(/(model name\s*: ).*/g, `$1${bad}`)}`,
        );
        writeFileSync(join(root, "sys/module/kvm_intel/parameters/enable_apicv"), bad);
        writeFileSync(join(root, "proc/4242/fdinfo/22"), `vfio-device-syspath:\t/sys/${bad}\n`);
        symlinkSync(`/dev/${bad}`, join(root, "proc/4242/fd/77"));
        for (const args of [[], ["--json"], ["--prometheus"], ["--device", "0000:99:00.0"], ["--pid", "5"]]) {
          const { text, status } = doctor(["--root", root, "--interval", "0.1", ...args]);
          assert.doesNotMatch(text, BAD, args.join(" "));
          assert.ok(status === 0 || status === 1 || status === 2);
        }
        writeFileSync(join(tree, "about"), `format: ${bad}\nat: ${bad}\nseconds: ${bad}\n`);
        for (const file of ["about", "trace.json", "unreadable"]) {
          assert.doesNotMatch(doctor(["--from", tree]).text, BAD);
          writeFileSync(
            join(tree, file),
            `format: irqbypass-capture/1\nat: 2026-03-01T12:00:00Z\nseconds: 2\n${bad}`,
          );
        }
      });
      for (const args of [
        ["--pid", HOSTILE],
        [HOSTILE],
        ["--device", HOSTILE],
        ["--from", HOSTILE],
        ["--root", `/${HOSTILE}`],
      ]) {
        const { text, status } = doctor(args);
        assert.doesNotMatch(text, BAD, args.join(" "));
        assert.equal(status, 2);
      }
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});
