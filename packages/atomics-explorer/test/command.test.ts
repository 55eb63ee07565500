// The command: what it prints, its exit codes, files of one's own, and saved schedules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const examples = ["--in", `${root}examples`];
const folder = mkdtempSync(join(tmpdir(), "explore-"));
after(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}build/src/cli/main.js`, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const mine = join(folder, "mine.mjs");
writeFileSync(
  mine,
  `const cast = (world, step) => {
  world.memory(2, ["count"]);
  const threads = {};
  for (const name of ["a", "b"]) {
    const words = world.words(name);
    threads[name] = () => step(words);
  }
  const words = world.words("a");
  return { threads, end() { if (words.load(0) !== 2) throw new Error("an update is lost"); } };
};
const whole = (words) => { words.add(0, 1); };
const torn = (words) => { words.store(0, words.load(0) + 1); };
export const count = {
  sentence: "Both updates are there.",
  setup: (world) => cast(world, whole),
  twins: { torn: { sentence: "adds in two steps", setup: (world) => cast(world, torn) } },
};
`,
);

test("a file of one's own is explored, with its twin", () => {
  const { status, stdout, stderr } = run("./mine.mjs");
  assert.equal(stderr, "");
  assert.equal(status, 0);
  assert.match(stdout, /ok {3}\.\/mine\.mjs\/count: Both updates are there\./);
  assert.match(stdout, /stand for 2 schedules\n\s+exhaustive/);
  assert.match(
    stdout,
    /twin \.\/mine\.mjs\/count\/torn: adds in two steps\n\s+caught .* an update is lost; shortest 4 steps/,
  );
  assert.match(stdout, /1 of 1 scenarios hold, 1 of 1 twins caught/);
});

test("--json is one object with the figures, and bounded is never called exhaustive", () => {
  const { status, stdout } = run(...examples, "mutex/exclusion", "--json", "--preemptions", "0");
  assert.equal(status, 1, "a bound this low lets twins pass");
  const { reports, passed } = JSON.parse(stdout);
  assert.equal(passed, false);
  assert.equal(reports[0].name, "mutex/exclusion");
  assert.equal(reports[0].extent, "bounded");
  assert.deepEqual(reports[0].bounds, ["0 preemptions"]);
  assert.ok(reports[0].tally.schedules > 0 && reports[0].tally.states > 0);
  const { reports: whole } = JSON.parse(
    run(...examples, "mutex/exclusion", "--json", "--no-twins", "--no-reduce").stdout,
  );
  assert.equal(whole[0].extent, "exhaustive");
  assert.equal(whole[0].tally.states, 0);
});

test("a violation prints a chart and a replay id, and the exit code is 1", () => {
  const broken = join(folder, "broken.mjs");
  writeFileSync(broken, readFileSync(mine, "utf8").replace("cast(world, whole)", "cast(world, torn)"));
  const { status, stdout } = run("./broken.mjs", "--no-twins");
  assert.equal(status, 1);
  assert.match(stdout, /FAIL \.\/broken\.mjs\/count/);
  assert.match(stdout, /VIOLATED after \d+ steps: an update is lost/);
  assert.match(stdout, /a {16}b\n/);
  assert.match(stdout, /1 {2}load count: 0\n/);
  const id = /--replay (\S+)/.exec(stdout)![1]!;
  const again = run("--replay", id);
  assert.equal(again.status, 1);
  assert.match(again.stdout, /VIOLATED: an update is lost/);
});

test("a schedule is saved as a test that runs", () => {
  const { status, stdout } = run("--replay", "./mine.mjs/count/torn:aba", "--save", "saved.test.mjs");
  assert.equal(status, 0);
  assert.match(stdout, /the whole schedule: \.\/mine\.mjs\/count\/torn:abab/);
  const saved = readFileSync(join(folder, "saved.test.mjs"), "utf8");
  assert.match(saved, /an update is lost/);
  // From a folder without the package its import is led to this build.
  const led = saved.replace(
    '"atomics-explorer"',
    JSON.stringify(pathToFileURL(`${root}build/src/index.js`).href),
  );
  writeFileSync(join(folder, "saved.test.mjs"), led);
  const ran = spawnSync(process.execPath, [join(folder, "saved.test.mjs")], { encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
});

test("what cannot be done gets a sentence that says what can", () => {
  assert.match(run().stderr, /EINVAL: nothing to explore: name a scenario file/);
  assert.match(run("mutex").stderr, /EINVAL: mutex is no path: write \.\/mutex, or say in which folder/);
  assert.match(run("--in", "absent").stderr, /EINVAL: cannot read absent: ENOENT/);
  assert.match(run("--in", `${root}build`).stderr, /build has no scenario files/);
  assert.match(run(...examples, "mutexx").stderr, /EINVAL: there is no scenario mutexx: use one of mutex/);
  assert.match(
    run(...examples, "mutex/none").stderr,
    /there is no scenario mutex\/none: use one of .*mutex\/death/,
  );
  assert.match(run("./absent.mjs").stderr, /EINVAL: cannot load .*absent\.mjs/);
  assert.match(run(...examples, "--replay", "mutex/death").stderr, /is not a replay id/);
  assert.match(run(...examples, "--replay", "mutex/death:a2z").stderr, /a2z is not a replay id/);
  assert.match(
    run(...examples, "--replay", "mutex/death:a90b").stderr,
    /is of another scenario or version: step \d+ is not possible/,
  );
  writeFileSync(join(folder, "empty.mjs"), "export const none = { sentence: 'x', setup() {}, twins: {} };\n");
  assert.match(run("./empty.mjs").stderr, /none in .*empty\.mjs is no scenario: .*twins/);
  assert.match(run("--preemptions", "x").stderr, /It must be a whole number/);
  assert.match(run("--save", "x.mjs").stderr, /--save needs --replay/);
});

test("--list names everything, and --in all of a folder", () => {
  const { status, stdout } = run(...examples, "--list");
  assert.equal(status, 0);
  assert.match(stdout, /^mutex\/death: .*\n {2}mutex\/death\/waits-for-ever: /m);
  const all = run(...examples);
  assert.equal(all.status, 0, all.stdout);
  assert.match(all.stdout, /2 of 2 scenarios hold, 3 of 3 twins caught/);
});

test("a schedule of a folder's scenario is saved as a test that runs from anywhere", () => {
  const found = JSON.parse(run(...examples, "mutex/exclusion/two-steps", "--json").stdout);
  const { id } = found.reports[0].violation;
  assert.equal(run(...examples, "--replay", id, "--save", "named.test.mjs").status, 0);
  const file = join(folder, "named.test.mjs");
  const led = JSON.stringify(pathToFileURL(`${root}build/src/index.js`).href);
  writeFileSync(file, readFileSync(file, "utf8").replace('"atomics-explorer"', led));
  const ran = spawnSync(process.execPath, [file], { encoding: "utf8", cwd: tmpdir() });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
});

test("what takes long is left out and said to be, unless it is named or asked for", () => {
  const slow = join(folder, "slow.mjs");
  const twice = readFileSync(mine, "utf8").replace("export const count = {", "export const quick = {");
  writeFileSync(slow, `${twice}export const slow = { ...quick, long: true };\n`);
  const all = run("./slow.mjs");
  assert.equal(all.status, 0, all.stderr);
  assert.match(all.stdout, /1 of 1 scenarios hold, 1 of 1 twins caught/);
  assert.match(
    all.stdout,
    /left out, because they take longer: \.\/slow\.mjs\/slow; --long runs them, too\n/,
  );
  assert.match(run("./slow.mjs", "--long").stdout, /2 of 2 scenarios hold, 2 of 2 twins caught/);
  assert.match(run("./slow.mjs/slow").stdout, /1 of 1 scenarios hold/);
  assert.match(run("./slow.mjs/slow/torn").stdout, /1 of 1 twins caught/);
  assert.match(run("./slow.mjs", "--list").stdout, /slow: Both updates are there\. \(--long\)\n/);
  assert.deepEqual(JSON.parse(run("./slow.mjs", "--json").stdout).leftOut, ["./slow.mjs/slow"]);
});
