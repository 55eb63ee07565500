/** Single routes of a software VM: made, changed and released one by one, beside the whole table. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Eventfd, type Host, type Irqfd, type Msi, Producer, type RouteRef, Vcpu, Vm } from "irqbypass";
import { liveRecords, noRelay, smallHost, whyRelayed } from "../support/host.js";

const VCPUS = 2;
const FIRST = 24; // behind the pins of the I/O APIC
const GSIS = 4096;

let host: Host;
let vm: Vm;
let vcpus: Vcpu[];
beforeEach(() => {
  host = smallHost({ spawn: noRelay, capacity: { route: 128 } });
  vm = new Vm(host, { vcpus: VCPUS });
  vcpus = Array.from({ length: VCPUS }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
});

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

/** An irqfd on a route of its own, with the device at its other end. */
function connected(
  msi: Msi,
  options = {},
): { route: RouteRef; irqfd: Irqfd; nic: Producer; eventfd: Eventfd } {
  const eventfd = Eventfd.create(host);
  const route = vm.routeMsi(msi);
  const irqfd = vm.irqfd(eventfd, route.gsi, options);
  const nic = Producer.create(host);
  nic.register(eventfd);
  return { route, irqfd, nic, eventfd };
}

const sound = () => assert.deepEqual(host.audit().findings, []);

describe("vm.routeMsi", () => {
  it("gives the lowest GSI that has no route, and leaves the others alone", () => {
    const gsis = [0, 1, 2].map((vector) => vm.routeMsi({ vcpu: 0, vector: 0x40 + vector }).gsi);
    assert.deepEqual(gsis, [FIRST, FIRST + 1, FIRST + 2]);
    vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 0x41 } }]);
    const after = [0, 1].map((vector) => vm.routeMsi({ vcpu: 0, vector: 0x50 + vector }).gsi);
    assert.deepEqual(after, [0, 2]);
    assert.deepEqual(vm.route(1).msi, { address: 0xfee00000, addressHigh: 0, data: 0x41 });
    sound();
  });

  it("leaves the pins of the table that a VM starts with", () => {
    vm.ioapic.write(0x10 + 2 * 4, 0x61);
    vm.routeMsi({ vcpu: 1, vector: 0x41 });
    vm.setIrqLine(4, true);
    assert.deepEqual(arrived(), ["0:97"]);
    assert.throws(() => vm.route(4), { code: "ENOENT", message: /GSI 4 of VM 0 has a pin/ });
  });

  it("has all 4096 GSIs to give, then says ENOSPC, and gives a released one again", () => {
    const wide = smallHost({ capacity: { route: GSIS } });
    const guest = new Vm(wide, { apic: false });
    const routes = Array.from({ length: GSIS }, () => guest.routeMsi({ vcpu: 0, vector: 0x40 }));
    assert.deepEqual(
      routes.map(({ gsi }) => gsi),
      Array.from({ length: GSIS }, (_, gsi) => gsi),
    );
    const before = liveRecords(wide);
    assert.throws(() => guest.routeMsi({ vcpu: 0, vector: 0x40 }), {
      code: "ENOSPC",
      message: /VM 0 has 4096 routes/,
    });
    assert.deepEqual(liveRecords(wide), before);
    for (const gsi of [4095, 0, 77]) {
      routes[gsi]!.dispose();
      assert.equal(guest.routeMsi({ vcpu: 0, vector: 0x40 }).gsi, gsi);
    }
    routes[9]!.dispose();
    routes[3]!.dispose();
    const again = [0, 1].map(() => guest.routeMsi({ vcpu: 0, vector: 0x40 }).gsi);
    assert.deepEqual(again, [3, 9]);
    assert.deepEqual(wide.audit().findings, []);
    guest.dispose();
    assert.deepEqual(wide.audit().findings, []);
  });

  it("says ENOSPC where every GSI without a route has an irqfd, and where the pins fill up the table", () => {
    const wide = smallHost({ spawn: noRelay, capacity: { route: 2 * GSIS } });
    const bare = new Vm(wide, { apic: false });
    bare.setGsiRouting(
      Array.from({ length: GSIS - 1 }, (_, gsi) => ({ gsi, msi: { vcpu: 0, vector: 0x40 } })),
    );
    bare.irqfd(Eventfd.create(wide), GSIS - 1);
    assert.throws(() => bare.routeMsi({ vcpu: 0, vector: 0x40 }), { code: "ENOSPC", message: /or an irqfd/ });
    bare.dispose();
    const guest = new Vm(wide); // 40 entries for 24 pins
    for (let gsi = FIRST; gsi < GSIS - 16; gsi++)
      assert.equal(guest.routeMsi({ vcpu: 0, vector: 0x40 }).gsi, gsi);
    assert.throws(() => guest.routeMsi({ vcpu: 0, vector: 0x40 }), {
      code: "ENOSPC",
      message: /4096 routes/,
    });
  });

  it("gives no GSI at which an irqfd listens: that would get the interrupts of another", () => {
    const { route, irqfd } = connected({ vcpu: 0, vector: 0x41 });
    route.dispose();
    assert.equal(vm.routeMsi({ vcpu: 1, vector: 0x42 }).gsi, FIRST + 1);
    irqfd.dispose();
    assert.equal(vm.routeMsi({ vcpu: 1, vector: 0x43 }).gsi, FIRST);
    sound();
  });

  it("takes what setGsiRouting takes as an MSI, and refuses the rest with EINVAL, and nothing is left behind", () => {
    const raw = vm.routeMsi({ address: 0xfee01000, data: 0x55 });
    assert.deepEqual(raw.msi, { address: 0xfee01000, addressHigh: 0, data: 0x55 });
    assert.equal(JSON.stringify(raw), `{"gsi":24,"msi":{"address":4276097024,"addressHigh":0,"data":85}}`);
    const before = liveRecords(host);
    for (const [msi, message] of [
      [{ vcpu: 2, vector: 0x41 }, /a route: vcpu is 2, and this VM has vCPUs 0 to 1/],
      [{ vcpu: 0, vector: 256 }, /a route: vector is 256/],
      [{ address: -1, data: 0 }, /address is -1.*0xffffffff/],
      [{ address: 0xfee00000, data: 0.5 }, /a route: data is 0.5/],
      [{ address: 0xfee00000, addressHigh: 1, data: 0 }, /its low byte must be 0/],
      [{ address: 0xfee00000 }, /data is undefined/],
      [{ address: 0xfee00000, data: 1, vector: 3 }, /take address, data or the others out/],
      [{ gsi: 3 }, /a route: gsi is not known/],
      [null, /null was passed: pass \{ vcpu, vector \}/],
      [[], /an array was passed/],
    ] as readonly [unknown, RegExp][]) {
      assert.throws(() => vm.routeMsi(msi as Msi), { code: "EINVAL", message });
      assert.throws(() => raw.change(msi as Msi), { code: "EINVAL", message });
    }
    assert.deepEqual(raw.msi, { address: 0xfee01000, addressHigh: 0, data: 0x55 });
    assert.deepEqual(liveRecords(host), before);
    for (const gsi of [-1, 4096, 1.5, "24"])
      assert.throws(() => vm.route(gsi as number), { code: "EINVAL", message: /it must be 0 to 4095/ });
    assert.throws(() => vm.route(99), { code: "ENOENT", message: /GSI 99 of VM 0 has no route/ });
  });

  it("says ENOMEM where there is no room, for the first route of a VM and for another, and nothing has changed", () => {
    const full = smallHost({ capacity: { route: 41, routing: 2 } });
    const [one, other] = [new Vm(full), new Vm(full, { apic: false })];
    const first = one.routeMsi({ vcpu: 0, vector: 0x40 });
    const before = liveRecords(full);
    for (const guest of [one, other])
      assert.throws(() => guest.routeMsi({ vcpu: 0, vector: 0x40 }), { code: "ENOMEM", subject: "route" });
    assert.deepEqual(liveRecords(full), before);
    first.change({ vcpu: 0, vector: 0x41 }); // needs no room
    first.dispose();
    assert.equal(other.routeMsi({ vcpu: 0, vector: 0x40 }).gsi, 0);
    assert.deepEqual(full.audit().findings, []);
  });
});

