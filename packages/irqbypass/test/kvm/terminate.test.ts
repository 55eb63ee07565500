// A thread that owns a running guest is terminated: its vCPU threads sit in KVM_RUN, and would keep it from ending.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, Host } from "irqbypass";
import { kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { openDescriptors } from "../linux/descriptors.js";
import { liveRecords, SMALL } from "../support/host.js";
import { kvmTests } from "./available.js";

/** Descriptors that the host and KVM are about; a worker that Node ends while it loads a module may leave that file open. */
const ours = () =>
  openDescriptors().filter((target) => /eventfd|kvm/.test(target) && target.startsWith("anon_inode"));

describe("terminating the thread of a guest", kvmTests, () => {
  it("ends its vCPU threads, closes its descriptors and leaves nothing in the host", async () => {
    const host = Host.create({ kinds: [linux(), kvm()], capacity: SMALL });
    Eventfd.create(host).close();
    const before = liveRecords(host);
    const fds = ours();
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(new URL("./vmm-thread.js", import.meta.url), { workerData: host.handle });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      assert.equal(host.audit().live.vm, 1);
      assert.notDeepEqual(ours(), fds);
      await host.terminate(worker);
      assert.deepEqual(host.audit().findings, []);
      assert.deepEqual(liveRecords(host), before);
      assert.deepEqual(ours(), fds);
    }
    host.dispose();
  });
});
