// The local APIC of a software VM without a kernel beside it; test/compare/ has the kernel.
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Eventfd, type Host, Producer, Vcpu, Vm, type VmOptions } from "irqbypass";
import { smallHost } from "../support/host.js";

const VECTOR = 0x41;
const BASE_MSR = 0x1b;
const SVR_MSR = 0x80f;
const TMR_MSR = 0x818;
const ICR_MSR = 0x830;
const PAGE = 0xfee00000n;
const SVR = 0xf0;
const LDR = 0xd0;
const LVT_TIMER = 0x320;
const ID = 0x20;

let host: Host;
let vm: Vm;
let vcpus: Vcpu[];

function make(options: VmOptions): void {
  vm = new Vm(host, options);
  vcpus = Array.from({ length: vm.vcpus }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
}

beforeEach(() => {
  host = smallHost();
  make({ vcpus: 4 });
});

const msi = (destination: number, data = VECTOR, bits = 0) =>
  vm.signalMsi({ address: (0xfee00000 | (destination << 12) | bits) >>> 0, data });
const LOGICAL = 4;
const HINT = 8;

/** The vectors that each vCPU takes, as "vcpu:vector". */
function taken(): string[] {
  return vcpus.flatMap((vcpu, index) => {
    const vectors: string[] = [];
    for (let v = vcpu.acknowledge(); v !== undefined; v = vcpu.acknowledge()) {
      vectors.push(`${index}:${v.toString(16)}`);
      vcpu.eoi();
    }
    return vectors;
  });
}

/** Every local APIC in xAPIC mode and enabled, with these logical ids. */
function flat(ids: readonly number[]): void {
  for (const [index, vcpu] of vcpus.entries()) {
    vcpu.apic.reset();
    vcpu.apic.write(SVR, 0x1ff);
    vcpu.apic.write(LDR, ids[index]! << 24);
  }
}

describe("a message", () => {
  it("reaches who is meant, and says how many took it", () => {
    assert.equal(msi(1), 1);
    assert.deepEqual(taken(), ["1:41"]);
    assert.equal(msi(9), 0, "nobody has the id");
    assert.equal(msi(0xff), 4);
    assert.deepEqual(taken(), ["0:41", "1:41", "2:41", "3:41"]);
    assert.equal(msi(0x06, VECTOR, LOGICAL), 2);
    assert.deepEqual(taken(), ["1:41", "2:41"]);
  });

  it("of lowest priority goes where the vector says, of the bits of the destination", () => {
    for (const [vector, vcpu] of [
      [0x40, 0],
      [0x41, 1],
      [0x42, 2],
      [0x43, 3],
    ] as const) {
      assert.equal(msi(0x0f, 0x100 | vector, LOGICAL), 1);
      assert.equal(msi(0x0f, vector, LOGICAL | HINT), 1);
      assert.deepEqual(taken(), [`${vcpu}:${vector.toString(16)}`]);
    }
    assert.equal(msi(0x1e, 0x143, LOGICAL), 0, "the bit that the vector chooses is nobody's");
    assert.equal(msi(0xff, 0x142), 4, "to everybody it is for everybody");
    assert.equal(msi(0xff, 0x42, HINT), 1, "but with the hint");
  });

  it("of lowest priority goes round where there is no vector hashing, and is never posted", () => {
    make({ vcpus: 3, apic: { vectorHashing: false } });
    const order = [0, 1, 2, 3].flatMap(() => {
      msi(0x07, 0x141, LOGICAL);
      return taken();
    });
    assert.deepEqual(order, ["0:41", "1:41", "2:41", "0:41"]);
    vm.setGsiRouting([{ gsi: 24, msi: { address: 0xfee07004, data: 0x141 } }]);
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, 24);
    const producer = Producer.create(host);
    producer.register(eventfd);
    assert.ok(irqfd.reasons.includes("multicast"));
  });

  it("that is level-triggered is relayed, and TMR says so", () => {
    const route = vm.routeMsi({ address: 0xfee00000, data: VECTOR });
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, route.gsi);
    const producer = Producer.create(host);
    producer.register(eventfd);
    assert.equal(irqfd.path, "posted");
    route.change({ address: 0xfee00000, data: VECTOR | 0x8000 });
    assert.ok(irqfd.reasons.includes("delivery-mode"));
    producer.signal(); // no relay runs here: the change itself delivers it
    route.change({ address: 0xfee00000, data: VECTOR });
    assert.equal(irqfd.path, "posted");
    assert.deepEqual(taken(), ["0:41"]);
    assert.equal(vcpus[0]!.apic.readMsr(TMR_MSR + (VECTOR >>> 5)), BigInt(1 << (VECTOR & 31)));
  });

  it("goes by logical ids, flat and by cluster, and asks each vCPU where those are ambiguous", () => {
    flat([1, 2, 4, 8]);
    assert.equal(msi(0x05, VECTOR, LOGICAL), 2);
    assert.deepEqual(taken(), ["0:41", "2:41"]);
    flat([1, 2, 4, 1]);
    assert.equal(msi(0x01, VECTOR, LOGICAL), 2, "two have it");
    assert.equal(msi(0x80, VECTOR, LOGICAL), -1, "and nobody this");
    flat([1, 2, 4, 8]);
    assert.equal(msi(0x80, VECTOR, LOGICAL), 0);
  });

  it("reaches ids above 254, and names a vCPU by its own", () => {
    make({ vcpus: 3, apic: { ids: [0, 256, 300] } });
    assert.equal(vm.signalMsi({ vcpu: 2, vector: VECTOR }), 1);
    assert.equal(vm.signalMsi({ address: 0xfee00000, addressHigh: 0x100, data: VECTOR }), 1);
    assert.deepEqual(taken(), ["1:41", "2:41"]);
    make({ vcpus: 2, apic: { ids: [0, 300], longIds: false } });
    assert.throws(() => vm.signalMsi({ vcpu: 1, vector: VECTOR }), { code: "EINVAL" });
    assert.equal(vm.signalMsi({ address: 0xfee00000, addressHigh: 0x101, data: VECTOR }), 1);
  });

  it("is refused by an APIC that is off, and an SMI and an ExtINT by any", () => {
    vcpus[1]!.apic.writeMsr(SVR_MSR, 0xff);
    assert.deepEqual([msi(1), msi(1, 0x400), msi(1, 0x200), msi(1, 0x700)], [0, 1, 0, 0]);
    vcpus[1]!.apic.setBase(PAGE);
    assert.deepEqual([msi(1, 0x400), msi(0xff)], [0, 3], "without an APIC there is nobody");
  });
});

