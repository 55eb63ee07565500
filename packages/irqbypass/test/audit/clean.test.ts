/** The audit of a sound host finds nothing, whatever was done to it before. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Audit, Eventfd, Host, Producer, Vm } from "irqbypass";
import { smallHost } from "../support/host.js";
import { ACTIONS, type Step, Things, take } from "./steps.js";

const messages = ({ findings }: Audit) => findings.map(({ kind, message }) => `${kind}: ${message}`);
const SOME = 60;

describe("the audit of a sound host", () => {
  it("finds nothing in a new one, and counts what lives", () => {
    using host = smallHost();
    const empty = host.audit();
    assert.deepEqual([messages(empty), empty.more, empty.left], [[], 0, []]);
    assert.deepEqual([empty.live.thread, empty.live.vm, empty.live.node], [1, 0, 0]);
    const eventfd = Eventfd.create(host);
    using vm = new Vm(host, { vcpus: 3 });
    vm.irqfd(eventfd, 3);
    const { live } = host.audit();
    assert.deepEqual([live.vm, live.vcpu, live.consumer, live.eventfd, live.route], [1, 3, 1, 1, 40]);
  });

  it("finds nothing after each step of many", () => {
    const names = Object.keys(ACTIONS);
    const number = fc.nat({ max: 63 });
    const step = fc.record({ name: fc.constantFrom(...names), a: number, b: number, c: number });
    const taken = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps: Step[]) => {
        using host = smallHost({
          capacity: { thread: 2, eventfd: 12, producer: 6, consumer: 8, vm: 3, vcpu: 8 },
        });
        const things = new Things(host);
        for (const one of steps) {
          take(things, one);
          taken.set(one.name, (taken.get(one.name) ?? 0) + 1);
          assert.deepEqual(messages(host.audit()), [], `after ${one.name}`);
        }
        things.dispose();
        const { findings, live } = host.audit();
        assert.deepEqual(findings, []);
        const { thread, eventfd, producer, consumer, vm, vcpu, injection, ioeventfd, node } = live;
        assert.deepEqual(
          { thread, eventfd, producer, consumer, vm, vcpu, injection, ioeventfd, node },
          {
            thread: 1,
            eventfd: 0,
            producer: 0,
            consumer: 0,
            vm: 0,
            vcpu: 0,
            injection: 0,
            ioeventfd: 0,
            node: 0,
          },
        );
      }),
      { numRuns: SOME },
    );
    assert.equal(taken.size, names.length, "every step was taken");
  });

  it("goes through a tree of several levels", () => {
    const host = smallHost({ capacity: { eventfd: 10_000, producer: 10_000, consumer: 10_000 } });
    const eventfds = Array.from({ length: 9_000 }, () => Eventfd.create(host));
    const vm = new Vm(host);
    for (const eventfd of eventfds) {
      Producer.create(host).register(eventfd);
      vm.irqfd(eventfd, 3);
    }
    const { findings, live } = host.audit();
    assert.deepEqual(findings, []);
    assert.ok(live.node > 250);
  });

  it("says what was left behind by a thread that left", () => {
    using host = smallHost();
    const other = Host.attach(host.handle);
    Eventfd.create(other);
    new Vm(other);
    assert.deepEqual(host.audit().left, []);
    other.dispose();
    const { findings, left } = host.audit();
    assert.deepEqual([findings, [...left].sort()], [[], ["VM 0"]]);
    Vm.open(host, host.pools.vm.handle(host.pools.vm.at(0))).dispose();
  });

  it("counts an async reader as one that holds its eventfd", async () => {
    using host = smallHost();
    const eventfd = Eventfd.create(host);
    const read = eventfd.readAsync();
    assert.deepEqual(messages(host.audit()), []);
    eventfd.write();
    await read;
    assert.deepEqual(messages(host.audit()), []);
  });

  it("is refused to who holds a mutex", () => {
    using host = smallHost();
    host.mutex.guard(() => assert.throws(() => host.audit(), { code: "EDEADLK" }));
    assert.deepEqual(messages(host.audit()), []);
  });
});
