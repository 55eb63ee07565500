/** The pair of 8259s of a software VM: what section by section of arch/x86/kvm/i8259.c says, and how it reaches a vCPU. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, type Ipi, Vcpu, Vm } from "irqbypass";
import { Host as SlimHost, Vm as SlimVm } from "irqbypass/slim";
import { Register } from "#src/vm/apic/registers.js";
import { relayOne } from "#src/vm/relay.js";
import { noRelay, smallHost } from "../support/host.js";

const [MASTER, SLAVE] = [0x20, 0xa0];
const [IRR, IMR, ISR] = [1, 2, 3];
const EOI = 0x20;
const CASCADE = 1 << 2;

function open({ vcpus = 1, autoEoi = false } = {}) {
  const host = smallHost({ spawn: noRelay });
  const vm = new Vm(host, { vcpus, pic: true });
  const running = Array.from({ length: vcpus }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
  const { pic } = vm;
  const begin = (mode = autoEoi ? 0x03 : 0x01) => {
    for (const [command, base, wiring] of [
      [MASTER, 0x20, 4],
      [SLAVE, 0x28, 2],
    ] as const)
      for (const [port, byte] of [
        [command, 0x11],
        [command + 1, base],
        [command + 1, wiring],
        [command + 1, mode],
      ] as const)
        pic.write(port, byte);
  };
  begin();
  const up = (gsi: number) => vm.setIrqLine(gsi, true);
  const down = (gsi: number) => vm.setIrqLine(gsi, false);
  /** A pulse; what its rise says. */
  const pulse = (gsi: number) => [up(gsi), down(gsi)][0];
  const first = (register: number) => pic.state("pic-master")[register]!;
  const second = (register: number) => pic.state("pic-slave")[register]!;
  const relay = () => {
    while (host.pending.any) host.pending.takeAll((irqfd) => relayOne(host, irqfd));
  };
  return { host, vm, pic, vcpu: running[0]!, running, begin, up, down, pulse, first, second, relay };
}

