// Who is attached to a host: with what it has, what it waits for, and since when.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, type Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { noRelay, SMALL, smallHost } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import type { Waiter } from "./attached-worker.js";

const WORKER = new URL("./attached-worker.js", import.meta.url);
const find = (host: Host, name: string) => host.threads().find((thread) => thread.name === name);

describe("the threads of a host", () => {
  it("are listed from their attach to their end", async () => {
    const host = smallHost({ name: "creator", spawn: noRelay });
    const vm = new Vm(host);
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, 24);
    const epoll = Epoll.create(host);
    const nic = new VfioPciDevice(host, { msix: 2 });
    nic.setTrigger("msix", 1, eventfd); // its producer is the device's affair
    const mine = ["VM 0", "device 0", "the irqfd of eventfd 0", "eventfd 0", "epoll 0"];
    const [creator] = host.threads();
    assert.deepEqual(
      { ...creator, sinceMs: 0 },
      {
        id: host.threadId,
        name: "creator",
        proof: process.platform === "linux" ? "process" : "none",
        has: mine,
        waitsFor: undefined,
        waitsMs: 0,
        sinceMs: 0,
      },
    );

    nic.dispose();

    const data: Waiter = {
      host: host.handle,
      vcpu: vm.vcpu(0).handle,
      eventfd: eventfd.handle,
      epoll: epoll.handle,
    };
    const thread = new TestThread(WORKER, data);
    await thread.next();
    const waits = (what: string) => until(what, () => find(host, "waiter")?.waitsFor === what);
    await waits("vCPU 0 of VM 0");
    assert.deepEqual(find(host, "waiter")?.has, ["vCPU 0 of VM 0", "producer 0", "eventfd 0", "epoll 0"]);
    await until("its time goes on", () => find(host, "waiter")!.waitsMs > 0);
    assert.ok(find(host, "waiter")!.sinceMs >= find(host, "waiter")!.waitsMs);
    vm.vcpu(0).kick();
    await waits("eventfd 0");
    eventfd.kick();
    await waits("epoll 0");
    epoll.kick();
    await thread.done;
    assert.equal(find(host, "waiter"), undefined);
    vm.dispose();
    host.dispose();
  });

  it("say of their asynchronous waits that which has stood for longest", async () => {
    const host = smallHost({ name: "me", spawn: noRelay });
    const [first, second] = [Eventfd.create(host), Eventfd.create(host)];
    const waiting = [first.readAsync(), second.readAsync()];
    assert.equal(find(host, "me")?.waitsFor, "eventfd 0");
    first.kick();
    await waiting[0];
    assert.equal(find(host, "me")?.waitsFor, "eventfd 1");
    second.kick();
    await waiting[1];
    assert.equal(find(host, "me")?.waitsFor, undefined);
    host.dispose();
  });

  it("wait for a vCPU for as long as it is armed, and not while the wait stands that it has left behind", async () => {
    const host = smallHost({ name: "me", spawn: noRelay });
    const vm = new Vm(host);
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    const waitsFor = () => find(host, "me")?.waitsFor;
    for (let round = 0; round < 2; round++) {
      let woken = false;
      assert.equal(
        vcpu.arm(() => (woken = true)),
        true,
      );
      assert.equal(waitsFor(), "vCPU 0 of VM 0");
      assert.deepEqual([vcpu.disarm(), waitsFor()], [true, undefined]);
      assert.equal(
        vcpu.arm(() => (woken = true), { ref: false }),
        true,
      );
      const eventfd = Eventfd.create(host);
      const reading = eventfd.readAsync();
      assert.equal(waitsFor(), "vCPU 0 of VM 0", "for longest");
      vm.vcpu(0).kick();
      await until("it is woken", () => woken);
      assert.equal(waitsFor(), `eventfd ${eventfd.id}`);
      eventfd.kick();
      await reading;
      eventfd.close();
      assert.deepEqual([vcpu.wait({ timeoutMs: 0 }), waitsFor()], ["kicked", undefined]);
    }
    assert.equal(
      vcpu.arm(() => {}),
      true,
    );
    vcpu.put();
    assert.equal(waitsFor(), undefined);
    vm.dispose();
    host.dispose();
  });

  it("have 10,000 eventfds, each once", () => {
    const host = smallHost({
      name: "me",
      spawn: noRelay,
      capacity: { ...SMALL, eventfd: 10_000, reference: 20_100 },
    });
    for (let left = 10_000; left > 0; left--) {
      const eventfd = Eventfd.create(host);
      if (left % 1000 === 0) Eventfd.open(host, eventfd.handle);
    }
    const { has } = find(host, "me")!;
    assert.equal(has.length, 10_000);
    assert.equal(new Set(has).size, 10_000);
    host.dispose();
  });
});
