/** How often a KVM guest's host gives KVM a routing table: KVM takes whole ones alone, so that each costs as much as the guest has routes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import { kvmTests } from "./available.js";
import { withTables } from "./counted.js";

const ROUTES = 512;

/** A guest, and how many tables KVM has been given. */
function counted() {
  let tables = 0;
  const linux = withTables((_table, give) => {
    tables++;
    return give();
  });
  const host = Host.create({ kinds: [linux, kvm()] });
  return { host, vm: new KvmVm(host), tables: () => tables };
}

describe("KVM is given a routing table", kvmTests, () => {
  it("once for 512 routes that are made and changed before their irqfds come, and for none that nobody hears of", () => {
    const { host, vm, tables } = counted();
    const requested = () => requestedVectors(vm.machine.vcpus[0]!.lapic());
    const routes = Array.from({ length: ROUTES }, () => vm.routeMsi({ vcpu: 0, vector: 0x40 }));
    for (const [at, route] of routes.entries()) route.change({ vcpu: 0, vector: 0x80 + (at & 63) });
    assert.equal(tables(), 0, "nobody hears of them");
    const eventfds = routes.map(({ gsi }) => {
      const eventfd = LinuxEventfd.create(host);
      vm.irqfd(eventfd, gsi);
      return eventfd;
    });
    assert.equal(tables(), 1, "the first irqfd needs them, and the others find them there");
    for (const eventfd of eventfds) eventfd.signal();
    assert.deepEqual(
      requested(),
      Array.from({ length: 64 }, (_, at) => 0x80 + at),
    );
    const [first, second] = routes;
    first!.change({ vcpu: 0, vector: 0x80 });
    assert.equal(tables(), 1, "it leads there already");
    assert.throws(() => second!.change({ vcpu: 9, vector: 0xc1 }), { code: "EINVAL" });
    assert.equal(tables(), 1, "KVM does not hear of what is refused");
    first!.change({ vcpu: 0, vector: 0xc0 });
    assert.equal(tables(), 2);
    eventfds[0]!.signal();
    assert.ok(requested().includes(0xc0), "the change is not in force");
    vm.dispose();
    for (const eventfd of eventfds) eventfd.close();
    host.dispose();
  });
});
