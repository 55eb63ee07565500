// One test file, run in a process of its own.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const REPORTER = new URL("./reporter.mjs", import.meta.url).href;

/**
 * Runs a test file in its package's folder and resolves with what became of it: how many tests passed, which failed and which
 * were skipped, by their full names, what they noted and all that was printed. A file that ends with a code, that defines no test, or
 * that does not end within `limitMs` has failed as well.
 */
export async function runFile({ folder, path, name }, { limitMs }) {
  const scratch = mkdtempSync(join(tmpdir(), "test-file-"));
  const events = join(scratch, "events");
  const started = performance.now();
  const args = [
    "--enable-source-maps",
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${events}`,
  ];
  try {
    const ended = await run([...args, path], folder, limitMs);
    const outcome = read(existsSync(events) ? readFileSync(events, "utf8") : "");
    const wrong = whatIsWrong(ended, outcome, limitMs);
    if (wrong !== undefined) outcome.failed.push({ test: wrong, error: "" });
    const { last: _, ...told } = outcome;
    return { name, ...told, output: ended.output, seconds: (performance.now() - started) / 1000 };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The processes that run now, each the head of a group, so that what a test has started ends with it. */
const heads = new Set();
const end = (head) => {
  heads.delete(head);
  try {
    process.kill(-head, "SIGKILL");
  } catch {} // nobody is left in the group
};
process.on("exit", () => heads.forEach(end));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));

/** Runs Node to its end, or kills it. */
function run(args, cwd, limitMs) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"], detached: true });
    if (child.pid !== undefined) heads.add(child.pid);
    let output = "";
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      end(child.pid);
    }, limitMs);
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    child.on("error", reject);
    // Not "close": what a test has left running may keep the pipes.
    child.on("exit", (code, signal) => {
      clearTimeout(limit);
      end(child.pid);
      setImmediate(() => resolve({ code, signal, late, output }));
    });
  });
}

/** Counts tests, as Node does; but a suite that is skipped is a skip too, as its tests are. */
function read(text) {
  const outcome = { passed: 0, failed: [], skipped: [], notes: [], last: [] };
  const running = []; // of those whose results come, which is in the order of the file
  for (const line of text.split("\n").slice(0, -1)) {
    const { type, name, nesting, skip, todo, suite, because, error, message } = JSON.parse(line);
    if (type === "test:diagnostic") {
      if (running.length > 0) outcome.notes.push({ test: running.join(" > "), message });
      continue;
    }
    if (type === "test:dequeue") {
      outcome.last.splice(nesting, Infinity, name);
      continue;
    }
    running.length = nesting;
    const test = [...running, name].join(" > ");
    if (type === "test:start") running.push(name);
    else if (skip !== undefined) outcome.skipped.push({ test, reason: skip === true ? "" : skip });
    else if (todo !== undefined)
      outcome.skipped.push({ test, reason: `to do: ${todo === true ? "" : todo}` });
    else if (type === "test:pass") outcome.passed += suite ? 0 : 1;
    else if (because !== "subtestsFailed") outcome.failed.push({ test, error });
  }
  return outcome;
}

/** What is wrong with the file as a whole. */
function whatIsWrong({ code, signal, late }, { passed, failed, skipped, last }, limitMs) {
  // What begins right before the end may not have been told.
  const where = last.length > 0 ? `; the last test that began: ${last.join(" > ")}` : "";
  if (late) return `did not end within ${limitMs / 1000} s${where}`;
  if (signal !== null) return `was ended by ${signal}${where}`;
  if (code !== 0 && failed.length === 0) return `ended with ${code}${where}`;
  return passed + failed.length + skipped.length === 0 ? "has no test" : undefined;
}