describe("a pair of 8259s", () => {
  it("begins as out of power-on: nothing masked, vectors from 0 on", () => {
    const vm = new Vm(smallHost(), { pic: true });
    const zero = new Array<number>(16).fill(0);
    assert.deepEqual([...vm.pic.state("pic-master")], zero.with(15, 0xf8));
    assert.deepEqual([...vm.pic.state("pic-slave")], zero.with(15, 0xde));
  });

  it("gives a vCPU whose LINT0 is open the highest request, by the second chip too; a port ends it", () => {
    const { vcpu, pic, pulse, first, second } = open();
    assert.equal(vcpu.acknowledge(), undefined);
    assert.equal(pulse(12), 1);
    assert.equal(pulse(3), 1);
    assert.equal(vcpu.hasInterrupt(), true);
    assert.equal(vcpu.acknowledge(), 0x2c, "IRQ 12 comes by pin 2, before IRQ 3");
    assert.deepEqual([first(ISR), second(ISR)], [CASCADE, 1 << 4]);
    assert.equal(vcpu.hasInterrupt(), false, "IRQ 3 waits for the end of both services");
    pic.write(SLAVE, EOI);
    pic.write(MASTER, EOI);
    assert.equal(vcpu.acknowledge(), 0x23);
    pic.write(MASTER, EOI);
    assert.deepEqual([vcpu.acknowledge(), first(IRR), first(ISR)], [undefined, 0, 0]);
  });

  it("keeps an edge whose line has fallen, and counts a second one while it is requested as 0", () => {
    const { vcpu, pulse, up } = open();
    assert.equal(pulse(4), 1);
    assert.equal(pulse(4), 0);
    assert.equal(up(4), 0);
    assert.equal(up(4), 1, "no edge at all");
    assert.equal(vcpu.acknowledge(), 0x24);
  });

  it("follows a level: it comes again until its line falls", () => {
    const { vcpu, pic, up, down, first } = open();
    pic.write(0x4d0, 0xff);
    assert.equal(pic.read(0x4d0), 0xf8, "the timer, the keyboard and the cascade are edges");
    assert.equal(up(5), 1);
    for (let round = 0; round < 2; round++) {
      assert.equal(vcpu.acknowledge(), 0x25);
      pic.write(MASTER, EOI);
    }
    down(5);
    assert.deepEqual([vcpu.acknowledge(), first(IRR)], [undefined, 0]);
  });

  it("says -1 of a masked pin, whose request stays until it is unmasked", () => {
    const { vcpu, pic, pulse } = open();
    pic.write(MASTER + 1, 1 << 6);
    assert.equal(pulse(6), -1);
    assert.equal(vcpu.hasInterrupt(), false);
    pic.write(MASTER + 1, 0);
    assert.equal(vcpu.acknowledge(), 0x26);
  });

  it("gives the spurious vector of the second chip where its request has gone, with pin 2 in service", () => {
    const { vcpu, pic, up, down, first } = open();
    pic.write(0x4d1, 1 << 3);
    up(11);
    down(11);
    assert.equal(vcpu.acknowledge(), 0x2f);
    assert.equal(first(ISR), CASCADE);
  });

  it("gives the spurious vector of the first chip where ICW1 has taken the request, with nothing in service", () => {
    const { vcpu, begin, pulse, first } = open();
    pulse(3);
    begin();
    assert.equal(vcpu.acknowledge(), 0x27);
    assert.deepEqual([first(ISR), vcpu.acknowledge()], [0, undefined]);
  });

  it("ends by itself with ICW4's bit 1, and rotates where OCW2 says so", () => {
    const { vcpu, pic, pulse, first } = open({ autoEoi: true });
    pic.write(MASTER, 0x80);
    for (const gsi of [3, 4]) pulse(gsi);
    assert.equal(vcpu.acknowledge(), 0x23);
    assert.deepEqual([first(ISR), first(4)], [0, 4], "pin 3 is the lowest now");
    pulse(0);
    assert.equal(vcpu.acknowledge(), 0x24);
    pulse(3);
    assert.equal(vcpu.acknowledge(), 0x20);
    assert.equal(vcpu.acknowledge(), 0x23);
  });

  it("ends a pin that is named, and rotates behind it", () => {
    const { vcpu, pic, pulse, first } = open();
    pulse(3);
    vcpu.acknowledge();
    pic.write(MASTER, 0x60 | 4);
    assert.equal(first(ISR), 8, "another pin's");
    pic.write(MASTER, 0xe0 | 3);
    assert.deepEqual([first(ISR), first(4)], [0, 4]);
    pic.write(MASTER, 0xc0 | 7);
    assert.equal(first(4), 0);
  });

  it("keeps a special mask, which has no effect, as in KVM", () => {
    const { vcpu, pic, pulse, first } = open();
    pulse(3);
    vcpu.acknowledge();
    pic.write(MASTER, 0x68);
    pic.write(MASTER + 1, 1 << 3);
    pulse(4);
    assert.deepEqual([first(8), vcpu.acknowledge()], [1, undefined]);
  });

  it("lets the second chip through while its first one is served, with ICW4's bit 4", () => {
    const { vcpu, begin, pulse } = open();
    begin(0x11);
    pulse(12);
    assert.equal(vcpu.acknowledge(), 0x2c);
    pulse(9);
    assert.equal(vcpu.acknowledge(), 0x29);
  });

  it("answers a poll with the pin and serves it, and with 7 where there is none", () => {
    const { vcpu, pic, up, first } = open();
    up(4);
    pic.write(MASTER, 0x0c);
    assert.equal(pic.read(MASTER), 0x84);
    assert.deepEqual([first(IRR), first(ISR), vcpu.acknowledge()], [0, 0, undefined]);
    pic.write(MASTER, 0x0c);
    assert.equal(pic.read(MASTER), 7);
    assert.equal(pic.read(MASTER), 0, "IRR again");
    pic.write(MASTER, 0x0b);
    assert.equal(pic.read(MASTER), first(ISR));
    assert.equal(pic.read(MASTER + 1), first(IMR));
  });
});

