// A thread that owns a running guest ends: its vCPU threads sit in KVM_RUN, and would keep it, and the process, from ending.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, Host } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { platformHere } from "#src/host/platform-here.js";
import { alarms } from "#src/linux/alarm.js";
import { openDescriptors } from "../linux/descriptors.js";
import { runChild } from "../support/child.js";
import { liveThreadsAndRecords, noRelay, SMALL } from "../support/host.js";
import { until } from "../support/worker.js";
import { kvmTests } from "./available.js";

/** Descriptors that the host and KVM are about; a worker that Node ends while it loads a module may leave that file open. */
const ours = () =>
  openDescriptors().filter((target) => /eventfd|kvm/.test(target) && target.startsWith("anon_inode"));

/** What keeps a VM of KVM alive without a descriptor. */
const mapped = () =>
  readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .filter((line) => line.includes("kvm-"));

describe("terminating the thread of a guest", kvmTests, () => {
  it("ends its vCPU threads, closes its descriptors and leaves nothing in the host", async () => {
    const host = Host.create({ kinds: [linux(), kvm()], capacity: SMALL });
    Eventfd.create(host).close();
    const before = liveThreadsAndRecords(host);
    const fds = ours();
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(new URL("./vmm-thread.js", import.meta.url), { workerData: host.handle });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      assert.equal(host.audit().live.vm, 1);
      assert.notDeepEqual(ours(), fds);
      await host.terminate(worker);
      assert.deepEqual(host.audit().findings, []);
      assert.deepEqual(liveThreadsAndRecords(host), before);
      assert.deepEqual(ours(), fds);
      assert.deepEqual([mapped(), alarms()], [[], []]);
    }
    host.dispose();
  });

  it("leaves alone what the thread that had its record before has left: injections too", () => {
    const platform = { ...platformHere(), alive: () => undefined };
    const kinds = [linux(), kvm()];
    const host = Host.create({ kinds, capacity: SMALL, platform, spawn: noRelay });
    const maker = Host.attach(host.handle, { kinds, platform });
    const number = maker.threadId;
    const vm = new KvmVm(host);
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
    const eventfd = LinuxEventfd.create(host);
    KvmVm.open(maker, vm.handle).irqfd(LinuxEventfd.open(maker, eventfd.handle), 24);
    maker.dispose();
    assert.equal(Host.attach(host.handle, { kinds, platform }).threadId, number);
    assert.equal(host.threadLost(number), true);
    assert.deepEqual(host.audit().findings, []);
    assert.equal(host.pools.injection.live, 1);
    vm.dispose();
    assert.equal(host.pools.injection.live, 0);
    host.dispose();
  });

  it("leaves the guests of other threads running", async () => {
    const host = Host.create({ kinds: [linux(), kvm()], capacity: SMALL });
    const vm = new KvmVm(host);
    const eventfd = LinuxEventfd.create(host);
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
    vm.irqfd(eventfd, 24);
    vm.start();
    const { count } = vm.tables(0);
    const handles = async (interrupts: number) => {
      for (let left = interrupts; left > 0; left--) {
        const before = Atomics.load(count, 0x41);
        eventfd.write();
        await until("the guest handles an interrupt", () => Atomics.load(count, 0x41) > before);
      }
    };
    await handles(3);
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(new URL("./vmm-thread.js", import.meta.url), { workerData: host.handle });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await host.terminate(worker);
      await handles(3);
    }
    assert.deepEqual(host.audit().findings, []);
    await vm.stop();
    vm.dispose();
    eventfd.close();
    host.dispose();
    assert.deepEqual([mapped(), alarms()], [[], []]);
  });
});

describe("a process whose guest runs in a worker ends", kvmTests, () => {
  const endings: [string, number, string, RegExp][] = [
    ["process.exit", 3, "halted\n", /^$/],
    ["a throw on the main thread", 1, "halted\n", /Error: on purpose/],
    ["worker.terminate", 0, "halted\nover\n", /^$/],
    ["process.exit in the worker", 0, "halted\nover\n", /^$/],
    ["a throw in the worker", 0, "halted\non purpose\nover\n", /^$/],
    ["its own end", 0, "halted\nover\n", /^$/],
  ];
  for (const [ending, code, says, errors] of endings) {
    it(`by ${ending}`, async () => {
      const ended = await runChild(new URL("./worker-guest.js", import.meta.url), [ending]);
      const lines = (text: string) => text.split("\n").sort(); // a worker's message and its error come in either order
      assert.deepEqual([ended.code, ended.signal, lines(ended.out)], [code, null, lines(says)], ended.errors);
      assert.match(ended.errors, errors);
    });
  }

  it("by a SIGINT that nobody handles", async () => {
    const ended = await runChild(new URL("./worker-guest.js", import.meta.url), [""], (text, child) => {
      if (text.includes("halted")) child.kill("SIGINT");
    });
    assert.deepEqual([ended.code, ended.signal, ended.out], [null, "SIGINT", "halted\n"], ended.errors);
  });
});
