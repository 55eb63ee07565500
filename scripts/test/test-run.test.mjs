// The runner of tests: nothing that goes wrong in a file may look like a pass, and no skip goes unseen.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runFile } from "../test-run/file.mjs";
import { findTests } from "../test-run/find.mjs";
import { compareSkips } from "../test-run/skips.mjs";

const HEAD = 'import { describe, it, test } from "node:test"; import assert from "node:assert";\n';

describe("one test file", () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "test-run-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function outcomeOf(text, limitMs = 600_000) {
    const path = join(folder, "one.test.mjs");
    writeFileSync(path, HEAD + text);
    return runFile({ folder, path, name: "one" }, { limitMs });
  }
  const summary = ({ passed, failed, skipped }) => ({
    passed,
    failed: failed.map(({ test }) => test),
    skipped: skipped.map(({ test, reason }) => `${test}: ${reason}`),
  });

  it("counts tests, those within a test too, and no suites", async () => {
    const outcome = await outcomeOf(`
      describe("a", () => { it("b", () => {}); describe("c", () => { it("d", () => {}); }); });
      test("e", async (t) => { await t.test("f", () => {}); });`);
    assert.deepEqual(summary(outcome), { passed: 4, failed: [], skipped: [] });
  });

  it("runs in the folder of its package", async () => {
    const outcome = await outcomeOf(
      `test("folder", () => assert.equal(process.cwd(), ${JSON.stringify(folder)}));`,
    );
    assert.deepEqual(summary(outcome), { passed: 1, failed: [], skipped: [] });
  });

  it("names what failed by all that it is in, with the error and its cause, and not what contains it", async () => {
    const outcome = await outcomeOf(`
      console.log("printed");
      describe("a", () => { it("b", () => assert.equal(1, 2)); it("c", () => {}); });
      test("d", async (t) => { await t.test("e", () => { throw new Error("boo", { cause: new Error("deep") }); }); });`);
    assert.deepEqual(summary(outcome), { passed: 1, failed: ["a > b", "d > e"], skipped: [] });
    assert.match(outcome.failed[0].error, /1 == 2/);
    assert.match(outcome.failed[1].error, /boo.*one\.test\.mjs.*deep/s);
    assert.match(outcome.output, /printed/);
  });

  it("sees every way to skip, a suite's too", async () => {
    const outcome = await outcomeOf(`
      describe("a", { skip: "no suite" }, () => { it("unseen", () => {}); });
      describe("b", () => { it("c", { skip: "why" }, () => {}); it.skip("d", () => {}); it("e", { todo: "later" }, () => {}); });
      test("f", (t) => t.skip("within"));
      test("g", { todo: true }, () => {});`);
    assert.deepEqual(summary(outcome), {
      passed: 0,
      failed: [],
      skipped: ["a: no suite", "b > c: why", "b > d: ", "b > e: to do: later", "f: within", "g: to do: "],
    });
  });

  it("keeps what a test noted", async () => {
    const outcome = await outcomeOf('describe("a", () => { it("b", (t) => t.diagnostic("7 steps")); });');
    assert.deepEqual(
      outcome.notes.map(({ message }) => message),
      ["7 steps"],
    );
  });

  for (const [what, text, wrong] of [
    ["without a test", "", /^has no test$/],
    ["that throws before its first test", 'throw new Error("no");', /^ended with 1/],
    ["that ends in a test", 'test("a", () => process.exit(3));', /^ended with 3/],
    ["that ends well in a test", 'test("a", () => process.exit(0)); test("b", () => {});', /./],
    ["that is killed", 'test("a", () => process.kill(process.pid, "SIGKILL"));', /^was ended by SIGKILL/],
    [
      "with a hook that fails",
      'import { before } from "node:test"; describe("a", () => { before(() => { throw 1; }); it("b", () => {}); });',
      /./,
    ],
    [
      "with a promise that nobody awaits",
      'test("a", () => { Promise.reject(new Error("lost")); return new Promise((done) => setTimeout(done, 50)); });',
      /^a$/,
    ],
  ])
    it(`${what} fails`, async () => {
      const { passed, failed } = await outcomeOf(text);
      assert.ok(
        failed.some(({ test }) => wrong.test(test)),
        JSON.stringify(failed),
      );
      assert.equal(passed, 0);
    });

  it("with a test that waits for nothing fails, as Node says or as it hangs", async () => {
    const { passed, failed } = await outcomeOf('test("a", () => new Promise(() => {}));', 3000);
    assert.deepEqual([passed, failed.length], [0, 1]);
  });

  it("leaves no process behind", async () => {
    const { output } = await outcomeOf(`
      import { spawn } from "node:child_process";
      test("a", () => {
        const child = spawn("sleep", ["1000"], { stdio: "inherit" });
        child.unref();
        console.log(child.pid);
      });`);
    // A zombie has ended as well: whoever is to reap it may be slow.
    const runs = () => {
      const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", output.trim()], { encoding: "utf8" });
      return /^[^Z]/.test(stdout.trim());
    };
    while (runs()) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("that hangs is ended, and says where", async () => {
    const outcome = await outcomeOf('test("a", () => new Promise(() => setInterval(() => {}, 1000)));', 3000);
    assert.equal(outcome.passed, 0);
    assert.match(outcome.failed[0].test, /^did not end within 3 s; the last test that began: a$/);
  });
});

