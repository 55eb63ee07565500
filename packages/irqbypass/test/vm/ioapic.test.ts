/** The I/O APIC of a software VM, as kvm-unit-tests and section by section of arch/x86/kvm/ioapic.c have it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Vcpu, Vm } from "irqbypass";
import { Header, Vm as V } from "#src/host/layout.js";
import { DelayedEois } from "#src/vm/delayed-eois.js";
import { relayOne } from "#src/vm/relay.js";
import { noRelay, smallHost } from "../support/host.js";

const [PIN, OTHER, VECTOR] = [10, 11, 0x51];
const [LOW, HIGH] = [0x10 + 2 * PIN, 0x11 + 2 * PIN];
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const REMOTE_IRR = 1 << 14;

function open() {
  const host = smallHost({ spawn: noRelay });
  const vm = new Vm(host, { vcpus: 2 });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const { ioapic } = vm;
  /** Serves what there is; returns its vector. */
  const serve = () => {
    const vector = vcpu.acknowledge();
    if (vector !== undefined) vcpu.eoi();
    return vector;
  };
  const remoteIrr = () => (ioapic.read(LOW) & REMOTE_IRR) !== 0;
  return { host, vm, vcpu, ioapic, serve, remoteIrr };
}

describe("the registers of an I/O APIC", () => {
  it("have an id of four bits, which the arbitration register shows, too; the version is read-only", () => {
    const { ioapic } = open();
    assert.deepEqual([ioapic.read(0), ioapic.read(1), ioapic.read(2)], [0, 0x170011, 0]);
    ioapic.write(0, 0xffffffff);
    ioapic.write(1, 0xffffffff);
    ioapic.write(2, 0);
    assert.deepEqual([ioapic.read(0), ioapic.read(1), ioapic.read(2)], [0x0f000000, 0x170011, 0x0f000000]);
  });

  it("read all ones where there is none, and take no write", () => {
    const { ioapic } = open();
    for (const register of [3, 0xf, 0x40, 0xff]) {
      ioapic.write(register, 0);
      assert.equal(ioapic.read(register), 0xffffffff, `register ${register}`);
    }
  });

  it("keep every bit of an entry but delivery status and remote IRR, reserved ones too", () => {
    const { ioapic } = open();
    ioapic.write(HIGH, 0xffffffff);
    ioapic.write(LOW, 0xffffffff);
    assert.deepEqual([ioapic.read(LOW), ioapic.read(HIGH)], [0xffffafff, 0xffffffff]);
    ioapic.write(LOW, 0);
    assert.equal(ioapic.read(LOW), 0);
    assert.deepEqual([ioapic.read(0x10), ioapic.read(0x11)], [MASKED, 0], "as after a reset");
  });
});

describe("the window of an I/O APIC", () => {
  it("shows the register that the low byte at offset 0 selects, and is all that there is", () => {
    const { ioapic } = open();
    ioapic.store(0, 0xabcd_ef10);
    ioapic.store(0x10, VECTOR | MASKED);
    assert.deepEqual(
      [ioapic.load(0), ioapic.load(0x10), ioapic.read(0x10)],
      [0x10, VECTOR | MASKED, VECTOR | MASKED],
    );
    for (const offset of [4, 0x20, 0x40, 0xfc]) {
      ioapic.store(offset, VECTOR);
      assert.equal(ioapic.load(offset), 0, `offset ${offset}`);
    }
    assert.equal(ioapic.read(0x10), VECTOR | MASKED, "there is no EOI register");
  });

  it("takes 1, 2, 4 and 8 bytes, of which 4 count, and ignores other lengths", () => {
    const { ioapic } = open();
    ioapic.store(0, 0x11);
    ioapic.store(0x10, 0x12345678);
    assert.deepEqual(
      [1, 2, 3, 4, 5, 8].map((length) => ioapic.load(0x10, length)),
      [0x78, 0x5678, 0, 0x12345678, 0, 0x12345678],
    );
    ioapic.store(0x10, 0xffffffff, 3);
    assert.equal(ioapic.load(0x10), 0x12345678);
    ioapic.store(0x10, 0xffffffff, 1);
    assert.equal(ioapic.load(0x10), 0xff, "zero-extended");
    for (const refused of [() => ioapic.load(256), () => ioapic.load(0, 9), () => ioapic.store(0, 0.5)])
      assert.throws(refused, { code: "EINVAL" });
  });
});

