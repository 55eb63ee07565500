import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { Vcpu as V } from "#src/host/layout.js";

/** A guest with one vCPU here, a vector of a device bypassed to it, and a level-triggered pin. */
function guest() {
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 2 });
  vm.setGsiRouting([
    { gsi: 24, msi: { vcpu: 0, vector: 0x41 } },
    { gsi: 9, irqchip: { chip: "ioapic", pin: 9 } },
  ]);
  vm.ioapic.redirect(9, { vcpu: 0, vector: 0x31, level: true });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  return { host, vm, vcpu, irqfd, nic, vector: nic.vector("msix", 0) };
}

describe("a reset of a VM", () => {
  it("forgets what is posted, requested and in service, and every line; irqfds and routes stay", () => {
    const { vm, vcpu, irqfd, vector } = guest();
    vector.signal();
    vm.setIrqLine(9, true);
    assert.equal(vcpu.acknowledge(), 0x41);
    assert.equal(vcpu.hasInterrupt(), false, "the pin's vector is of a lower class");
    vector.signal();
    vcpu.tpr = 0x20;
    vm.reset();
    assert.deepEqual(
      [vcpu.hasInterrupt(), vcpu.pending(), vcpu.acknowledge(), vcpu.tpr, vcpu.ppr],
      [false, false, undefined, 0, 0],
    );
    assert.equal(vm.ioapic.lines, 0);
    assert.equal(vm.ioapic.read(0x10 + 18) & 0x10000, 0x10000, "the pin is masked, as it comes out of reset");
    vcpu.eoi();
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "timeout");
    assert.equal(irqfd.path, "posted");
    vector.signal();
    assert.equal(vcpu.acknowledge(), 0x41, "the wiring is gone");
    assert.equal(vm.ioapic.read(0x10 + 18) & 0x10000, 0x10000);
  });

  it("forgets what hasInterrupt has seen, and an NMI", () => {
    const { host, vm, vcpu, vector } = guest();
    vector.signal();
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
    assert.ok(vcpu.hasInterrupt());
    vm.setGsiRouting([{ gsi: 25, msi: { address: 0xfee00000, data: 0x400 } }]); // delivery mode NMI
    const nmi = Eventfd.create(host);
    vm.irqfd(nmi, 25);
    vm.setIrqLine(25, true);
    vm.reset();
    assert.equal(vcpu.hasInterrupt(), false);
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "timeout");
  });

  it("lets a line of the emulator's own go down, of which nobody is asked", async () => {
    const host = Host.create();
    const vm = new Vm(host, { apic: false });
    vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x35 } }]);
    const [level, resample] = [Eventfd.create(host), Eventfd.create(host)];
    const irqfd = vm.irqfd(level, 5, { resample });
    level.write();
    for (let wait = 0; wait < 3000 && !irqfd.level; wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(irqfd.level, true);
    vm.reset();
    assert.deepEqual([irqfd.level, resample.count], [false, 0n]);
    const bits = new Uint32Array(8);
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    assert.equal(vcpu.take(bits), false, "what was posted is there still");
    vcpu.put();
    irqfd.dispose();
    vm.dispose();
    host.dispose();
  });

  it("is EBUSY while another thread runs one of its vCPUs, with nothing changed; EBADF when it is gone", () => {
    const { host, vm, vcpu, vector } = guest();
    vector.signal();
    const { record } = vm.vcpu(1);
    host.words.store(record + V.runner, host.pools.thread.at(5)); // as if that thread ran it
    assert.throws(() => vm.reset(), { code: "EBUSY" });
    assert.equal(vcpu.acknowledge(), 0x41);
    host.words.store(record + V.runner, 0);
    vm.reset();
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "timeout");
    vcpu.put();
    vm.dispose();
    assert.throws(() => vm.reset(), { code: "EBADF" });
  });
});
