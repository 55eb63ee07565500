/** What has ended, and what is another host's: nothing reads or writes the record that somebody else has by now. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Producer, Vcpu, VdpaDevice, VfioPciDevice, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { linux as linuxTests } from "../linux/available.js";
import { smallHost } from "../support/host.js";
import { wordsOf } from "./words.js";

const ROUTE = [{ gsi: 1, msi: { vcpu: 0, vector: 65 } }];

describe("an object that has ended (d9)", () => {
  it("a producer does not tell of the next one in its record", () => {
    const host = smallHost();
    const vm = new Vm(host);
    vm.setGsiRouting(ROUTE);
    const e = Eventfd.create(host);
    vm.irqfd(e, 1);
    const ended = Producer.create(host);
    ended.dispose();
    const next = Producer.create(host);
    next.register(e);
    assert.equal(next.path, "posted");
    for (const look of [() => ended.path, () => ended.reason, () => ended.signal(), () => ended.register(e)])
      assert.throws(look, { code: "EBADF", message: /this producer was disposed/ });
    assert.equal(ended.registered, false);
    ended.unregister();
    ended.dispose();
    assert.equal(next.path, "posted");
  });

  it("a vCPU that was put, and one whose VM is gone, tell nothing of the next VM's", async () => {
    const host = smallHost();
    const vm = new Vm(host);
    const ref = vm.vcpu(0);
    const put = Vcpu.open(host, ref.handle);
    put.put();
    vm.dispose();
    const next = new Vm(host);
    next.setGsiRouting(ROUTE);
    const running = Vcpu.open(host, next.vcpu(0).handle);
    running.tpr = 0x50;
    next.setIrqLine(1, true);
    const before = wordsOf(host);
    const into = new Uint32Array(8);
    for (const look of [
      () => put.tpr,
      () => (put.tpr = 3),
      () => put.ppr,
      () => put.pending(),
      () => put.acknowledge(),
      () => put.eoi(),
      () => put.take(into),
      () => put.wait({ timeoutMs: 0 }),
      () => put.inspect(),
      () => put.onAddress,
      () => put.kick(),
      () => put.handle,
      () => put.index,
      () => ref.index,
      () => ref.inspect(),
      () => ref.onAddress,
      () => ref.kick(),
      () => ref.handle,
    ])
      assert.throws(look, { code: "EBADF" });
    await assert.rejects(put.waitAsync({ timeoutMs: 0 }), { code: "EBADF" });
    put.put();
    assert.deepEqual(wordsOf(host).compare(before), []);
    assert.deepEqual([running.tpr, running.pending()], [0x50, true]);
  });

  it("a VM, its irqfds and its I/O APIC", () => {
    const host = smallHost();
    const vm = new Vm(host);
    const e = Eventfd.create(host);
    const irqfd = vm.irqfd(e, 1);
    const io = vm.ioapic;
    const { id } = vm;
    Vm.open(host, vm.handle).dispose(); // by whomever
    const next = new Vm(host);
    const other = next.irqfd(e, 1);
    const before = wordsOf(host);
    for (const look of [
      () => vm.handle,
      () => vm.vcpus,
      () => vm.vcpu(0),
      () => vm.ioapic,
      () => vm.setIrqLine(1, true),
      () => vm.setGsiRouting([]),
      () => vm.irqfd(e, 2),
      () => vm.deassign(e, 1),
      () => io.read(1),
      () => io.write(0x10, 0),
      () => io.redirect(0, { vcpu: 0, vector: 3 }),
      () => io.lines,
      () => irqfd.gsi,
      () => irqfd.path,
      () => irqfd.reason,
      () => irqfd.policy,
    ])
      assert.throws(look, { code: "EBADF" });
    vm.dispose();
    irqfd.dispose();
    assert.equal(vm.id, id);
    assert.deepEqual(wordsOf(host).compare(before), []);
    assert.equal(other.path, "relayed");
  });

  it("an eventfd that was closed", async () => {
    const host = smallHost();
    const e = Eventfd.create(host, { semaphore: true });
    const { id } = e;
    e.close();
    const next = Eventfd.create(host, { initial: 9 });
    assert.equal(next.id, id);
    for (const look of [
      () => e.count,
      () => e.handle,
      () => e.write(1),
      () => e.signal(),
      () => e.tryRead(),
      () => e.read({ timeoutMs: 0 }),
    ])
      assert.throws(look, { code: "EBADF" });
    await assert.rejects(e.readAsync({ timeoutMs: 0 }), { code: "EBADF" });
    assert.deepEqual([e.semaphore, e.closed, e.id, next.count], [true, true, id, 9n]);
  });

  it("a device", () => {
    const host = smallHost();
    const nic = new VfioPciDevice(host, { msix: 2, intx: true });
    const e = Eventfd.create(host);
    nic.setTrigger("msix", 0, e);
    const [vector, pin] = [nic.vector("msix", 0), nic.intx];
    nic.dispose();
    for (const look of [
      () => nic.irqInfo("msix"),
      () => nic.setTrigger("msix", 0, e),
      () => nic.disable("msix"),
    ])
      assert.throws(look, { code: "EBADF" });
    // The device's own side goes on, signals nobody, and keeps nothing: its record may be another one's.
    nic.functionMask = true;
    nic.vector("msix", 0).signal();
    assert.deepEqual([nic.functionMask, nic.pendingBits("msix")[0], nic.intx === pin], [false, 0, true]);
    assert.deepEqual([vector.masked, pin.masked, pin.asserted], [true, false, false]);
    nic.functionMask = false;
    nic.reportError();
    nic.requestRelease();
    vector.signal();
    pin.assert();
    pin.poll();
    assert.deepEqual([vector.path, vector.reason, pin.enabled, e.count], [undefined, undefined, false, 0n]);

    const vdpa = new VdpaDevice(host, { queues: 1 });
    const session = vdpa.open();
    const queue = vdpa.queue(0);
    vdpa.dispose();
    for (const look of [() => vdpa.open(), () => session.setStatus(1), () => session.status])
      assert.throws(look, { code: "EBADF" });
    queue.signal();
    vdpa.configChanged();
    assert.equal(vdpa.queue(0), queue);
    assert.deepEqual([session.open, queue.path], [false, undefined]);
  });

  it("a host that this thread has left", async () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    const vm = Vm.open(second, new Vm(host).handle);
    const producer = Producer.create(second);
    const nic = new VfioPciDevice(second, { msix: 1 });
    const ref = vm.vcpu(0);
    second.dispose();
    const before = wordsOf(host);
    for (const look of [
      () => second.bypass,
      () => (second.bypass = false),
      () => second.threadId,
      () => second.interrupts(),
      () => second.audit(),
      () => second.threadLost(5),
      () => second.watch({} as never),
      () => Eventfd.create(second),
      () => vm.vcpus,
      () => vm.dispose(),
      () => ref.kick(),
      () => producer.path,
      () => producer.reason,
      () => producer.dispose(),
      () => nic.irqInfo("msix"),
      () => nic.dispose(),
    ])
      assert.throws(look, { code: "EBADF" });
    await assert.rejects(second.terminate({} as never), { code: "EBADF" });
    second.dispose();
    assert.deepEqual(wordsOf(host).compare(before), []);
  });
});

describe("what another host has (d9)", () => {
  const [mine, other] = [smallHost(), smallHost()];
  const own = Eventfd.create(mine);
  const foreign = Eventfd.create(other);

  it("its handles open nothing, where the same record lives here", () => {
    const [vm, foreignVm] = [new Vm(mine), new Vm(other)];
    assert.deepEqual([foreign.record, foreignVm.id], [own.record, vm.id]);
    const before = wordsOf(mine);
    for (const open of [
      () => Eventfd.open(mine, foreign.handle),
      () => Vm.open(mine, foreignVm.handle),
      () => Vcpu.open(mine, foreignVm.vcpu(0).handle),
    ])
      assert.throws(open, { code: "EXDEV", errno: -18, message: /of another host, or of nothing/ });
    assert.deepEqual(wordsOf(mine).compare(before), []);
    assert.equal(Eventfd.open(mine, own.handle).record, own.record);
  });

  it("nor does a handle of another kind, or of what is gone: ESTALE", () => {
    const vm = new Vm(mine);
    const { handle } = vm;
    // @ts-expect-error: the types say so too
    assert.throws(() => Eventfd.open(mine, handle), {
      code: "ESTALE",
      message: /not the handle of an eventfd, but of a VM/,
    });
    // @ts-expect-error: the types say so too
    assert.throws(() => Vcpu.open(mine, own.handle), { code: "ESTALE" });
    vm.dispose();
    assert.throws(() => Vm.open(mine, handle), { code: "ESTALE", message: /is gone/ });
    const next = new Vm(mine);
    assert.throws(() => Vm.open(mine, handle), { code: "ESTALE" });
    next.dispose();
  });

  it("its eventfds are taken nowhere", () => {
    const vm = new Vm(mine);
    const nic = new VfioPciDevice(mine, { msix: 2, intx: true });
    const session = new VdpaDevice(mine, { queues: 1 }).open();
    const producer = Producer.create(mine);
    nic.setTrigger("intx", 0, own);
    const before = wordsOf(mine);
    const unmask = { index: "intx", start: 0, count: 1, action: "unmask", data: "eventfd" } as const;
    for (const take of [
      () => vm.irqfd(foreign, 1),
      () => vm.irqfd(own, 1, { resample: foreign }),
      () => vm.deassign(foreign, 1),
      () => producer.register(foreign),
      () => producer.move(foreign),
      () => nic.setTrigger("intx", 0, foreign),
      () => nic.setTrigger("err", 0, foreign),
      () => nic.setIrqs({ ...unmask, eventfds: [foreign] }),
      () => session.setVringCall(0, foreign),
      () => session.setConfigCall(foreign),
    ])
      assert.throws(take, { code: "EXDEV", message: /one of another host: make it with the same host/ });
    assert.deepEqual(wordsOf(mine).compare(before), []);
    nic.dispose();
    producer.dispose();
    vm.dispose();
  });

  it("a second view of the same host is no other host", () => {
    const second = Host.attach(mine.handle);
    const vm = new Vm(mine);
    vm.setGsiRouting(ROUTE);
    const e = Eventfd.create(second);
    const irqfd = vm.irqfd(e, 1);
    const producer = Producer.create(mine);
    producer.register(e);
    assert.equal(irqfd.path, "posted");
    producer.dispose();
    e.close();
    assert.throws(() => irqfd.path, { code: "EBADF" });
    vm.dispose();
    second.dispose();
  });

  it("a vCPU that is open says where", () => {
    const second = Host.attach(mine.handle);
    const vm = new Vm(mine);
    const { handle } = vm.vcpu(0);
    const vcpu = Vcpu.open(mine, handle);
    for (const host of [mine, second])
      assert.throws(() => Vcpu.open(host, handle), {
        code: "EBUSY",
        message:
          /vCPU 0 of VM \d is open in this very thread: use the Vcpu that has it, or put it there first/,
      });
    vcpu.put();
    vm.dispose();
    second.dispose();
  });

  it("Linux eventfds too", linuxTests, async () => {
    const [one, two] = [smallHost({ kinds: [linux()] }), smallHost({ kinds: [linux()] })];
    const [here, there] = [LinuxEventfd.create(one), LinuxEventfd.create(two)];
    assert.throws(() => LinuxEventfd.open(one, there.handle), { code: "EXDEV" });
    const vm = new Vm(one);
    assert.throws(() => vm.irqfd(there, 3), { code: "EXDEV" });
    here.close();
    const next = LinuxEventfd.create(one, { semaphore: true, nonblocking: false });
    for (const look of [
      () => here.fd,
      () => here.count,
      () => here.tryRead(),
      () => here.read({ timeoutMs: 0 }),
      () => here.write(1),
      () => here.signal(),
    ])
      assert.throws(look, { code: "EBADF" });
    await assert.rejects(here.readAsync({ timeoutMs: 0 }), { code: "EBADF" });
    assert.deepEqual([here.semaphore, next.semaphore], [false, true]);
    next.close();
    there.close();
    vm.dispose();
    for (const host of [one, two]) host.dispose();
  });
});