describe("the clock's pin", () => {
  const CLOCK = 8;

  it("is coalesced, for who asks, until each vCPU that took the last interrupt has ended it", () => {
    const { host, vm, vcpu, ioapic } = open();
    const second = Vcpu.open(host, vm.vcpu(1).handle);
    ioapic.redirect(CLOCK, { vcpu: 0xff, vector: VECTOR });
    const tick = () => [vm.setIrqLine(CLOCK, true), vm.setIrqLine(CLOCK, false)][0];
    assert.deepEqual([tick(), tick()], [2, 0]);
    for (const one of [vcpu, second]) {
      assert.equal(one.acknowledge(), VECTOR);
      assert.equal(tick(), 0);
      one.eoi();
    }
    assert.equal(tick(), 2);
  });

  it("is not for an irqfd, which asks nothing", () => {
    const { host, vm, vcpu, ioapic, serve } = open();
    ioapic.redirect(CLOCK, { vcpu: 0, vector: VECTOR });
    assert.equal(vm.setIrqLine(CLOCK, true), 1);
    vm.setIrqLine(CLOCK, false);
    assert.equal(vcpu.acknowledge(), VECTOR);
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, CLOCK);
    eventfd.write();
    host.pending.takeAll((irqfd) => relayOne(host, irqfd));
    vcpu.eoi();
    assert.equal(serve(), VECTOR, "the irqfd's was delivered while the last one was in service");
    assert.equal(vm.setIrqLine(CLOCK, true), 1);
  });

  it("is forgotten with a reset, and counted anew by a repair", () => {
    const { host, vm, vcpu, ioapic } = open();
    ioapic.redirect(CLOCK, { vcpu: 0, vector: VECTOR });
    vm.setIrqLine(CLOCK, true);
    vm.setIrqLine(CLOCK, false);
    const { record } = (vm as unknown as { life: { record: number } }).life;
    host.words.set(record + V.clockEois, 2); // of a thread that died before it counted down
    host.repair!.vm(record);
    assert.equal(vcpu.acknowledge(), VECTOR);
    vcpu.eoi();
    assert.equal(vm.setIrqLine(CLOCK, true), 1);
    vm.reset();
    ioapic.redirect(CLOCK, { vcpu: 0, vector: VECTOR });
    assert.equal(vm.setIrqLine(CLOCK, true), 1);
  });
});

describe("a level-triggered pin", () => {
  it("is delivered once until its EOI, which remote IRR remembers, and again while the line is up", () => {
    const { vm, ioapic, serve, remoteIrr } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    assert.equal(vm.setIrqLine(PIN, true), 1);
    assert.equal(vm.setIrqLine(PIN, true), -1, "it waits for the EOI");
    assert.equal(remoteIrr(), true);
    assert.equal(serve(), VECTOR);
    assert.equal(remoteIrr(), true, "the EOI has delivered it again");
    assert.equal(vm.setIrqLine(PIN, false), 1);
    assert.equal(serve(), VECTOR);
    assert.deepEqual([serve(), remoteIrr()], [undefined, false]);
  });

  it("that is masked keeps its line, and its EOI clears remote IRR all the same", () => {
    const { vm, vcpu, ioapic, serve, remoteIrr } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    vm.setIrqLine(PIN, true);
    assert.equal(vcpu.acknowledge(), VECTOR);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true, masked: true });
    vcpu.eoi();
    assert.deepEqual([remoteIrr(), serve()], [false, undefined]);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    assert.equal(serve(), VECTOR);
  });

  it("whose vector changes before its EOI waits for an EOI that nobody makes, and a write as an edge ends it", () => {
    const { vm, vcpu, ioapic, remoteIrr, serve } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    vm.setIrqLine(PIN, true);
    assert.equal(vcpu.acknowledge(), VECTOR);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR + 16, level: true });
    vcpu.eoi();
    assert.deepEqual([remoteIrr(), serve()], [true, undefined]);
    ioapic.write(LOW, VECTOR + 16);
    assert.equal(remoteIrr(), false);
    ioapic.write(LOW, (VECTOR + 16) | LEVEL);
    assert.equal(serve(), VECTOR + 16);
  });

  it("shares an EOI with every pin of its vector, and each that is still up comes again", () => {
    const { vm, ioapic, vcpu, serve } = open();
    for (const pin of [PIN, OTHER]) ioapic.redirect(pin, { vcpu: 0, vector: VECTOR, level: true });
    vm.setIrqLine(PIN, true);
    vm.setIrqLine(OTHER, true);
    assert.equal(vcpu.acknowledge(), VECTOR);
    vm.setIrqLine(PIN, false);
    vcpu.eoi();
    assert.equal(ioapic.read(LOW) & REMOTE_IRR, 0);
    assert.equal(ioapic.read(0x10 + 2 * OTHER) & REMOTE_IRR, REMOTE_IRR);
    vm.setIrqLine(OTHER, false);
    assert.equal(serve(), VECTOR);
    assert.equal(serve(), undefined);
  });

  it("that the upper half of its entry sends elsewhere goes there with the next delivery", () => {
    const { host, vm, ioapic, vcpu } = open();
    const second = Vcpu.open(host, vm.vcpu(1).handle);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    vm.setIrqLine(PIN, true);
    assert.equal(vcpu.acknowledge(), VECTOR);
    ioapic.write(HIGH, 1 << 24);
    vcpu.eoi();
    assert.deepEqual([vcpu.acknowledge(), second.acknowledge()], [undefined, VECTOR]);
  });

  it("has a guard against a line that nobody takes down: each 10,000th EOI waits for the relay", () => {
    const { host, vm, ioapic, serve, vcpu } = open();
    const relay = new DelayedEois(host);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    vm.setIrqLine(PIN, true);
    for (let round = 0; round < 2; round++) {
      for (let eoi = 1; eoi < 10_000; eoi++) assert.equal(serve(), VECTOR);
      assert.equal(serve(), VECTOR);
      assert.equal(vcpu.hasInterrupt(), false, "it waits");
      assert.ok(relay.serve(1000) <= 10, "for a hundredth of a second");
      assert.equal(vcpu.hasInterrupt(), false);
      const { words } = host;
      const until = words.clock() + 20;
      while (words.clock() < until);
      assert.equal(relay.serve(1000), 1000);
      assert.equal(host.words.load(Header.delayed), 0);
    }
    for (let eoi = 1; eoi < 5000; eoi++) assert.equal(serve(), VECTOR);
    vm.setIrqLine(PIN, false); // which starts the count anew
    assert.equal(serve(), VECTOR);
    vm.setIrqLine(PIN, true);
    for (let eoi = 1; eoi < 9999; eoi++) serve();
    assert.equal(serve(), VECTOR);
    assert.equal(vcpu.hasInterrupt(), true);
    assert.deepEqual(host.audit().findings, []);
  });

  it("is not delivered late where its VM is going, or has gone", () => {
    const { host, vm, ioapic, vcpu } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true, masked: true });
    vm.setIrqLine(PIN, true);
    const record = (vm as unknown as { life: { record: number } }).life.record;
    host.words.store(record + V.delayed, 1);
    host.words.store(Header.delayed, 1);
    const relay = new DelayedEois(host);
    vcpu.put();
    vm.dispose();
    assert.equal(relay.serve(1000), 1000);
    assert.equal(host.words.load(Header.delayed), 0);
  });
});

