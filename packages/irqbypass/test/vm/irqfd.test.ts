/** Irqfds: assign, deassign, policies and the switch, on one thread with the relay when it is needed. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Eventfd, type GsiRoute, Host, type HostOptions, POLICIES, Producer, Vcpu, Vm } from "irqbypass";
import { Eventfd as E } from "#src/host/layout.js";
import { relayOne } from "#src/vm/relay.js";
import { liveRecords, noRelay, smallHost, whyRelayed } from "../support/host.js";
import { PATIENCE_MS, until } from "../support/worker.js";

const VECTOR = 0x41;
const GSI = 24;
const TO_VCPU: readonly GsiRoute[] = [{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }];
const TO_ALL: readonly GsiRoute[] = [{ gsi: GSI, msi: { address: 0xfeeff000, data: VECTOR } }];

let host: Host;
let vm: Vm;
let vcpu: Vcpu;
let eventfd: Eventfd;
beforeEach(() => begin());
afterEach(() => {
  vcpu.put();
});

function begin(options: HostOptions = {}): void {
  host = smallHost(options);
  vm = new Vm(host, { vcpus: 2 });
  vm.setGsiRouting(TO_VCPU);
  vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  eventfd = Eventfd.create(host);
}

/** Vectors that have come so far, each served. */
function served(): number[] {
  const vectors: number[] = [];
  for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
    vectors.push(vector);
    vcpu.eoi();
  }
  return vectors;
}

/** Waits for what the relay injects. */
async function relayed(): Promise<number[]> {
  assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt");
  return served();
}

function device(to = eventfd): Producer {
  const producer = Producer.create(host);
  producer.register(to, 3);
  return producer;
}

