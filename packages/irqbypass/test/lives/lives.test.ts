// Threads that wait end in every way, and the process lives; and where it is to end, it does.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux as linuxTests } from "../linux/available.js";
import { runChild } from "../support/child.js";
import { endThreads } from "./ends.js";
import { WAITS } from "./work.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);

it(`300 threads end in every wait, and everybody else goes on (seed ${seed})`, linuxTests, async (test) => {
  test.diagnostic(await endThreads({ seed, ends: 300, each: 50 }));
});

describe("a SIGINT that nobody handles ends a process that waits in", () => {
  // A mutex is no wait without another thread.
  for (const wait of WAITS.filter((one) => one !== "a mutex")) {
    it(wait, wait === "KVM_RUN" ? kvmTests : linuxTests, async () => {
      const { signal, code, errors } = await runChild(
        new URL("./sigint.js", import.meta.url),
        [wait],
        (_text, child) => setTimeout(() => child.kill("SIGINT"), 100),
      );
      assert.deepEqual([signal, code], ["SIGINT", null], errors);
    });
  }
});
