/** What was lost once: each script that showed it, as a test. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, Vcpu, VdpaDevice, VfioPciDevice, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { linux as linuxTests } from "../linux/available.js";

const ROUNDS = 2000;

/** One write of another thread beside one deassign, each round. */
async function besideDeassign(isLinux: boolean, rounds: number): Promise<void> {
  const host = Host.create(isLinux ? { kinds: [linux()] } : {});
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = isLinux ? LinuxEventfd.create(host) : Eventfd.create(host);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const take = () => {
    if (vcpu.wait({ timeoutMs: 0 }) !== "interrupt") return 0;
    vcpu.acknowledge();
    vcpu.eoi();
    return 1;
  };
  const board = new Int32Array(new SharedArrayBuffer(8));
  const workerData = { host: host.handle, eventfd: eventfd.handle, isLinux, rounds: board };
  const writer = new Worker(new URL("./writer.js", import.meta.url), { workerData });
  const ended = once(writer, "exit");
  const found: Record<string, number> = {};
  try {
    for (let round = 1; round <= rounds; round++) {
      const irqfd = vm.irqfd(eventfd, 24);
      Atomics.store(board, 0, round);
      for (let spin = (round * 7919) % 300; spin > 0; spin--);
      irqfd.dispose();
      while (Atomics.load(board, 1) !== round);
      let where = (eventfd.tryRead() === undefined ? 0 : 1) + take();
      for (let wait = 0; where === 0 && wait < 200; wait++) {
        await new Promise((resolve) => setTimeout(resolve, 5)); // the relay may be at it
        where = take();
      }
      found[where] = (found[where] ?? 0) + 1;
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    Atomics.store(board, 0, -1);
    await ended;
  }
  assert.deepEqual(found, { 1: rounds }, "neither an interrupt nor counted, or both");
  vcpu.put();
  eventfd.close();
  vm.dispose();
  host.dispose();
}

describe("what was lost", () => {
  it("a vector without a trigger: raised before it, while it is taken away, and unmasked before it", () => {
    const host = Host.create();
    const nic = new VfioPciDevice(host, { msix: 2 });
    const vector = nic.vector("msix", 0);
    const eventfd = Eventfd.create(host);
    nic.setIrqs({ index: "msix", start: 0, count: 1, action: "trigger", data: "eventfd", eventfds: [null] });
    vector.signal();
    nic.setTrigger("msix", 0, eventfd);
    assert.equal(eventfd.tryRead(), 1n);
    nic.setTrigger("msix", 0, null);
    vector.signal();
    nic.setTrigger("msix", 0, eventfd);
    assert.equal(eventfd.tryRead(), 1n);
    nic.setTrigger("msix", 0, null);
    vector.mask();
    vector.signal();
    vector.unmask();
    assert.equal(vector.pending, true);
    nic.setTrigger("msix", 0, eventfd);
    assert.equal(eventfd.tryRead(), 1n);
    assert.equal(new VfioPciDevice(host, { msix: 1 }).vector("msix", 0).masked, true);
  });

  it("a vDPA device after its reset: nobody is told", () => {
    const host = Host.create();
    const vm = new Vm(host);
    const eventfd = Eventfd.create(host);
    Vcpu.open(host, vm.vcpu(0).handle);
    const device = new VdpaDevice(host, { queues: 1, ops: { getVqIrq: (queue) => queue, reset() {} } });
    const session = device.open();
    session.setVringCall(0, eventfd);
    session.setStatus(15);
    session.setStatus(0);
    device.queue(0).signal();
    assert.equal(eventfd.count, 0n);
  });

  it("a write beside a deassign", () => besideDeassign(false, ROUNDS));

  it("a write beside a deassign, with a Linux eventfd", linuxTests, () => besideDeassign(true, ROUNDS / 10));

  it("a write, then a deassign, with a Linux eventfd", linuxTests, async () => {
    const host = Host.create({ kinds: [linux()] });
    const vm = new Vm(host);
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
    const eventfd = LinuxEventfd.create(host);
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    for (let round = 0; round < 50; round++) {
      const irqfd = vm.irqfd(eventfd, 24);
      eventfd.write();
      irqfd.dispose();
      const wake = await vcpu.waitAsync({ timeoutMs: 5000 });
      assert.ok(wake === "interrupt" || eventfd.tryRead() !== undefined, `round ${round}`);
      if (wake === "interrupt") {
        vcpu.acknowledge();
        vcpu.eoi();
      }
    }
    vcpu.put();
    eventfd.close();
    vm.dispose();
    host.dispose();
  });
});