describe("an assigned irqfd", () => {
  it("makes each signal an interrupt, posted by a device of this host", () => {
    const irqfd = vm.irqfd(eventfd, GSI);
    assert.deepEqual(
      [irqfd.path, whyRelayed(irqfd), irqfd.gsi, irqfd.policy],
      ["relayed", "no-producer", GSI, "prefer"],
    );
    const nic = device();
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["posted", undefined]);
    assert.deepEqual([nic.path, nic.reason], ["posted", undefined]);
    for (let i = 0; i < 100; i++) {
      nic.signal();
      assert.equal(vcpu.wait({ timeoutMs: PATIENCE_MS }), "interrupt");
      assert.deepEqual(served(), [VECTOR]);
    }
    assert.equal(eventfd.count, 0n);
  });

  it("is relayed for whoever writes the eventfd, connected or not", async () => {
    vm.irqfd(eventfd, GSI);
    for (let i = 0; i < 20; i++) {
      if (i === 10) device();
      eventfd.write(i % 3);
      assert.deepEqual(await relayed(), [VECTOR]);
      assert.equal(eventfd.count, 0n);
    }
  });

  it("injects a count that was there once, and leaves it to be read", async () => {
    eventfd.write(4);
    vm.irqfd(eventfd, GSI);
    assert.deepEqual(await relayed(), [VECTOR]);
    assert.equal(eventfd.count, 4n);
    eventfd.write(1);
    assert.deepEqual(await relayed(), [VECTOR]);
    assert.equal(eventfd.count, 0n, "the next signal drains it");
  });

  it("loses a signal that has no route, also one that was pending when it was assigned", async () => {
    vm.setGsiRouting([]);
    eventfd.write(1);
    const irqfd = vm.irqfd(eventfd, GSI);
    eventfd.write(1);
    await until("the relay is idle", () => !host.pending.any);
    irqfd.dispose(); // waits for the relay
    vm.irqfd(eventfd, GSI);
    vm.setGsiRouting(TO_VCPU);
    assert.deepEqual(served(), []);
  });

  it("may be any of several on one GSI", () => {
    const eventfds = Array.from({ length: 5 }, () => Eventfd.create(host));
    for (const one of eventfds) {
      vm.irqfd(one, GSI);
      device(one).signal();
      assert.deepEqual(served(), [VECTOR]);
    }
  });

  it("takes any GSI that has 32 bits, and injects nothing where there can be no route (B4)", () => {
    for (const gsi of [4095, 4096, 2 ** 31, 2 ** 32 - 1]) {
      const one = Eventfd.create(host);
      const irqfd = vm.irqfd(one, gsi);
      const nic = device(one);
      nic.signal();
      assert.deepEqual([irqfd.gsi, irqfd.path, whyRelayed(irqfd)], [gsi, "relayed", "no-route"]);
      assert.equal(host.interrupts().at(-1)?.consumer?.gsi, gsi);
      assert.equal(vm.deassign(one, gsi), true);
      nic.dispose();
    }
    assert.deepEqual(served(), []);
  });

  it("is refused for a bad GSI, policy or eventfd", () => {
    for (const gsi of [-1, 0.5, 2 ** 32, Number.NaN, "24" as unknown as number]) {
      assert.throws(() => vm.irqfd(eventfd, gsi), { code: "EINVAL", message: /from 0 to 2\^32-1/ });
    }
    assert.throws(() => vm.irqfd(eventfd, GSI, { bypass: "maybe" as "off" }), {
      code: "EINVAL",
      message: /bypass is maybe: use off, prefer, require/,
    });
    const closed = Eventfd.create(host);
    closed.close();
    assert.throws(() => vm.irqfd(closed, GSI), { code: "EBADF" });
    for (const [wrong, code] of [
      [{}, "EINVAL"],
      [undefined, "EINVAL"],
      [Eventfd.create(smallHost()), "EXDEV"],
    ] as const) {
      assert.throws(() => vm.irqfd(wrong as Eventfd, GSI), {
        code,
        message: /an irqfd listens to an eventfd/,
      });
    }
    assert.equal(host.pools.consumer.live, 0);
  });

  it("is one for an eventfd in the whole host: EBUSY for the same GSI, another, another VM (B7)", () => {
    vm.irqfd(eventfd, GSI);
    const other = new Vm(host);
    const second = Eventfd.open(host, eventfd.handle);
    const before = liveRecords(host);
    for (const again of [
      () => vm.irqfd(eventfd, GSI),
      () => vm.irqfd(eventfd, GSI + 1),
      () => other.irqfd(eventfd, GSI),
      () => vm.irqfd(second, GSI, { bypass: "off" }),
      () => vm.irqfd(second, GSI, { bypass: "require" }),
    ]) {
      assert.throws(again, {
        code: "EBUSY",
        errno: -16,
        message: /eventfd 0 has an irqfd already: deassign that first/,
      });
    }
    assert.deepEqual(liveRecords(host), before);
    device().signal();
    assert.deepEqual(served(), [VECTOR]);
  });

  it("says ENOMEM when the host is full, and leaves nothing", () => {
    host = smallHost({ capacity: { consumer: 1 } });
    const small = new Vm(host, { apic: false });
    small.irqfd(Eventfd.create(host), 1);
    const one = Eventfd.create(host);
    const before = liveRecords(host);
    assert.throws(() => small.irqfd(one, 2), { code: "ENOMEM", subject: "consumer" });
    assert.deepEqual(liveRecords(host), before);
    one.close();
    assert.equal(host.pools.eventfd.live, 1);
  });
});

