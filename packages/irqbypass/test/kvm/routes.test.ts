/** A KVM guest's routes one by one, and what of it other threads reach. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, Msix, Producer, type RawMsi, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { KVM_SET_GSI_ROUTING } from "#src/kvm/ioctl.js";
import { TestThread } from "../support/worker.js";
import { kvmTests } from "./available.js";

const kinds = () => [linux(), kvm()];
const THREADS = 3;

function setUp(vcpus = 1) {
  const host = Host.create({ kinds: kinds() });
  const vm = new KvmVm(host, { vcpus });
  const created: Disposable[] = [];
  return {
    host,
    vm,
    /** An eventfd whose descriptor goes with the test. */
    eventfd() {
      const eventfd = LinuxEventfd.create(host);
      created.push(eventfd);
      return eventfd;
    },
    requested: (vcpu = 0) => requestedVectors(vm.machine.vcpus[vcpu]!.lapic()),
    sound: () => assert.deepEqual(host.audit().findings, []),
    [Symbol.dispose]() {
      vm.dispose();
      for (const one of created) one[Symbol.dispose]();
      host.dispose();
    },
  };
}

describe("single routes of a KVM guest", kvmTests, () => {
  it("are given out from behind the pins on, and lead in KVM where they say: by the eventfd and by a device", () => {
    using t = setUp(2);
    const route = t.vm.routeMsi({ vcpu: 0, vector: 0x41 });
    assert.equal(route.gsi, 24);
    const eventfd = t.eventfd();
    const irqfd = t.vm.irqfd(eventfd, route.gsi);
    eventfd.signal();
    assert.deepEqual(t.requested(), [0x41]);
    route.change({ vcpu: 1, vector: 0x42 });
    eventfd.signal();
    using nic = Producer.create(t.host);
    nic.register(eventfd);
    assert.equal(irqfd.path, "injected");
    route.change({ address: 0xfee01000, data: 0x43 });
    nic.signal();
    assert.deepEqual([t.requested(), t.requested(1)], [[0x41], [0x42, 0x43]]);
    route.dispose();
    assert.deepEqual([irqfd.path, irqfd.reason], ["irqfd", "no-route"]);
    nic.signal();
    eventfd.signal();
    assert.deepEqual([t.requested(), t.requested(1)], [[0x41], [0x42, 0x43]]);
    t.sound();
  });

  it("that are made before their irqfds are known to KVM when those come, and the default pins with them", () => {
    using t = setUp();
    const routes = [0x41, 0x42, 0x43].map((vector) => t.vm.routeMsi({ vcpu: 0, vector }));
    for (const { gsi } of routes) {
      const eventfd = t.eventfd();
      t.vm.irqfd(eventfd, gsi, { bypass: "off" });
      eventfd.signal();
    }
    assert.deepEqual(t.requested(), [0x41, 0x42, 0x43]);
    t.vm.machine.setIrqLine(10, true);
    assert.notEqual(t.vm.machine.ioapic().irr & (1 << 10), 0);
    t.sound();
  });

  it("reach whom the lower half of an address names, whatever is in the upper half", () => {
    using t = setUp(2);
    using software = new Vm(t.host, { vcpus: 2, apic: { longIds: false } });
    using vcpu = Vcpu.open(t.host, software.vcpu(1).handle);
    const halves = [0, 1, 0xff, 0x100, 0xffff_ff00, 0xffff_ffff];
    const each = (vector: number, send: (msi: RawMsi) => void) => {
      for (const [n, addressHigh] of halves.entries())
        send({ address: 0xfee01000, addressHigh, data: vector + n });
      const vectors = halves.map((_, n) => vector + n);
      assert.deepEqual([t.requested(0), t.requested(1).filter((one) => one >= vector)], [[], vectors]);
    };
    // What KVM does itself.
    each(0x30, ({ address, addressHigh = 0, data }) =>
      t.vm.machine.signalMsi({ addressLow: address, addressHigh, data }),
    );
    each(0x40, (msi) => {
      t.vm.signalMsi(msi);
      software.signalMsi(msi);
      assert.equal(vcpu.acknowledge(), msi.data);
      vcpu.eoi();
    });
    const eventfd = t.eventfd();
    each(0x50, (msi) => {
      t.vm.setGsiRouting([{ gsi: 40, msi }]);
      using irqfd = t.vm.irqfd(eventfd, 40);
      eventfd.signal();
      assert.equal(irqfd.path, "irqfd");
    });
    using device = Producer.create(t.host);
    device.register(eventfd);
    each(0x60, (msi) => {
      using route = t.vm.routeMsi(msi);
      using irqfd = t.vm.irqfd(eventfd, route.gsi);
      device.signal();
      assert.equal(irqfd.path, "injected");
    });
    using nic = new VfioPciDevice(t.host, { msix: 1 });
    const msix = new Msix(t.vm, nic, () => t.eventfd());
    msix.control = 0x8000;
    each(0x70, ({ address, addressHigh = 0, data }) => {
      msix.table.write(0, new Uint8Array(Uint32Array.of(address, addressHigh, data, 0).buffer));
      nic.vector("msix", 0).signal();
    });
    t.sound();
  });

  it("end with a whole table, and one of that is changed by itself", () => {
    using t = setUp();
    const single = t.vm.routeMsi({ vcpu: 0, vector: 0x41 });
    t.vm.setGsiRouting([{ gsi: 40, msi: { vcpu: 0, vector: 0x50 } }]);
    assert.throws(() => single.change({ vcpu: 0, vector: 0x42 }), {
      code: "EBADF",
      message: /setGsiRouting/,
    });
    single.dispose();
    const eventfd = t.eventfd();
    t.vm.irqfd(eventfd, 40);
    t.vm.route(40).change({ vcpu: 0, vector: 0x51 });
    eventfd.signal();
    assert.deepEqual(t.requested(), [0x51]);
    assert.equal(t.vm.routeMsi({ vcpu: 0, vector: 0x41 }).gsi, 0);
    t.sound();
  });

  it("are refused where bypass is required and could not be, with everything as before", () => {
    using t = setUp();
    const route = t.vm.routeMsi({ vcpu: 0, vector: 0x41 });
    const eventfd = t.eventfd();
    const irqfd = t.vm.irqfd(eventfd, route.gsi, { bypass: "require" });
    using nic = Producer.create(t.host);
    nic.register(eventfd);
    assert.throws(() => route.dispose(), { code: "EOPNOTSUPP", reason: "no-route" });
    assert.throws(() => t.vm.routeMsi({ vcpu: 1, vector: 0x41 }), {
      code: "EINVAL",
      message: /vCPU 0 alone/,
    });
    nic.signal();
    assert.deepEqual([irqfd.path, t.requested()], ["injected", [0x41]]);
    t.sound();
  });

  it("give back what they took: injections, routes and tables", () => {
    using t = setUp();
    t.vm.setGsiRouting([]);
    const live = () => {
      const { route, routing, injection } = t.host.pools;
      return [route.live, routing.live, injection.live];
    };
    const before = live();
    for (let turn = 0; turn < 20; turn++) {
      const route = t.vm.routeMsi({ vcpu: 0, vector: 0x41 });
      const eventfd = t.eventfd();
      const irqfd = t.vm.irqfd(eventfd, route.gsi);
      route.change({ vcpu: 0, vector: 0x42 });
      route.change({ address: 0xfee05000, data: 0x42 });
      if (turn % 2) route.dispose();
      irqfd.dispose();
      route.dispose();
    }
    assert.deepEqual(live(), before);
  });
});