describe("an NMI", () => {
  it("comes before interrupts, and two are kept", () => {
    const vcpu = vcpus[0]!;
    for (let i = 0; i < 5; i++) msi(0, 0x400);
    msi(0, 0xf0);
    const wakes = Array.from({ length: 3 }, () => vcpu.wait({ timeoutMs: 0 }));
    assert.deepEqual(wakes, ["nmi", "nmi", "interrupt"]);
  });
});

describe("INIT and start-up", () => {
  it("start a vCPU that waits for them, and are told of", () => {
    const [boot, other] = [vcpus[0]!, vcpus[1]!];
    assert.equal(other.state, "runnable");
    assert.equal(boot.sendIpi({ to: 1, mode: "start-up", vector: 7 }), 1);
    assert.equal(other.state, "runnable", "it is dropped");
    boot.sendIpi({ to: 1, mode: "init" });
    assert.equal(other.state, "init-received");
    msi(1);
    assert.equal(other.wait({ timeoutMs: 0 }), "init");
    assert.equal(other.wait({ timeoutMs: 0 }), "timeout", "its APIC is off, and it does not run");
    boot.sendIpi({ to: "others", mode: "start-up", vector: 9 });
    assert.deepEqual(
      [other.wait({ timeoutMs: 0 }), other.startUpVector, other.state],
      ["start-up", 9, "runnable"],
    );
  });

  it("make the boot processor begin anew", () => {
    vcpus[1]!.sendIpi({ to: 0, mode: "init" });
    assert.deepEqual([vcpus[0]!.wait({ timeoutMs: 0 }), vcpus[0]!.state], ["init", "runnable"]);
    assert.equal(vcpus[0]!.apic.readMsr(SVR_MSR), 0xffn);
  });

  it("leave one alone that nobody has started", () => {
    vcpus[1]!.state = "uninitialized";
    vcpus[0]!.sendIpi({ to: 1, mode: "start-up", vector: 9 });
    msi(1);
    msi(1, 0x400);
    assert.deepEqual([vcpus[1]!.wait({ timeoutMs: 0 }), vcpus[1]!.state], ["timeout", "uninitialized"]);
    assert.throws(() => Object.assign(vcpus[1]!, { state: "asleep" }), { code: "EINVAL" });
  });
});

