import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Producer } from "#src/bypass/producer.js";
import { Eventfd } from "#src/eventfd/eventfd.js";
import { bootGuest } from "#src/kvm/guest.js";
import { kvm } from "#src/kvm/kind.js";
import { requestedVectors } from "#src/kvm/structs.js";
import { KvmVm } from "#src/kvm/vm.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import { linux } from "#src/linux/kind.js";
import { Host } from "#src/vm/host.js";
import { settledDescriptors } from "../linux/descriptors.js";
import { kvmTests } from "./available.js";
import type { DeviceData, DeviceReport } from "./device.js";
import { eventually } from "./eventually.js";

const SIGNALS = 1000;
const CAPACITY = { eventfd: 64, producer: 64, consumer: 64, vm: 8, vcpu: 16, route: 256, routing: 16 };

function setUp(vcpus = 1) {
  const host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY });
  const vm = new KvmVm(host, { vcpus });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  return {
    host,
    vm,
    /** The vectors that wait in vCPU 0, which must not be running. */
    requested: () => requestedVectors(vm.machine.vcpus[0]!.lapic()),
    [Symbol.dispose]() {
      vm.dispose();
      host.dispose();
    },
  };
}

/** A device in a thread of its own; `registered` resolves when its producer is. */
function device(host: Host, vm: KvmVm, eventfd: LinuxEventfd, options: Partial<DeviceData> = {}) {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const workerData: DeviceData = {
    host: host.handle,
    eventfd: eventfd.handle,
    guest: vm.memory,
    vectors: [0x41],
    signals: SIGNALS,
    capable: true,
    control,
    ...options,
  };
  const worker = new Worker(new URL("./device.js", import.meta.url), { workerData });
  const registered = new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  const report = new Promise<DeviceReport>((resolve, reject) => {
    let said: DeviceReport | undefined;
    worker.on("message", (message: DeviceReport | string) => {
      if (typeof message !== "string") said = message;
    });
    worker.once("error", reject);
    worker.once("exit", () =>
      said === undefined ? reject(new Error("the device said nothing")) : resolve(said),
    );
  });
  report.catch(() => {}); // a failure before it is awaited is told by `registered`
  return { registered, report, control };
}