describe("an edge-triggered pin", () => {
  it("is delivered as its line rises, and coalesced while it is up", () => {
    const { vm, ioapic, serve } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR });
    assert.deepEqual([vm.setIrqLine(PIN, true), vm.setIrqLine(PIN, true)], [1, 0]);
    assert.deepEqual([serve(), serve()], [VECTOR, undefined]);
    assert.deepEqual([vm.setIrqLine(PIN, false), vm.setIrqLine(PIN, true)], [1, 1]);
    assert.equal(serve(), VECTOR);
  });

  it("whose edge came while it was masked has lost it, and is coalesced until the line falls", () => {
    const { vm, ioapic, serve } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, masked: true });
    assert.equal(vm.setIrqLine(PIN, true), -1);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR });
    assert.deepEqual([serve(), vm.setIrqLine(PIN, true)], [undefined, 0]);
    vm.setIrqLine(PIN, false);
    assert.equal(vm.setIrqLine(PIN, true), 1);
    assert.equal(serve(), VECTOR);
  });

  it("that becomes a level as it is unmasked delivers what its line holds", () => {
    const { vm, ioapic, serve } = open();
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, masked: true });
    vm.setIrqLine(PIN, true);
    ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
    assert.equal(serve(), VECTOR);
  });
});

describe("the status of a line", () => {
  it("is that of KVM_IRQ_LINE_STATUS: what its routes took, and -1 where none did anything", () => {
    const { vm, ioapic } = open();
    assert.equal(vm.setIrqLine(100, true), -1, "no route");
    assert.equal(vm.setIrqLine(PIN, true), -1, "masked");
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
    assert.deepEqual([vm.setIrqLine(24, true), vm.setIrqLine(24, false)], [1, -1]);
    vm.setGsiRouting([
      { gsi: 5, irqchip: { chip: "ioapic", pin: PIN } },
      { gsi: 5, irqchip: { chip: "pic-master", pin: 5 } },
    ]);
    ioapic.redirect(OTHER, { vcpu: 0, vector: VECTOR });
    assert.equal(vm.setIrqLine(5, false), 1, "the I/O APIC's, and there is no 8259");
  });
});
