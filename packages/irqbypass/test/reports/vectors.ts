/** Situations with MSI and MSI-X vectors: what a device keeps while its VMM wires, masks and resets. */
import assert from "node:assert/strict";
import { FIRST_GSI, type Report } from "./platform.js";

const A = FIRST_GSI;
const B = FIRST_GSI + 1;

export const vectorReports: readonly Report[] = [
  {
    says: "a VMM turns MSI-X on without a trigger, as a guest's driver does before it requests interrupts: what the device raises meanwhile arrives once when there is one",
    async play(it) {
      const nic = it.nic();
      nic.setIrqs({
        index: "msix",
        start: 0,
        count: 1,
        action: "trigger",
        data: "eventfd",
        eventfds: [null],
      });
      for (let n = 0; n < 3; n++) nic.vector("msix", 0).signal();
      assert.deepEqual([nic.vector("msix", 0).masked, nic.pendingBits("msix")[0]], [true, 1]);
      await it.quiet();
      nic.setTrigger("msix", 0, it.wired(A));
      await it.arrive(A);
      assert.equal(nic.pendingBits("msix")[0], 0);
    },
  },
  {
    says: "a driver frees a vector and requests it again, and the device raises in between: it arrives once",
    async play(it) {
      const nic = it.nic();
      const [eventfd] = it.wire(nic);
      nic.setTrigger("msix", 0, null);
      nic.vector("msix", 0).signal();
      await it.quiet();
      nic.setTrigger("msix", 0, eventfd!);
      await it.arrive(A);
    },
  },
  {
    says: "a guest unmasks a vector before the VMM has wired it: nothing is lost for the early unmask",
    async play(it) {
      const nic = it.nic();
      const vector = nic.vector("msix", 0);
      vector.mask();
      vector.signal();
      vector.unmask();
      assert.ok(vector.pending);
      it.wire(nic);
      await it.arrive(A);
    },
  },
  {
    says: "a masked vector is raised many times: its pending bit is one, and so is the interrupt at the unmask",
    async play(it) {
      const nic = it.nic();
      it.wire(nic);
      nic.vector("msix", 0).mask();
      for (let n = 0; n < 1000; n++) nic.vector("msix", 0).signal();
      await it.quiet();
      nic.vector("msix", 0).unmask();
      await it.arrive(A);
      await it.quiet();
    },
  },
  {
    says: "an old guest masks and unmasks around every interrupt: each of a thousand arrives, as it is bypassed or not",
    async play(it) {
      const nic = it.nic();
      const bypassed = it.wired(A);
      const relayed = it.wired(B, { bypass: "off" });
      for (const [eventfd, gsi, rounds] of [
        [bypassed, A, 1000],
        [relayed, B, 30],
      ] as const) {
        nic.setTrigger("msix", 0, eventfd);
        const vector = nic.vector("msix", 0);
        for (let n = 0; n < rounds; n++) {
          vector.mask();
          vector.signal();
          vector.unmask();
          await it.arrive(gsi);
        }
      }
    },
  },
  {
    says: "the function mask holds a multi-queue device back while its driver moves queues: every queue that has something says it once",
    async play(it) {
      const nic = it.nic();
      it.wire(nic, 4);
      nic.functionMask = true;
      for (const n of [0, 2, 3]) nic.vector("msix", n).signal();
      await it.quiet();
      assert.equal(nic.pendingBits("msix")[0], 0b1101);
      nic.functionMask = false;
      await it.arrive(A, A + 2, A + 3);
    },
  },
  {
    says: "a VMM masks by taking the irqfd away: the device does not know, the signal waits in the eventfd and is pending, and is the interrupt when the irqfd is back",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.on.eventfd();
      const vector = nic.vector("msix", 0);
      const pba = () => nic.pendingBits("msix")[0]! & 1;
      nic.setTrigger("msix", 0, eventfd);
      for (const raise of [() => vector.signal(), () => void eventfd.write()]) {
        const irqfd = it.on.irqfd(eventfd, A);
        assert.deepEqual([vector.pending, pba()], [false, 0]);
        irqfd.dispose();
        assert.deepEqual([vector.pending, pba()], [false, 0]);
        raise(); // by the device, and by a backend that has the eventfd alone
        assert.deepEqual([vector.pending, pba(), vector.masked, eventfd.count], [true, 1, false, 1n]);
        await it.quiet();
        const again = it.on.irqfd(eventfd, A);
        await it.arrive(A);
        assert.deepEqual([vector.pending, pba()], [false, 0]);
        assert.equal(eventfd.count, 1n, "an assign does not read it out");
        again.dispose();
      }
    },
  },
  {
    says: "a VMM gives a trigger before its first irqfd, and closes one for good: what waits in either is not the vector's",
    async play(it) {
      const nic = it.nic();
      const vector = nic.vector("msix", 0);
      const [unheard, closed] = [it.on.eventfd(), it.on.eventfd()];
      nic.setTrigger("msix", 0, unheard);
      vector.signal();
      assert.deepEqual([vector.pending, unheard.count], [false, 1n]);
      it.on.irqfd(unheard, A);
      await it.arrive(A);
      nic.setTrigger("msix", 0, closed);
      it.on.irqfd(closed, B).dispose();
      vector.signal();
      assert.equal(vector.pending, true);
      closed.close(); // the device has it still, and nobody else
      assert.deepEqual([vector.pending, nic.pendingBits("msix")[0], vector.masked], [false, 0, false]);
      vector.signal();
      assert.equal(vector.pending, false);
      await it.quiet();
    },
  },
  {
    says: "a guest resets a device that its VMM has masked by taking the irqfd away: nothing is pending, and the eventfd is as it was",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.on.eventfd();
      const vector = nic.vector("msix", 0);
      nic.setTrigger("msix", 0, eventfd);
      let irqfd = it.on.irqfd(eventfd, A);
      for (const reset of [() => vector.reset(), () => nic.reset()]) {
        irqfd.dispose();
        vector.signal();
        assert.deepEqual([vector.pending, nic.pendingBits("msix")[0]], [true, 1]);
        reset();
        assert.deepEqual([vector.pending, nic.pendingBits("msix")[0], eventfd.count], [false, 0, 1n]);
        await it.quiet();
        irqfd = it.on.irqfd(eventfd, A);
        await it.arrive(A); // the count is the eventfd's: Linux delivers it, too
        reset(); // while an irqfd listens
        irqfd.dispose();
        vector.signal();
        assert.equal(vector.pending, true);
        assert.equal(eventfd.tryRead(), 1n); // as a VMM that wants nothing of before
        irqfd = it.on.irqfd(eventfd, A);
        await it.quiet();
      }
    },
  },
  {
    says: "a VMM masks by pointing the vector at an eventfd of its own, which it reads: the guest hears nothing, and the next one after the switch back",
    async play(it) {
      const nic = it.nic();
      const [guests] = it.wire(nic);
      const own = it.on.eventfd();
      nic.setTrigger("msix", 0, own);
      nic.vector("msix", 0).signal();
      await it.quiet();
      assert.equal(own.tryRead(), 1n);
      nic.setTrigger("msix", 0, guests!);
      await it.quiet();
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a guest moves an interrupt to another CPU while it is masked and pending: at the unmask it goes where the route leads now",
    async play(it) {
      const nic = it.nic();
      it.wire(nic);
      nic.vector("msix", 0).mask();
      nic.vector("msix", 0).signal();
      it.on.route(A, 0x71);
      nic.vector("msix", 0).unmask();
      await it.arrive(0x71);
    },
  },
  {
    says: "a driver reloads: MSI-X is turned off with a vector masked and pending, and on again; the bit is the device's and outlives that",
    async play(it) {
      const nic = it.nic();
      const [eventfd] = it.wire(nic);
      const vector = nic.vector("msix", 0);
      vector.mask();
      vector.signal();
      nic.disable("msix");
      assert.ok(vector.pending);
      vector.unmask();
      await it.quiet();
      nic.setTrigger("msix", 0, eventfd!);
      await it.arrive(A);
    },
  },
  {
    says: "a guest resets the device with interrupts pending: they are forgotten, and the VMM's wiring works at once",
    async play(it) {
      const nic = it.nic();
      it.wire(nic, 2);
      nic.functionMask = true;
      for (const n of [0, 1]) nic.vector("msix", n).signal();
      nic.reset();
      assert.deepEqual(
        [nic.functionMask, nic.pendingBits("msix")[0], nic.vector("msix", 0).masked],
        [false, 0, false],
      );
      await it.quiet();
      nic.vector("msix", 1).signal();
      await it.arrive(B);
    },
  },
  {
    says: "two vectors exchange their eventfds in one call, as a VMM does that re-balances: each goes to its new one, and what was pending too",
    async play(it) {
      const nic = it.nic();
      const [one, two] = it.wire(nic, 2);
      nic.vector("msix", 0).mask();
      nic.vector("msix", 0).signal();
      nic.setIrqs({
        index: "msix",
        start: 0,
        count: 2,
        action: "trigger",
        data: "eventfd",
        eventfds: [null, null],
      });
      nic.setIrqs({
        index: "msix",
        start: 0,
        count: 2,
        action: "trigger",
        data: "eventfd",
        eventfds: [two!, one!],
      });
      nic.vector("msix", 0).unmask();
      await it.arrive(B);
      nic.vector("msix", 1).signal();
      await it.arrive(A);
    },
  },
  {
    says: "two queues share one interrupt: the second vector on the eventfd is not bypassed, says why, and arrives all the same",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.wired(A);
      nic.setTrigger("msix", 0, eventfd);
      nic.setTrigger("msix", 1, eventfd);
      assert.equal(nic.vector("msix", 1).reason, "another-producer");
      for (const n of [0, 1]) {
        nic.vector("msix", n).signal();
        await it.arrive(A);
      }
    },
  },
  {
    says: "a device wants more vectors than the host has interrupts: the VMM is told how many, takes those, and they work",
    async play(it) {
      const nic = it.nic({ msix: 8, hostInterrupts: 2 });
      const eventfds = [0, 1, 2].map((n) => it.wired(A + n));
      const set = (count: number) =>
        nic.setIrqs({
          index: "msix",
          start: 0,
          count,
          action: "trigger",
          data: "eventfd",
          eventfds: eventfds.slice(0, count),
        });
      assert.equal(set(3), 2);
      assert.equal(set(2), 0);
      for (const n of [0, 1]) nic.vector("msix", n).signal();
      await it.arrive(A, B);
    },
  },
  {
    says: "a guest without MSI-X uses four MSI vectors, one of which is masked by the device's own mask bits",
    async play(it) {
      const nic = it.nic();
      const eventfds = [0, 1, 2, 3].map((n) => it.wired(A + n));
      nic.setIrqs({ index: "msi", start: 0, count: 4, action: "trigger", data: "eventfd", eventfds });
      nic.vector("msi", 2).mask();
      for (const n of [0, 1, 2, 3]) nic.vector("msi", n).signal();
      await it.arrive(A, A + 1, A + 3);
      nic.vector("msi", 2).unmask();
      await it.arrive(A + 2);
    },
  },
  {
    says: "the device raises before the VMM assigns the irqfd: the count is one interrupt at the assign",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.on.eventfd();
      nic.setTrigger("msix", 0, eventfd);
      for (let n = 0; n < 5; n++) nic.vector("msix", 0).signal();
      it.on.irqfd(eventfd, A);
      await it.arrive(A);
      await it.quiet();
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
];
