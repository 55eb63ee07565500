import assert from "node:assert/strict";

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread until the condition holds; a generous bound turns a hang into a failure. */
export function eventually(holds: () => boolean, what: () => string, seconds = 20): void {
  for (let turn = 0; turn < 5_000; turn++) if (holds()) return;
  const deadline = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > deadline) assert.fail(`not within ${seconds} s: ${what()}`);
    Atomics.wait(sleeper, 0, 0, 0.2);
  }
}