describe("deassign", () => {
  it("needs the eventfd and the GSI, and is no error where nothing matches", () => {
    vm.irqfd(eventfd, GSI);
    const other = new Vm(host);
    assert.equal(vm.deassign(eventfd, GSI + 1), false);
    assert.equal(other.deassign(eventfd, GSI), false);
    assert.equal(vm.deassign(Eventfd.create(host), GSI), false);
    assert.equal(vm.deassign(eventfd, GSI), true);
    assert.equal(vm.deassign(eventfd, GSI), false);
  });

  it("tears the bypass down, and later signals only count", () => {
    const irqfd = vm.irqfd(eventfd, GSI);
    const nic = device();
    assert.equal(nic.path, "posted");
    irqfd.dispose();
    irqfd.dispose();
    assert.deepEqual([nic.path, nic.reason], ["relayed", "no-consumer"]);
    nic.signal();
    assert.equal(eventfd.count, 1n);
    assert.deepEqual(served(), []);
    for (const read of [() => irqfd.gsi, () => irqfd.path, () => whyRelayed(irqfd), () => irqfd.policy]) {
      assert.throws(read, { code: "EBADF", message: /was deassigned: assign another one/ });
    }
  });

  it("does not recall what was posted, and delivers what the relay has not come to", () => {
    const irqfd = vm.irqfd(eventfd, GSI);
    const nic = device();
    nic.signal();
    irqfd.dispose();
    assert.deepEqual(served(), [VECTOR]);
    nic.dispose();
    // Relayed: this thread has not let the relay start yet.
    vm.irqfd(eventfd, GSI);
    eventfd.write(1);
    assert.deepEqual(served(), []);
    vm.deassign(eventfd, GSI);
    assert.deepEqual(served(), [VECTOR]);
    assert.equal(host.pools.consumer.live, 0);
  });

  it("frees the eventfd for another VM, where a device goes on to", () => {
    const nic = device();
    vm.irqfd(eventfd, GSI);
    const other = new Vm(host);
    other.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 0x99 } }]);
    vm.deassign(eventfd, GSI);
    const irqfd = other.irqfd(eventfd, 1);
    assert.equal(irqfd.path, "posted");
    nic.signal();
    assert.deepEqual(served(), []);
    using there = Vcpu.open(host, other.vcpu(0).handle);
    assert.equal(there.acknowledge(), 0x99);
  });

  it("by an irqfd that is stale does not touch the next one in the same record", () => {
    const stale = vm.irqfd(eventfd, GSI);
    vm.deassign(eventfd, GSI);
    const other = Eventfd.create(host);
    const fresh = vm.irqfd(other, GSI);
    assert.equal(host.words.load(other.record + E.irqfd) !== 0, true);
    stale.dispose();
    assert.equal(fresh.gsi, GSI);
    assert.throws(() => stale.gsi, { code: "EBADF" });
  });

  it("of all comes with the end of the VM, and the eventfds are free", () => {
    const eventfds = Array.from({ length: 20 }, () => Eventfd.create(host));
    const nics = eventfds.map((one) => device(one));
    const irqfds = eventfds.map((one) => vm.irqfd(one, GSI));
    assert.throws(() => vm.dispose(), { code: "EBUSY", message: /vCPU 0 of VM 0 is running: put it before/ });
    assert.equal(irqfds[19]!.path, "posted");
    vcpu.put();
    vm.dispose();
    vm.dispose();
    assert.ok(nics.every(({ reason }) => reason === "no-consumer"));
    assert.throws(() => irqfds[0]!.path, { code: "EBADF" });
    for (const call of [
      () => vm.vcpus,
      () => vm.handle,
      () => vm.irqfd(eventfd, 1),
      () => vm.setGsiRouting([]),
    ]) {
      assert.throws(call, { code: "EBADF", message: /VM 0 was disposed: make another one/ });
    }
    assert.equal(host.pools.consumer.live, 0);
    const next = new Vm(host);
    next.irqfd(eventfds[0]!, 1);
  });
});

