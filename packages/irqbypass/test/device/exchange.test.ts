/** Eventfds that change hands within one block: each interrupt is bypassed as if its eventfd had been free, or nothing has changed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  type EventfdContext,
  Host,
  type Kind,
  type Policy,
  VdpaDevice,
  VfioPciDevice,
  VIRTIO_STATUS,
  Vm,
} from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { SMALL } from "../support/host.js";
import { refused } from "./support.js";

type Name = "a" | "b" | "c" | "d" | null;

/** What the vectors have before and after a block, and which of them is the producer of its eventfd after it; all that have one if left out. */
const BLOCKS: readonly { says: string; from: Name[]; to: Name[]; produces?: number[] }[] = [
  { says: "two exchange theirs", from: ["a", "b"], to: ["b", "a"] },
  { says: "three go round", from: ["a", "b", "c"], to: ["b", "c", "a"] },
  { says: "three go round the other way", from: ["a", "b", "c"], to: ["c", "a", "b"] },
  { says: "two pairs exchange theirs", from: ["a", "b", "c", "d"], to: ["b", "a", "d", "c"] },
  { says: "all move on by one", from: ["a", "b", "c"], to: ["b", "c", "d"] },
  { says: "all move back by one", from: ["b", "c", "d"], to: ["a", "b", "c"] },
  { says: "all move on by one, and the last has none", from: ["a", "b", "c"], to: [null, "a", "b"] },
  { says: "all move on by one, and the first has none", from: ["a", "b", "c"], to: ["b", "c", null] },
  { says: "one that had none takes another's", from: [null, "b"], to: ["b", "a"] },
  { says: "one comes in between two that exchange", from: ["a", "b", null], to: ["b", "a", "c"] },
  { says: "one stays while others exchange", from: ["a", "b", "c"], to: ["c", "b", "a"] },
  { says: "nobody has to leave what both have", from: ["a", "b"], to: ["b", "b"], produces: [1] },
  { says: "two want what one leaves", from: ["a", null, null], to: ["b", "a", "a"], produces: [0, 1] },
];
const NAMES = ["a", "b", "c", "d"] as const;

function bench(make: (host: Host) => Vm | KvmVm, real: boolean, kinds: Kind[], kind?: string) {
  const host = Host.create({ kinds, capacity: { ...SMALL, producer: 63 } });
  const vm = make(host);
  vm.setGsiRouting(NAMES.map((_, n) => ({ gsi: 24 + n, msi: { vcpu: 0, vector: 0x40 + n } })));
  const eventfds = NAMES.map((): EventfdContext => (real ? LinuxEventfd.create(host) : Eventfd.create(host)));
  const nic = new VfioPciDevice(host, { msix: 4, ...(kind && { kind }) });
  return {
    host,
    vm,
    nic,
    eventfds,
    vectors: [0, 1, 2, 3].map((n) => nic.vector("msix", n)),
    of: (name: Name) => (name === null ? null : eventfds[NAMES.indexOf(name)]!),
    assign: (bypass: Policy) => eventfds.map((eventfd, n) => vm.irqfd(eventfd as never, 24 + n, { bypass })),
    set(names: Name[]) {
      const list = names.map((name) => this.of(name));
      const range = { index: "msix", start: 0, count: list.length } as const;
      nic.setIrqs({ ...range, action: "trigger", data: "eventfd", eventfds: list });
    },
    /** Which eventfd each vector has, and how it goes. */
    state() {
      return this.vectors.map((vector) => {
        const { eventfd } = vector.trigger;
        return [eventfds.findIndex(({ record }) => record === eventfd), vector.path, vector.reason];
      });
    },
    /** Who is registered, by eventfd. */
    producers: () =>
      host.interrupts().map(({ eventfd, path, reason, producer }) => [eventfd, path, reason, producer?.irq]),
    end() {
      assert.deepEqual(host.audit().findings, []);
      nic.dispose();
      assert.equal(host.pools.producer.live, 0);
      if (vm instanceof KvmVm) vm.dispose();
    },
  };
}

const WORLDS: readonly (readonly [
  string,
  { skip?: string | boolean },
  (host: Host) => Vm | KvmVm,
  boolean,
  Kind[],
])[] = [
  ["a software VM", {}, (host) => new Vm(host), false, []],
  ["a software VM with eventfds of the system", linux, (host) => new Vm(host), true, [linuxKind()]],
  ["a KVM guest", kvmTests, (host) => new KvmVm(host), true, [linuxKind(), kvm()]],
];

