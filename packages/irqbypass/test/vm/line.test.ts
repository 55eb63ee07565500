/** Level-triggered irqfds of a VM whose interrupt controller is the emulator's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Irqfd, Producer, Vcpu, Vm } from "irqbypass";
import { Consumer, Line } from "#src/host/layout.js";
import { notifyForIt } from "#src/vm/repair.js";
import { smallHost } from "../support/host.js";
import { PATIENCE_MS } from "../support/worker.js";

function open() {
  const host = smallHost();
  const vm = new Vm(host, { apic: false });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const line = (gsi: number) => {
    const trigger = Eventfd.create(host);
    const resample = Eventfd.create(host);
    return { trigger, resample, irqfd: vm.irqfd(trigger, gsi, { resample }) };
  };
  const taken = async () => {
    const bits = new Uint32Array(8);
    assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt");
    vcpu.take(bits);
    return [...bits];
  };
  return { host, vm, vcpu, line, taken };
}

const VECTOR_0X41 = [0, 0, 2, 0, 0, 0, 0, 0];

describe("a level line of an interrupt controller of the emulator's", () => {
  it("is up from the signal to the acknowledge, which asks the device", async () => {
    const { host, vm, vcpu, line, taken } = open();
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x41 } }]);
    const { trigger, resample, irqfd } = line(5);
    assert.equal(irqfd.level, false);
    for (let round = 0; round < 3; round++) {
      trigger.signal();
      assert.deepEqual(await taken(), VECTOR_0X41);
      assert.equal(irqfd.level, true);
      assert.equal(resample.count, 0n);
      irqfd.acknowledge();
      assert.deepEqual([irqfd.level, resample.tryRead()], [false, 1n]);
    }
    irqfd.acknowledge(); // of a vector that two lines share: the kernel asks both
    assert.deepEqual([irqfd.level, resample.tryRead()], [false, 1n]);
    assert.equal(vcpu.hasInterrupt(), false);
    assert.deepEqual(host.audit().findings, []);
  });

  it("comes again where its device signals because it was asked", async () => {
    const { vm, line, taken } = open();
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x41 } }]);
    const { trigger, resample, irqfd } = line(5);
    let left = 3;
    trigger.signal();
    while (left > 0) {
      assert.deepEqual(await taken(), VECTOR_0X41);
      assert.equal(irqfd.level, true);
      left -= 1;
      irqfd.acknowledge();
      if (resample.tryRead() !== undefined && left > 0) trigger.signal();
    }
    assert.equal(irqfd.level, false);
  });

  it("is not posted past, whatever its producer, and says why", async () => {
    const { host, vm, line, taken } = open();
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x41 } }]);
    const { trigger, irqfd } = line(5);
    const producer = Producer.create(host);
    producer.register(trigger);
    assert.deepEqual([irqfd.path, irqfd.reasons.includes("not-msi")], ["relayed", true]);
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x42 } }]);
    assert.equal(irqfd.path, "relayed");
    producer.signal();
    assert.deepEqual(await taken(), [0, 0, 4, 0, 0, 0, 0, 0]);
    assert.equal(irqfd.level, true);
    assert.throws(
      () => vm.irqfd(Eventfd.create(host), 6, { resample: Eventfd.create(host), bypass: "later" as "off" }),
      {
        code: "EINVAL",
      },
    );
    assert.deepEqual(host.audit().findings, []);
  });

  it("is acknowledged by nobody else: an edge, a pin of the I/O APIC, one that was deassigned", () => {
    const { host, vm, line } = open();
    const edge = vm.irqfd(Eventfd.create(host), 1);
    const pin = new Vm(host).irqfd(Eventfd.create(host), 2, { resample: Eventfd.create(host) });
    for (const one of [edge, pin]) {
      assert.equal(one.level, undefined);
      assert.throws(() => one.acknowledge(), {
        code: "EINVAL",
        message: /no line of an interrupt controller of yours/,
      });
    }
    const { irqfd } = line(3);
    irqfd.dispose();
    assert.throws(() => irqfd.acknowledge(), { code: "EBADF" });
    assert.throws(() => irqfd.level, { code: "EBADF" });
  });

  it("is acknowledged in whichever thread opens the irqfd, for as long as that is assigned", () => {
    const { host, vm, line } = open();
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x41 } }]);
    const { trigger, resample, irqfd } = line(5);
    const other = Host.attach(host.handle);
    const there = Irqfd.open(other, irqfd.handle);
    assert.deepEqual([there.handle, there.gsi, there.level], [irqfd.handle, 5, false]);
    trigger.signal();
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x42 } }]); // what was signalled has been delivered
    assert.deepEqual([irqfd.level, there.level], [true, true]);
    there.acknowledge();
    assert.deepEqual([irqfd.level, there.level, resample.tryRead()], [false, false, 1n]);
    const { handle } = irqfd;
    there.dispose();
    for (const use of [() => irqfd.level, () => irqfd.handle, () => there.acknowledge(), () => there.handle])
      assert.throws(use, { code: "EBADF", message: /was deassigned/ });
    assert.throws(() => Irqfd.open(other, handle), { code: "ESTALE", message: /irqfd \d+, of which/ });
    other.dispose();
  });

  it("asks once more for a thread that died before it had asked", () => {
    const { host, line } = open();
    const { resample } = line(3);
    const record = host.pools.consumer.at(0);
    const [gone, other] = [7, 6].map((slot) => host.pools.thread.at(slot)) as [number, number]; // records of nobody
    host.words.store(record + Consumer.line, (host.thread.lockIdOf(gone) << Line.askerShift) | Line.asking);
    assert.match(host.audit().findings[0]?.message ?? "", /was to ask its device, is gone/);
    notifyForIt(host, other);
    assert.equal(resample.tryRead(), undefined, "that one was not asking");
    notifyForIt(host, gone);
    assert.equal(resample.tryRead(), 1n);
    assert.equal(host.words.load(record + Consumer.line), Line.low);
  });
});