describe("a register", () => {
  it("that decides whom a message reaches re-targets what is live, also what requires bypass", () => {
    vm.setGsiRouting([{ gsi: 24, msi: { address: 0xfee02004, data: VECTOR } }]);
    flat([1, 2, 4, 8]);
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, 24, { bypass: "require" });
    const producer = Producer.create(host);
    producer.register(eventfd);
    assert.equal(irqfd.path, "posted");
    producer.signal();
    assert.deepEqual(taken(), ["1:41"]);
    vcpus[1]!.apic.write(LDR, 0x20 << 24);
    assert.deepEqual([irqfd.path, irqfd.reasons.at(-1)], ["relayed", "no-vcpu"]);
    vm.setGsiRouting([
      { gsi: 24, msi: { address: 0xfee02004, data: VECTOR } },
      { gsi: 25, msi: { vcpu: 0, vector: 0x42 } },
    ]);
    vcpus[3]!.apic.write(LDR, 2 << 24);
    assert.equal(irqfd.path, "posted");
    producer.signal();
    assert.deepEqual(taken(), ["3:41"]);
    vcpus[3]!.apic.write(SVR, 0xff);
    assert.equal(irqfd.path, "relayed");
    vcpus[3]!.apic.write(SVR, 0x1ff);
    assert.equal(irqfd.path, "posted");
  });

  it("of x2APIC mode faults where KVM's does, with nothing changed", () => {
    const { apic } = vcpus[0]!;
    for (const [msr, value] of [
      [0x802, 1], // the id is read-only
      [0x808, 1n << 32n],
      [ICR_MSR, 1 << 16],
      [0x83f, 0x100],
      [0x828, 1],
      [BASE_MSR, PAGE | 0x800n], // back to xAPIC mode
      [BASE_MSR, PAGE | 0x400n],
    ] as const)
      assert.equal(apic.writeMsr(msr, value), false, msr.toString(16));
    assert.deepEqual([apic.readMsr(0x80b), apic.readMsr(0x80e)], [undefined, undefined]);
    assert.equal(apic.readMsr(BASE_MSR), PAGE | 0xd00n);
    assert.equal(apic.read(ID), 0xffffffff, "the page is not there in this mode");
    assert.throws(() => apic.setBase(PAGE | 0x400n), { code: "EINVAL" });
    for (const call of [() => apic.read(2), () => apic.write(0x1000, 0), () => apic.readMsr(0x10)])
      assert.throws(call, { code: "EINVAL" });
  });

  it("sends an IPI, which says nothing to who is not meant", () => {
    const { apic } = vcpus[0]!;
    assert.equal(apic.writeMsr(ICR_MSR, (2n << 32n) | 0x4041n), true);
    assert.equal(apic.writeMsr(0x83f, 0x42), true);
    assert.equal(vcpus[1]!.sendIpi({ to: "others", vector: 0x43 }), 3);
    assert.deepEqual(taken(), ["0:43", "0:42", "2:43", "2:41", "3:43"]);
    assert.throws(() => vcpus[1]!.sendIpi({ to: 1, vector: 256 }), { code: "EINVAL" });
  });

  it("of the timer delivers what it says when that has expired", () => {
    const { apic } = vcpus[0]!;
    assert.equal(apic.timerExpired(), false, "masked");
    assert.ok(apic.writeMsr(0x800 + (LVT_TIMER >>> 4), 0x31));
    assert.equal(apic.timerExpired(), true);
    assert.deepEqual(taken(), ["0:31"]);
    apic.writeMsr(SVR_MSR, 0xff);
    assert.equal(apic.timerExpired(), false);
  });
});

describe("a VM", () => {
  it("refuses ids that are none, or not one for each vCPU", () => {
    for (const ids of [[0], [0, 0], [0, 4096], [0, -1], [0, 1.5]])
      assert.throws(() => new Vm(host, { vcpus: 2, apic: { ids } }), { code: "EINVAL" });
  });
});