describe("the policy", () => {
  it("off never bypasses, and registers no consumer", () => {
    const nic = device();
    const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
    assert.deepEqual([irqfd.path, whyRelayed(irqfd), irqfd.policy], ["relayed", "policy-off", "off"]);
    assert.deepEqual([nic.path, nic.reason], ["relayed", "policy-off"]);
    assert.equal(
      host.mutex.guard(() => host.manager.consumerAt(eventfd.record)),
      0,
    );
  });

  it("prefer falls back to the relay, says why, and is bypassed as soon as it can be", async () => {
    vm.setGsiRouting(TO_ALL);
    const irqfd = vm.irqfd(eventfd, GSI);
    const nic = device();
    assert.deepEqual(
      [irqfd.path, whyRelayed(irqfd), nic.path, nic.reason],
      ["relayed", "multicast", "relayed", "multicast"],
    );
    nic.signal();
    assert.deepEqual(await relayed(), [VECTOR]);
    vm.setGsiRouting(TO_VCPU);
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["posted", undefined]);
  });

  for (const last of ["producer", "irqfd"] as const) {
    it(`require refuses the ${last} that comes last where it cannot be bypassed, and nothing changes`, () => {
      vm.setGsiRouting([]);
      eventfd.write(3);
      const nic = Producer.create(host);
      const ends = {
        producer: () => nic.register(eventfd),
        irqfd: () => vm.irqfd(eventfd, GSI, { bypass: "require" }),
      };
      ends[last === "producer" ? "irqfd" : "producer"]();
      const before = liveRecords(host);
      assert.throws(ends[last], {
        code: "EOPNOTSUPP",
        errno: -95,
        side: "consumer",
        reason: "no-route",
        message: /refused the connection \(no-route\)/,
      });
      assert.deepEqual(liveRecords(host), before);
      assert.equal(eventfd.count, 3n);
      vm.setGsiRouting(TO_VCPU);
      ends[last]();
      assert.equal(nic.path, "posted");
    });
  }

  it("require refuses a route that would leave it relayed, and the switch, and keeps what was", () => {
    const irqfd = vm.irqfd(eventfd, GSI, { bypass: "require" });
    const nic = device();
    for (const [routes, reason] of [
      [[], "no-route"],
      [TO_ALL, "multicast"],
    ] as const) {
      const before = liveRecords(host);
      assert.throws(() => vm.setGsiRouting(routes), {
        code: "EOPNOTSUPP",
        reason,
        message:
          /GSI 24 of VM 0 requires bypass, and with this route it could not be .*: the old routes stay/,
      });
      assert.deepEqual(liveRecords(host), before);
      assert.equal(irqfd.path, "posted");
    }
    assert.throws(
      () => {
        host.bypass = false;
      },
      { code: "EOPNOTSUPP", reason: "switched-off", message: /GSI 24 of VM 0 requires bypass: it stays on/ },
    );
    assert.equal(host.bypass, true);
    nic.signal();
    assert.deepEqual(served(), [VECTOR]);
    // What cannot be refused leaves it relayed, with a reason.
    nic.dispose();
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "no-producer"]);
    vm.setGsiRouting([]); // a lone end is relayed anyway
  });

  for (const bypass of POLICIES) {
    for (const order of ["irqfd, device, route", "device, route, irqfd", "route, irqfd, device"]) {
      it(`${bypass} comes to the same end with ${order}`, () => {
        vm.setGsiRouting([]);
        let refusals = 0;
        for (const step of order.split(", ")) {
          try {
            if (step === "route") vm.setGsiRouting(TO_VCPU);
            else if (step === "device") device();
            else vm.irqfd(eventfd, GSI, { bypass });
          } catch (error) {
            assert.equal((error as { reason?: string }).reason, "no-route");
            refusals += 1;
          }
        }
        const early = bypass === "require" && order.endsWith("route");
        assert.equal(refusals, early ? 1 : 0);
        const [interrupt] = host.interrupts();
        assert.equal(interrupt?.path, bypass === "off" || early ? "relayed" : "posted");
      });
    }
  }
});

describe("host.bypass", () => {
  it("off relays every interrupt and says so, on bypasses them again", async () => {
    const irqfd = vm.irqfd(eventfd, GSI);
    const nic = device();
    host.bypass = false;
    assert.equal(Host.attach(host.handle).bypass, false);
    assert.deepEqual(
      [irqfd.path, whyRelayed(irqfd), nic.reason],
      ["relayed", "switched-off", "switched-off"],
    );
    nic.signal();
    assert.deepEqual(await relayed(), [VECTOR]);
    const later = Eventfd.create(host);
    const second = vm.irqfd(later, GSI);
    device(later);
    assert.equal(whyRelayed(second), "switched-off");
    host.bypass = true;
    assert.deepEqual([irqfd.path, second.path], ["posted", "posted"]);
  });

  it("off refuses who requires bypass from then on", () => {
    host.bypass = false;
    device();
    assert.throws(() => vm.irqfd(eventfd, GSI, { bypass: "require" }), {
      code: "EOPNOTSUPP",
      reason: "switched-off",
    });
    host.bypass = true;
    assert.equal(vm.irqfd(eventfd, GSI, { bypass: "require" }).path, "posted");
  });
});

