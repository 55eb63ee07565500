/**
 * What was seen on a real kernel and has no counterpart in the software VM's interface, which takes objects and options where
 * KVM takes numbers and flags.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorCode } from "#src/host/errors.js";
import { KVM_CREATE_IRQCHIP, KVM_SET_GSI_ROUTING, KVM_SIGNAL_MSI } from "#src/kvm/ioctl.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { EPOLL_CTL_ADD, EPOLL_EVENT_BYTES, eachWrite } from "#src/linux/epoll.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import { O_CLOEXEC } from "#src/linux/ffi.js";
import { loadFfi } from "#src/linux/koffi.js";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { msi } from "./operation.js";

const outcome = (result: number) => (result >= 0 ? "ok" : errorCode(result));
const EPOLLIN = 1;

describe("KVM alone", kvmTests, () => {
  const machine = (irqchip: "full" | "none" = "full") => {
    using kvm = Kvm.open();
    return new KvmMachine(kvm, { irqchip });
  };

  it("makes an irqchip once", () => {
    using one = machine("none");
    assert.equal(outcome(one.ffi.ioctl(one.fd, KVM_CREATE_IRQCHIP.request, 0)), "ok");
    assert.equal(outcome(one.ffi.ioctl(one.fd, KVM_CREATE_IRQCHIP.request, 0)), "EEXIST");
  });

  it("refuses flags that it does not know, of a table, of its entries and of a message", () => {
    using one = machine();
    const { address, data } = msi(24, 0, 0x41);
    const route = (header: number, entry: number) => {
      const table = new Uint32Array(2 + 12);
      table.set([1, header, 24, 2, entry, 0, address, 0, data]);
      return outcome(one.ffi.ioctlBuffer(one.fd, KVM_SET_GSI_ROUTING.request, table));
    };
    assert.equal(route(0, 0), "ok");
    assert.equal(route(1, 0), "EINVAL");
    assert.equal(route(0, 1), "ok", "the flag that says that there is a device id");
    assert.equal(route(0, 2), "EINVAL");
    const message = (flags: number) =>
      outcome(
        one.ffi.ioctlBuffer(
          one.fd,
          KVM_SIGNAL_MSI.request,
          Uint32Array.of(address, 0, data, flags, 0, 0, 0, 0),
        ),
      );
    assert.equal(message(2), "EINVAL");
    // There is no vCPU that could take it: KVM's -1 is no refusal, and is not taken for one.
    assert.equal(message(0), "EPERM");
    assert.equal(one.signalMsi({ addressLow: address, addressHigh: 0, data }), false);
    one.createVcpu();
    assert.equal(message(0), "ok");
  });

  it("leaves nothing for who polls an eventfd that has an irqfd", () => {
    using one = machine();
    const { ffi } = one;
    using eventfd = EventfdFile.create(ffi);
    const epoll = ffi.epollCreate(O_CLOEXEC);
    const events = new DataView(new ArrayBuffer(EPOLL_EVENT_BYTES));
    ffi.epollControl(epoll, EPOLL_CTL_ADD, eventfd.fd, eachWrite(1, 0));
    const ready = () => ffi.epollWait(epoll, events, 1, 0);
    eventfd.write();
    assert.equal(ready(), 1);
    eventfd.read();
    one.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    eventfd.write();
    assert.equal(ready(), 0);
    one.deassignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    eventfd.write();
    assert.equal(ready(), 1);
    ffi.close(epoll);
  });
});

describe("an eventfd of the kernel alone", linux, () => {
  const ffi = linux.skip === false ? loadFfi() : undefined!;

  it("takes 8 bytes, no fewer and no more to write", () => {
    using eventfd = EventfdFile.create(ffi, { count: 1 });
    assert.equal(outcome(ffi.write(eventfd.fd, new Uint8Array(4))), "EINVAL");
    assert.equal(outcome(ffi.write(eventfd.fd, new BigUint64Array(2))), "EINVAL");
    assert.equal(outcome(ffi.read(eventfd.fd, new Uint8Array(4))), "EINVAL");
    assert.equal(ffi.read(eventfd.fd, new BigUint64Array(2)), 8);
  });

  it("is writable as long as 1 fits", () => {
    const EPOLLOUT = 4;
    using eventfd = EventfdFile.create(ffi);
    const epoll = ffi.epollCreate(O_CLOEXEC);
    const wanted = eachWrite(1, 0);
    wanted.setInt32(0, EPOLLIN | EPOLLOUT, true);
    ffi.epollControl(epoll, EPOLL_CTL_ADD, eventfd.fd, wanted);
    const events = new DataView(new ArrayBuffer(EPOLL_EVENT_BYTES));
    const ready = () => (ffi.epollWait(epoll, events, 1, 0) === 1 ? events.getInt32(0, true) : 0);
    assert.equal(ready(), EPOLLOUT);
    eventfd.write(2n ** 64n - 3n);
    assert.equal(ready(), EPOLLIN | EPOLLOUT);
    eventfd.write();
    assert.equal(ready(), EPOLLIN);
    ffi.close(epoll);
  });
});
