// Runs the tests on several versions of Node, as often as is asked for, and says at the end which failed how often.
//   --on 22,24,26  versions, each as npm's package "node" has it; the running one is taken as it is
//   --times N      how often on each; if absent, once
//   --logs FOLDER  where what each run printed is kept; if absent, build/matrix/
// Everything else goes to scripts/test.mjs. Repeated without words, it is the tests of threads.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MOST_OUTPUT = 2 ** 28;

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: "string", default: "22,24,26" },
    times: { type: "string", default: "1" },
    long: { type: "boolean", default: false },
    jobs: { type: "string" },
    skips: { type: "string" },
    logs: { type: "string", default: join(ROOT, "build/matrix") },
  },
});
const times = Number(options.times);
if (!Number.isInteger(times) || times < 1) {
  console.error(`matrix: --times is ${options.times}: give a number of runs`);
  process.exit(2);
}
const passedOn = [
  ...(words.length === 0 && times > 1 ? ["@threads"] : words),
  ...(options.long ? ["--long"] : []),
  ...["jobs", "skips"].flatMap((name) => (options[name] === undefined ? [] : [`--${name}`, options[name]])),
];

/** The program of a version of Node, from npm's package of that name. */
function nodeOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const { status, stdout, stderr } = spawnSync("npx", ["-y", `node@${version}`, "-p", "process.execPath"], {
    encoding: "utf8",
  });
  if (status === 0) return stdout.trim();
  console.error(
    `matrix: there is no Node ${version} to be had: npx -y node@${version} ended with ${status}\n${stderr}`,
  );
  process.exit(2);
}

const { logs } = options;
rmSync(logs, { recursive: true, force: true });
mkdirSync(logs, { recursive: true });
const nodes = options.on.split(",").map((version) => [version, nodeOf(version)]);
/** How often each test failed on each version. */
const failures = new Map();
let bad = 0;
for (let time = 1; time <= times; time++)
  for (const [version, node] of nodes) {
    const run = join(logs, `node-${version}-${String(time).padStart(3, "0")}`);
    const args = [join(ROOT, "scripts/test.mjs"), ...passedOn, "--report", `${run}.json`];
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(node, args, { encoding: "utf8", maxBuffer: MOST_OUTPUT });
    writeFileSync(`${run}.log`, stdout + stderr);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const sums = stdout.trimEnd().split("\n").at(-1);
    console.log(
      `${status === 0 ? "ok  " : "FAIL"} Node ${version}, ${time} of ${times}: ${sums} (${seconds} s)`,
    );
    if (status === 0) continue;
    bad += 1;
    const wrong = failed(`${run}.json`);
    for (const test of wrong) {
      console.log(`       ${test}`);
      const counts = failures.get(test) ?? new Map();
      failures.set(test, counts.set(version, (counts.get(version) ?? 0) + 1));
    }
    if (wrong.length === 0) console.log(stderr.trimEnd().replaceAll(/^/gm, "       "));
  }

for (const [test, counts] of failures)
  console.log(
    `${test}: failed ${[...counts].map(([version, count]) => `${count} of ${times} on Node ${version}`).join(", ")}`,
  );
console.log(`${nodes.length * times} runs, ${bad} failed; their output is in ${logs}`);
process.exit(bad === 0 ? 0 : 1);

/** The tests that failed in a run; none where it did not come to a report. */
function failed(report) {
  try {
    return JSON.parse(readFileSync(report, "utf8")).failed.map(({ file, test }) => `${file} > ${test}`);
  } catch {
    return [];
  }
}