describe("irqfd.bypassed()", () => {
  it("resolves with the path when the second end comes, or the route", async () => {
    vm.setGsiRouting([]);
    const irqfd = vm.irqfd(eventfd, GSI);
    let settled = false;
    const waiting = irqfd.bypassed().then((path) => {
      settled = true;
      return path;
    });
    device();
    await new Promise(setImmediate);
    assert.equal(settled, false);
    vm.setGsiRouting(TO_VCPU);
    assert.equal(await waiting, "posted");
    assert.equal(await irqfd.bypassed(), "posted");
  });

  it("rejects on a time-out, an abort, and a deassign", async () => {
    const irqfd = vm.irqfd(eventfd, GSI);
    await assert.rejects(irqfd.bypassed({ timeoutMs: 3 }), {
      code: "ETIMEDOUT",
      message: /the irqfd of GSI 24 was not bypassed within 3 ms/,
    });
    const reason = new Error("enough");
    const controller = new AbortController();
    const aborted = irqfd.bypassed({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(aborted, reason);
    const waiting = irqfd.bypassed();
    irqfd.dispose();
    await assert.rejects(waiting, { code: "EBADF" });
  });
});

describe("host.interrupts()", () => {
  it("lists every eventfd that has an end, and says which lacks one", async () => {
    const [lone, both] = [Eventfd.create(host), Eventfd.create(host)];
    vm.irqfd(eventfd, GSI);
    device(lone);
    vm.irqfd(both, GSI);
    device(both);
    assert.equal(host.interrupts()[0]?.reason, "relay-not-running");
    await until("the relay runs", () => host.interrupts()[0]?.reason !== "relay-not-running");
    assert.deepEqual(
      host.interrupts().map(({ sinceMs, ...rest }) => ({ ...rest, since: sinceMs >= 0 })),
      [
        {
          eventfd: 0,
          path: "relayed",
          reason: "no-producer",
          consumer: { vm: 0, gsi: GSI },
          producer: undefined,
        },
        { eventfd: 1, path: "relayed", reason: "no-consumer", consumer: undefined, producer: { irq: 3 } },
        {
          eventfd: 2,
          path: "posted",
          reason: undefined,
          consumer: { vm: 0, gsi: GSI },
          producer: { irq: 3 },
        },
      ].map((interrupt) => ({ ...interrupt, dropped: undefined, since: true })),
    );
  });

  const pin = (number: number): GsiRoute => ({ gsi: GSI, irqchip: { chip: "ioapic", pin: number } });
  const masked = { vcpu: 0, vector: VECTOR, masked: true };
  for (const [reason, prepare] of Object.entries({
    "no-route": () => vm.setGsiRouting([]),
    "no-vcpu": () => vm.setGsiRouting([{ gsi: GSI, msi: { address: 0xfee07000, data: VECTOR } }]),
    "delivery-mode": () => vm.setGsiRouting([{ gsi: GSI, msi: { address: 0xfee00000, data: 0x741 } }]),
    "no-pic": () => vm.setGsiRouting([{ gsi: GSI, irqchip: { chip: "pic-master", pin: 3 } }]),
    masked() {
      vm.setGsiRouting([pin(3), { gsi: GSI, irqchip: { chip: "pic-master", pin: 3 } }]);
      vm.ioapic.redirect(3, masked);
    },
  })) {
    it(`counts what is dropped, and why: ${reason}`, async () => {
      const irqfd = vm.irqfd(eventfd, GSI);
      const nic = device();
      prepare();
      for (let i = 1; i <= 3; i++) {
        nic.signal();
        await until("the relay drops it", () => host.interrupts()[0]?.dropped?.count === i);
        assert.deepEqual(host.interrupts()[0]?.dropped, { count: i, reason });
      }
      assert.equal(eventfd.count, 0n, "it was consumed");
      vm.setGsiRouting(TO_VCPU);
      assert.deepEqual(served(), [], "no later route delivers it");
      nic.signal();
      assert.deepEqual(served(), [VECTOR]);
      irqfd.dispose();
      assert.deepEqual(host.interrupts()[0]?.dropped, { count: 3, reason }, "it is the eventfd's");
      assert.deepEqual(host.audit().findings, []);
    });
  }

  it("counts as dropped what a deassign delivers to nowhere", () => {
    vm.setGsiRouting([]);
    const irqfd = vm.irqfd(eventfd, GSI);
    device();
    eventfd.write();
    irqfd.dispose();
    assert.deepEqual(host.interrupts()[0]?.dropped, { count: 1, reason: "no-route" });
  });

  it("counts nothing as dropped that a line keeps, or that becomes part of what is pending", () => {
    begin({ spawn: noRelay }); // this thread is the relay
    vm.setGsiRouting([pin(3), { gsi: 25, irqchip: { chip: "ioapic", pin: 4 } }]);
    vm.ioapic.redirect(3, { vcpu: 0, vector: VECTOR });
    vm.ioapic.redirect(4, { ...masked, vector: 0x51, level: true });
    const level = Eventfd.create(host);
    vm.irqfd(eventfd, GSI);
    vm.irqfd(level, 25, { resample: Eventfd.create(host) });
    for (let i = 0; i < 2; i++) {
      for (const one of [eventfd, level]) one.write();
      host.pending.takeAll((one) => relayOne(host, one));
    }
    assert.deepEqual(
      host.interrupts().map(({ dropped }) => dropped),
      [undefined, undefined],
    );
    assert.deepEqual(served(), [VECTOR]);
    vm.ioapic.redirect(4, { vcpu: 0, vector: 0x51, level: true });
    host.pending.takeAll((one) => relayOne(host, one));
    assert.equal(vm.ioapic.lines & (1 << 4), 0, "its device was asked, who raises it again");
  });

  it("forgets why a connect failed once one has succeeded", () => {
    vm.setGsiRouting([]);
    const irqfd = vm.irqfd(eventfd, GSI, { bypass: "require" });
    const nic = Producer.create(host);
    assert.throws(() => nic.register(eventfd), { code: "EOPNOTSUPP" });
    assert.equal(whyRelayed(irqfd), "no-route");
    vm.setGsiRouting(TO_VCPU);
    nic.register(eventfd);
    assert.equal(whyRelayed(irqfd), undefined);
    nic.unregister();
    assert.equal(whyRelayed(irqfd), "no-producer");
  });
});

describe("bugs of the kernel's past", () => {
  it("A9: a device that was refused and is gone is not touched by a later change of routes", () => {
    vm.setGsiRouting([]);
    vm.irqfd(eventfd, GSI, { bypass: "require" });
    const nic = Producer.create(host);
    assert.throws(() => nic.register(eventfd), { code: "EOPNOTSUPP" });
    nic.dispose();
    const other = Producer.create(host); // in the same record
    vm.setGsiRouting(TO_VCPU);
    assert.deepEqual([other.path, other.registered], ["relayed", false]);
  });

  it("B1: a posted irqfd that is deassigned posts no more, whatever comes next", () => {
    const nic = device();
    for (let i = 0; i < 3; i++) {
      vm.irqfd(eventfd, GSI);
      nic.signal();
      assert.deepEqual(served(), [VECTOR]);
      vm.deassign(eventfd, GSI);
      vm.setGsiRouting(TO_VCPU);
      nic.signal();
      assert.deepEqual(served(), []);
      eventfd.tryRead();
    }
  });
});

describe("irqfd.relayed()", () => {
  it("resolves with the reason as soon as the producer unregisters, which nobody can refuse", async () => {
    const irqfd = vm.irqfd(eventfd, GSI, { bypass: "require" });
    assert.equal(await irqfd.relayed(), "no-producer");
    const producer = device();
    const waiting = irqfd.relayed();
    await assert.rejects(irqfd.relayed({ timeoutMs: 3 }), { code: "ETIMEDOUT" });
    producer.dispose();
    assert.equal(await waiting, "no-producer");
  });
});
