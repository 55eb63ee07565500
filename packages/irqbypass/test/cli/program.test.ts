import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

function irqbypass(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["build/src/cli/main.js", ...args], {
    encoding: "utf8",
  });
  return { code: status, out: stdout, error: stderr };
}

test("--version prints the package's version", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.deepEqual(irqbypass("--version"), { code: 0, out: `${version}\n`, error: "" });
});

test("help goes to standard output and has examples", () => {
  for (const args of [["--help"], ["help"], ["run", "--help"], ["help", "run"]]) {
    const { code, out, error } = irqbypass(...args);
    assert.equal(code, 0, args.join(" "));
    assert.match(out, /Examples:\n {2}irqbypass run/);
    assert.equal(error, "");
    for (const line of out.split("\n")) assert.ok(line.length <= 120, line);
  }
});

const WRONG: readonly [args: string[], message: RegExp][] = [
  [[], /Usage: irqbypass/],
  [["rnu"], /unknown command 'rnu'\n\(Did you mean run\?\)\nAllowed: run, .*\. See irqbypass --help\./],
  [
    ["run", "--secnds", "1"],
    /unknown option '--secnds'\n\(Did you mean --seconds\?\)\nAllowed: --seconds, --no-kvm, --json/,
  ],
  [["run", "--seconds", "soon"], /argument 'soon' is invalid\. Allowed: a number from 0\.1 to 86400\./],
  [["run", "--seconds", "0"], /Allowed: a number from 0\.1 to 86400\./],
  [["run", "--seconds"], /argument missing\nAllowed: irqbypass run \[options\] \[workload\]/],
  [["run", "a", "b"], /too many arguments[^\n]*\nAllowed: irqbypass run \[options\] \[workload\]/],
  [
    ["run", "no-such.json"],
    /^irqbypass: no-such\.json is not a workload that can be run:\n {2}there is no such file/,
  ],
  [["run", "LICENSE"], /LICENSE:1:1 is not .*\n {2}line 1, column 1: found "MIT"/],
];
for (const [args, message] of WRONG) {
  test(`wrong usage ends with 2 and says what is allowed: irqbypass ${args.join(" ")}`, () => {
    const { code, out, error } = irqbypass(...args);
    assert.match(error, message);
    assert.equal(code, 2);
    assert.equal(out, "");
  });
}

for (const [name, where] of [
  ["explore", "npx atomics-explorer"],
  ["doctor", "npx irqbypass-doctor"],
  ["bench", "npm run bench"],
] as const) {
  test(`irqbypass ${name} says where it went`, () => {
    for (const args of [[], ["--help"], ["anything", "--at", "all"]]) {
      const { code, out, error } = irqbypass(name, ...args);
      assert.match(error, new RegExp(`^irqbypass: ${name} is in .*${where}.*\\n$`));
      assert.deepEqual([code, out], [2, ""]);
    }
  });
}
