// What others see when a thread has died: the reasons, the events, and what is free again.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, Producer, Vcpu, Vm } from "irqbypass";
import { platformHere } from "#src/host/platform-here.js";
import { liveThreadsAndRecords, noRelay, smallHost, whyRelayed } from "../support/host.js";

const GSI = 24;

/** A host with an irqfd whose device, and whose vCPU's thread, is another thread, which is then lost. */
function scene() {
  // This thread is both, and alive: only a page would have to be believed.
  const platform = { ...platformHere(), alive: () => undefined };
  const host = smallHost({ platform, spawn: noRelay });
  const other = Host.attach(host.handle, { platform });
  const vm = new Vm(host, { vcpus: 2 });
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 1, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, GSI);
  const before = liveThreadsAndRecords(host);
  const producer = Producer.create(other);
  producer.register(Eventfd.open(other, eventfd.handle));
  const vcpu = Vcpu.open(other, vm.vcpu(1).handle);
  return { host, other, vm, eventfd, irqfd, producer, vcpu, before };
}

describe("a thread that is lost", () => {
  it("is told to its irqfd, by reason and by event, and leaves nothing", async () => {
    const { host, other, irqfd, before } = scene();
    assert.equal(irqfd.path, "posted");
    const relayed = irqfd.relayed();
    assert.equal(host.threadLost(other.threadId), true);
    assert.equal(await relayed, "thread-died");
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "thread-died"]);
    assert.deepEqual(
      [irqfd.reason, host.interrupts()[0]?.reason],
      ["relay-not-running", "relay-not-running"],
    );
    assert.deepEqual(liveThreadsAndRecords(host), before);
    assert.deepEqual(host.audit().findings, []);
    assert.equal(host.threadLost(other.threadId), false); // it has been
  });

  it("takes along nothing of the thread that had its record before, and left the host", () => {
    const platform = { ...platformHere(), alive: () => undefined };
    const host = smallHost({ platform, spawn: noRelay });
    const maker = Host.attach(host.handle, { platform });
    const number = maker.threadId;
    const made = new Vm(maker);
    made.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
    const eventfd = Eventfd.create(host);
    made.irqfd(Eventfd.open(maker, eventfd.handle), GSI);
    Producer.create(maker); // of no use to anybody else
    const vm = Vm.open(host, made.handle);
    maker.dispose();
    assert.equal(host.pools.producer.live, 0);
    const next = Host.attach(host.handle, { platform });
    assert.equal(next.threadId, number);
    assert.equal(host.threadLost(number), true);
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    const device = Producer.create(host);
    device.register(eventfd);
    device.signal();
    assert.equal(vcpu.acknowledge(), 0x41);
    const { findings, left } = host.audit();
    assert.deepEqual([findings, [...left].sort()], [[], ["VM 0", "irqfd 0"]]);
    vcpu.put();
    vm.dispose();
    assert.equal(host.pools.consumer.live, 0);
  });

  it("gives its place to another device, and the irqfd is bypassed again", () => {
    const { host, other, irqfd, eventfd } = scene();
    host.threadLost(other.threadId);
    const next = Producer.create(host);
    next.register(eventfd);
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["posted", undefined]);
    next.dispose();
    assert.equal(whyRelayed(irqfd), "no-producer");
  });

  it("is told to the device of an irqfd that it made", () => {
    const { host, other, vm } = scene();
    const eventfd = Eventfd.create(host);
    const device = Producer.create(host);
    device.register(eventfd);
    Vm.open(other, vm.handle).irqfd(Eventfd.open(other, eventfd.handle), GSI);
    assert.equal(device.path, "posted");
    host.threadLost(other.threadId);
    assert.deepEqual([device.path, device.reason], ["relayed", "thread-died"]);
    assert.deepEqual(host.audit().findings, []);
  });

  it("leaves what its vCPU had requested and in service to whoever runs it next", () => {
    const { host, other, vm, producer, vcpu } = scene();
    producer.signal();
    assert.equal(vcpu.acknowledge(), 0x41); // in service, and no EOI will come
    host.threadLost(other.threadId);
    const next = Vcpu.open(host, vm.vcpu(1).handle);
    assert.equal(next.wait({ timeoutMs: 0 }), "interrupt");
    assert.equal(next.acknowledge(), 0x41);
    next.eoi();
    assert.equal(next.acknowledge(), undefined);
    next.put();
  });

  it("takes a VM along that it made, unless another runs a vCPU of it", () => {
    const { host, other } = scene();
    const [gone, kept] = [new Vm(other), new Vm(other)];
    const handles = [gone.handle, kept.handle];
    const vcpu = Vcpu.open(host, Vm.open(host, kept.handle).vcpu(0).handle);
    host.threadLost(other.threadId);
    assert.throws(() => Vm.open(host, handles[0]!), { code: "ESTALE" });
    const mine = Vm.open(host, handles[1]!);
    vcpu.put();
    mine.dispose();
    assert.deepEqual(host.audit().findings, []);
  });

  it("is refused where it is this one, none, or provably alive", () => {
    const host = smallHost();
    const other = Host.attach(host.handle);
    for (const id of [host.threadId, -1, 1.5, 999, Number.NaN])
      assert.throws(() => host.threadLost(id), { code: "EINVAL", message: /threadId/ });
    if (process.platform === "linux") {
      assert.throws(() => host.threadLost(other.threadId), { code: "EBUSY", message: /is alive/ });
    }
    assert.equal(host.threadLost(7), false); // nobody has it
    other.dispose();
  });
});

