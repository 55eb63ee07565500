/**
 * Situations of MSI-X tables and routes that users of VMMs have reported, in own words: each is played as its VMM would write it with this
 * library, on a software VM and on a KVM guest.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RouteRef } from "irqbypass";
import { KvmVm } from "irqbypass/kvm";
import { kvmTests } from "../kvm/available.js";
import {
  bytesOf,
  ENABLE,
  entry,
  FUNCTION_MASK,
  kvmWorld,
  type MsixWorld,
  softwareWorld,
} from "./msix-worlds.js";

/** Makes routes until the VM has no GSI left. */
function takeAllRoutes({ vm }: MsixWorld): RouteRef[] {
  const routes: RouteRef[] = [];
  for (;;) {
    try {
      routes.push(vm.routeMsi({ vcpu: 1, vector: 0x80 }));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ENOSPC");
      return routes;
    }
  }
}

const SITUATIONS: Readonly<Record<string, (world: MsixWorld) => void>> = {
  "a Linux driver sets the function mask with enable, writes its entries, and clears it in the end"(world) {
    const { nic, msix } = world.device(4);
    msix.control = ENABLE | FUNCTION_MASK;
    for (let number = 0; number < 4; number++) {
      // Each word by itself, the control last, as pci_write_msi_msg and the unmask do.
      entry(number & 1, 0x40 + number).forEach((word, at) => {
        msix.table.write(number * 16 + at * 4, bytesOf(word));
      });
      nic.vector("msix", number).signal();
    }
    assert.deepEqual(world.arrived(), []);
    msix.control = ENABLE;
    assert.deepEqual(world.arrived(), ["0:64", "0:66", "1:65", "1:67"]);
  },

  "irqbalance moves a vector to another CPU: masked, rewritten, unmasked, beside a device that goes on"(
    world,
  ) {
    const { nic, msix } = world.device(1);
    const vector = nic.vector("msix", 0);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(0, 0x41)));
    vector.signal();
    msix.table.write(12, bytesOf(1));
    vector.signal();
    msix.table.write(0, bytesOf(0xfee01000));
    msix.table.write(8, bytesOf(0x52));
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["0:65"], 1]);
    msix.table.write(12, bytesOf(0));
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["0:65", "1:82"], 0]);
  },

  "a guest moves a vector without masking it first: from the store's return on the new one is taken"(world) {
    const { nic, msix } = world.device(2);
    msix.control = ENABLE;
    msix.table.write(16, bytesOf(...entry(0, 0x41)));
    msix.table.write(16, bytesOf(0xfee01000, 0)); // 8 bytes: both halves of the address
    nic.vector("msix", 1).signal();
    assert.deepEqual(world.arrived(), ["1:65"]);
    msix.table.write(24, bytesOf(0x42, 0));
    nic.vector("msix", 1).signal();
    assert.deepEqual(world.arrived(), ["1:65", "1:66"]);
  },

  "firmware stores 8 bytes at a time, the system after it 4, and a monitor reads single bytes"(world) {
    const { nic, msix } = world.device(2);
    msix.table.write(0, bytesOf(0xfee00000, 0));
    msix.table.write(8, bytesOf(0x61, 0));
    entry(1, 0x62).forEach((word, at) => {
      msix.table.write(16 + at * 4, bytesOf(word));
    });
    msix.control = ENABLE; // after the entries were unmasked
    for (const number of [0, 1]) nic.vector("msix", number).signal();
    assert.deepEqual(world.arrived(), ["0:97", "1:98"]);
    assert.deepEqual(
      [3, 8, 24].map((at) => msix.table.read(at, 1)[0]),
      [0xfe, 0x61, 0x62],
    );
  },

  "a driver is loaded and unloaded some hundred times: no GSI, eventfd or route is used up by that"(world) {
    const { nic, msix } = world.device(8);
    const probe = () => {
      const route = world.vm.routeMsi({ vcpu: 0, vector: 0x90 });
      route.dispose();
      return route.gsi;
    };
    const first = probe();
    const { route, eventfd } = world.host.pools;
    const live = [route.live, eventfd.live];
    for (let turn = 0; turn < 100; turn++) {
      msix.control = ENABLE;
      for (let number = 0; number < 8; number++)
        msix.table.write(number * 16, bytesOf(...entry(0, 0x41 + number)));
      msix.control = 0;
      for (let number = 0; number < 8; number++) msix.table.write(number * 16 + 12, bytesOf(1));
    }
    assert.deepEqual([probe(), route.live, eventfd.live], [first, ...live]);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(1, 0x47)));
    nic.vector("msix", 0).signal();
    assert.deepEqual(world.arrived(), ["1:71"]);
  },

  "devices are plugged in until a VM has no GSI left: the next is refused, and those that are there go on"(
    world,
  ) {
    const { nic, msix } = world.device(2);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(0, 0x41)));
    const routes = takeAllRoutes(world);
    assert.equal(routes.at(-1)?.gsi, 4079); // the 40 entries of the pins count too
    assert.throws(() => msix.table.write(16, bytesOf(...entry(0, 0x42))), { code: "ENOSPC" });
    assert.deepEqual([...msix.table.read(28, 4)], [1, 0, 0, 0]);
    msix.table.write(8, bytesOf(0x43)); // a change needs no other GSI
    nic.vector("msix", 0).signal();
    routes[17]!.dispose();
    msix.table.write(16, bytesOf(...entry(0, 0x42)));
    nic.vector("msix", 1).signal();
    assert.deepEqual(world.arrived(), ["0:66", "0:67"]);
  },

  "a guest stores whatever it likes, wherever: nothing is thrown, and a proper driver finds a device that works"(
    world,
  ) {
    const { nic, msix } = world.device(3);
    let random = 1;
    const next = (limit: number) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * limit);
    };
    for (let turn = 0; turn < 300; turn++) {
      const bytes = Array.from({ length: [1, 2, 4, 8][next(4)]! }, () => next(256));
      (next(8) === 0 ? msix.pba : msix.table).write(next(64), bytes);
      if (next(4) === 0) msix.control = next(0x10000);
      nic.vector("msix", next(3)).signal();
    }
    msix.control = 0;
    msix.table.write(0, bytesOf(...entry(0, 0x41, 1), ...entry(1, 0x42, 1), ...entry(1, 0x43, 1)));
    msix.control = ENABLE;
    for (const number of [0, 1, 2]) msix.table.write(number * 16 + 12, bytesOf(0));
    for (const number of [0, 1, 2]) nic.vector("msix", number).signal();
    const came = world.arrived();
    for (const one of ["0:65", "1:66", "1:67"]) assert.ok(came.includes(one), `${one} is not among ${came}`);
  },

  "a kernel that was started anew finds the table as after reset, and the old one's vectors get nothing"(
    world,
  ) {
    const { nic, msix } = world.device(2);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(0, 0x41), ...entry(0, 0x42)));
    msix.reset();
    assert.deepEqual([...msix.table.read(0, 16)], [...bytesOf(0, 0, 0, 1)]);
    assert.equal(msix.control, 1);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(1, 0x51)));
    nic.vector("msix", 0).signal();
    nic.vector("msix", 1).signal(); // still masked
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["1:81"], 2]);
  },

  "a VMM resets the device under a guest that has it masked: the masks are the table's, and nothing of before comes"(
    world,
  ) {
    const { nic, msix } = world.device(2);
    const [first, second] = [nic.vector("msix", 0), nic.vector("msix", 1)];
    msix.table.write(0, bytesOf(...entry(0, 0x41), ...entry(0, 0x42, 1)));
    msix.control = ENABLE;
    second.signal();
    for (const reset of [() => nic.reset(), () => second.reset()]) {
      reset();
      assert.deepEqual([msix.pba.read(0, 1)[0], first.masked, second.masked], [0, false, true]);
      second.signal();
      assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [[], 2]);
    }
    msix.control = ENABLE | FUNCTION_MASK;
    for (const reset of [() => nic.reset(), () => first.reset()]) {
      reset();
      first.signal();
      assert.deepEqual(
        [msix.control, nic.functionMask, first.masked],
        [ENABLE | FUNCTION_MASK | 1, true, true],
      );
      assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [[], 1]);
    }
    msix.control = ENABLE;
    assert.deepEqual(world.arrived(), ["0:65"]);
    nic.reset();
    second.signal();
    msix.table.write(28, bytesOf(0));
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["0:65", "0:66"], 0]);
    msix.dispose();
    nic.reset(); // nobody's table any more
    assert.deepEqual([second.masked, nic.functionMask], [true, false]); // it has no trigger
    const route = world.vm.routeMsi({ vcpu: 1, vector: 0x50 });
    nic.setTrigger("msix", 1, world.irqfd(route.gsi));
    second.signal();
    assert.ok(world.arrived().includes("1:80"));
  },

  "a function is reset in its guest's hands: nothing that the old driver has pending comes to the new one"(
    world,
  ) {
    for (const dynamic of [true, false]) {
      const { nic, msix } = world.device(2, dynamic);
      const vector = nic.vector("msix", 0);
      for (const held of [
        () => msix.table.write(12, bytesOf(1)),
        () => (msix.control = ENABLE | FUNCTION_MASK),
        () => (msix.control = 0),
      ]) {
        msix.control = ENABLE;
        msix.table.write(0, bytesOf(...entry(0, 0x41)));
        held();
        vector.signal();
        assert.equal(msix.pba.read(0, 1)[0], 1);
        msix.reset();
        assert.equal(msix.pba.read(0, 1)[0], 0);
        msix.control = ENABLE;
        msix.table.write(0, bytesOf(...entry(1, 0x51)));
        assert.deepEqual(world.arrived(), []);
      }
    }
  },

  "a device that takes all its triggers at once is enabled with interrupts pending: each comes when its entry leads to one"(
    world,
  ) {
    const turns: readonly (readonly ("nic" | "msix")[])[] = [
      [],
      ["nic"],
      ["msix"],
      ["nic", "msix"],
      ["msix", "nic"],
    ];
    for (const [turn, resets] of turns.entries()) {
      const base = 0x41 + 16 * turn;
      const all = world.device(3, false);
      const { nic, msix } = all;
      for (const what of resets) all[what].reset();
      for (const number of [0, 1, 2]) nic.vector("msix", number).signal();
      // Lets it signal, and leads to no interrupt; on KVM, which looks at no upper half, nothing does.
      if (!(world.vm instanceof KvmVm)) msix.table.write(16, bytesOf(0, 1, 0, 0));
      msix.table.write(32, bytesOf(...entry(1, base + 2)));
      const came = () => world.arrived().filter((one) => Number(one.slice(2)) >= base);
      msix.control = ENABLE;
      assert.deepEqual([came(), msix.pba.read(0, 1)[0]], [[`1:${base + 2}`], 3]);
      msix.table.write(0, bytesOf(...entry(0, base)));
      msix.table.write(16, bytesOf(...entry(0, base + 1)));
      assert.deepEqual(
        [came(), msix.pba.read(0, 1)[0]],
        [[`0:${base}`, `0:${base + 1}`, `1:${base + 2}`], 0],
      );
    }
  },

  "a device that takes all its triggers at once finds no GSI left: it is not enabled, and what is pending stays so"(
    world,
  ) {
    const { nic, msix } = world.device(2, false);
    msix.table.write(0, bytesOf(...entry(0, 0x41), ...entry(0, 0x42)));
    for (const number of [0, 1]) nic.vector("msix", number).signal();
    const routes = takeAllRoutes(world);
    routes.pop()!.dispose(); // one vector can be connected, and the second cannot
    assert.throws(() => (msix.control = ENABLE), { code: "ENOSPC" });
    assert.deepEqual([msix.control, nic.functionMask, msix.pba.read(0, 1)[0]], [1, false, 3]);
    routes.pop()!.dispose();
    msix.control = ENABLE;
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["0:65", "0:66"], 0]);
  },

  "a VMM fires a loopback test into a trigger that leads nowhere yet: it comes when the guest has connected the vector"(
    world,
  ) {
    const { nic, msix } = world.device(1, false);
    msix.control = ENABLE;
    nic.setIrqs({ index: "msix", start: 0, count: 1, action: "trigger", data: "none" });
    msix.table.write(0, bytesOf(...entry(0, 0x41)));
    assert.deepEqual([world.arrived(), msix.pba.read(0, 1)[0]], [["0:65"], 0]);
  },

  "two vectors have the same message: either of them raises it, and one may move away from the other"(world) {
    const { nic, msix } = world.device(2);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(0, 0x41), ...entry(0, 0x41)));
    nic.vector("msix", 1).signal();
    assert.deepEqual(world.arrived(), ["0:65"]);
    msix.table.write(16, bytesOf(0xfee01000));
    nic.vector("msix", 0).signal();
    nic.vector("msix", 1).signal();
    assert.deepEqual(world.arrived(), ["0:65", "1:65"]);
  },

  "a driver polls the pending bits of a masked vector, and takes no interrupt for what it has seen there"(
    world,
  ) {
    const { nic, msix } = world.device(40);
    msix.control = ENABLE;
    msix.table.write(35 * 16, bytesOf(...entry(0, 0x41, 1)));
    nic.vector("msix", 35).signal();
    assert.deepEqual([...msix.pba.read(0, 8)], [0, 0, 0, 0, 8, 0, 0, 0]);
    msix.pba.write(4, [0xff]); // it may not write there
    assert.deepEqual([...msix.pba.read(4, 4)], [8, 0, 0, 0]);
    assert.deepEqual(world.arrived(), []);
    msix.table.write(35 * 16 + 12, bytesOf(0));
    assert.deepEqual([world.arrived(), [...msix.pba.read(4, 4)]], [["0:65"], [0, 0, 0, 0]]);
  },

  "a VMM sets a whole table for its I/O APIC beside the devices' routes: they are back with the next store"(
    world,
  ) {
    const { nic, msix } = world.device(1);
    msix.control = ENABLE;
    msix.table.write(0, bytesOf(...entry(0, 0x41)));
    world.vm.setGsiRouting([{ gsi: 4, irqchip: { chip: "ioapic", pin: 4 } }]);
    nic.vector("msix", 0).signal();
    assert.deepEqual(world.arrived(), []); // no route: dropped, as in the kernel
    msix.table.write(12, bytesOf(0));
    nic.vector("msix", 0).signal();
    assert.deepEqual(world.arrived(), ["0:65"]);
  },
};

for (const [kind, make, options] of [
  ["a software VM", softwareWorld, {}],
  ["a KVM guest", kvmWorld, kvmTests],
] as const) {
  describe(`reports of MSI-X, on ${kind}`, options, () => {
    for (const [situation, play] of Object.entries(SITUATIONS)) {
      it(situation, () => {
        using world = make();
        play(world);
        assert.deepEqual(world.host.audit().findings, []);
      });
    }
  });
}
