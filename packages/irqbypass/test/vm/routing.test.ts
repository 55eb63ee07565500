/** GSI routing of a software VM: what a table may say, where its messages go, and what changing it does. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import {
  Eventfd,
  type GsiRoute,
  type Host,
  type Irqfd,
  type Msi,
  Producer,
  type Reason,
  Vcpu,
  Vm,
} from "irqbypass";
import { liveRecords, smallHost, whyRelayed } from "../support/host.js";

const VCPUS = 3;
const GSI = 30;

let host: Host;
let vm: Vm;
let vcpus: Vcpu[];
let irqfd: Irqfd;
let nic: Producer;
beforeEach(() => {
  host = smallHost();
  vm = new Vm(host, { vcpus: VCPUS });
  vcpus = Array.from({ length: VCPUS }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
  const eventfd = Eventfd.create(host);
  irqfd = vm.irqfd(eventfd, GSI);
  nic = Producer.create(host);
  nic.register(eventfd);
});

const msi = (message: Msi): GsiRoute => ({ gsi: GSI, msi: message });
/** A raw message: destination 8 bits, logical or physical, delivery mode, vector. */
const raw = (destination: number, { logical = false, mode = 0, vector = 0x50 } = {}) =>
  msi({ address: 0xfee00000 + destination * 4096 + (logical ? 4 : 0), data: mode * 256 + vector });

/** Takes all that has come, as "vcpu:vector". */
function arrived(): string[] {
  return vcpus.flatMap((vcpu, index) => {
    const found: string[] = [];
    for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
      found.push(`${index}:${vector}`);
      vcpu.eoi();
    }
    return found;
  });
}

/** Signals, and makes the relay's work done before it returns: deassign delivers what is pending. */
function signalAndSettle(): string[] {
  nic.signal();
  const eventfd = Eventfd.create(host);
  irqfd.dispose();
  irqfd = vm.irqfd(eventfd, GSI);
  nic.move(eventfd);
  return arrived();
}

describe("a route", () => {
  it("to one vCPU is posted, and changed in place", () => {
    for (const [vcpu, vector] of [
      [0, 0x41],
      [2, 0x41],
      [2, 0x42],
      [1, 255],
    ] as const) {
      vm.setGsiRouting([msi({ vcpu, vector })]);
      assert.equal(irqfd.path, "posted");
      nic.signal();
      assert.deepEqual(arrived(), [`${vcpu}:${vector}`]);
    }
  });

  it("to one vCPU by its logical destination, or with lowest priority, is posted too", () => {
    for (const route of [raw(0b010, { logical: true }), raw(1, { mode: 1 }), raw(1)]) {
      vm.setGsiRouting([route]);
      assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["posted", undefined]);
      nic.signal();
      assert.deepEqual(arrived(), ["1:80"]);
    }
  });

  for (const [name, route, reason, delivered] of [
    ["that is missing", [], "no-route", []],
    ["to a vCPU that the VM lacks", [raw(7)], "no-vcpu", []],
    ["to a vCPU above 255", [msi({ address: 0xfee00000, addressHigh: 256, data: 0x50 })], "no-vcpu", []],
    ["to two vCPUs by mask", [raw(0b101, { logical: true })], "multicast", ["0:80", "2:80"]],
    ["to all", [raw(0xff)], "multicast", ["0:80", "1:80", "2:80"]],
    ["to all, with lowest priority", [raw(0xff, { mode: 1 })], "multicast", ["0:80", "1:80", "2:80"]],
    ["as an SMI", [raw(0, { mode: 2 })], "delivery-mode", []],
    ["as an NMI", [raw(0, { mode: 4 })], "delivery-mode", []],
    ["as an INIT", [raw(0, { mode: 5 })], "delivery-mode", []],
    ["as an ExtINT", [raw(0, { mode: 7 })], "delivery-mode", []],
    ["to a pin", [{ gsi: GSI, irqchip: { chip: "ioapic", pin: 3 } }], "not-msi", []],
    [
      "to two pins",
      [
        { gsi: GSI, irqchip: { chip: "ioapic", pin: 3 } },
        { gsi: GSI, irqchip: { chip: "pic-master", pin: 3 } },
      ],
      "several-routes",
      [],
    ],
  ] as readonly [string, readonly GsiRoute[], Reason, readonly string[]][]) {
    it(`${name} is relayed with the reason ${reason}, and goes where it says`, () => {
      vm.setGsiRouting([msi({ vcpu: 0, vector: 0x40 })]);
      assert.equal(irqfd.path, "posted");
      vm.setGsiRouting(route);
      assert.deepEqual([irqfd.path, whyRelayed(irqfd), nic.reason], ["relayed", reason, reason]);
      assert.deepEqual(signalAndSettle(), delivered);
      vm.setGsiRouting([msi({ vcpu: 0, vector: 0x40 })]);
      assert.equal(irqfd.path, "posted");
    });
  }

  it("to a vector below 16 is accepted, and is never above any priority", () => {
    vm.setGsiRouting([msi({ vcpu: 0, vector: 5 })]);
    nic.signal();
    assert.equal(irqfd.path, "posted");
    assert.equal(vcpus[0]!.pending(), true);
    assert.deepEqual(arrived(), []);
  });
});

