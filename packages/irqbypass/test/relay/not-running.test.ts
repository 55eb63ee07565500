// Until a relay runs its irqfds say so, what they have waits and is counted, and comes when it runs; and nothing is left of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type EventfdContext, type Host, Producer, type Spawn, Vcpu, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { linux as linuxTests } from "../linux/available.js";
import { openDescriptors } from "../linux/descriptors.js";
import { noRelay, smallHost } from "../support/host.js";
import { PATIENCE_MS, until } from "../support/worker.js";

const GSI = 24;
const KINDS: Readonly<Record<string, (host: Host) => EventfdContext>> = {
  shared: (host) => Eventfd.create(host),
  linux: (host) => LinuxEventfd.create(host),
};

function scene(make: (host: Host) => EventfdContext, spawn?: Spawn) {
  const host = smallHost({ kinds: [linux()], ...(spawn === undefined ? {} : { spawn }) });
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = make(host);
  return { host, vm, eventfd, irqfd: vm.irqfd(eventfd, GSI) };
}

const started: Spawn = (name) => new Worker(new URL(import.meta.resolve(name)));
/** What Node throws, or tells a worker's owner, where there is no descriptor for it. */
const shortage = () => Object.assign(new Error("no descriptor"), { code: "ERR_WORKER_INIT_FAILED" });

for (const [kind, make] of Object.entries(KINDS)) {
  describe(`a relay of ${kind} eventfds`, linuxTests, () => {
    it("that does not run is said, and what waits for it is counted", () => {
      const { host, vm, irqfd, eventfd } = scene(make, noRelay);
      assert.deepEqual(irqfd.reasons, ["relay-not-running", "no-producer"]);
      assert.deepEqual([irqfd.path, irqfd.reason], ["relayed", "relay-not-running"]);
      assert.equal(host.interrupts()[0]?.reason, "relay-not-running");
      assert.deepEqual([host.audit().waiting, host.audit().findings], [0, []]);
      eventfd.write();
      assert.equal(host.audit().waiting, 1);
      irqfd.dispose();
      assert.equal(host.audit().waiting, 0);
      vm.dispose();
      eventfd.close();
      host.dispose();
    });

    it("is no matter of an interrupt that is bypassed", () => {
      const { host, irqfd, eventfd } = scene(make, noRelay);
      using producer = Producer.create(host);
      producer.register(eventfd);
      assert.deepEqual([irqfd.path, irqfd.reasons], ["posted", []]);
      producer.unregister();
      assert.equal(irqfd.reason, "relay-not-running");
    });

    for (const [how, refuse] of Object.entries({
      "is refused": (): never => {
        throw shortage();
      },
      "ends before it has begun": () => ({
        postMessage() {},
        once(event: string, listener: (value: unknown) => void) {
          if (event === "error") setImmediate(listener, shortage());
          if (event === "exit") setImmediate(listener, 1);
        },
      }),
    })) {
      it(`whose thread ${how} is started again, and nothing is lost`, async () => {
        let refusals = 2;
        const { host, vm, irqfd, eventfd } = scene(make, (name) =>
          refusals-- > 0 ? refuse() : started(name),
        );
        eventfd.write();
        const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
        assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt");
        await until("the relay runs", () => irqfd.reason === "no-producer");
        assert.ok(refusals < 0);
        vcpu.put();
        assert.deepEqual([host.audit().waiting, host.audit().findings], [0, []]);
        vm.dispose();
        eventfd.close();
        host.dispose();
      });
    }

    it("of a host that is disposed at once leaves no descriptor", async () => {
      const ours = () => openDescriptors().filter((name) => /eventfd|eventpoll/.test(name)).length;
      const before = ours();
      for (let left = 50; left > 0; left--) {
        const { host, vm, eventfd } = scene(make);
        vm.dispose();
        eventfd.close();
        host.dispose();
      }
      await until("no descriptor is left", () => ours() <= before);
    });
  });
}