describe("a KVM guest on a host", kvmTests, () => {
  it("gets one injection for each signal of another thread, in lock-step", async () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    const irqfd = t.vm.irqfd(eventfd, 24);
    t.vm.start();
    const { registered, report } = device(t.host, t.vm, eventfd);
    await registered;
    const { path, reason, signals } = await report;
    assert.deepEqual([path, reason, signals], ["injected", undefined, SIGNALS]);
    assert.equal(t.vm.tables(0).count[0x41], SIGNALS);
    assert.equal(eventfd.count, 0n, "no signal went through the eventfd");
    assert.deepEqual([irqfd.path, irqfd.reason], ["irqfd", "no-producer"]);
    await t.vm.stop();
  });

  it("gets one interrupt through the eventfd for each signal, in lock-step", async () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    const irqfd = t.vm.irqfd(eventfd, 24, { bypass: "off" });
    t.vm.start();
    const { report } = device(t.host, t.vm, eventfd);
    const { path, reason, signals } = await report;
    assert.deepEqual([path, reason, signals], ["irqfd", "policy-off", SIGNALS]);
    assert.deepEqual([irqfd.path, irqfd.reason], ["irqfd", "policy-off"]);
    assert.equal(t.vm.tables(0).count[0x41], SIGNALS);
    await t.vm.stop();
  });

  it("is reached through the eventfd by a thread that cannot make system calls, and that says so", async () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    const irqfd = t.vm.irqfd(eventfd, 24);
    t.vm.start();
    const { report, registered } = device(t.host, t.vm, eventfd, { capable: false, signals: 50 });
    await registered;
    const { path, reason } = await report;
    assert.deepEqual([path, reason], ["irqfd", "no-capability"]);
    assert.equal(t.vm.tables(0).count[0x41], 50);
    assert.equal(irqfd.path, "irqfd");
    await t.vm.stop();
  });

  it("counts what is injected to a vCPU that it does not have", () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    using irqfd = t.vm.irqfd(eventfd, 24);
    using nic = Producer.create(t.host);
    nic.register(eventfd);
    assert.equal(irqfd.path, "injected");
    nic.signal();
    assert.equal(t.host.interrupts()[0]?.dropped, undefined);
    t.vm.setGsiRouting([{ gsi: 24, msi: { address: 0xfee05000, data: 0x41 } }]);
    nic.signal();
    nic.signal();
    assert.deepEqual(t.host.interrupts()[0]?.dropped, { count: 2, reason: "no-vcpu" });
  });

  it("may change routes while a device signals: nothing is lost, nothing takes the old route", async () => {
    using t = setUp();
    const vectors = [0x41, 0x52];
    using eventfd = LinuxEventfd.create(t.host);
    t.vm.irqfd(eventfd, 24);
    t.vm.start();
    const { report, registered, control } = device(t.host, t.vm, eventfd, { vectors, signals: 1_000_000 });
    await registered;
    const { count } = t.vm.tables(0);
    const arrived = () => vectors.reduce((all, vector) => all + Atomics.load(count, vector), 0);
    for (let turn = 1; turn <= 100; turn++) {
      Atomics.add(control, 0, 1);
      t.vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: vectors[turn % 2]! } }]);
      Atomics.add(control, 0, 1);
      const seen = arrived();
      eventually(
        () => arrived() >= seen + 3,
        () => "the device goes on",
      );
    }
    Atomics.store(control, 1, 1);
    const { signals, steady, stale } = await report;
    assert.equal(arrived(), signals);
    assert.equal(stale, 0);
    assert.ok(steady >= 100, `${steady} of ${signals} signals fell between two changes`);
    await t.vm.stop();
    assert.equal(t.host.pools.injection.live, 1, "one record for the route of now");
  });

  it("says the path and the reason of each irqfd", () => {
    using t = setUp();
    t.vm.setGsiRouting([
      { gsi: 24, msi: { vcpu: 0, vector: 0x41 } },
      { gsi: 10, irqchip: { chip: "ioapic", pin: 10 } },
      { gsi: 11, irqchip: { chip: "ioapic", pin: 11 } },
      { gsi: 11, irqchip: { chip: "pic-slave", pin: 3 } },
    ]);
    using eventfd = LinuxEventfd.create(t.host);
    using producer = Producer.create(t.host);
    for (const [gsi, path, reason] of [
      [24, "injected", undefined],
      [10, "irqfd", "not-msi"],
      [11, "irqfd", "several-routes"],
      [12, "irqfd", "no-route"],
      [0xffff_ffff, "irqfd", "no-route"],
    ] as const) {
      using irqfd = t.vm.irqfd(eventfd, gsi);
      // The worst of them: where there is no route, signals are dropped.
      const isDropped = reason === "no-route";
      const alone = isDropped ? ["no-route", "no-producer"] : ["no-producer", ...(reason ? [reason] : [])];
      assert.deepEqual([irqfd.path, irqfd.reason, irqfd.reasons], ["irqfd", alone[0], alone]);
      producer.register(eventfd);
      assert.deepEqual([irqfd.path, irqfd.reason], [path, reason], `GSI ${gsi}`);
      assert.deepEqual([producer.path, producer.reason], [path, reason], `GSI ${gsi}`);
      t.host.bypass = false;
      assert.deepEqual([irqfd.path, irqfd.reason], ["irqfd", isDropped ? "no-route" : "switched-off"]);
      t.host.bypass = true;
      assert.equal(irqfd.path, path);
      producer.unregister();
      assert.equal(irqfd.reason, alone[0]);
    }
  });

  it("starts with the routes that KVM gives it", () => {
    using host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY });
    using vm = new KvmVm(host);
    using eventfd = LinuxEventfd.create(host);
    using producer = Producer.create(host);
    producer.register(eventfd);
    for (const [gsi, reason] of [
      [23, "not-msi"],
      [4, "several-routes"],
      [24, "no-route"],
    ] as const) {
      using irqfd = vm.irqfd(eventfd, gsi);
      assert.equal(irqfd.reason, reason, `GSI ${gsi}`);
    }
  });

  it("with bypass required refuses what would not be bypassed, and stays as it was", () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    using producer = Producer.create(t.host);
    producer.register(eventfd);
    const refused = (reason: string) => ({ code: "EOPNOTSUPP", reason });
    assert.throws(() => t.vm.irqfd(eventfd, 12, { bypass: "require" }), refused("no-route"));
    assert.equal(t.host.pools.consumer.live, 0);
    const irqfd = t.vm.irqfd(eventfd, 24, { bypass: "require" });
    assert.equal(irqfd.path, "injected");
    assert.throws(() => t.vm.setGsiRouting([]), refused("no-route"));
    assert.throws(
      () => t.vm.setGsiRouting([{ gsi: 24, irqchip: { chip: "ioapic", pin: 3 } }]),
      refused("not-msi"),
    );
    assert.throws(() => {
      t.host.bypass = false;
    }, refused("switched-off"));
    assert.equal(irqfd.path, "injected");
    producer.signal();
    assert.deepEqual(t.requested(), [0x41]);
    producer.unregister();
    assert.deepEqual([irqfd.path, irqfd.reason], ["irqfd", "no-producer"], "a lone end is relayed");
    t.vm.setGsiRouting([]);
    assert.throws(() => producer.register(eventfd), refused("no-route"));
    assert.equal(producer.registered, false);
    t.vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x42 } }]);
    producer.register(eventfd);
    assert.equal(irqfd.path, "injected");
  });

  it("hears other writers of a connected eventfd too", () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    using _irqfd = t.vm.irqfd(eventfd, 24);
    using producer = Producer.create(t.host);
    producer.register(eventfd);
    t.vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x43 } }]);
    eventfd.write(0);
    assert.deepEqual(t.requested(), [0x43], "KVM_IRQFD stays assigned, and follows the route");
    t.vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x44 } }]);
    producer.signal();
    assert.deepEqual(t.requested(), [0x43, 0x44]);
  });

  it("takes a level-triggered irqfd with its resample eventfd", () => {
    using t = setUp();
    t.vm.setGsiRouting([{ gsi: 10, irqchip: { chip: "ioapic", pin: 10 } }]);
    using eventfd = LinuxEventfd.create(t.host);
    using resample = LinuxEventfd.create(t.host);
    const asserted = () => (t.vm.machine.ioapic().irr & (1 << 10)) !== 0;
    const irqfd = t.vm.irqfd(eventfd, 10, { resample });
    eventfd.write();
    eventually(asserted, () => "the line was raised, and stays: an edge would be gone");
    irqfd.dispose();
    assert.equal(asserted(), false, "deassign lets the line down");
    const shared = Eventfd.create(t.host);
    assert.throws(() => t.vm.irqfd(eventfd, 10, { resample: shared }), {
      code: "EINVAL",
      message: /LinuxEventfd\.create/,
    });
    shared.close();
    resample.close();
    assert.throws(() => t.vm.irqfd(eventfd, 10, { resample }), { code: "EBADF" });
    assert.deepEqual([t.host.pools.consumer.live, t.host.pools.eventfd.live], [0, 1]);
  });

  it("after deassign leaves the eventfd to others, read out", () => {
    using t = setUp();
    using other = new KvmVm(t.host);
    using eventfd = LinuxEventfd.create(t.host, { count: 4 });
    using producer = Producer.create(t.host);
    const irqfd = t.vm.irqfd(eventfd, 24);
    producer.register(eventfd);
    assert.throws(() => other.irqfd(eventfd, 24), { code: "EBUSY", message: /has an irqfd already/ });
    irqfd.dispose();
    irqfd.dispose();
    assert.throws(() => irqfd.path, { code: "EBADF" });
    assert.deepEqual([producer.path, producer.reason], ["relayed", "no-consumer"]);
    assert.equal(eventfd.count, 0n);
    assert.equal(t.host.pools.injection.live, 0);
    const pending = t.requested();
    producer.signal();
    eventfd.write(2);
    assert.equal(eventfd.count, 3n, "signals only count now");
    assert.deepEqual(t.requested(), pending);
    other.setGsiRouting([{ gsi: 30, msi: { vcpu: 0, vector: 0x61 } }]);
    using _again = other.irqfd(eventfd, 30);
    producer.signal();
    assert.deepEqual(requestedVectors(other.machine.vcpus[0]!.lapic()), [0x61]);
  });

  it("that finds no room for its injection is ENOMEM, with the capacity and the size that would do", () => {
    using host = Host.create({ kinds: [linux(), kvm()], capacity: { ...CAPACITY, injection: 1 } });
    using vm = new KvmVm(host);
    vm.setGsiRouting([24, 25].map((gsi) => ({ gsi, msi: { vcpu: 0, vector: 0x41 } })));
    vm.irqfd(LinuxEventfd.create(host), 24);
    assert.throws(() => vm.irqfd(LinuxEventfd.create(host), 25), {
      code: "ENOMEM",
      subject: "injection",
      message:
        /capacity\.injection is 1, and all are in use: create the host with size "small", which has 512, or/,
    });
    assert.deepEqual(host.audit().findings, []);
  });

  it("starts all of its vCPUs or none: where one cannot be started those before it leave again", async () => {
    let left = 1;
    const spawn = () => {
      if (left-- === 0) throw new Error("no worker left");
      return new Worker(new URL("../../src/kvm/kvm-vcpu-worker.js", import.meta.url));
    };
    const host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY, spawn });
    const vm = new KvmVm(host, { vcpus: 2 });
    assert.throws(() => vm.start(), /no worker left/);
    const running = () => vm.machine.vcpus.filter(({ thread }) => thread?.left === false).length;
    assert.equal(running(), 0);
    left = 2;
    vm.start();
    assert.equal(running(), 2);
    await vm.stop();
    vm.dispose();
    host.dispose();
  });

  it("is deassigned when the last handle of its eventfd is closed", () => {
    using t = setUp();
    const eventfd = LinuxEventfd.create(t.host);
    const irqfd = t.vm.irqfd(eventfd, 24);
    eventfd.close();
    assert.throws(() => irqfd.path, { code: "EBADF" });
    assert.deepEqual([t.host.pools.consumer.live, t.host.pools.eventfd.live], [0, 0]);
  });

  it("may be disposed with live irqfds, and gives everything back", async () => {
    const before = await settledDescriptors();
    const host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY });
    const eventfds = [0, 1, 2].map(() => LinuxEventfd.create(host));
    const producer = Producer.create(host);
    producer.register(eventfds[0]!);
    for (let round = 0; round < 3; round++) {
      const vm = new KvmVm(host, { vcpus: 2 });
      vm.setGsiRouting([0, 1, 2].map((n) => ({ gsi: 24 + n, msi: { vcpu: n % 2, vector: 0x41 + n } })));
      const irqfds = eventfds.map((eventfd, n) => vm.irqfd(eventfd, 24 + n));
      assert.deepEqual(
        irqfds.map(({ path }) => path),
        ["injected", "irqfd", "irqfd"],
      );
      vm.start();
      producer.signal();
      eventually(
        () => vm.tables(0).count[0x41] === 1,
        () => "the guest runs",
      );
      assert.throws(() => host.dispose(), { code: "EBUSY" });
      if (round === 0) await vm.stop();
      vm.dispose();
      vm.dispose();
      assert.equal(producer.path, "relayed");
      producer.signal();
      assert.equal(eventfds[0]!.tryRead(), 1n, "nobody listens any more");
      assert.throws(() => vm.irqfd(eventfds[1]!, 24), { code: "EBADF", message: /was disposed/ });
      assert.throws(() => irqfds[0]!.path, { code: "EBADF" });
      const { consumer, injection, vm: vms } = host.pools;
      assert.deepEqual([consumer.live, injection.live, vms.live], [0, 0, 0]);
    }
    producer.dispose();
    for (const eventfd of eventfds) eventfd.close();
    host.dispose();
    assert.deepEqual(await settledDescriptors(), before);
  });

  it("has a machine and vCPUs that end with it, and not before, and no other vCPUs", () => {
    using t = setUp();
    const { machine } = t.vm;
    const message = new RegExp(`is that of VM ${t.vm.id}: dispose the guest`);
    assert.throws(() => machine[Symbol.dispose](), { code: "EBUSY", message });
    assert.throws(() => machine.vcpus[0]![Symbol.dispose](), { code: "EBUSY", message });
    for (const more of [() => machine.createVcpu(), () => bootGuest(machine, 1)])
      assert.throws(more, { code: "EINVAL", message: /has vCPU 0 alone: make a guest with more/ });
    assert.deepEqual([t.vm.vcpus, t.host.audit().findings], [1, []]);
    t.vm.dispose();
    machine[Symbol.dispose]();
    machine.vcpus[0]![Symbol.dispose]();
    assert.throws(() => machine.fd, { code: "EBADF" });
  });

  it("passes on what KVM says", () => {
    using t = setUp();
    using eventfd = LinuxEventfd.create(t.host);
    using theirs = EventfdFile.dup(t.vm.machine.ffi, eventfd.fd);
    t.vm.machine.assignIrqfd({ eventfd: theirs.fd, gsi: 30 });
    assert.throws(() => t.vm.irqfd(eventfd, 24), {
      code: "EBUSY",
      syscall: "KVM_IRQFD",
      message: /KVM_IRQFD on GSI 24 failed with EBUSY/,
    });
    assert.deepEqual([t.host.pools.consumer.live, t.host.pools.injection.live], [0, 0]);
    t.vm.machine.deassignIrqfd({ eventfd: theirs.fd, gsi: 30 });
    using _irqfd = t.vm.irqfd(eventfd, 24);
    assert.throws(() => t.vm.setGsiRouting([{ gsi: 4096, msi: { vcpu: 0, vector: 0x41 } }]), {
      code: "EINVAL",
    });
    eventfd.write();
    assert.deepEqual(t.requested(), [0x41], "the old table stays");
  });

  it("refuses a host or an eventfd of the wrong kind", () => {
    using host = Host.create({ capacity: CAPACITY });
    assert.throws(() => new KvmVm(host), { code: "EINVAL", message: /linux\(\), kvm\(\)/ });
    using t = setUp();
    using shared = Eventfd.create(t.host);
    const wrong = shared as unknown as LinuxEventfd;
    assert.throws(() => t.vm.irqfd(wrong, 24), { code: "EINVAL", message: /Linux eventfds only/ });
    assert.throws(() => new KvmVm(t.host, { vcpus: 0 }), { code: "EINVAL" });
    assert.throws(() => new KvmVm(t.host, { path: "/dev/null" }), { code: "ENOTTY" });
    assert.equal(t.host.pools.vm.live, 1);
  });
});