describe("setGsiRouting", () => {
  for (const [what, routes, message] of [
    [
      "a GSI that is too large",
      [{ gsi: 4096, msi: { vcpu: 0, vector: 1 } }],
      /route 0: gsi is 4096, it must be 0 to 4095/,
    ],
    [
      "a negative GSI",
      [msi({ vcpu: 0, vector: 1 }), { gsi: -1, msi: { vcpu: 0, vector: 1 } }],
      /route 1: gsi is -1/,
    ],
    ["no target", [{ gsi: 1 }], /route 0: a route has either an msi or an irqchip/],
    ["a vector that is too large", [msi({ vcpu: 0, vector: 256 })], /vector is 256, it must be 0 to 255/],
    ["a vCPU that is none", [msi({ vcpu: -1, vector: 1 })], /vcpu is -1/],
    ["the broadcast id as a vCPU", [msi({ vcpu: 255, vector: 1 })], /vcpu is 255/],
    [
      "a vCPU that the VM lacks",
      [msi({ vcpu: 3, vector: 1 })],
      /route 0: vcpu is 3, and this VM has vCPUs 0 to 2 \(to reach several, give an address\)/,
    ],
    [
      "an address of more than 32 bits",
      [msi({ address: 2 ** 32, data: 0 })],
      /route 0: msi.address is 4294967296, it must be a whole number from 0 to 2\^32-1/,
    ],
    ["no data", [{ gsi: 1, msi: { address: 0xfee00000 } }], /msi.data is undefined/],
    [
      "a low byte in the high address",
      [msi({ address: 0xfee00000, addressHigh: 1, data: 0 })],
      /its low byte must be 0/,
    ],
    [
      "two messages on one GSI",
      [raw(0), raw(1)],
      /route 1: GSI 30 has another route, and an MSI stands alone/,
    ],
    [
      "a pin beside a message",
      [raw(0), { gsi: GSI, irqchip: { chip: "ioapic", pin: 0 } }],
      /an MSI stands alone/,
    ],
    [
      "a chip that is none",
      [{ gsi: 1, irqchip: { chip: "apic", pin: 0 } }],
      /chip is apic, use pic-master, pic-slave, ioapic/,
    ],
    [
      "a pin that the I/O APIC lacks",
      [{ gsi: 1, irqchip: { chip: "ioapic", pin: 24 } }],
      /ioapic has pins 0 to 23, not 24/,
    ],
    [
      "a pin that a PIC lacks",
      [{ gsi: 1, irqchip: { chip: "pic-slave", pin: 8 } }],
      /pic-slave has pins 0 to 7, not 8/,
    ],
    ["something that is no table", "routes", /takes an array of routes/],
  ] as readonly [string, unknown, RegExp][]) {
    it(`refuses ${what} with EINVAL, and the old table stays`, () => {
      vm.setGsiRouting([msi({ vcpu: 1, vector: 0x77 })]);
      const before = liveRecords(host);
      assert.throws(() => vm.setGsiRouting(routes as GsiRoute[]), { code: "EINVAL", message });
      assert.deepEqual(liveRecords(host), before);
      nic.signal();
      assert.deepEqual(arrived(), ["1:119"]);
    });
  }

  it("refuses more than 4096 routes, and takes 4096", () => {
    const wide = smallHost({ capacity: { route: 8192 } });
    const many = (count: number) =>
      Array.from({ length: count }, (_, gsi) => ({ gsi, msi: { vcpu: 0, vector: 64 } }));
    const guest = new Vm(wide, { apic: false });
    guest.setGsiRouting(many(4096));
    assert.throws(() => guest.setGsiRouting(many(4097)), {
      code: "EINVAL",
      message: /at most 4096 routes, not 4097/,
    });
    const { live } = wide.pools.route;
    guest.setGsiRouting(many(4096));
    assert.equal(wide.pools.route.live, live);
    guest.setGsiRouting([]);
    assert.equal(wide.pools.route.live, live - 4096);
  });

  it("says ENOMEM when there is no room, and the old table stays", () => {
    vm.setGsiRouting([msi({ vcpu: 1, vector: 0x77 })]);
    const before = liveRecords(host);
    const { capacity } = host.pools.route;
    const many = Array.from({ length: capacity }, (_, gsi) => ({ gsi, msi: { vcpu: 0, vector: 64 } }));
    assert.throws(() => vm.setGsiRouting(many), { code: "ENOMEM", subject: "route" });
    assert.deepEqual(liveRecords(host), before);
    nic.signal();
    assert.deepEqual(arrived(), ["1:119"]);
    for (let i = 0; i < 100; i++) vm.setGsiRouting([msi({ vcpu: 0, vector: 64 + i })]);
    assert.deepEqual(liveRecords(host), before);
  });

  it("does not recall what was posted by the old route", () => {
    vm.setGsiRouting([msi({ vcpu: 0, vector: 0x41 })]);
    nic.signal();
    vm.setGsiRouting([msi({ vcpu: 1, vector: 0x42 })]);
    nic.signal();
    assert.deepEqual(arrived(), ["0:65", "1:66"]);
  });

  it("touches no irqfd of another VM or another GSI", () => {
    const eventfd = Eventfd.create(host);
    const other = new Vm(host);
    other.setGsiRouting([msi({ vcpu: 0, vector: 0x99 })]);
    const untouched = other.irqfd(eventfd, GSI);
    const producer = Producer.create(host);
    producer.register(eventfd);
    vm.setGsiRouting([{ gsi: GSI + 1, msi: { vcpu: 0, vector: 0x41 } }]);
    assert.equal(untouched.path, "posted");
    assert.equal(whyRelayed(irqfd), "no-route");
  });
});

describe("bugs of the kernel's past", () => {
  it("B5: a change of type alone is a change", () => {
    vm.setGsiRouting([raw(0)]);
    assert.equal(irqfd.path, "posted");
    vm.setGsiRouting([{ gsi: GSI, irqchip: { chip: "ioapic", pin: 0 } }]);
    nic.signal();
    assert.equal(whyRelayed(irqfd), "not-msi");
    assert.deepEqual(arrived(), []);
  });

  it("B6: a route that cannot be posted takes the entry back, and the VM may go", () => {
    vm.setGsiRouting([raw(0)]);
    vm.setGsiRouting([raw(0xff)]);
    for (const vcpu of vcpus) vcpu.put();
    vm.dispose();
    nic.signal();
    assert.deepEqual([nic.path, nic.reason], ["relayed", "no-consumer"]);
    // What has the records now hears nothing of it.
    const next = new Vm(host, { vcpus: VCPUS });
    assert.ok(Array.from({ length: VCPUS }, (_, i) => next.vcpu(i).inspect()).every(({ on }) => !on));
  });
});
