/** An option that nobody knows is refused, with the name that was meant; nested ones too. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Eventfd, Host, IrqBypassError, Producer, Vcpu, VdpaDevice, VfioPciDevice, Vm } from "irqbypass";
import { encodeMsi, Kvm, KvmMachine, KvmVm, kvm, whyNoKvm } from "irqbypass/kvm";
import { EventfdFile, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { nearest } from "#src/host/spelling.js";
import { encodeIrqfdAssign } from "#src/kvm/structs.js";
import { kvmTests } from "../kvm/available.js";
import { linux as linuxTests } from "../linux/available.js";
import { liveRecords, SMALL, smallHost } from "../support/host.js";

const host = smallHost();
const vm = new Vm(host, { vcpus: 2 });
const bare = new Vm(host, { apic: false });
const eventfd = Eventfd.create(host);
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
const device = new VfioPciDevice(host, { msix: 2, intx: true });
const irqfd = vm.irqfd(eventfd, 9);

after(() => {
  vcpu.put();
  device.dispose();
  for (const one of [vm, bare]) one.dispose();
  eventfd.close();
  host.dispose();
});

/** What is passed in JavaScript, where nothing is checked before. */
type Loose = (...given: unknown[]) => unknown;
const loose = (call: unknown, self?: object): Loose => (call as Loose).bind(self) as Loose;
const construct = (type: unknown, ...given: unknown[]): unknown =>
  new (type as new (...all: unknown[]) => unknown)(...given);
const nothing = () => {};

const CORE: readonly (readonly [wrong: string, meant: string, call: () => unknown])[] = [
  ["capcity", "capacity", () => loose(Host.create)({ capcity: SMALL })],
  ["kind", "kinds", () => loose(Host.create)({ kind: [] })],
  ["capacity.vmm", "capacity.vm", () => loose(Host.create)({ capacity: { vmm: 1 } })],
  ["capacity.eventfds", "capacity.eventfd", () => loose(Host.bytes)({ eventfds: 1 })],
  ["kidns", "kinds", () => loose(Host.attach)(host.handle, { kidns: [] })],
  ["capacity", "repairs", () => loose(Host.attach)(host.handle, { capacity: SMALL })],
  ["byteOfset", "byteOffset", () => loose(Host.attach)({ memory: host.handle.memory, byteOfset: 0 })],
  ["a kind's producers", "a kind's producer", () => kinds({ name: "k", producers: {} })],
  [
    "producer.addConsume",
    "producer.addConsumer",
    () => kinds({ name: "k", producer: { addConsume: nothing } }),
  ],
  ["consumer.strat", "consumer.start", () => kinds({ name: "k", consumer: { strat: nothing } })],
  ["listen.begin", "listen.start", () => kinds({ name: "k", listen: { begin: nothing } })],
  ["relay.thred", "relay.thread", () => kinds({ name: "k", relay: { thred: 1 } })],
  ["intial", "initial", () => loose(Eventfd.create)(host, { intial: 1 })],
  ["count", "initial", () => loose(Eventfd.create)(host, { count: 1 })],
  ["timeout", "timeoutMs", () => loose(eventfd.read, eventfd)({ timeout: 1 })],
  ["timeoutms", "timeoutMs", () => loose(vcpu.wait, vcpu)({ timeoutms: 1 })],
  ["vcpu", "vcpus", () => construct(Vm, host, { vcpu: 2 })],
  ["apci", "apic", () => construct(Vm, host, { apci: false })],
  ["opened", "apic", () => construct(Vm, host, { opened: 512 })],
  ["bypas", "bypass", () => loose(vm.irqfd, vm)(eventfd, 24, { bypas: "require" })],
  ["resmaple", "resample", () => loose(vm.irqfd, vm)(eventfd, 24, { resmaple: eventfd })],
  ["route 0: GSI", "route 0: gsi", () => routes({ GSI: 1, msi: { vcpu: 0, vector: 1 } })],
  ["route 0: mis", "route 0: msi", () => routes({ gsi: 1, mis: { vcpu: 0, vector: 1 } })],
  ["route 0: msi.vcpus", "route 0: msi.vcpu", () => routes({ gsi: 1, msi: { vcpus: 0, vector: 1 } })],
  ["route 0: msi.adress", "route 0: msi.address", () => routes({ gsi: 1, msi: { adress: 0, data: 2 } })],
  [
    "route 0: irqchip.pins",
    "route 0: irqchip.pin",
    () => routes({ gsi: 1, irqchip: { chip: "ioapic", pins: 2 } }),
  ],
  ["levle", "level", () => loose(vm.ioapic.redirect, vm.ioapic)(3, { vcpu: 0, vector: 49, levle: true })],
  ["vectors", "intx", () => construct(VfioPciDevice, host, { vectors: 8 })],
  ["msxi", "msix", () => construct(VfioPciDevice, host, { msxi: 8 })],
  ["queue", "queues", () => construct(VdpaDevice, host, { queue: 2 })],
  [
    "ops.getVqIrqs",
    "ops.getVqIrq",
    () => construct(VdpaDevice, host, { queues: 2, ops: { getVqIrqs: nothing } }),
  ],
  ["vale", "values", () => setIrqs({ data: "bool", vale: [true] })],
  ["eventfd", "eventfds", () => setIrqs({ data: "eventfd", eventfd: [eventfd] })],
  ["values", "index", () => setIrqs({ data: "none", values: [true] })],
  ["indx", "index", () => loose(device.setIrqs, device)({ indx: "msix" })],
  ["subjet", "subject", () => construct(IrqBypassError, "EIO", "a sentence", { subjet: "x" })],
];