describe("LINT0", () => {
  it("closed, fixed or NMI lets nothing of the 8259s through, and SVR has no part in it", () => {
    const { vcpu, pulse } = open();
    const lint0 = (value: number) => vcpu.apic.writeMsr(0x800 + (Register.lvt0 >> 4), value);
    pulse(3);
    for (const closed of [0x10700, 0x31, 0x400]) {
      lint0(closed);
      assert.deepEqual([vcpu.hasInterrupt(), vcpu.acknowledge()], [false, undefined]);
    }
    lint0(0x700);
    vcpu.apic.writeMsr(0x800 + (Register.svr >> 4), 0xff); // masks LINT0
    assert.equal(vcpu.hasInterrupt(), false);
    vcpu.apic.reset();
    assert.equal(vcpu.acknowledge(), 0x23, "software-disabled, with LINT0 open");
  });

  it("is passed by where the local APIC is off in its base register", () => {
    const { running, pulse } = open({ vcpus: 2 });
    const [, second] = running;
    second!.apic.setBase(0xfee00000);
    pulse(3);
    assert.equal(second!.acknowledge(), 0x23, "any vCPU's, and not only the boot processor's");
  });

  it("comes before what the local APIC has, below the task priority too, and after an NMI", () => {
    const { vm, vcpu, pulse } = open();
    vcpu.tpr = 0xff;
    vm.signalMsi({ vcpu: 0, vector: 0xf0 });
    pulse(3);
    assert.equal(vcpu.sendIpi({ to: "self", mode: "nmi" } satisfies Ipi), 1);
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "nmi");
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
    assert.equal(vcpu.acknowledge(), 0x23);
    assert.equal(vcpu.acknowledge(), undefined, "0xf0 is below the task priority");
    vcpu.tpr = 0;
    assert.equal(vcpu.acknowledge(), 0xf0);
  });

  it("wakes a vCPU that waits", async () => {
    const { vcpu, pulse } = open();
    const wakes = vcpu.waitAsync();
    await Promise.resolve();
    pulse(3);
    assert.equal(await wakes, "interrupt");
    assert.equal(vcpu.acknowledge(), 0x23);
  });

  it("is where an ExtINT comes from: neither a message nor a pin of the I/O APIC is one", () => {
    const { vm, vcpu } = open();
    vm.ioapic.write(0x10 + 2 * 20, 0x700);
    assert.equal(vm.setIrqLine(20, true), 0);
    assert.equal(vm.signalMsi({ address: 0xfee00000, data: 0x700 }), 0);
    assert.equal(vcpu.acknowledge(), undefined);
  });
});

describe("a GSI below 16", () => {
  it("goes to the pin of the I/O APIC and to that of an 8259, and counts both", () => {
    const { vm, vcpu, up } = open();
    vm.ioapic.redirect(5, { vcpu: 0, vector: 0x51 });
    assert.equal(up(5), 2);
    assert.deepEqual([vcpu.acknowledge(), vcpu.acknowledge()], [0x25, 0x51]);
  });

  it("with a route to an 8259 alone is no interrupt of the I/O APIC", () => {
    const { vm, vcpu, up } = open();
    vm.setGsiRouting([{ gsi: 40, irqchip: { chip: "pic-slave", pin: 6 } }]);
    assert.equal(up(40), 1);
    assert.equal(vcpu.acknowledge(), 0x2e);
  });

  it("is pulsed by an irqfd", () => {
    const { host, vm, vcpu, relay } = open();
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, 4);
    eventfd.write();
    relay();
    assert.equal(vcpu.acknowledge(), 0x24);
    assert.equal(
      host.interrupts()[0]?.dropped,
      undefined,
      "the I/O APIC's pin is masked, and this one's is not",
    );
  });

  it("of a level-triggered irqfd falls with the end of the 8259's service, which asks the device; by itself too", () => {
    for (const autoEoi of [false, true]) {
      const { host, vm, vcpu, pic, relay, first } = open({ autoEoi });
      const [trigger, resample] = [Eventfd.create(host), Eventfd.create(host)];
      vm.irqfd(trigger, 5, { resample });
      pic.write(0x4d0, 1 << 5);
      trigger.write();
      relay();
      assert.equal(resample.count, 0n);
      assert.equal(vcpu.acknowledge(), 0x25);
      if (!autoEoi) pic.write(MASTER, EOI);
      assert.deepEqual([resample.count, first(IRR), vcpu.acknowledge()], [1n, 0, undefined]);
    }
  });
});