describe("route.change", () => {
  it("re-targets what is connected: by the new message from then on, and never by the old", () => {
    const { route, irqfd, nic } = connected({ vcpu: 0, vector: 0x41 });
    nic.signal();
    route.change({ address: 0xfee01000, data: 0x52 });
    assert.equal(irqfd.path, "posted");
    nic.signal();
    assert.deepEqual(arrived(), ["0:65", "1:82"]); // the first is not recalled
    route.change({ address: 0xfeeff000, data: 0x53 });
    assert.deepEqual([irqfd.path, whyRelayed(irqfd), nic.reason], ["relayed", "multicast", "multicast"]);
    route.change({ vcpu: 0, vector: 0x54 });
    nic.signal();
    assert.deepEqual(arrived(), ["0:84"]);
    sound();
  });

  it("lets what was written before it go by the old message, and what nobody could post by neither", () => {
    const { route, eventfd } = connected({ vcpu: 0, vector: 0x41 }, { bypass: "off" });
    eventfd.signal(); // no relay runs here: the change itself delivers it
    route.change({ vcpu: 1, vector: 0x42 });
    assert.deepEqual(arrived(), ["0:65"]);
    eventfd.signal();
    route.dispose();
    assert.deepEqual(arrived(), ["1:66"]);
  });

  it("touches no irqfd of another GSI", () => {
    const others = Array.from({ length: 40 }, (_, i) => connected({ vcpu: i % VCPUS, vector: 0x50 + i }));
    const { route, nic } = connected({ vcpu: 0, vector: 0x41 });
    const said = others.map(({ nic: other }) => host.words.load(other.record + 8));
    route.change({ vcpu: 1, vector: 0x42 });
    assert.deepEqual(
      others.map(({ nic: other }) => host.words.load(other.record + 8)),
      said,
    );
    for (const { nic: other } of others) other.signal();
    nic.signal();
    const expected = others.map((_, i) => `${i % VCPUS}:${0x50 + i}`);
    assert.deepEqual(new Set(arrived()), new Set([...expected, "1:66"]));
  });

  it("serves every irqfd of its GSI", () => {
    const one = connected({ vcpu: 0, vector: 0x41 });
    const eventfd = Eventfd.create(host);
    const second = vm.irqfd(eventfd, one.route.gsi, { bypass: "off" });
    one.route.change({ vcpu: 1, vector: 0x42 });
    eventfd.signal();
    second.dispose(); // delivers it
    assert.deepEqual(arrived(), ["1:66"]);
    one.nic.signal();
    assert.deepEqual(arrived(), ["1:66"]);
  });

  it("is refused where an irqfd requires bypass and could not have it, and so is a release; the route stays", () => {
    const { route, irqfd, nic } = connected({ vcpu: 0, vector: 0x41 }, { bypass: "require" });
    const refused = { code: "EOPNOTSUPP", message: /GSI 24 of VM 0 requires bypass.*the old routes stay/ };
    assert.throws(() => route.change({ address: 0xfeeff000, data: 0x41 }), {
      ...refused,
      reason: "multicast",
    });
    assert.throws(() => route.dispose(), { ...refused, reason: "no-route" });
    nic.signal();
    assert.deepEqual([irqfd.path, arrived()], ["posted", ["0:65"]]);
    assert.equal(vm.routeMsi({ vcpu: 0, vector: 0x42 }).gsi, FIRST + 1);
    sound();
    irqfd.dispose();
    route.dispose();
    assert.equal(vm.routeMsi({ vcpu: 0, vector: 0x42 }).gsi, FIRST);
    sound();
  });

  it("that is waited for by an irqfd which requires bypass keeps a producer out that could not have it", () => {
    const route = vm.routeMsi({ vcpu: 0, vector: 0x41 });
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, route.gsi, { bypass: "require" });
    route.change({ address: 0xfeeff000, data: 0x41 });
    const nic = Producer.create(host);
    assert.throws(() => nic.register(eventfd), { code: "EOPNOTSUPP", reason: "multicast" });
    route.change({ vcpu: 1, vector: 0x41 });
    nic.register(eventfd);
    nic.signal();
    assert.deepEqual(arrived(), ["1:65"]);
  });
});