describe("a KVM guest", kvmTests, () => {
  it("takes a message of any thread's, and says whether a local APIC did", () => {
    using t = setUp();
    assert.equal(t.vm.signalMsi({ vcpu: 0, vector: 0x61 }), 1);
    assert.equal(t.vm.signalMsi({ address: 0xfee05000, data: 0x61 }), 0);
    assert.deepEqual(t.requested(), [0x61]);
    assert.throws(() => t.vm.signalMsi({ vcpu: 3, vector: 0x61 }), { code: "EINVAL" });
  });

  it("takes a message while another thread gives KVM a table", () => {
    const own = linux();
    const host = Host.create({ kinds: [own, kvm()] });
    using vm = new KvmVm(host);
    const there = Host.attach(host.handle, { kinds: kinds() });
    const opened = KvmVm.open(there, vm.handle);
    const ffi = own.ffi();
    const { ioctlBuffer } = ffi;
    const took: number[] = [];
    ffi.ioctlBuffer = (fd, request, argument) => {
      if (request === KVM_SET_GSI_ROUTING.request) took.push(opened.signalMsi({ vcpu: 0, vector: 0x61 }));
      return ioctlBuffer(fd, request, argument);
    };
    vm.setGsiRouting([]);
    assert.deepEqual(took, [1]);
    there.dispose();
  });

  it("deassigns by eventfd and GSI, once", () => {
    using t = setUp();
    const eventfd = t.eventfd();
    t.vm.irqfd(eventfd, 30);
    assert.deepEqual(
      [t.vm.deassign(eventfd, 31), t.vm.deassign(eventfd, 30), t.vm.deassign(eventfd, 30)],
      [false, true, false],
    );
    t.vm.irqfd(eventfd, 30); // free for another
    t.sound();
  });

  it("opened by a handle is the same guest: routes, irqfds, messages, and its end", () => {
    using t = setUp();
    const there = Host.attach(t.host.handle, { kinds: kinds() });
    const vm = KvmVm.open(there, t.vm.handle);
    assert.deepEqual([vm.id, vm.vcpus, JSON.stringify(vm)], [t.vm.id, 1, `{"id":${vm.id},"vcpus":1}`]);
    const route = vm.routeMsi({ vcpu: 0, vector: 0x41 });
    const eventfd = t.eventfd();
    const irqfd = vm.irqfd(LinuxEventfd.open(there, eventfd.handle), route.gsi);
    t.vm.route(route.gsi).change({ vcpu: 0, vector: 0x42 });
    eventfd.signal();
    vm.signalMsi({ vcpu: 0, vector: 0x43 });
    assert.deepEqual(t.requested(), [0x42, 0x43]);
    assert.equal(t.vm.deassign(eventfd, route.gsi), true);
    assert.throws(() => irqfd.path, { code: "EBADF" });
    const software = new Vm(t.host);
    assert.throws(() => KvmVm.open(there, software.handle as number), {
      code: "ESTALE",
      message: /Vm\.open opens it/,
    });
    assert.throws(() => Vm.open(there, t.vm.handle as number), {
      code: "ESTALE",
      message: /KvmVm\.open opens it/,
    });
    software.dispose();
    const { handle } = t.vm;
    t.vm.dispose();
    for (const use of [
      () => vm.routeMsi({ vcpu: 0, vector: 0x41 }),
      () => vm.signalMsi({ vcpu: 0, vector: 0x41 }),
      () => vm.irqfd(eventfd, 24),
      () => vm.deassign(eventfd, 24),
      () => vm.setGsiRouting([]),
    ])
      assert.throws(use, { code: "EBADF" });
    assert.throws(() => KvmVm.open(there, handle), { code: "ESTALE" });
    there.dispose();
  });

  it("has its routes changed by several threads at once, each its own, and KVM has the newest of all", async () => {
    using t = setUp();
    const threads = Array.from(
      { length: THREADS },
      (_, index) =>
        new TestThread(new URL("./routes-thread.js", import.meta.url), {
          host: t.host.handle,
          vm: t.vm.handle,
          first: 0x40 + index * 0x20,
        }),
    );
    const said = await Promise.all(threads.map((thread) => thread.next<number[][]>()));
    assert.deepEqual(new Set(said.flat().map(([gsi]) => gsi)).size, said.flat().length);
    t.sound();
    for (const [gsi, vector] of said.flat()) {
      const eventfd = t.eventfd();
      t.vm.irqfd(eventfd, gsi!, { bypass: "off" });
      eventfd.signal();
      assert.ok(t.requested().includes(vector!), `GSI ${gsi} does not lead to vector ${vector}`);
    }
    await Promise.all(threads.map(({ done }) => done));
  });
});
