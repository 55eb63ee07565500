import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { smallHost } from "./support.js";

const [PIN, VECTOR] = [10, 0x41];

/** A guest with a level-triggered pin, wired to a device's INTx as a VMM does it: resample is the unmask eventfd. */
function bench() {
  const host = smallHost();
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
  vm.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const [trigger, unmask] = [Eventfd.create(host), Eventfd.create(host)];
  vm.irqfd(trigger, PIN, { resample: unmask });
  const device = new VfioPciDevice(host, { intx: true });
  const enable = () => {
    const one = { index: "intx", start: 0, count: 1, data: "eventfd" } as const;
    device.setIrqs({ ...one, action: "trigger", eventfds: [trigger] });
    device.setIrqs({ ...one, action: "unmask", eventfds: [unmask] });
  };
  enable();
  return {
    enable,
    vm,
    vcpu,
    unmask,
    device,
    pin: device.intx,
    /** The guest's handler begins: waits for the interrupt and acknowledges it. */
    async served(): Promise<void> {
      assert.equal(await vcpu.waitAsync({ timeoutMs: 30_000 }), "interrupt");
      assert.equal(vcpu.acknowledge(), VECTOR);
    },
    async unmasked(): Promise<void> {
      const deadline = Date.now() + 30_000;
      while (device.intx.masked) {
        assert.ok(Date.now() < deadline, "the EOI does not unmask");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    [Symbol.dispose]() {
      device.dispose();
      vcpu.put();
      vm.dispose();
      host.dispose();
    },
  };
}

describe("INTx through a level-triggered irqfd", () => {
  it("the EOI unmasks the device, which fires again as long as its line is up", async () => {
    using it = bench();
    it.pin.assert();
    for (let round = 0; round < 5; round++) {
      await it.served();
      assert.equal(it.pin.masked, true, "until the EOI");
      if (round === 4) it.pin.deassert();
      it.vcpu.eoi();
    }
    await it.unmasked();
    assert.deepEqual([it.vcpu.acknowledge(), it.vm.ioapic.lines], [undefined, 0]);
    it.pin.assert();
    await it.served();
  });

  it("disabled, it hears no EOI; enabled again, a line that stayed up fires", async () => {
    using it = bench();
    it.pin.assert();
    await it.served();
    it.device.disable("intx");
    it.vcpu.eoi();
    assert.equal(it.unmask.tryRead(), 1n, "nobody of the device listens any more");
    assert.equal(it.vcpu.acknowledge(), undefined);
    it.enable();
    await it.served();
    it.pin.deassert();
    it.vcpu.eoi();
    await it.unmasked();
  });
});
