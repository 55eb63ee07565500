/**
 * What was seen on a real kernel, one named case for each behaviour. Each asserts what is known of it, on whichever side it
 * runs; the traces of the sides are then compared as well.
 */
import { ioapic, msi } from "./operation.js";
import type { Run } from "./run.js";

/** The largest value that a write takes, and the largest count that it leads to. */
const MAX = 2n ** 64n - 2n;

export interface Case {
  readonly name: string;
  run(t: Run): void;
  /** Why a software VM with Linux eventfds cannot do the same. */
  readonly notOnLinuxEventfds?: string;
}

export const CASES: readonly Case[] = [
  // KVM_IRQFD: what is refused.
  {
    name: "assign refuses an option that it does not know",
    run(t) {
      t.expect("EINVAL", { op: "assign with an unknown option", vm: 0, e: 0 });
      t.assign(0, 0, 24);
    },
  },
  {
    name: "deassign does not look at a resample eventfd",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.ok({ op: "deassign as level", vm: 0, e: 0, gsi: 10 });
      t.assign(1, 0, 10);
    },
  },
  {
    name: "assign refuses what is not open and what is no eventfd",
    run(t) {
      t.expect("EBADF", { op: "assign wrongly", vm: 0, e: "closed" });
      t.expect("EINVAL", { op: "assign wrongly", vm: 0, e: "not an eventfd" });
    },
  },
  {
    name: "assign refuses a resample eventfd that is not open or none, and binds nothing then",
    run(t) {
      t.expect("EBADF", { op: "resample wrongly", vm: 0, e: 0, resample: "closed" });
      t.expect("EINVAL", { op: "resample wrongly", vm: 0, e: 0, resample: "not an eventfd" });
      t.write(0);
      t.count(0, 1);
      t.assign(1, 0, 24);
    },
  },
  {
    name: "deassign refuses what is not open and what is no eventfd",
    run(t) {
      t.expect("EBADF", { op: "deassign wrongly", vm: 0, e: "closed" });
      t.expect("EINVAL", { op: "deassign wrongly", vm: 0, e: "not an eventfd" });
    },
  },
  {
    name: "an eventfd has one irqfd: not another on the same GSI, on another GSI, in another VM, through a dup",
    run(t) {
      t.assign(0, 0, 24);
      t.busy(0, 0, 24);
      t.busy(0, 0, 25);
      t.busy(1, 0, 24);
      t.ok({ op: "dup", e: 0 });
      t.busy(0, 0, 24);
      t.busy(1, 0, 25);
      t.expect("EBUSY", { op: "assign", vm: 0, e: 0, gsi: 10, resample: 3 });
    },
  },
  {
    name: "a GSI has no upper bound at assign and deassign",
    run(t) {
      for (const gsi of [4095, 4096, 0xffff_ffff]) {
        t.assign(0, 0, gsi);
        t.write(0);
        t.count(0, 0);
        t.irr(0, 0);
        t.deassign(0, 0, gsi);
      }
    },
  },
  {
    name: "one eventfd may be both ends of a level-triggered irqfd",
    run(t) {
      t.assign(0, 0, 10, 0);
      t.write(0);
      t.irr(0, 0, 0x7a);
      t.deassign(0, 0, 10);
    },
  },
  {
    name: "without an I/O APIC: messages yes, pins no; level-triggered irqfds on a software VM alone",
    run(t) {
      t.ok({ op: "renew", vm: 0, irqchip: "split" });
      const why =
        "a software VM keeps the line of an interrupt controller that user space has; KVM keeps none";
      const level = { op: "assign", vm: 0, e: 1, gsi: 10, resample: 3 } as const;
      t.differs({ kernel: "EINVAL", software: "ok" }, level, why);
      t.deassign(0, 1, 10);
      t.expect("EINVAL", { op: "routes", vm: 0, routes: [ioapic(10, 10)] });
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      t.write(0);
      t.irr(0, 0, 0x41);
    },
  },
  {
    name: "without any irqchip KVM has no irqfds and no routes; a software VM always has both",
    run(t) {
      t.ok({ op: "renew", vm: 0, irqchip: "none" });
      const why = "a software VM takes messages with or without local APICs";
      t.differs({ kernel: "EINVAL", software: "ok" }, { op: "assign", vm: 0, e: 0, gsi: 24 }, why);
      t.differs(
        { kernel: "EINVAL", software: "ok" },
        { op: "routes", vm: 0, routes: [msi(24, 0, 0x41)] },
        why,
      );
    },
  },

  // The signal path.
  {
    name: "one write is one interrupt, of whatever value",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      for (const value of [1n, 7n, 2n ** 32n, MAX]) {
        t.write(0, value);
        t.count(0, 0);
        t.serves(0, 0, 0x41);
        t.servesNone(0, 0);
      }
    },
  },
  {
    name: "a write of 0 is an interrupt too",
    notOnLinuxEventfds: "epoll is silent about a write of 0 to a counter at 0",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      t.write(0, 0);
      t.irr(0, 0, 0x41);
      t.count(0, 0);
    },
  },
  {
    name: "a count that is there at assign is one interrupt, and stays until the next signal",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.write(0, 4);
      t.assign(0, 0, 24);
      t.serves(0, 0, 0x41);
      t.count(0, 4);
      t.servesNone(0, 0);
      t.write(0);
      t.count(0, 0);
      t.serves(0, 0, 0x41);
    },
  },
  {
    name: "a count that stayed is read out at deassign, and does not fire again",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.write(0);
      t.assign(0, 0, 24);
      t.deassign(0, 0, 24);
      t.count(0, 0);
      t.serves(0, 0, 0x41);
      t.assign(0, 0, 24);
      t.servesNone(0, 0);
    },
  },
  {
    name: "a signal without a route is lost, also when a route comes later",
    run(t) {
      t.routes(0);
      t.assign(0, 0, 24);
      t.write(0);
      t.count(0, 0);
      t.routes(0, msi(24, 0, 0x41));
      t.irr(0, 0);
      t.write(0);
      t.irr(0, 0, 0x41);
    },
  },
  {
    name: "a count at assign without a route is lost as well",
    run(t) {
      t.write(0, 3);
      t.assign(0, 0, 24);
      t.routes(0, msi(24, 0, 0x41));
      t.irr(0, 0);
      t.count(0, 3);
    },
  },
  {
    name: "several eventfds may share a GSI",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      t.assign(0, 1, 24);
      t.write(0);
      t.serves(0, 0, 0x41);
      t.write(1);
      t.serves(0, 0, 0x41);
      t.deassign(0, 0, 24);
      t.write(1);
      t.serves(0, 0, 0x41);
    },
  },
  {
    name: "a semaphore gives one unit for each signal, and one at deassign",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.write(2, 4);
      t.assign(0, 2, 24);
      t.serves(0, 0, 0x41);
      t.count(2, 4);
      t.write(2, 2);
      t.count(2, 5);
      t.serves(0, 0, 0x41);
      t.servesNone(0, 0);
      t.deassign(0, 2, 24);
      t.count(2, 4);
    },
  },
  {
    name: "a semaphore at 0 stays at 0 when it is deassigned",
    run(t) {
      t.assign(0, 2, 24);
      t.deassign(0, 2, 24);
      t.count(2, 0);
      t.expect("EAGAIN", { op: "read", e: 2 });
    },
  },
  {
    name: "a counter that is full at assign stays full: writes are refused and inject nothing until somebody reads",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.write(0, MAX);
      t.assign(0, 0, 24);
      t.serves(0, 0, 0x41);
      t.expect("EAGAIN", { op: "write", e: 0, value: "1" });
      t.servesNone(0, 0);
      t.count(0, MAX);
      t.expect(String(MAX), { op: "read", e: 0 });
      t.write(0);
      t.count(0, 0);
      t.serves(0, 0, 0x41);
    },
  },
  {
    name: "nobody who reads the same eventfd ever sees the event",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      t.write(0, 5);
      t.expect("EAGAIN", { op: "read", e: 0 });
      t.irr(0, 0, 0x41);
    },
  },

  // Level-triggered lines.
  {
    name: "a level-triggered irqfd raises the line, and the EOI lets go of it and signals the resample eventfd",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.write(0);
      t.lines(0, 10);
      t.irr(0, 0, 0x7a);
      t.write(0);
      t.lines(0, 10);
      t.count(3, 0);
      t.serves(0, 0, 0x7a);
      t.lines(0);
      t.count(3, 1);
      t.servesNone(0, 0);
      t.write(0);
      t.serves(0, 0, 0x7a);
      t.expect("2", { op: "read", e: 3 });
    },
  },
  {
    name: "an EOI signals the resample eventfd of every irqfd of the GSI",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.assign(0, 1, 10, 2);
      t.write(0);
      t.serves(0, 0, 0x7a);
      t.count(3, 1);
      t.count(2, 1);
    },
  },
  {
    name: "an asserted line drops when its last level-triggered irqfd is deassigned",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.assign(0, 1, 10, 3);
      t.write(0);
      t.deassign(0, 0, 10);
      t.lines(0, 10);
      t.deassign(0, 1, 10);
      t.lines(0);
    },
  },
  {
    name: "a line is the OR of user space and the level-triggered irqfds",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.line(0, 10, true);
      t.write(0);
      t.line(0, 10, false);
      t.lines(0, 10);
      t.line(0, 10, true);
      t.serves(0, 0, 0x7a);
      t.lines(0, 10);
      t.irr(0, 0, 0x7a);
      t.line(0, 10, false);
      t.lines(0);
    },
  },
  {
    name: "an edge-triggered irqfd on a level-triggered pin leaves its interrupt and no line",
    run(t) {
      t.assign(0, 0, 10);
      t.write(0);
      t.lines(0);
      t.serves(0, 0, 0x7a);
      t.servesNone(0, 0);
    },
  },
  {
    name: "an edge on a masked pin leaves no trace, a level stays",
    run(t) {
      t.assign(0, 0, 12);
      t.assign(0, 1, 11, 3);
      t.write(0);
      t.lines(0);
      t.write(1);
      t.lines(0, 11);
      t.irr(0, 0);
      t.servesNone(0, 0);
    },
  },
  {
    name: "two pins with one vector: an EOI is theirs both",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.assign(0, 1, 20, 2);
      t.write(0);
      t.write(1);
      t.irr(0, 0, 0x7a);
      t.serves(0, 0, 0x7a);
      t.count(3, 1);
      t.count(2, 1);
      t.lines(0);
    },
  },
  {
    name: "an EOI asks also where the pin is programmed as an edge",
    run(t) {
      t.assign(0, 0, 3, 3);
      t.write(0);
      t.serves(0, 0, 0x33);
      t.count(3, 1);
    },
  },
  {
    name: "of two GSIs that lead to one pin, the last of the table is asked",
    run(t) {
      t.routes(0, ioapic(24, 10), ioapic(25, 10));
      t.assign(0, 0, 24, 2);
      t.assign(0, 1, 25, 3);
      t.write(0);
      t.lines(0, 10);
      t.serves(0, 0, 0x7a);
      t.count(2, 0);
      t.count(3, 1);
      t.lines(0);
      t.routes(0, ioapic(25, 10), ioapic(24, 10));
      t.write(0);
      t.serves(0, 0, 0x7a);
      t.count(2, 1);
      t.count(3, 1);
    },
  },
  {
    name: "a level-triggered assign that is refused leaves the line alone; KVM lets go of it",
    run(t) {
      t.routes(0, ioapic(24, 10), ioapic(25, 10));
      t.assign(0, 0, 24, 2);
      t.assign(1, 1, 24);
      t.write(0);
      t.lines(0, 10);
      t.differs(
        { kernel: "EBUSY", software: "EBUSY" },
        { op: "assign", vm: 0, e: 1, gsi: 25, resample: 3 },
        "KVM undoes the first resampler of GSI 25 and so drops the line that GSI 24 holds on the same pin",
      );
      if (t.world.side === "software") t.lines(0, 10);
      else t.lines(0);
    },
  },
  {
    name: "a resample eventfd that is full takes one more, and then nothing",
    notOnLinuxEventfds: "user space cannot bring a counter to 2^64 - 1",
    run(t) {
      t.write(3, MAX);
      t.assign(0, 0, 10, 3);
      for (let round = 0; round < 2; round++) {
        t.write(0);
        t.serves(0, 0, 0x7a);
        t.count(3, MAX + 1n);
      }
      t.expect("EAGAIN", { op: "write", e: 3, value: "0" });
      t.expect(String(MAX + 1n), { op: "read", e: 3 });
    },
  },
  {
    name: "a resample eventfd that is full, and an irqfd itself, still fires",
    run(t) {
      t.write(0, MAX);
      t.assign(0, 0, 10, 0);
      t.serves(0, 0, 0x7a);
      t.count(0, 0);
      t.lines(0, 10);
    },
  },
  {
    name: "an MSI with the vector of a level-triggered pin makes the next EOI an edge's",
    run(t) {
      t.routes(0, ioapic(10, 10), msi(24, 0, 0x7a));
      t.assign(0, 0, 10, 3);
      t.assign(0, 1, 24);
      t.write(0);
      t.write(1);
      t.serves(0, 0, 0x7a);
      t.servesNone(0, 0);
    },
  },
  {
    name: "KVM_IRQ_LINE sends an MSI when the level rises",
    run(t) {
      t.routes(0, msi(24, 1, 0x41));
      t.line(0, 24, true);
      t.serves(0, 1, 0x41);
      t.line(0, 24, false);
      t.servesNone(0, 1);
      t.line(0, 4000, true);
    },
  },

  // Deassign, hang-up, release.
  {
    name: "deassign of what is not there succeeds, and only the pair of eventfd and GSI matches",
    run(t) {
      t.deassign(0, 0, 24);
      t.assign(0, 0, 24);
      t.deassign(0, 0, 25);
      t.deassign(1, 0, 24);
      t.busy(1, 0, 24);
      t.deassign(0, 0, 24);
      t.assign(1, 0, 24);
    },
  },
  {
    name: "after deassign the counter is read out, signals only count, and the eventfd is free for any VM",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.write(0, 4);
      t.assign(0, 0, 24);
      t.serves(0, 0, 0x41);
      t.deassign(0, 0, 24);
      t.count(0, 0);
      t.write(0, 2);
      t.write(0);
      t.count(0, 3);
      t.servesNone(0, 0);
      t.expect("3", { op: "read", e: 0 });
      t.assign(1, 0, 24);
    },
  },
  {
    name: "a write directly before a deassign, or before the last close, is an interrupt; one directly after it is counted",
    run(t) {
      t.routes(0, msi(24, 0, 0x41), ioapic(25, 20));
      for (const e of [0, 2]) {
        const write = { op: "write", e, value: "3" } as const;
        for (const gsi of [24, 25]) {
          const vector = gsi === 24 ? 0x41 : 0x7a;
          t.assign(0, e, gsi);
          t.expect("ok, ok", { op: "at once", operations: [write, { op: "deassign", vm: 0, e, gsi }] });
          t.serves(0, 0, vector);
          t.expect(e === 0 ? "EAGAIN" : "1", { op: "read", e });
          if (e === 2) t.ok({ op: "close", e });
          t.assign(0, e, gsi);
          t.expect("ok, ok", { op: "at once", operations: [{ op: "deassign", vm: 0, e, gsi }, write] });
          t.servesNone(0, 0);
          t.count(e, 3);
          t.ok({ op: "close", e });
          t.assign(0, e, gsi);
          t.expect("ok, ok", { op: "at once", operations: [write, { op: "close", e }] });
          t.serves(0, 0, vector);
        }
      }
    },
  },
  {
    name: "a write directly before its route is replaced, or goes away, is an interrupt of the old one",
    run(t) {
      for (const e of [0, 2]) {
        for (const next of [[msi(24, 0, 0x42)], []]) {
          t.routes(0, msi(24, 0, 0x41));
          t.assign(0, e, 24);
          t.expect("ok, ok", {
            op: "at once",
            operations: [
              { op: "write", e, value: "1" },
              { op: "routes", vm: 0, routes: next },
            ],
          });
          t.serves(0, 0, 0x41);
          t.servesNone(0, 0);
          t.count(e, 0);
          t.deassign(0, e, 24);
        }
      }
    },
  },
  {
    name: "a write directly before its route is replaced goes by the old one also where that names nobody, or is level-triggered",
    run(t) {
      const level = { ...msi(24, 1, 0x43), data: 0x8043 };
      t.assign(0, 0, 24);
      for (const [old, vectors] of [
        [msi(24, 9, 0x41), []],
        [level, [0x43]],
      ] as const) {
        t.routes(0, old);
        t.expect("ok, ok", {
          op: "at once",
          operations: [
            { op: "write", e: 0, value: "1" },
            { op: "routes", vm: 0, routes: [msi(24, 0, 0x42)] },
          ],
        });
        t.irr(0, 0);
        t.irr(0, 1, ...vectors);
      }
    },
  },
  {
    name: "a VMM that masks by a deassign and unmasks by an assign gets what was written before, between and after",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      const write = { op: "write", e: 0, value: "1" } as const;
      const off = { op: "deassign", vm: 0, e: 0, gsi: 24 } as const;
      const on = { op: "assign", vm: 0, e: 0, gsi: 24 } as const;
      for (const [operations, count] of [
        [[write, off, on], 0],
        [[off, write, on], 1],
        [[off, on, write], 0],
      ] as const) {
        t.expect("ok, ok, ok", { op: "at once", operations });
        t.count(0, count);
        t.serves(0, 0, 0x41);
        t.servesNone(0, 0);
      }
    },
  },
  {
    name: "closing the last descriptor deassigns, a dup keeps it",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.ok({ op: "dup", e: 0 });
      t.ok({ op: "close one", e: 0 });
      t.write(0);
      t.lines(0, 10);
      t.ok({ op: "close", e: 0 });
      t.lines(0);
      t.write(0);
      t.count(0, 1);
    },
  },
  {
    name: "closing the resample eventfd changes nothing: the irqfd holds it",
    run(t) {
      t.assign(0, 0, 10, 3);
      t.ok({ op: "close", e: 3 });
      t.write(0);
      t.serves(0, 0, 0x7a);
      t.lines(0);
      t.count(3, 0);
    },
  },
  {
    name: "closing a VM frees its eventfds",
    run(t) {
      t.assign(0, 0, 24);
      t.assign(0, 1, 10, 3);
      t.write(1);
      t.ok({ op: "renew", vm: 0, irqchip: "full" });
      t.assign(1, 0, 24);
      t.assign(0, 1, 10, 3);
      t.lines(0);
    },
  },

  // Routing.
  {
    name: "a table is refused as a whole, and the old one stays",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      const good = msi(24, 0, 0x42);
      for (const bad of [
        [msi(4096, 0, 0x41)],
        [msi(0xffff_ffff, 0, 0x41)],
        [ioapic(25, 24)],
        [{ gsi: 25, chip: 0, pin: 8 }],
        [{ gsi: 25, chip: 1, pin: 8 }],
        [{ gsi: 25, chip: 3, pin: 0 }],
        [ioapic(25, 5), ioapic(25, 6)],
        [ioapic(25, 5), msi(25, 0, 0x41)],
        [msi(25, 0, 0x41), ioapic(25, 5)],
        [msi(25, 0, 0x41), msi(25, 1, 0x41)],
        [{ gsi: 25, address: 0xfee00000, high: 0x101, data: 0x41 }],
      ]) {
        t.expect("EINVAL", { op: "routes", vm: 0, routes: [good, ...bad] });
      }
      t.expect("EINVAL", { op: "route of no type", vm: 0 });
      t.expect("EINVAL", { op: "too many routes", vm: 0, count: 4097 });
      t.write(0);
      t.irr(0, 0, 0x41);
    },
  },
  {
    name: "a table of 4096 routes is taken, and so is an empty one",
    run(t) {
      t.assign(0, 0, 4095);
      t.ok({ op: "too many routes", vm: 0, count: 4096 });
      t.write(0);
      t.serves(0, 0, 0x41);
      t.routes(0);
      t.write(0);
      t.servesNone(0, 0);
    },
  },
  {
    name: "a route change holds for the next signal",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.assign(0, 0, 24);
      t.write(0);
      t.routes(0, msi(24, 1, 0x52));
      t.irr(0, 0, 0x41);
      t.write(0);
      t.irr(0, 0, 0x41);
      t.irr(0, 1, 0x52);
      t.routes(0, ioapic(24, 5));
      t.write(0);
      t.irr(0, 1, 0x52, 0x65);
    },
  },
  {
    name: "the tables of two VMs are their own",
    run(t) {
      t.routes(0, msi(24, 0, 0x41));
      t.routes(1, msi(24, 1, 0x42));
      t.assign(1, 0, 24);
      t.write(0);
      t.irr(0, 0);
      t.irr(1, 1, 0x42);
    },
  },
  {
    name: "a VM begins with the default table: GSI n is pin n of the I/O APIC",
    run(t) {
      t.assign(0, 0, 10);
      t.write(0);
      t.irr(0, 0, 0x7a);
      t.assign(0, 1, 5);
      t.write(1);
      t.irr(0, 1, 0x65);
      t.assign(0, 3, 24);
      t.write(3);
      t.irr(0, 0, 0x7a);
    },
  },
  {
    name: "a PIC and an I/O APIC pin may share a GSI",
    run(t) {
      t.routes(0, { gsi: 24, chip: 0, pin: 5 }, ioapic(24, 5));
      t.assign(0, 0, 24);
      t.write(0);
      t.irr(0, 1, 0x65);
    },
  },
  {
    name: "an MSI to an absent APIC is taken and lost",
    run(t) {
      t.routes(0, msi(24, 9, 0x41));
      t.assign(0, 0, 24);
      t.write(0);
      t.count(0, 0);
      t.irr(0, 0);
      t.irr(0, 1);
    },
  },
  {
    name: "a vector below 16 is requested, and never delivered",
    run(t) {
      t.routes(0, msi(24, 0, 5));
      t.assign(0, 0, 24);
      t.write(0);
      t.irr(0, 0, 5);
      t.servesNone(0, 0);
      t.irr(0, 0, 5);
    },
  },
  {
    name: "a broadcast and a mask reach each vCPU that they name",
    run(t) {
      t.routes(
        0,
        msi(24, 0xff, 0x41),
        msi(25, 2, 0x42, { logical: true }),
        msi(26, 3, 0x43, { logical: true }),
      );
      t.assign(0, 0, 24);
      t.assign(0, 1, 25);
      t.assign(0, 3, 26);
      t.write(0);
      t.write(1);
      t.write(3);
      t.irr(0, 0, 0x41, 0x43);
      t.irr(0, 1, 0x41, 0x42, 0x43);
    },
  },
  {
    name: "lowest priority reaches the one vCPU that it names, or exactly one of several",
    run(t) {
      t.routes(0, msi(24, 1, 0x41, { delivery: 1 }), msi(25, 3, 0x42, { delivery: 1, logical: true }));
      t.assign(0, 0, 24);
      t.write(0);
      t.irr(0, 1, 0x41);
      t.serves(0, 1, 0x41);
      t.assign(0, 1, 25);
      t.quietly({ op: "write", e: 1, value: "1" });
      const got = t.world.state().irr[0]!.map((vectors) => vectors.length);
      t.allowed(got[0]! + got[1]! === 1, "one of the two vCPUs got it");
    },
  },
  {
    name: "interrupts are taken in the order of their vectors",
    run(t) {
      t.routes(0, msi(24, 0, 0x41), msi(25, 0, 0xf0), msi(26, 0, 0x20));
      for (const [e, gsi] of [
        [0, 24],
        [1, 25],
        [3, 26],
      ] as const) {
        t.assign(0, e, gsi);
        t.write(e);
      }
      t.serves(0, 0, 0xf0);
      t.serves(0, 0, 0x41);
      t.serves(0, 0, 0x20);
      t.servesNone(0, 0);
    },
  },

  // eventfd.
  {
    name: "a write is refused above 2^64 - 2, and where there is no room",
    run(t) {
      t.expect("EINVAL", { op: "write", e: 0, value: String(MAX + 1n) });
      t.write(0, MAX);
      t.expect("EAGAIN", { op: "write", e: 0, value: "1" });
      t.write(0, 0);
      t.expect(String(MAX), { op: "read", e: 0 });
      t.expect("EAGAIN", { op: "read", e: 0 });
      t.write(0, MAX - 1n);
      t.write(0);
      t.expect("EAGAIN", { op: "write", e: 0, value: "2" });
    },
  },
  {
    name: "a semaphore is read one by one",
    run(t) {
      t.write(2, 2);
      t.expect("1", { op: "read", e: 2 });
      t.expect("1", { op: "read", e: 2 });
      t.expect("EAGAIN", { op: "read", e: 2 });
    },
  },
];