describe("the end of a single route", () => {
  it("leaves its irqfd without a route, and what is signalled then is dropped with the reason", () => {
    const { route, irqfd, nic } = connected({ vcpu: 0, vector: 0x41 });
    route.dispose();
    route.dispose();
    assert.equal(whyRelayed(irqfd), "no-route");
    nic.signal();
    irqfd.dispose();
    assert.deepEqual(arrived(), []);
    assert.deepEqual(host.interrupts()[0]?.dropped, { count: 1, reason: "no-route" });
    for (const use of [() => route.change({ vcpu: 0, vector: 0x41 }), () => route.msi])
      assert.throws(use, { code: "EBADF", message: /the route of GSI 24 of VM 0 was released/ });
    assert.match(JSON.stringify(route), /refused.*was released/);
    sound();
  });

  it("comes with a whole table, also one that has its GSI: what is done to it then is EBADF, and releases nothing", () => {
    const { route, nic } = connected({ vcpu: 0, vector: 0x41 });
    vm.setGsiRouting([{ gsi: route.gsi, msi: { vcpu: 1, vector: 0x42 } }]);
    assert.throws(() => route.change({ vcpu: 0, vector: 0x43 }), { code: "EBADF", message: /setGsiRouting/ });
    route.dispose();
    nic.signal();
    assert.deepEqual(arrived(), ["1:66"]);
    const mine = vm.route(route.gsi);
    mine.change({ vcpu: 0, vector: 0x44 }); // one of a table, by itself
    nic.signal();
    assert.deepEqual(arrived(), ["0:68"]);
    vm.setGsiRouting([]);
    assert.throws(() => mine.change({ vcpu: 0, vector: 0x44 }), { code: "EBADF" });
    sound();
  });

  it("is not that of the next route of its GSI", () => {
    const one = vm.routeMsi({ vcpu: 0, vector: 0x41 });
    const same = vm.route(one.gsi);
    one.dispose();
    const next = vm.routeMsi({ vcpu: 1, vector: 0x42 });
    assert.equal(next.gsi, one.gsi);
    same.dispose();
    one.dispose();
    assert.equal(next.msi.data, 0x42);
    assert.throws(() => same.change({ vcpu: 0, vector: 0x43 }), { code: "EBADF" });
  });

  it("comes with its VM, quietly for dispose", () => {
    const before = liveRecords(host);
    const guest = new Vm(host);
    const route = guest.routeMsi({ vcpu: 0, vector: 0x41 });
    guest.dispose();
    assert.deepEqual(liveRecords(host), before);
    route.dispose();
    for (const use of [
      () => route.change({ vcpu: 0, vector: 0x41 }),
      () => guest.routeMsi({ vcpu: 0, vector: 0x41 }),
      () => guest.route(24),
    ])
      assert.throws(use, { code: "EBADF", message: /VM 1 was disposed/ });
    sound();
  });
});
