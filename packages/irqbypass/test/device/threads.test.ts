import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { setUnmask } from "../support/intx.js";
import { smallHost } from "./support.js";

/** Starts the VMM's thread beside this one, which is the device's. Leaving its scope ends it, also after a failure. */
function startVmm(
  host: Host,
  vm: Vm,
  eventfd: Eventfd,
  work: "route" | "unmask" | "exchange",
  device?: { handle: number; eventfds: readonly number[] },
) {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL("./vmm-thread.js", import.meta.url), {
    workerData: {
      host: host.handle,
      vm: vm.handle,
      eventfd: eventfd.handle,
      device,
      stop: shared.buffer,
      work,
    },
  });
  const ended = once(worker, "exit");
  return {
    shared,
    async [Symbol.asyncDispose]() {
      Atomics.store(shared, 0, 1);
      Atomics.notify(shared, 1);
      await ended;
    },
  };
}

describe("a device in its thread, the VMM in another", () => {
  it("re-routed while live, masked and unmasked, moved between eventfds: each signal arrives exactly once", async () => {
    const host = smallHost();
    const vm = new Vm(host, { vcpus: 2 });
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x40 } }]);
    const eventfds = [Eventfd.create(host), Eventfd.create(host)] as const;
    for (const eventfd of eventfds) vm.irqfd(eventfd, 24, { bypass: "require" });
    const vcpus = [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle));
    const nic = new VfioPciDevice(host, { msix: 4 });
    nic.setTrigger("msix", 0, eventfds[0]);
    const vector = nic.vector("msix", 0);
    {
      await using _vmm = startVmm(host, vm, eventfds[0], "route");
      const seen = new Set<string>();
      const deadline = Date.now() + 60_000;
      for (let round = 0; round < 20_000 || seen.size < 2; round++) {
        assert.ok(Date.now() < deadline, "the VMM's thread does not re-route");
        if (round % 16 === 0) nic.setTrigger("msix", 0, eventfds[(round / 16) & 1]!);
        const masked = round % 5 === 0;
        if (masked) vector.mask();
        vector.signal();
        if (masked) vector.unmask();
        const delivered = vcpus.flatMap((vcpu, index) => {
          const taken = vcpu.acknowledge();
          if (taken === undefined) return [];
          vcpu.eoi();
          return [`${index}:${taken}`];
        });
        assert.equal(delivered.length, 1, `round ${round}: ${delivered.join(" ") || "lost"}`);
        seen.add(delivered[0]!);
      }
    }
    nic.dispose();
    for (const vcpu of vcpus) vcpu.put();
    vm.dispose();
    host.dispose();
  });

  for (const count of [2, 3]) {
    it(`${count} vectors exchange their eventfds, which all require bypass: each signal arrives exactly once`, async () => {
      const host = smallHost();
      const vm = new Vm(host);
      const eventfds = Array.from({ length: count }, () => Eventfd.create(host));
      for (const [n, eventfd] of eventfds.entries()) {
        const { gsi } = vm.routeMsi({ vcpu: 0, vector: 0x40 + n });
        vm.irqfd(eventfd, gsi, { bypass: "require" });
      }
      const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
      const nic = new VfioPciDevice(host, { msix: count });
      for (const [n, eventfd] of eventfds.entries()) nic.setTrigger("msix", n, eventfd);
      const taken = () => {
        const vector = vcpu.acknowledge();
        if (vector !== undefined) vcpu.eoi();
        return vector;
      };
      {
        const device = { handle: nic.handle, eventfds: eventfds.map(({ handle }) => handle) };
        await using vmm = startVmm(host, vm, eventfds[0]!, "exchange", device);
        const deadline = Date.now() + 60_000;
        const seen = new Set<number>();
        for (
          let round = 0;
          round < 20_000 || Atomics.load(vmm.shared, 1) < 200 || seen.size < count;
          round++
        ) {
          assert.ok(Date.now() < deadline, "the VMM's thread exchanges nothing");
          nic.vector("msix", round % count).signal();
          let vector = taken();
          // Held back by the exchange, whose thread sends it.
          while (vector === undefined) {
            assert.ok(Date.now() < deadline, `round ${round}: lost`);
            vector = taken();
          }
          seen.add(vector);
          assert.equal(taken(), undefined, `round ${round}: twice`);
        }
      }
      assert.equal(taken(), undefined, "once more");
      for (let n = 0; n < count; n++) assert.equal(nic.vector("msix", n).path, "posted");
      assert.deepEqual(
        eventfds.map(({ count: waits }) => waits),
        eventfds.map(() => 0n),
        "past the bypass",
      );
      assert.deepEqual(host.audit().findings, []);
      nic.dispose();
      vcpu.put();
      vm.dispose();
      host.dispose();
    });
  }

  it("a level-triggered line, unmasked from the VMM's thread, fires until it is down", async () => {
    const host = smallHost();
    const vm = new Vm(host);
    const [trigger, unmask] = [Eventfd.create(host), Eventfd.create(host)];
    const device = new VfioPciDevice(host, { intx: true });
    device.setTrigger("intx", 0, trigger);
    setUnmask(device, unmask);
    {
      await using vmm = startVmm(host, vm, unmask, "unmask");
      device.intx.assert();
      for (let fired = 0; fired < 200; fired++) {
        assert.equal(await trigger.readAsync({ timeoutMs: 30_000 }), 1n);
        if (fired === 199) device.intx.deassert();
        Atomics.add(vmm.shared, 1, 1);
        Atomics.notify(vmm.shared, 1);
      }
      const deadline = Date.now() + 30_000;
      while (device.intx.masked) {
        assert.ok(Date.now() < deadline, "the last unmask does not arrive");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert.equal(trigger.count, 0n);
    }
    device.dispose();
    vm.dispose();
    host.dispose();
  });
});
