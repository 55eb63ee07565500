/** The adapter to Node.js: what it says of a thread, and that it loads what it needs when it needs it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { nodePlatform } from "#src/host/platform-node.js";
import { until } from "../support/worker.js";

const platform = nodePlatform()!;

describe("the platform of a Node.js thread", () => {
  it("says who the thread is, in the main thread and in a worker", async () => {
    const main = platform.self();
    assert.equal(main.worker, 0);
    assert.equal(platform.alive(main), main.tid === 0 ? undefined : true);
    const source = `
      const { parentPort, threadId } = require("node:worker_threads");
      import(${JSON.stringify(new URL("../../src/host/platform-node.js", import.meta.url).href)}).then(({ nodePlatform }) => {
        parentPort.postMessage({ self: nodePlatform().self(), threadId });
      });`;
    const worker = new Worker(source, { eval: true });
    const { self, threadId } = await new Promise<{ self: typeof main; threadId: number }>(
      (resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      },
    );
    assert.equal(self.worker, threadId);
    assert.notEqual(self.worker, 0);
    assert.equal(self.pid, main.pid);
    if (main.tid !== 0) assert.notEqual(self.tid, main.tid);
    await worker.terminate();
  });

  it("says how many cores there are, and has a clock that runs", () => {
    assert.equal(platform.cores, availableParallelism());
    const [first, second] = [platform.clock!(), platform.clock!()];
    assert.ok(second >= first);
  });

  it("ticks until it is stopped, also where that is before the first turn of the event loop", async () => {
    let ticks = 0;
    let never = 0;
    const stop = platform.every(1, () => ticks++);
    platform.every(1, () => never++)();
    assert.equal(ticks, 0);
    await until("three ticks", () => ticks >= 3);
    stop();
    const then = ticks;
    await sleep(20);
    assert.deepEqual([ticks, never], [then, 0]);
  });

  it("loads nothing for a first host but what starts with every process", () => {
    const program = `
      import { Eventfd, Host, Producer, Vcpu, Vm } from "irqbypass";
      const before = new Set(process.moduleLoadList);
      const spawn = () => ({ postMessage() {}, once() {} }); // a relay's thread is one
      const host = Host.create({ spawn });
      const vm = new Vm(host);
      vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 65 } }]);
      const eventfd = Eventfd.create(host);
      vm.irqfd(eventfd, 24);
      const producer = Producer.create(host);
      producer.register(eventfd);
      const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
      producer.signal();
      const loaded = process.moduleLoadList.filter((name) => !before.has(name));
      console.log(JSON.stringify({ woke: vcpu.wait({ timeoutMs: 1000 }), loaded }));
      process.exit();`;
    const cwd = new URL("../../..", import.meta.url);
    const text = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd,
      encoding: "utf8",
    });
    const { woke, loaded } = JSON.parse(text) as { woke: string; loaded: string[] };
    assert.equal(woke, "interrupt");
    assert.deepEqual(
      loaded.filter((name) => /worker|perf_hooks|\bos\b|timers/.test(name)),
      [],
    );
  });
});