describe("a worker that is watched", () => {
  /** A worker that holds a producer, and does `end` when it is told to go. */
  const start = (host: Host, end: string) =>
    new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       import("irqbypass").then(({ Host, Eventfd, Producer }) => {
         const host = Host.attach(workerData);
         Producer.create(host).register(Eventfd.create(host));
         parentPort.postMessage("ready");
         parentPort.once("message", () => { ${end} });
       });`,
      { eval: true, workerData: host.handle },
    );
  const ready = (worker: Worker) => new Promise((resolve) => worker.once("message", resolve));

  for (const end of ["process.exit(1)", 'throw new Error("on purpose")', "process.exit(0)"]) {
    it(`is repaired after when it ends by ${end}`, async () => {
      using host = smallHost();
      const before = liveThreadsAndRecords(host);
      const worker = start(host, end);
      worker.on("error", () => {});
      host.watch(worker);
      await ready(worker);
      assert.notDeepEqual(liveThreadsAndRecords(host), before);
      const exited = new Promise((resolve) => worker.once("exit", resolve));
      worker.postMessage("go");
      await exited;
      assert.deepEqual(liveThreadsAndRecords(host), before);
      assert.deepEqual(host.audit().findings, []);
    });
  }

  it("is repaired after by terminate, also where nobody watched", async () => {
    using host = smallHost();
    const before = liveThreadsAndRecords(host);
    const worker = start(host, "");
    await ready(worker);
    await host.terminate(worker);
    assert.deepEqual(liveThreadsAndRecords(host), before);
  });

  it("has left nothing to repair where it disposed its host", async () => {
    using host = smallHost();
    const before = liveThreadsAndRecords(host);
    const worker = new Worker(
      `const { workerData } = require("node:worker_threads");
       import("irqbypass").then(({ Host, Eventfd }) => {
         const host = Host.attach(workerData);
         Eventfd.create(host); // its handle goes with the host
         host.dispose();
       });`,
      { eval: true, workerData: host.handle },
    );
    host.watch(worker);
    await new Promise((resolve) => worker.once("exit", resolve));
    assert.deepEqual(liveThreadsAndRecords(host), before);
    assert.deepEqual(host.audit().findings, []);
  });

  it("must be a worker of Node's", () => {
    using host = smallHost();
    for (const what of [undefined, {}, { threadId: 3, once() {}, off() {}, terminate: async () => {} }])
      assert.throws(() => host.watch(what as never), { code: "EINVAL", message: /threadLost/ });
  });
});
