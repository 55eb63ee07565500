/** The interrupt chips of a KVM guest, by the same calls as those of a software VM. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KvmVm } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import { PATIENCE_MS, TestThread, until } from "../support/worker.js";
import { kvmTests } from "./available.js";
import { guestOf, onEither } from "./either.js";
import { eventually } from "./eventually.js";
import type { IntxWork, Said, Told } from "./intx-thread.js";

const [PIN, VECTOR] = [10, 0x51];
const [LOW, HIGH] = [0x10 + 2 * PIN, 0x11 + 2 * PIN];
const REMOTE_IRR = 1 << 14;

describe("a KVM guest's I/O APIC", kvmTests, () => {
  it("has the registers of a software VM's", () =>
    onEither(({ ioapic }) => {
      ioapic.write(0, 0xffffffff);
      ioapic.write(HIGH, 0xffffffff);
      ioapic.write(LOW, 0xffffffff);
      ioapic.write(0x40, 5);
      return [0, 1, 2, 3, 0x40, LOW, HIGH].map((register) => ioapic.read(register));
    }));

  it("has its window, also in what is selected", () =>
    onEither(({ ioapic }) => {
      ioapic.store(0, LOW);
      ioapic.store(0x10, 0x12345678, 2);
      return [
        ioapic.load(0, 1),
        ioapic.load(0x10),
        ioapic.load(0x10, 1),
        ioapic.load(0x20),
        ioapic.read(LOW),
      ];
    }));

  it("keeps a level until its EOI, and a masked one on its line", () =>
    onEither((vm) => {
      const { ioapic } = vm;
      vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
      const seen: unknown[] = [vm.setIrqLine(PIN, true), ioapic.lines, vm.setIrqLine(PIN, false)];
      ioapic.redirect(PIN, { vcpu: 1, vector: VECTOR, level: true });
      seen.push(vm.setIrqLine(PIN, true), vm.setIrqLine(PIN, true), ioapic.irr);
      seen.push(ioapic.read(LOW) & REMOTE_IRR, vm.setIrqLine(PIN, false), ioapic.lines);
      ioapic.write(LOW, VECTOR);
      seen.push(ioapic.read(LOW), vm.setIrqLine(PIN, true), vm.setIrqLine(PIN, true), ioapic.irr);
      return seen;
    }));

  it("raises a route that was made singly, and that no irqfd listens at", () =>
    onEither((vm) => {
      const route = vm.routeMsi({ vcpu: 1, vector: VECTOR });
      const raised = vm.setIrqLine(route.gsi, true);
      route.dispose();
      return [raised, vm.setIrqLine(route.gsi, true)];
    }));

  it("refuses the same, and a line that is none", () =>
    onEither((vm) => {
      const codes: string[] = [];
      const refused = (call: () => unknown) =>
        assert.throws(call, (error: { code: string }) => codes.push(error.code) > 0);
      refused(() => vm.ioapic.write(256, 0));
      refused(() => vm.ioapic.redirect(24, { vcpu: 0, vector: 1 }));
      refused(() => vm.setIrqLine(-1, true));
      refused(() => vm.setIrqLine(3, 1 as unknown as boolean));
      return codes;
    }));

  it("resamples while the guest runs: each EOI asks the device, and a write is EBUSY meanwhile", async () => {
    const { host, guest, end } = guestOf();
    guest.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
    guest.ioapic.redirect(PIN, { vcpu: 1, vector: VECTOR, level: true });
    const [trigger, resample] = [LinuxEventfd.create(host), LinuxEventfd.create(host)];
    guest.irqfd(trigger, PIN, { resample });
    guest.start();
    assert.throws(() => guest.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR }), { code: "EBUSY" });
    const { count } = guest.tables(1);
    for (let round = 1; round <= 3; round++) {
      trigger.signal();
      eventually(
        () => Atomics.load(count, VECTOR) === round,
        () => "the level is not served",
      );
      eventually(
        () => resample.tryRead() === 1n,
        () => "nobody asks the device",
      );
    }
    assert.equal(guest.ioapic.lines, 0);
    assert.equal(guest.setIrqLine(PIN, true), 1);
    eventually(
      () => Atomics.load(count, VECTOR) > 3,
      () => "the line that user space holds is not served",
    );
    guest.setIrqLine(PIN, false);
    await end();
  });
});

describe("a KVM guest's INTx", kvmTests, () => {
  it("is told again at each EOI while it is up, in a thread that has opened the guest", async () => {
    const { host, guest, end } = guestOf();
    guest.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
    guest.ioapic.redirect(PIN, { vcpu: 1, vector: VECTOR, level: true });
    const work: IntxWork = { host: host.handle, vm: guest.handle, pin: PIN };
    const device = new TestThread(new URL("./intx-thread.js", import.meta.url), work);
    const tell = (told: Told) => {
      device.worker.postMessage(told);
      return device.next<Said>();
    };
    try {
      assert.equal(await device.next(), "ready");
      guest.start();
      const { count } = guest.tables(1);
      const served = () => Atomics.load(count, VECTOR);
      for (let round = 0; round < 20; round++) {
        const before = served();
        await tell("assert");
        await until("each EOI asks the device, whose line is up", () => served() > before + 3);
        await tell("deassert");
        const deadline = Date.now() + PATIENCE_MS;
        while ((await tell("look")).masked) assert.ok(Date.now() < deadline, "no EOI has unmasked it");
        const { signals } = await tell("look");
        await until("each signal is served, and once", () => served() === signals);
        assert.deepEqual(await tell("look"), { masked: false, signals }, "the line is down");
      }
      assert.equal(guest.ioapic.lines, 0);
      device.worker.postMessage("end" satisfies Told);
      await device.done;
    } finally {
      await host.terminate(device.worker); // where it has not come to its end
      await end();
    }
  });
});

describe("a KVM guest's 8259s", kvmTests, () => {
  const begin = ({ pic }: KvmVm) => {
    for (const [command, base, wiring] of [
      [0x20, 0x20, 4],
      [0xa0, 0x28, 2],
    ] as const) {
      pic.write(command, 0x11);
      pic.write(command + 1, base);
      pic.write(command + 1, wiring);
      pic.write(command + 1, 0x03); // it ends interrupts by itself
    }
  };

  it("deliver to the vCPU whose LINT0 is open, and take what the ports say", async () => {
    const { guest, end } = guestOf({ pic: true });
    begin(guest);
    assert.equal(guest.pic.state("pic-master")[5], 0x20);
    guest.pic.write(0x21, 0x40);
    assert.equal(guest.pic.read(0x21), 0x40);
    guest.start();
    const { count } = guest.tables(0);
    const pulse = (gsi: number) => [guest.setIrqLine(gsi, true), guest.setIrqLine(gsi, false)][0];
    assert.equal(pulse(3), 1, "the 8259's; the I/O APIC's pin is masked");
    eventually(
      () => Atomics.load(count, 0x23) === 1,
      () => "IRQ 3 does not come",
    );
    pulse(12);
    eventually(
      () => Atomics.load(count, 0x2c) === 1,
      () => "IRQ 12 does not come through the second one",
    );
    assert.equal(pulse(6), -1, "masked");
    await end();
  });

  it("are heard by nobody where the guest was not made with pic: true", async () => {
    const { guest, end } = guestOf();
    guest.start();
    assert.equal(guest.setIrqLine(3, true), 1);
    assert.equal(guest.pic.state("pic-master")[1], 8, "its request stays");
    await end(); // the guest has met no exception
  });

  it("refuse ports that they have not, and what is no byte", async () => {
    const { guest, end } = guestOf();
    assert.throws(() => guest.pic.read(0x22), {
      code: "EINVAL",
      message: /0x20, 0x21, 0xa0, 0xa1, 0x4d0 and 0x4d1/,
    });
    assert.throws(() => guest.pic.write(0x21, 256), { code: "EINVAL" });
    assert.throws(() => guest.pic.state("ioapic" as "pic-slave"), { code: "EINVAL" });
    await end();
  });
});