describe("the list of skips", () => {
  const reason = "epoll is silent about it";
  const one = { file: "a/test/x.test.ts", test: "b > c", reason };
  const all = () => true;

  it("agrees where just what is on it was skipped", () => {
    assert.deepEqual(compareSkips([one], [{ ...one, reason: "as the test says" }], all), []);
  });
  it("does not know another test, nor the same in another file", () => {
    assert.equal(compareSkips([one], [one, { ...one, test: "b > d" }], all).length, 1);
    assert.equal(compareSkips([one], [one, { ...one, file: "a/test/y.test.ts" }], all).length, 1);
    assert.match(compareSkips([], [one], all)[0], /was skipped and is not on the list: epoll/);
  });
  it("notices what is skipped no longer, but not of a file that did not run", () => {
    assert.match(compareSkips([one], [], all)[0], /is on the list, and was not skipped/);
    assert.deepEqual(
      compareSkips([one], [], (file) => file !== one.file),
      [],
    );
  });
  it("has a reason for each, and each once", () => {
    assert.match(compareSkips([{ ...one, reason: "" }], [one], all)[0], /without a reason/);
    assert.match(compareSkips([one, one], [one], all)[0], /is on the list twice/);
  });
});

describe("npm test", () => {
  const ROOT = fileURLToPath(new URL("../..", import.meta.url));
  const TEST = fileURLToPath(new URL("../test.mjs", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "test-run-"));
  after(() => rmSync(folder, { recursive: true }));
  const run = (...args) => spawnSync(process.execPath, [TEST, ...args], { encoding: "utf8" });

  it("ends with the sums as one plain line, and fails for a list that is not right", () => {
    const list = join(folder, "skips.json");
    const file = "scripts/test/floors.test.mjs";
    writeFileSync(list, JSON.stringify([{ file, test: "no such test", reason: "there is no such test" }]));
    const { status, stdout, stderr } = run("scripts/test/floors", "--skips", list);
    assert.equal(status, 1);
    assert.match(stderr, /no such test: is on the list, and was not skipped/);
    assert.match(stdout, /\n[1-9]\d* passed, 0 failed, 0 skipped\n$/);
    writeFileSync(list, "[]");
    assert.equal(run("scripts/test/floors", "--skips", list).status, 0);
  });

  it("refuses words that no file has", () => assert.equal(run("no/such/file").status, 2));

  it("knows as @threads whatever starts a thread", () => {
    const threads = new Set(findTests(["@threads"], false).map(({ name }) => name));
    for (const { package: house, name } of findTests([], false)) {
      if (house === "scripts") continue; // these speak of threads
      const text = readFileSync(join(ROOT, name), "utf8");
      if (/new TestThread\(|new Worker\(|Browser\.start\(/.test(text)) assert.ok(threads.has(name), name);
    }
  });

  it("runs nothing of which the source is gone, and long tests when asked to", () => {
    const names = findTests([], false).map(({ name }) => name);
    assert.ok(names.includes("scripts/test/test-run.test.mjs"));
    assert.ok(names.includes("packages/irqbypass/test/host/mutex.test.ts"));
    assert.ok(findTests([], true).length > names.length);
    assert.deepEqual(
      findTests(["host/mutex.test"], false).map(({ package: house }) => house),
      ["packages/irqbypass"],
    );
  });

  it("takes no test for the folder that the checkout is in", () => {
    assert.deepEqual(findTests([ROOT], false), []);
  });
});
