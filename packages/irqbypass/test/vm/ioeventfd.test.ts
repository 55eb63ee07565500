/** Ioeventfds of a software VM: which stores they take, what is refused, and how they end. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { Eventfd, Host, type IoeventfdOptions, IrqBypassError, MAX_COUNT, Vcpu, Vm } from "irqbypass";
import { liveRecords, smallHost } from "../support/host.js";

let host: Host;
let vm: Vm;
let notify: Eventfd;
beforeEach(() => {
  host = smallHost();
  vm = new Vm(host);
  notify = Eventfd.create(host);
});

const AT = 0xfe00_3000;
const code = (call: () => unknown) => {
  try {
    call();
    return "ok";
  } catch (error) {
    assert.ok(error instanceof IrqBypassError, String(error));
    return error.code;
  }
};

describe("a store of the guest", () => {
  it("signals the ioeventfd that takes it, once, and only that", () => {
    const other = Eventfd.create(host);
    vm.ioeventfd({ address: AT, length: 4 }, notify);
    vm.ioeventfd({ address: AT + 4, length: 4, space: "mmio" }, other);
    assert.equal(vm.write("mmio", AT, 4, 7), true);
    assert.deepEqual([notify.tryRead(), other.tryRead()], [1n, undefined]);
    for (let i = 0; i < 3; i++) vm.write("mmio", BigInt(AT), 4, BigInt(i));
    assert.equal(notify.tryRead(), 3n);
  });

  it("is the emulator's where it has another length, address, bus or value", () => {
    vm.ioeventfd({ address: AT, length: 2, datamatch: 0x8001 }, notify);
    const stores = [
      ["mmio", AT, 4, 0x8001],
      ["mmio", AT, 1, 1],
      ["mmio", AT + 1, 2, 0x8001],
      ["pio", AT, 2, 0x8001],
      ["mmio", AT, 2, 0x8002],
    ] as const;
    for (const [space, address, length, value] of stores)
      assert.equal(vm.write(space, address, length, value), false, `${space} ${address} ${length} ${value}`);
    assert.equal(notify.count, 0n);
    assert.equal(vm.write("mmio", AT, 2, 0x8001), true);
    assert.equal(vm.write("mmio", AT, 2, 0x8001 - 0x1_0000), true, "the same bytes, read with a sign");
    assert.equal(notify.count, 2n);
  });

  it("has addresses and values of 64 bits, exactly", () => {
    const top = 2n ** 64n - 9n;
    vm.ioeventfd({ address: top, length: 8, datamatch: 2n ** 64n - 1n }, notify);
    vm.ioeventfd({ address: 2n ** 53n + 1n, length: 8, datamatch: 2n ** 53n + 1n }, notify);
    assert.equal(vm.write("mmio", top, 8, 2n ** 64n - 1n), true);
    assert.equal(vm.write("mmio", top, 8, -1), true);
    assert.equal(vm.write("mmio", top, 8, 2n ** 64n - 2n), false);
    assert.equal(vm.write("mmio", 2n ** 53n, 8, 2n ** 53n + 1n), false);
    assert.equal(vm.write("mmio", 2n ** 53n + 1n, 8, 2n ** 53n), false);
    assert.equal(vm.write("mmio", 2n ** 53n + 1n, 8, 2n ** 53n + 1n), true);
    assert.equal(notify.count, 3n);
  });

  it("of any length is taken by one of length 0", () => {
    vm.ioeventfd({ address: 0x20, space: "pio" }, notify);
    for (let length = 1; length <= 8; length++) assert.equal(vm.write("pio", 0x20, length, 1), true);
    assert.equal(notify.count, 8n);
  });

  it("leaves a full counter as the kernel's own signal does", () => {
    notify.write(MAX_COUNT);
    vm.ioeventfd({ address: AT, length: 4 }, notify);
    for (let i = 0; i < 3; i++) assert.equal(vm.write("mmio", AT, 4, 0), true);
    assert.equal(notify.tryRead(), 2n ** 64n - 1n);
  });

  it("raises the interrupt of an irqfd that listens to the same eventfd", () => {
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
    using irqfd = vm.irqfd(notify, 24);
    vm.ioeventfd({ address: AT, length: 4 }, notify);
    assert.equal(vm.write("mmio", AT, 4, 0), true);
    irqfd.dispose(); // makes what is due
    assert.equal(notify.count, 0n);
    using vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    assert.equal(vcpu.acknowledge(), 0x41);
    assert.equal(host.audit().findings.length, 0);
  });

  it("through another thread's handle finds what comes and goes", () => {
    const there = Host.attach(host.handle);
    const again = Vm.open(there, vm.handle);
    assert.equal(again.write("mmio", AT, 4, 0), false);
    const doorbell = vm.ioeventfd({ address: AT, length: 4 }, notify);
    assert.equal(again.write("mmio", AT, 4, 0), true);
    doorbell.dispose();
    assert.equal(again.write("mmio", AT, 4, 0), false);
    assert.equal(notify.count, 1n);
    const { handle } = vm;
    vm.dispose();
    assert.equal(
      code(() => again.write("mmio", AT, 4, 0)),
      "EBADF",
    );
    assert.equal(
      code(() => vm.write("mmio", AT, 4, 0)),
      "EBADF",
    );
    assert.equal(
      code(() => Vm.open(there, handle)),
      "ESTALE",
    );
    const next = new Vm(host);
    next.ioeventfd({ address: AT, length: 4 }, notify);
    assert.equal(
      code(() => again.write("mmio", AT, 4, 0)),
      "EBADF",
      "the next VM in the record",
    );
    there.dispose();
  });

  it("is refused where it is none", () => {
    const stores = [
      ["ccw", AT, 4, 1],
      ["mmio", -1, 4, 1],
      ["mmio", 2 ** 53, 4, 1],
      ["mmio", 2n ** 64n, 4, 1],
      ["mmio", 0.5, 4, 1],
      ["mmio", "1", 4, 1],
      ["mmio", AT, 0, 1],
      ["mmio", AT, 9, 1],
      ["mmio", AT, 4, 2 ** 32],
      ["mmio", AT, 4, -(2 ** 31) - 1],
      ["mmio", AT, 1, 0.5],
      ["mmio", AT, 8, 2 ** 53],
      ["mmio", AT, 4, undefined],
    ] as const;
    for (const store of stores) {
      assert.equal(
        code(() => vm.write(...(store as unknown as Parameters<Vm["write"]>))),
        "EINVAL",
        store.join(" "),
      );
    }
  });
});

describe("an assign", () => {
  it("is refused for what KVM_IOEVENTFD refuses, with nothing left behind", () => {
    const before = liveRecords(host);
    const wrong = [
      { address: AT, length: 3 },
      { address: AT, length: 16 },
      { address: AT, length: -1 },
      { address: 2n ** 64n - 2n, length: 4 },
      { address: 2n ** 64n - 4n, length: 4 },
      { address: AT, datamatch: 1 },
      { address: AT, length: 0, datamatch: 1 },
      { address: AT, length: 1, datamatch: -1 },
      { address: AT, length: 4, space: "ccw" },
      { address: AT, length: 4, lenght: 4 },
      { length: 4 },
    ];
    for (const options of wrong)
      assert.equal(
        code(() => vm.ioeventfd(options as unknown as IoeventfdOptions, notify)),
        "EINVAL",
        inspect(options),
      );
    const closed = Eventfd.create(host);
    closed.close();
    assert.equal(
      code(() => vm.ioeventfd({ address: AT, length: 4 }, closed)),
      "EBADF",
    );
    const foreign = Eventfd.create(smallHost());
    assert.equal(
      code(() => vm.ioeventfd({ address: AT, length: 4 }, foreign)),
      "EXDEV",
    );
    assert.deepEqual(liveRecords(host), before);
  });

  it("beside another one is EEXIST exactly where both could take one store", () => {
    const assign = (options: IoeventfdOptions) => code(() => vm.ioeventfd(options, notify));
    const steps: readonly (readonly [IoeventfdOptions, string])[] = [
      [{ address: 0x1000, length: 4 }, "ok"],
      [{ address: 0x1000, length: 4 }, "EEXIST"],
      [{ address: 0x1002, length: 2 }, "ok"],
      [{ address: 0x1000, length: 2 }, "ok"],
      [{ address: 0x1000, length: 8 }, "ok"],
      [{ address: 0x1000, length: 4, datamatch: 5 }, "EEXIST"],
      [{ address: 0x1000 }, "EEXIST"],
      [{ address: 0x1000, length: 4, space: "pio" }, "ok"],
      [{ address: 0x2000, length: 4, datamatch: 1 }, "ok"],
      [{ address: 0x2000, length: 4, datamatch: 2 }, "ok"],
      [{ address: 0x2000, length: 4, datamatch: 2n }, "EEXIST"],
      [{ address: 0x2000, length: 4 }, "EEXIST"],
      [{ address: 0x2000, length: 2, datamatch: 1 }, "ok"],
      [{ address: 0x3000 }, "ok"],
      [{ address: 0x3000, length: 4 }, "EEXIST"],
      [{ address: 0x3000, length: 4, datamatch: 1 }, "EEXIST"],
      [{ address: 0x7000, length: 1, datamatch: 1 }, "ok"],
      [{ address: 0x7000, length: 1, datamatch: 0x101 }, "ok"],
    ];
    for (const [options, outcome] of steps) assert.equal(assign(options), outcome, inspect(options));
    assert.equal(vm.write("mmio", 0x7000, 1, 1), true);
    assert.equal(vm.ioeventfds().length, steps.filter(([, outcome]) => outcome === "ok").length);
  });

  it("is read, printed and listed", () => {
    const options = { address: 2n ** 60n, length: 8, datamatch: 2n ** 63n, space: "pio" } as const;
    using doorbell = vm.ioeventfd(options, notify);
    const { space, address, length, datamatch, eventfd } = doorbell;
    assert.deepEqual({ space, address, length, datamatch }, options);
    assert.deepEqual(vm.ioeventfds(), [{ ...options, eventfd }]);
    assert.equal(eventfd, notify.id);
    assert.match(
      inspect(doorbell),
      /^Ioeventfd \{ space: 'pio', address: '0x1000000000000000', length: 8, datamatch: '0x8/,
    );
    assert.match(JSON.stringify(doorbell), /"address":"0x1000000000000000"/);
  });
});

describe("a deassign", () => {
  it("ends it, once, and frees its place", () => {
    const before = liveRecords(host);
    const options = { address: AT, length: 4 } as const;
    const doorbell = vm.ioeventfd(options, notify);
    doorbell.dispose();
    doorbell.dispose();
    assert.deepEqual(liveRecords(host), before);
    assert.equal(vm.write("mmio", AT, 4, 0), false);
    using again = vm.ioeventfd(options, notify);
    doorbell.dispose(); // that of before, in the same record
    assert.equal(vm.write("mmio", AT, 4, 0), true);
    assert.equal(
      code(() => doorbell.length),
      "EBADF",
    );
    assert.equal(inspect(doorbell).includes("deassigned"), true);
    assert.equal(again.length, 4);
  });

  it("by what it takes finds exactly that, else ENOENT", () => {
    const other = Eventfd.create(host);
    vm.ioeventfd({ address: AT, length: 4, datamatch: 1 }, notify);
    const deassign = (options: IoeventfdOptions, eventfd = notify) =>
      code(() => vm.deassignIoeventfd(options, eventfd));
    assert.equal(deassign({ address: AT, length: 4, datamatch: 1 }, other), "ENOENT");
    assert.equal(deassign({ address: AT, length: 4, datamatch: 2 }), "ENOENT");
    assert.equal(deassign({ address: AT, length: 4 }), "ENOENT");
    assert.equal(deassign({ address: AT, length: 2, datamatch: 1 }), "ENOENT");
    assert.equal(deassign({ address: AT, length: 3, datamatch: 1 } as unknown as IoeventfdOptions), "ENOENT");
    assert.equal(deassign({ address: AT, length: 4, datamatch: 1, space: "pio" }), "ENOENT");
    assert.equal(deassign({ address: AT + 1, length: 4, datamatch: 1 }), "ENOENT");
    assert.equal(deassign({ address: BigInt(AT), length: 4, datamatch: 1n }), "ok");
    assert.equal(deassign({ address: AT, length: 4, datamatch: 1 }), "ENOENT");
  });

  it("is not needed for the last close of the eventfd, nor done by it: it goes on taking stores", () => {
    const before = liveRecords(host);
    const doorbell = vm.ioeventfd({ address: AT, length: 4 }, notify);
    notify.close();
    assert.equal(vm.write("mmio", AT, 4, 0), true);
    assert.equal(
      code(() => vm.ioeventfd({ address: AT, length: 4 }, Eventfd.create(host))),
      "EEXIST",
    );
    assert.deepEqual(host.audit().findings, []);
    doorbell.dispose();
    assert.equal(liveRecords(host).eventfd, before.eventfd);
  });

  it("of all of them comes with the end of the VM", () => {
    const before = liveRecords(host);
    const second = new Vm(host);
    for (let i = 0; i < 20; i++) second.ioeventfd({ address: AT + i, length: 1 }, notify);
    second.dispose();
    assert.deepEqual(liveRecords(host), before);
    assert.deepEqual(host.audit().findings, []);
  });
});