describe("a VM with 8259s", () => {
  it("that is reset has them as new ones, with LINT0 of the boot processor open", () => {
    const { vm, vcpu, begin, up } = open();
    up(3);
    vm.reset();
    assert.equal(vcpu.hasInterrupt(), false);
    assert.deepEqual([...vm.pic.state("pic-master")].slice(0, 6), [0, 0, 0, 0, 0, 0]);
    begin();
    assert.equal(up(3), 1);
    assert.equal(vcpu.acknowledge(), 0x23);
  });

  it("without pic: true has none: pins lead nowhere, and LINT0 is closed", () => {
    const host = smallHost();
    const vm = new Vm(host);
    assert.throws(() => vm.pic, { code: "EINVAL", message: /make it with pic: true/ });
    assert.equal(vm.setIrqLine(3, true), -1);
    assert.equal(Vcpu.open(host, vm.vcpu(0).handle).apic.readMsr(0x800 + (Register.lvt0 >> 4)), 0x10000n);
  });

  it("refuses ports that they have not, what is no byte, and no local APIC to reach a vCPU by", () => {
    const { host, pic } = open();
    assert.throws(() => pic.read(0x22), { code: "EINVAL" });
    assert.throws(() => pic.write(0x21, -1), { code: "EINVAL" });
    assert.throws(() => pic.state("ioapic" as "pic-slave"), { code: "EINVAL" });
    assert.throws(() => new Vm(host, { apic: false, pic: true }), { code: "EINVAL", message: /LINT0/ });
    assert.throws(() => new Vm(host, { pic: 1 as unknown as boolean }), { code: "EINVAL" });
  });

  it("is not for a thread of irqbypass/slim, which says so before it has done anything", () => {
    const { host, vm, running } = open();
    running[0]!.put();
    const slim = SlimHost.attach(host.handle);
    const refusal = { code: "EOPNOTSUPP", message: /8259s/ };
    assert.throws(() => new SlimVm(slim, { pic: true }), refusal);
    assert.throws(() => SlimVm.open(slim, vm.handle), refusal);
    assert.throws(() => Vcpu.open(slim, vm.vcpu(0).handle), refusal);
    Vcpu.open(host, vm.vcpu(0).handle).put();
    slim.dispose();
  });

  it("gets what a relay without their code delivers: edges, and levels that fall before anybody looks", () => {
    const { host, vm, vcpu, pic } = open();
    const relay = SlimHost.attach(host.handle, { name: "relay" });
    const relayed = () => {
      while (relay.pending.any) relay.pending.takeAll((irqfd) => relayOne(relay, irqfd));
    };
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, 4);
    const [trigger, resample] = [Eventfd.create(host), Eventfd.create(host)];
    const level = vm.irqfd(trigger, 10, { resample });
    pic.write(0x4d1, 1 << 2);
    for (let round = 0; round < 2; round++) {
      eventfd.write();
      relayed();
      assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
      assert.equal(vcpu.acknowledge(), 0x24, `edge ${round}`);
      pic.write(MASTER, EOI);
    }
    trigger.write();
    relayed();
    assert.equal(vcpu.acknowledge(), 0x2a);
    pic.write(SLAVE, EOI);
    pic.write(MASTER, EOI);
    assert.deepEqual([resample.count, vcpu.acknowledge()], [1n, undefined]);
    trigger.write();
    relayed();
    level.dispose(); // which lets go of the line
    assert.deepEqual(
      [vcpu.acknowledge(), pic.state("pic-slave")[IRR]],
      [0x2f, 0],
      "the second chip asked, and does no more",
    );
    relay.dispose();
  });

  it("is sound to the audit, whatever else it was made with", () => {
    const { host, up, vcpu } = open();
    new Vm(host, { apic: { longIds: false, broadcastQuirk: false, vectorHashing: false }, pic: true });
    up(3);
    up(20);
    vcpu.acknowledge();
    assert.deepEqual(host.audit().findings, []);
  });
});

it("a thread that dies serving an 8259's interrupt leaves it to the next one", () => {
  const { host, vm, vcpu, pic, up, first } = open();
  // Which nothing proves to be alive.
  const lost = Host.attach(host.handle, {
    platform: { ...host.platform, self: () => ({ pid: 0, tid: 0, startTime: 0, worker: 0 }) },
  });
  vcpu.put();
  const there = Vcpu.open(lost, vm.vcpu(0).handle);
  up(3);
  up(4);
  assert.equal(there.acknowledge(), 0x23);
  assert.equal(host.threadLost(lost.threadId), true);
  const next = Vcpu.open(host, vm.vcpu(0).handle);
  assert.deepEqual([next.acknowledge(), first(ISR)], [0x23, 8]);
  pic.write(MASTER, EOI);
  assert.equal(next.acknowledge(), 0x24);
});
