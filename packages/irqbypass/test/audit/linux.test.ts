/** The audit of hosts with Linux eventfds and KVM guests. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, type IrqBypassError, Producer, Vm } from "irqbypass";
import { Eventfd as E, Injection } from "#src/host/layout.js";
import { kvm } from "#src/kvm/kind.js";
import { KvmVm } from "#src/kvm/vm.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { linux as linuxKind } from "#src/linux/kind.js";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { SMALL } from "../support/host.js";

const GSI = 24;
const kinds = (host: Host) => host.audit().findings.map(({ kind, subject }) => `${kind} ${subject}`);

describe("the audit of a host with Linux eventfds", linux, () => {
  it("finds nothing while they come and go, and an index that does not know one", () => {
    const host = Host.create({ kinds: [linuxKind()], capacity: SMALL });
    const eventfds = Array.from({ length: 5 }, () => LinuxEventfd.create(host));
    const vm = new Vm(host);
    const [first, second] = [eventfds[0]!, eventfds[1]!];
    vm.irqfd(first, GSI);
    vm.irqfd(Eventfd.create(host), 3, { resample: second });
    const producer = Producer.create(host);
    producer.register(first);
    assert.deepEqual(kinds(host), []);
    first.close(); // its producer holds it
    assert.deepEqual(kinds(host), []);
    producer.dispose();
    assert.deepEqual(kinds(host), []);
    const id = second.record + E.kernelId;
    host.words.set(id, host.words.get(id) + 1000);
    assert.deepEqual(kinds(host), [`index eventfd ${second.id}`, "index the index of Linux eventfds"]);
    host.words.set(id, host.words.get(id) - 1000);
    vm.dispose();
    for (const eventfd of eventfds) eventfd.close();
    assert.deepEqual(kinds(host), []);
    host.dispose();
  });
});

describe("the audit of a host with a KVM guest", kvmTests, () => {
  it("finds nothing while its routes change, and an injection that goes to another VM", () => {
    const host = Host.create({ kinds: [linuxKind(), kvm()], capacity: SMALL });
    const vm = new KvmVm(host);
    const eventfd = LinuxEventfd.create(host);
    vm.irqfd(eventfd, GSI);
    const producer = Producer.create(host);
    producer.register(eventfd);
    for (const vector of [0x41, 0x42, 0x43]) {
      vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector } }]);
      assert.deepEqual([kinds(host), producer.path, host.audit().live.injection], [[], "injected", 1]);
    }
    const injection = host.pools.injection;
    const record = [0, 1].map((slot) => injection.at(slot)).find((one) => injection.lives(one))!;
    host.words.set(record + Injection.fd, host.words.get(record + Injection.fd) + 1);
    assert.deepEqual(kinds(host), [`value injection ${injection.slot(record)}`]);
    host.words.set(record + Injection.fd, host.words.get(record + Injection.fd) - 1);
    assert.throws(
      () => vm.irqfd(eventfd, 3),
      (error: IrqBypassError) => error.code === "EBUSY",
    );
    vm.setGsiRouting([]);
    assert.deepEqual(kinds(host), []);
    producer.dispose();
    vm.dispose();
    eventfd.close();
    assert.deepEqual([kinds(host), host.audit().live.injection], [[], 0]);
    host.dispose();
  });
});