const kinds = (...all: unknown[]) => loose(Host.create)({ kinds: all, capacity: SMALL });
const routes = (...all: unknown[]) => loose(vm.setGsiRouting, vm)(all);
const setIrqs = (more: object) =>
  loose(device.setIrqs, device)({ index: "msix", start: 0, count: 1, action: "trigger", ...more });

const LINUX: typeof CORE = [
  ["initial", "count", () => loose(EventfdFile.create)(loadFfi(), { initial: 3 })],
  ["semaphor", "semaphore", () => loose(EventfdFile.create)(loadFfi(), { semaphor: true })],
  ["platfrom", "platform", () => loose(loadFfi)({ platfrom: "linux", arch: "x64", require: nothing })],
];

const KVM: typeof CORE = [
  ["paht", "path", () => loose(Kvm.open)({ paht: "/dev/kvm" })],
  ["addresLow", "addressLow", () => loose(encodeMsi)({ addresLow: 0, addressHigh: 0, data: 0 })],
  ["evenfd", "eventfd", () => loose(encodeIrqfdAssign)({ evenfd: 0, gsi: 3 })],
];

function refuses([wrong, meant, call]: (typeof CORE)[number]): void {
  it(`${wrong} is not ${meant}`, () => {
    const before = liveRecords(host);
    assert.throws(call, (error) => {
      assert.ok(error instanceof IrqBypassError, String(error));
      assert.equal(error.code, "EINVAL");
      assert.ok(error.message.includes(`did you mean ${meant}`), error.message);
      return true;
    });
    assert.deepEqual(liveRecords(host), before);
  });
}

