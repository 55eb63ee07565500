/** The audit of a host that other threads use meanwhile finds nothing: what they are in the middle of is no damage. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { Eventfd, Vm } from "irqbypass";
import { relayRuns } from "#src/eventfd/relay-state.js";
import { smallHost } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import type { BesideWork } from "./beside-worker.js";
import { ACTIONS } from "./steps.js";

const AUDITS = 1_500;

it("the audit finds nothing beside any step of other threads", async (test) => {
  const host = smallHost();
  // An irqfd before the threads': its relay runs then.
  const vm = new Vm(host);
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, 3);
  eventfd.write();
  await until("the relay runs", () => relayRuns(host.words, 0));
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const threads = [1, 2].map(
    (seed) =>
      new TestThread(new URL("./beside-worker.js", import.meta.url), {
        ...{ host: host.handle, seed, stop },
      } satisfies BesideWork),
  );
  const wrong = new Set<string>();
  try {
    for (const thread of threads) await thread.next();
    for (let left = AUDITS; left > 0; left--)
      for (const { kind, message } of host.audit().findings) wrong.add(`${kind}: ${message}`);
  } finally {
    Atomics.store(stop, 0, 1);
  }
  assert.deepEqual([...wrong], []);
  for (const thread of threads) {
    const taken = await thread.next<Readonly<Record<string, number>>>();
    test.diagnostic(JSON.stringify(taken));
    assert.deepEqual(Object.keys(taken).sort(), Object.keys(ACTIONS).sort(), "every step was taken");
    await thread.done;
  }
  assert.deepEqual(host.audit().findings, []);
  vm.dispose();
  eventfd.close();
  host.dispose();
});
