/** Why an interrupt is not bypassed, where there is more than one reason: the worst first. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Producer, REASONS, Vm, WORST_FIRST } from "irqbypass";
import { Header, RelayState } from "#src/host/layout.js";
import { noRelay, smallHost } from "../support/host.js";

const ROUTE = [{ gsi: 1, msi: { vcpu: 0, vector: 65 } }];
const TO_ALL = [{ gsi: 1, msi: { address: 0xfeeff000, data: 65 } }];
const TO_NOBODY = [{ gsi: 1, msi: { address: 0xfee07000, data: 65 } }];

/** As if the relay's thread had come to that. */
function relayRuns({ words, thread }: Host): void {
  words.store(Header.relays, RelayState.running | thread.record);
}

describe("the order of reasons", () => {
  it("has each of them once", () => {
    assert.deepEqual([...WORST_FIRST].sort(), REASONS.filter((reason) => reason !== "none").sort());
  });
});

describe("an irqfd says all reasons that hold", () => {
  const cases: readonly (readonly [
    string,
    { off?: true; producer?: true; switched?: true; routes: typeof ROUTE | typeof TO_ALL },
    readonly string[],
  ])[] = [
    ["without a producer", { routes: ROUTE }, ["no-producer"]],
    ["without a route and a producer", { routes: [] }, ["no-route", "no-producer"]],
    ["without a route", { routes: [], producer: true }, ["no-route"]],
    [
      "to no vCPU of the VM, with bypass off",
      { routes: TO_NOBODY, off: true },
      ["no-vcpu", "policy-off", "no-producer"],
    ],
    ["with bypass off", { routes: ROUTE, off: true, producer: true }, ["policy-off"]],
    [
      "switched off, to all",
      { routes: TO_ALL, producer: true, switched: true },
      ["switched-off", "multicast"],
    ],
    [
      "switched off, without a route",
      { routes: [], producer: true, switched: true },
      ["no-route", "switched-off"],
    ],
    ["bypassed", { routes: ROUTE, producer: true }, []],
  ];
  for (const [what, { off, producer, switched, routes }, reasons] of cases) {
    it(`${what}: ${reasons.join(", ") || "none"}`, () => {
      const host = smallHost({ spawn: noRelay });
      const vm = new Vm(host, { vcpus: 2 });
      vm.setGsiRouting(routes);
      const e = Eventfd.create(host);
      const irqfd = vm.irqfd(e, 1, { bypass: off ? "off" : "prefer" });
      if (producer) Producer.create(host).register(e);
      if (switched) host.bypass = false;
      const waiting = reasons.length === 0 ? [] : ["relay-not-running", ...reasons];
      assert.deepEqual([irqfd.reasons, irqfd.reason], [waiting, waiting[0]]);
      assert.equal(host.interrupts()[0]?.reason, waiting[0]);
      relayRuns(host);
      assert.deepEqual([irqfd.reasons, irqfd.reason], [reasons, reasons[0]]);
      assert.equal(host.interrupts()[0]?.reason, reasons[0]);
    });
  }

  it("a device that died behind an irqfd that wants no bypass", () => {
    const host = smallHost({ spawn: noRelay });
    const vm = new Vm(host);
    vm.setGsiRouting(ROUTE);
    const e = Eventfd.create(host);
    const irqfd = vm.irqfd(e, 1, { bypass: "off" });
    relayRuns(host);
    // Another thread, which nothing proves to be alive.
    const other = Host.attach(host.handle, {
      platform: { ...host.platform, self: () => ({ pid: 0, tid: 0, startTime: 0, worker: 0 }) },
    });
    Producer.create(other).register(Eventfd.open(other, e.handle));
    assert.deepEqual(irqfd.reasons, ["policy-off"]);
    assert.equal(host.threadLost(other.threadId), true);
    assert.deepEqual(irqfd.reasons, ["thread-died", "policy-off", "no-producer"]);
    const next = Producer.create(host);
    next.register(e);
    assert.deepEqual([irqfd.reasons, next.reason], [["policy-off"], "policy-off"]);
    assert.deepEqual(host.audit().findings, []);
  });

  it("a callback that refused, and the switch", () => {
    const host = smallHost({ kinds: [{ name: "k", producer: { addConsumer: () => ({ code: "EIO" }) } }] });
    const vm = new Vm(host, { apic: false }); // and so without routes
    const e = Eventfd.create(host);
    const irqfd = vm.irqfd(e, 1);
    relayRuns(host);
    assert.throws(() => Producer.create(host, "k").register(e), { code: "EIO" });
    host.bypass = false;
    assert.deepEqual(irqfd.reasons, ["no-route", "refused", "switched-off", "no-producer"]);
  });
});
