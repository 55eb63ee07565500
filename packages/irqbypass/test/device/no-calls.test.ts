/** A VMM's thread that cannot make system calls, beside a device whose triggers are Linux eventfds: what it is refused is done in no part. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  Host,
  IrqBypassError,
  Msix,
  Vcpu,
  VdpaDevice,
  VfioPciDevice,
  VIRTIO_STATUS,
  Vm,
} from "irqbypass";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import type { DeviceLife } from "#src/device/device-life.js";
import { setTriggers } from "#src/device/trigger-changes.js";
import type { Virtqueue } from "#src/device/virtqueue.js";
import { linuxKind as kindOver } from "#src/linux/kind.js";
import { inside } from "../history/proof.js";
import { linux } from "../linux/available.js";
import { refused, smallHost } from "./support.js";

/** A host, and the same as a thread has it that has no FFI. */
function hosts() {
  const host = smallHost({ kinds: [linuxKind()] });
  const none = () => {
    throw new IrqBypassError("ENOSYS", "this thread has no FFI");
  };
  const there = Host.attach(host.handle, { kinds: [kindOver({ ffi: none, info: none })] });
  return { host, there };
}

describe("a thread without system calls", linux, () => {
  it("is refused what it cannot signal, with all of it masked and pending as before", () => {
    const { host, there } = hosts();
    const nic = new VfioPciDevice(host, { msix: 3 });
    const theirs = VfioPciDevice.open(there, nic.handle);
    const eventfds = [LinuxEventfd.create(host), Eventfd.create(host), LinuxEventfd.create(host)];
    eventfds.forEach((eventfd, number) => {
      nic.setTrigger("msix", number, eventfd);
    });
    const signal = () => {
      for (const number of [0, 1, 2]) nic.vector("msix", number).signal();
    };
    const state = () =>
      [0, 1, 2].map((number) => nic.vector("msix", number)).map((one) => [one.masked, one.pending]);
    nic.functionMask = true;
    signal();
    for (let time = 0; time < 2; time++) {
      refused("ENOSYS", () => (theirs.functionMask = false));
      assert.deepEqual([nic.functionMask, theirs.functionMask], [true, true]);
      assert.deepEqual(state(), [
        [true, true],
        [true, false],
        [true, true],
      ]); // what the host's eventfd has got it has got once
    }
    assert.deepEqual(
      eventfds.map((eventfd) => eventfd.count),
      [0n, 1n, 0n],
    );
    nic.functionMask = false;
    assert.deepEqual([eventfds.map((eventfd) => eventfd.count), nic.functionMask], [[1n, 1n, 1n], false]);

    for (const number of [0, 1, 2]) nic.vector("msix", number).mask();
    signal();
    refused("ENOSYS", () => theirs.vector("msix", 0).unmask());
    theirs.vector("msix", 1).unmask();
    assert.deepEqual(state(), [
      [true, true],
      [false, false],
      [true, true],
    ]);
    for (const number of [0, 2]) nic.vector("msix", number).unmask();
    assert.deepEqual(
      eventfds.map((eventfd) => eventfd.count),
      [2n, 2n, 2n],
    );
    nic.dispose();
    assert.deepEqual(host.audit().findings, []);
  });

  it("stores no part of an entry or of the control register that lets something out which it cannot signal", async () => {
    const { host, there } = hosts();
    host.bypass = false;
    const vm = new Vm(host, { vcpus: 1 });
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    const nic = new VfioPciDevice(host, { msix: 2 });
    const msix = new Msix(vm, nic, () => LinuxEventfd.create(host));
    const theirs = Msix.open(Vm.open(there, vm.handle), msix.handle, () => LinuxEventfd.create(there));
    const next = async () => {
      assert.equal(await vcpu.waitAsync({ timeoutMs: 30_000 }), "interrupt");
      const vector = vcpu.acknowledge();
      vcpu.eoi();
      return vector;
    };
    const vector = nic.vector("msix", 0);
    const state = () => [
      msix.control,
      msix.table.read(0, 16)[8],
      msix.table.read(12, 1)[0],
      msix.pba.read(0, 1)[0],
      vector.masked,
    ];
    msix.table.write(0, new Uint8Array(Uint32Array.of(0xfee00000, 0, 0x41, 0).buffer));
    msix.control = 0x8000;
    msix.table.write(12, [1]);
    vector.signal();
    refused("ENOSYS", () => theirs.table.write(8, new Uint8Array(Uint32Array.of(0x42, 0).buffer)));
    assert.deepEqual(state(), [0x8001, 0x41, 1, 1, true]);
    msix.table.write(8, new Uint8Array(Uint32Array.of(0x43, 0).buffer));
    assert.equal(await next(), 0x43);
    theirs.control = 0xc000;
    vector.signal();
    refused("ENOSYS", () => (theirs.control = 0x8000));
    assert.deepEqual([...state(), nic.functionMask], [0xc001, 0x43, 0, 1, true, true]);
    msix.control = 0x8000;
    assert.equal(await next(), 0x43);
    assert.deepEqual(state(), [0x8001, 0x43, 0, 0, false]);
    msix.dispose();
    nic.dispose();
    vcpu.put();
    vm.dispose();
    assert.deepEqual(host.audit().findings, []);
  });

  it("holds no interrupt back for a change that is through, where it cannot signal what came meanwhile", () => {
    const { host, there } = hosts();
    const disk = new VdpaDevice(host, { queues: 2 });
    const theirs = VdpaDevice.open(there, disk.handle);
    const session = disk.open();
    const eventfds = [LinuxEventfd.create(host), LinuxEventfd.create(host)];
    eventfds.forEach((eventfd, queue) => {
      session.setVringCall(queue, eventfd);
    });
    session.setStatus(VIRTIO_STATUS.driverOk);
    const signal = () => {
      for (const queue of [0, 1]) disk.queue(queue).signal();
    };
    const life = inside<DeviceLife>(theirs, "life");
    refused("ENOSYS", () =>
      life.guard(() =>
        setTriggers(
          life,
          [0, 1].map((number) => {
            const queue: Virtqueue = theirs.queue(number);
            const change = queue.change(queue.call, "no-driver-ok");
            const set: typeof change.trigger.set = (...how) => {
              signal(); // while both are being changed
              return change.trigger.set(...how);
            };
            return { ...change, trigger: Object.create(change.trigger, { set: { value: set } }) };
          }),
        ),
      ),
    );
    signal();
    assert.deepEqual(
      eventfds.map((eventfd) => eventfd.count),
      [1n, 1n],
    );
    for (const queue of [0, 1]) session.setVringCall(queue, eventfds[queue]!); // what came meanwhile is not lost
    assert.deepEqual(
      eventfds.map((eventfd) => eventfd.count),
      [2n, 2n],
    );
    disk.dispose();
    assert.deepEqual(host.audit().findings, []);
  });
});
