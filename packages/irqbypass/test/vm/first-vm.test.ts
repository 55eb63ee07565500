/** The first VMs of a fresh host, made by several threads at once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { smallHost } from "../support/host.js";
import { TestThread } from "../support/worker.js";
import type { FirstVmWork } from "./first-vm-board.js";

const THREADS = 4;
const HOSTS = 60;

describe("several threads that make the first VMs of a fresh host at once", () => {
  it("all get one, with room for a single routing table", async () => {
    const hosts = Array.from({ length: HOSTS }, () => smallHost({ capacity: { route: 1, routing: 1 } }));
    const work: FirstVmWork = {
      hosts: hosts.map(({ handle }) => handle),
      board: new SharedArrayBuffer(4),
      threads: THREADS,
    };
    const threads = Array.from(
      { length: THREADS },
      () => new TestThread(new URL("./first-vm-worker.js", import.meta.url), work),
    );
    const refusals = await Promise.all(threads.map((thread) => thread.next()));
    await Promise.all(threads.map(({ done }) => done));
    assert.deepEqual(refusals.flat(), []);
    for (const host of hosts) {
      assert.deepEqual(host.audit().findings, []);
      host.dispose();
    }
  });
});