describe("an option that is not known names the nearest one that is", () => {
  for (const row of CORE) refuses(row);

  it("also where the answer is a promise", async () => {
    const asked = { timeotMs: 5 };
    for (const call of [
      loose(eventfd.readAsync, eventfd),
      loose(vcpu.waitAsync, vcpu),
      loose(irqfd.bypassed, irqfd),
      loose(irqfd.relayed, irqfd),
    ]) {
      await assert.rejects(async () => call(asked), { code: "EINVAL", message: /did you mean timeoutMs/ });
    }
  });

  it("a wait that blocks takes no signal, and names the form that does", () => {
    const { signal } = new AbortController();
    assert.throws(() => loose(vcpu.wait, vcpu)({ signal }), { code: "EINVAL", message: /use waitAsync/ });
    assert.throws(() => loose(eventfd.read, eventfd)({ signal }), {
      code: "EINVAL",
      message: /use readAsync/,
    });
  });

  it("of a message alone, too, whose sentence says once what it is about", () => {
    const vm = new Vm(host);
    assert.throws(() => loose(vm.routeMsi, vm)({ foo: 1, vcpu: 0, vector: 1 }), {
      message: /^EINVAL: a route: foo is not known: did you mean \w+\? There are vcpu, vector$/,
    });
    assert.throws(() => loose(vm.signalMsi, vm)({ adress: 1, data: 1 }), {
      message: /^EINVAL: a message: adress is not known: did you mean address\? /,
    });
    vm.dispose();
  });

  it("what is true or false and left out is said to be undefined, where it may not be", () => {
    const vm = new Vm(host);
    const nic = new VfioPciDevice(host, { msix: 1, intx: true });
    for (const [name, set] of [
      ["level", () => loose(vm.setIrqLine, vm)(5)],
      ["functionMask", () => Object.assign(nic, { functionMask: undefined })],
      ["disIntx", () => Object.assign(nic.intx, { disIntx: undefined })],
      ["bypass", () => Object.assign(host, { bypass: undefined })],
    ] as const)
      assert.throws(set, { code: "EINVAL", message: `EINVAL: ${name} is undefined: it is true or false` });
    nic.dispose();
    vm.dispose();
  });

  it("the kind of a device is one of the host's, when it is made", () => {
    for (const make of [
      () => construct(VfioPciDevice, host, { msix: 1, kind: "irqfds" }),
      () => construct(VdpaDevice, host, { queues: 1, kind: "irqfds" }),
      () => Producer.create(host, "irqfds"),
    ])
      assert.throws(make, { code: "EINVAL", message: /no kind irqfds: did you mean irqfd, or/ });
  });

  it("what a caller implements may keep more, as an instance of its class", () => {
    class Driver {
      asked = 0;
      getVqIrq(queue: number): number {
        this.asked += 1;
        return queue;
      }
    }
    new VdpaDevice(host, { queues: 1, ops: new Driver() }).dispose();
  });

  it("a platform has all that is called of it", () => {
    const { platform } = host;
    for (const [part, right] of Object.entries(platform)) {
      const options = { platform: { ...platform, [part]: typeof right === "string" ? 7 : "7" } };
      assert.throws(() => loose(Host.create)(options), { code: "EINVAL" }, part);
      assert.throws(() => loose(Host.attach)(host.handle, options), { code: "EINVAL" }, part);
    }
    for (const wrong of [{}, [], null])
      assert.throws(() => loose(Host.create)({ platform: wrong }), { code: "EINVAL" });
  });

  it("a flag is true or false", () => {
    for (const make of [
      () => construct(Vm, host, { apic: 0 }),
      () => loose(Eventfd.create)(host, { semaphore: "yes" }),
      () => construct(VfioPciDevice, host, { intx: 1 }),
      () => loose(vm.setIrqLine, vm)(3, 1),
      () => loose(vm.ioapic.redirect, vm.ioapic)(3, { vcpu: 0, vector: 49, level: null }),
    ])
      assert.throws(make, { code: "EINVAL", message: /true or false/ });
  });

  describe("of Linux eventfds", linuxTests, () => {
    for (const row of LINUX) refuses(row);

    it("of one of a host", () => {
      const real = smallHost({ kinds: [linux()] });
      assert.throws(() => loose(LinuxEventfd.create)(real, { initial: 1 }), {
        message: /did you mean count/,
      });
      real.dispose();
    });
  });

  describe("of KVM", kvmTests, () => {
    for (const row of KVM) refuses(row);

    it("of a guest and its machine", () => {
      const real = smallHost({ kinds: [linux(), kvm()] });
      assert.throws(() => construct(KvmVm, real, { vcpu: 2 }), {
        code: "EINVAL",
        message: /did you mean vcpus/,
      });
      assert.equal(loose(whyNoKvm)({ paths: "/dev/kvm" }) instanceof IrqBypassError, true);
      using opened = Kvm.open();
      assert.throws(() => construct(KvmMachine, opened, { page: 2 }), { message: /did you mean pages/ });
      using machine = new KvmMachine(opened);
      const table = [{ gsi: 3, chip: 2, pins: 3 }];
      assert.throws(() => loose(machine.setGsiRouting, machine)(table), {
        message: /did you mean route 0: pin/,
      });
      using own = new KvmVm(real);
      const listener = LinuxEventfd.create(real);
      assert.throws(() => loose(own.irqfd, own)(listener, 24, { bypas: "off" }), {
        message: /did you mean bypass/,
      });
      own.dispose();
      listener.close();
      real.dispose();
    });
  });
});

describe("the nearest name", () => {
  for (const [given, meant] of [
    ["bypas", "bypass"],
    ["byapss", "bypass"],
    ["RESAMPLE", "resample"],
    ["", "bypass"],
    ["x".repeat(100_000), "bypass"],
  ] as const) {
    it(`of ${given.slice(0, 10)} is ${meant}`, () =>
      assert.equal(nearest(given, ["bypass", "resample"]), meant));
  }
});