for (const [world, options, make, real, kinds] of WORLDS) {
  describe(`a block of triggers that others of it have, ${world}`, options, () => {
    for (const { says, from, to, produces } of BLOCKS) {
      for (const policy of ["prefer", "require", "off"] as const) {
        it(`${policy}: ${says}`, () => {
          const t = bench(make, real, kinds);
          t.assign(policy);
          t.set(from);
          const before = t.state();
          if (policy === "require" && produces !== undefined) {
            const error = refused("EBUSY", () => t.set(to));
            assert.match(error.subject ?? "", /^msix \d$/);
            assert.equal(error.reason, "another-producer");
            assert.deepEqual(t.state(), before);
            return t.end();
          }
          t.set(to);
          const path = make.toString().includes("Kvm") ? "injected" : "posted";
          t.vectors.forEach((vector, n) => {
            const name = to[n] ?? null;
            assert.equal(vector.trigger.eventfd, t.of(name)?.record ?? 0);
            if (name === null) assert.equal(vector.path, undefined);
            else if (policy === "off") assert.ok(vector.reason === "policy-off" || produces !== undefined);
            else if (produces?.includes(n) !== false)
              assert.deepEqual([vector.path, vector.reason], [path, undefined]);
            else assert.equal(vector.reason, "another-producer");
          });
          return t.end();
        });
      }
    }
  });
}

describe("a block that is refused", () => {
  /** Which of its calls refuses. */
  let forbidden = -1;
  let calls = 0;
  const addConsumer = () => {
    calls += 1;
    return calls === forbidden ? ({ code: "EIO" } as const) : undefined;
  };
  const picky: Kind = { name: "picky", producer: { addConsumer } };
  const create = () => bench((host) => new Vm(host), false, [picky], "picky");

  for (const { says, from, to, produces } of BLOCKS) {
    if (produces !== undefined) continue;
    it(`by a callback leaves all as it was, wherever that comes: ${says}`, () => {
      for (let at = 1; ; at++) {
        forbidden = -1;
        const t = create();
        t.assign("require");
        t.set(from);
        const before = [t.state(), t.producers()];
        [calls, forbidden] = [0, at];
        let error: { subject?: string | undefined; reason?: string | undefined } | undefined;
        try {
          t.set(to);
        } catch (thrown) {
          error = thrown as NonNullable<typeof error>;
        }
        forbidden = -1;
        if (error === undefined) {
          assert.ok(at > 1, "nobody was asked");
          break;
        }
        assert.match(error.subject ?? "", /^msix \d$/);
        assert.equal(error.reason, "refused");
        assert.deepEqual([t.state(), t.producers()], before);
        t.end();
      }
    });
  }

  it("is one in the policy prefer for the vector that is refused alone", () => {
    forbidden = -1;
    const t = create();
    t.assign("prefer");
    t.set(["a", "b"]);
    [calls, forbidden] = [0, 1];
    t.set(["b", "a"]);
    const reasons = t.vectors.slice(0, 2).map(({ reason }) => reason);
    assert.deepEqual(reasons.sort(), ["refused", undefined]);
    t.end();
  });

  it("for an eventfd that another device has names the vector and the reason", () => {
    const t = bench((host) => new Vm(host), false, []);
    t.assign("require");
    const other = new VfioPciDevice(t.host, { msix: 1 });
    other.setTrigger("msix", 0, t.of("c"));
    t.set(["a", "b"]);
    const before = [t.state(), t.producers()];
    const error = refused("EBUSY", () => t.set(["b", "c"]));
    assert.deepEqual([error.subject, error.reason], ["msix 1", "another-producer"]);
    assert.match(error.message, /^EBUSY: msix 1 cannot have this eventfd/);
    assert.deepEqual([t.state(), t.producers()], before);
    other.dispose();
    t.end();
  });
});

describe("SET_VRING_CALL, which is for one queue", () => {
  it("a queue that finds its eventfd taken says so, and is given it again once that is free", () => {
    const t = bench((host) => new Vm(host), false, []);
    const irqfds = t.assign("prefer");
    const block = new VdpaDevice(t.host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
    const session = block.open();
    session.setStatus(VIRTIO_STATUS.driverOk);
    const [a, b] = [t.of("a"), t.of("b")];
    const reasons = () => [block.queue(0).reason, block.queue(1).reason];
    session.setVringCall(0, a);
    session.setVringCall(1, b);
    session.setVringCall(0, b);
    assert.deepEqual(reasons(), ["another-producer", undefined]);
    session.setVringCall(1, a);
    assert.deepEqual(reasons(), ["no-producer", undefined], "as its irqfd says");
    assert.ok(irqfds[1]!.reasons.includes("no-producer"));
    session.setVringCall(0, b);
    assert.deepEqual(reasons(), [undefined, undefined]);
    block.dispose();
    t.end();
  });
});
