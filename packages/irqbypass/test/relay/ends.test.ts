// How a thread has ended is told apart: by itself with all given back, by itself with things left, or killed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type Reason, Vm } from "irqbypass";
import { smallHost, whyRelayed } from "../support/host.js";
import { until } from "../support/worker.js";
import type { EndsWork } from "./ends.js";

/** What the irqfd says of its device, by how the device's thread ended. */
const ENDINGS: Readonly<Record<string, Reason>> = {
  "its own end, everything given back": "no-producer",
  "its own end": "thread-ended",
  "process.exit(0)": "thread-ended",
  "process.exit(3)": "thread-died",
  "an uncaught error": "thread-died",
  "worker.terminate": "thread-died",
  "host.terminate": "thread-died",
};

describe("a thread whose device an irqfd was connected to", () => {
  for (const [ending, reason] of Object.entries(ENDINGS)) {
    it(`${ending}: ${reason}`, async () => {
      const host = smallHost();
      const vm = new Vm(host);
      vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
      const eventfd = Eventfd.create(host);
      const irqfd = vm.irqfd(eventfd, 24);
      const bypassed = irqfd.bypassed();
      const workerData: EndsWork = { host: host.handle, eventfd: eventfd.handle, ending };
      const worker = new Worker(new URL("./ends.js", import.meta.url), { workerData });
      worker.on("error", (error) => assert.equal(error.message, "on purpose"));
      const exited = new Promise((resolve) => worker.once("exit", resolve));
      host.watch(worker);
      await bypassed;
      const relayed = irqfd.relayed();
      worker.postMessage("end");
      if (ending === "worker.terminate") await worker.terminate();
      if (ending === "host.terminate") await host.terminate(worker);
      await exited;
      assert.equal(await relayed, reason);
      await until("it is torn down", () => host.pools.producer.live === 0);
      assert.equal(whyRelayed(irqfd), reason);
      assert.deepEqual(host.audit().findings, []);
      vm.dispose();
      eventfd.close();
      host.dispose();
    });
  }
});
