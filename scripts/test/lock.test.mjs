// The lock of the machine: one process at a time, and it ends with its holder.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { withLock } from "../lock.mjs";

const LOCK = new URL("../lock.mjs", import.meta.url);
const skip = process.platform !== "linux" && "abstract sockets are Linux's";

/** A process that takes the lock, says so, and holds it until its input ends. */
function holder(name) {
  const code = `
    import { withLock } from ${JSON.stringify(LOCK.href)};
    await withLock(${JSON.stringify(name)}, async () => {
      console.log("taken");
      for await (const _ of process.stdin);
      console.log("given");
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8");
  return child;
}

const nameOf = (what) => `test ${process.pid} ${what}`;

test("is waited for, and comes free when its holder is done", { skip }, async () => {
  const child = holder(nameOf("wait"));
  assert.deepEqual(await once(child.stdout, "data"), ["taken\n"]);
  const order = [];
  child.stdout.on("data", (text) => order.push(text.trim()));
  const mine = withLock(nameOf("wait"), () => order.push("mine"));
  await withLock(nameOf("another"), () => order.push("another name"));
  child.stdin.end();
  await mine;
  assert.deepEqual(order, ["another name", "given", "mine"]);
});

test("comes free when its holder is killed", { skip }, async () => {
  const child = holder(nameOf("kill"));
  await once(child.stdout, "data");
  const mine = withLock(nameOf("kill"), () => "mine");
  child.kill("SIGKILL");
  assert.equal(await mine, "mine");
});

test("is held by one of many at a time, and given back after a throw", { skip }, async () => {
  let inside = 0;
  const visit = async (number) => {
    assert.equal(++inside, 1);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    if (number % 2 === 1) throw new Error(`visitor ${number}`);
    return number;
  };
  const visits = [0, 1, 2, 3].map((number) => withLock(nameOf("many"), () => visit(number)));
  const results = await Promise.allSettled(visits);
  assert.deepEqual(
    results.map(({ value, reason }) => value ?? reason.message),
    [0, "visitor 1", 2, "visitor 3"],
  );
});
