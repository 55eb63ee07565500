/** A reset of a KVM guest, beside that of a software VM; test/vm/reset.test.ts has the latter alone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KvmVm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import { kvmTests } from "./available.js";
import { guestOf, onEither } from "./either.js";
import { eventually } from "./eventually.js";

const [PIN, MASTER_PIN, VECTOR] = [10, 3, 0x51];
const MASKED = 0x10000;
const message = (vcpu: number, data: number) => ({ address: (0xfee00000 | (vcpu << 12)) >>> 0, data });
const registers = ({ pic }: KvmVm) => [pic.state("pic-master"), pic.state("pic-slave")];
const [NMI, INIT, START_UP] = [0x400, 0x500, 0x600];

describe("a reset of a KVM guest", kvmTests, () => {
  it("leaves the I/O APIC and its lines as a software VM's: masked, nothing raised, and the next raise is a new one", () =>
    onEither((vm) => {
      const { ioapic } = vm;
      ioapic.write(0, 0x05000000);
      ioapic.redirect(PIN, { vcpu: 1, vector: VECTOR, level: true });
      ioapic.redirect(PIN + 1, { vcpu: 0, vector: VECTOR + 1 });
      for (const gsi of [PIN, PIN + 1]) vm.setIrqLine(gsi, true);
      vm.reset();
      const seen: unknown[] = [ioapic.lines, ioapic.irr];
      for (let register = 0; register < 0x40; register++) seen.push(ioapic.read(register));
      ioapic.redirect(PIN, { vcpu: 1, vector: VECTOR, level: true });
      ioapic.redirect(PIN + 1, { vcpu: 0, vector: VECTOR + 1 });
      seen.push(ioapic.irr, vm.setIrqLine(PIN, true) > 0, vm.setIrqLine(PIN + 1, true) > 0, ioapic.irr);
      return seen;
    }));

  it("forgets what its local APICs have been asked for, and keeps routes and irqfds", async () => {
    const { host, guest, end } = guestOf();
    const route = guest.routeMsi({ vcpu: 1, vector: VECTOR });
    const eventfd = LinuxEventfd.create(host);
    const irqfd = guest.irqfd(eventfd, route.gsi);
    eventfd.write();
    guest.signalMsi(message(0, 0x8000 | VECTOR));
    const [first, second] = guest.machine.vcpus;
    assert.deepEqual(
      [first, second].map((vcpu) => requestedVectors(vcpu!.lapic())),
      [[VECTOR], [VECTOR]],
    );
    const began = new KvmVm(host, { vcpus: 2 });
    guest.reset();
    assert.deepEqual(
      guest.machine.vcpus.map((vcpu) => vcpu.lapic()),
      began.machine.vcpus.map((vcpu) => vcpu.lapic()),
    );
    began.dispose();
    assert.deepEqual([irqfd.gsi, route.gsi], [24, 24]);
    eventfd.write();
    assert.deepEqual(requestedVectors(second!.lapic()), [VECTOR]);
    guest.start();
    eventually(
      () => guest.tables(1).count[VECTOR] === 1,
      () => "the wiring is gone",
    );
    assert.equal(guest.tables(0).count[VECTOR], 0);
    await end();
  });

  it("forgets an NMI, an INIT and a start-up: each vCPU runs as at the beginning", async () => {
    const { guest, end } = guestOf();
    guest.signalMsi(message(0, NMI)); // the guest has no handler for one: it would end
    guest.signalMsi(message(0, INIT));
    for (const data of [INIT, START_UP | 0x10, NMI]) guest.signalMsi(message(1, data));
    guest.reset();
    guest.start();
    for (const vcpu of [0, 1]) {
      guest.signalMsi({ vcpu, vector: VECTOR });
      eventually(
        () => guest.tables(vcpu).count[VECTOR] === 1,
        () => `vCPU ${vcpu} does not run`,
      );
    }
    await end();
  });

  it("lets a line go down that its user and a resampling irqfd hold up; the device is not told", async () => {
    const { host, guest, end } = guestOf();
    const isUp = () => (guest.ioapic.lines & (1 << PIN)) !== 0;
    const unmask = () => guest.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    const [line, resample] = [LinuxEventfd.create(host), LinuxEventfd.create(host)];
    guest.irqfd(line, PIN, { resample });
    line.write();
    eventually(isUp, () => "the line is not up");
    guest.reset();
    assert.deepEqual([isUp(), resample.count], [false, 0n]);
    for (const level of [true, false]) guest.setIrqLine(PIN, level);
    assert.equal(isUp(), false, "the irqfd holds it up still");
    guest.setIrqLine(PIN, true);
    guest.reset();
    unmask();
    guest.start();
    line.write();
    eventually(
      () => resample.count === 1n,
      () => "it does not ask at the EOI",
    );
    await guest.stop();
    assert.deepEqual([guest.tables(0).count[VECTOR], isUp()], [1, false], "its user holds it up still");
    await end();
  });

  it("takes one unit of a semaphore that a resampling irqfd listens to; once none is left its line is down", async () => {
    const { host, guest, end } = guestOf();
    const isUp = () => (guest.ioapic.lines & (1 << PIN)) !== 0;
    const line = LinuxEventfd.create(host, { semaphore: true });
    const resample = LinuxEventfd.create(host);
    line.write(2n);
    guest.irqfd(line, PIN, { resample });
    eventually(isUp, () => "the line is not up");
    guest.reset();
    // KVM injects for what is left on its own time, before the chips are reset or after that: the line is down or up.
    assert.equal(line.count, 1n);
    guest.reset();
    assert.deepEqual([line.count, isUp(), resample.count], [0n, false, 0n]);
    await end();
  });

  it("leaves the 8259s as they come out of reset", async () => {
    const { guest, end } = guestOf({ pic: true });
    const fresh = registers(guest);
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x30],
      [0x21, 4],
      [0x21, 3],
      [0x4d0, 0xf8],
    ] as const)
      guest.pic.write(port, value);
    guest.setIrqLine(MASTER_PIN, true);
    assert.notDeepEqual(registers(guest), fresh);
    guest.reset();
    assert.deepEqual(registers(guest), fresh);
    await end();
  });

  it("is EBUSY while a vCPU runs, with nothing changed; EBADF when it is gone", async () => {
    const { guest, end } = guestOf();
    guest.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    guest.start();
    assert.throws(() => guest.reset(), { code: "EBUSY", message: /stop the guest first/ });
    await guest.stop();
    assert.equal(guest.ioapic.read(0x10 + 2 * PIN) & MASKED, 0);
    guest.reset();
    assert.equal(guest.ioapic.read(0x10 + 2 * PIN) & MASKED, MASKED);
    await end();
    assert.throws(() => guest.reset(), { code: "EBADF" });
  });
});
