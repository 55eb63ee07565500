/** Situations in which a VMM changes what a device is wired to, or whose it is, while the device goes on. */
import assert from "node:assert/strict";
import { VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { setUnmask } from "../support/intx.js";
import { FIRST_GSI, type Report } from "./platform.js";

const A = FIRST_GSI;
const B = FIRST_GSI + 1;
const C = FIRST_GSI + 2;
const READY = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk;

export const changeReports: readonly Report[] = [
  {
    says: "a guest gives a queue that runs another vector: from then on it raises that, bypassed, and the old one never again",
    async play(it) {
      const net = new VdpaDevice(it.host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
      const session = net.open();
      const [first, second] = [it.wired(A), it.wired(B)];
      session.setVringCall(0, first);
      session.setStatus(READY);
      net.queue(0).signal();
      await it.arrive(A);
      session.setVringCall(0, second);
      net.queue(0).signal();
      await it.arrive(B);
      assert.equal(net.queue(0).reason, undefined);
      session.setVringCall(1, first); // which another queue may have now
      net.queue(1).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a driver resets one queue of a device that runs: that one is silent until it is set up again, the other one goes on, and nothing old comes",
    async play(it) {
      const net = new VdpaDevice(it.host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
      const session = net.open();
      const calls = [it.wired(A), it.wired(B)];
      for (const n of [0, 1]) session.setVringCall(n, calls[n]!);
      session.setStatus(READY);
      session.setVringCall(0, null);
      for (const n of [0, 1]) net.queue(n).signal();
      await it.arrive(B);
      session.setVringCall(0, calls[0]!);
      await it.quiet();
      net.queue(0).signal();
      await it.arrive(A);
      assert.equal(net.queue(0).reason, undefined);
    },
  },
  {
    says: "a driver has one vector for its configuration and all of its queues: each of them raises it, one of them bypassed",
    async play(it) {
      const net = new VdpaDevice(it.host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
      const session = net.open();
      const shared = it.wired(A);
      for (const n of [0, 1]) session.setVringCall(n, shared);
      session.setConfigCall(shared);
      session.setStatus(READY);
      for (const raise of [
        () => net.queue(0).signal(),
        () => net.queue(1).signal(),
        () => net.configChanged(),
      ]) {
        raise();
        await it.arrive(A);
      }
      assert.deepEqual([net.queue(0).reason, net.queue(1).reason], [undefined, "another-producer"]);
    },
  },
  {
    says: "a VMM masks by taking the route away: what is raised meanwhile is lost, as KVM loses it, and does not come with the next route",
    async play(it) {
      const nic = it.nic();
      it.wire(nic);
      it.on.unroute(A);
      nic.vector("msix", 0).signal();
      await it.quiet();
      it.on.route(A, A);
      await it.quiet();
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a VMM moves an eventfd from one GSI to another, and the device raises in between: it comes through the second, once",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.on.eventfd();
      const irqfd = it.on.irqfd(eventfd, A);
      nic.setTrigger("msix", 0, eventfd);
      assert.throws(() => it.on.irqfd(eventfd, B), { code: "EBUSY" });
      irqfd.dispose();
      nic.vector("msix", 0).signal();
      it.on.irqfd(eventfd, B);
      await it.arrive(B);
      nic.vector("msix", 0).signal();
      await it.arrive(B);
    },
  },
  {
    says: "a VM is paused while its backend goes on: what that says is there when it is resumed, from each queue once",
    async play(it) {
      const nic = it.nic();
      it.wire(nic, 3);
      it.on.pause();
      for (let n = 0; n < 300; n++) nic.vector("msix", n % 2).signal();
      it.on.resume();
      await it.arrive(A, B);
      nic.vector("msix", 2).signal();
      await it.arrive(C);
    },
  },
  {
    says: "a device is handed to another thread with a vector masked and pending: whoever unmasks, it arrives, and the new thread signals",
    async play(it) {
      const nic = it.nic();
      it.wire(nic, 2);
      nic.vector("msix", 0).mask();
      nic.vector("msix", 0).signal();
      const io = VfioPciDevice.open(it.on.attach(), nic.handle);
      io.adopt();
      assert.ok(io.vector("msix", 0).pending);
      nic.vector("msix", 0).unmask();
      await it.arrive(A);
      io.vector("msix", 1).signal();
      await it.arrive(B);
      assert.throws(() => nic.vector("msix", 1).signal(), { code: "EBUSY" });
    },
  },
  {
    says: "a driver probes with INTx and goes on with MSI-X while the line is up, and back: the line fires when INTx is on again, as no vector does",
    async play(it) {
      const nic = it.nic();
      const line = it.wired(B, { bypass: "off" });
      nic.setTrigger("intx", 0, line);
      nic.intx.assert();
      await it.arrive(B);
      assert.throws(() => nic.setTrigger("msix", 0, it.wired(C)), { code: "EINVAL" });
      nic.disable("intx");
      const [vector] = it.wire(nic);
      await it.quiet();
      nic.vector("msix", 0).signal();
      await it.arrive(A);
      nic.disable("msix");
      nic.setTrigger("intx", 0, line);
      await it.arrive(B);
      nic.intx.deassert();
      nic.unmask("intx");
      await it.quiet();
      nic.disable("intx");
      nic.setTrigger("msix", 0, vector!);
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "two devices share an interrupt line: each is heard, and the one that is quiet is not asked of",
    async play(it) {
      const cards = [it.nic({ intx: true }), it.nic({ intx: true })];
      for (const card of cards) card.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      for (const card of cards) {
        card.intx.assert();
        await it.arrive(A);
        card.intx.deassert();
        card.unmask("intx");
      }
      await it.quiet();
    },
  },
  {
    says: "a guest ends the interrupt several times before the VMM looks: one unmask, and the line fires again once while it is up",
    async play(it) {
      const card = it.nic({ intx: true });
      const unmask = it.on.eventfd();
      card.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      setUnmask(card, unmask);
      card.intx.assert();
      await it.arrive(A);
      for (let n = 0; n < 3; n++) unmask.write();
      card.intx.poll();
      await it.arrive(A);
      card.intx.deassert();
      unmask.write();
      card.intx.poll();
      await it.quiet();
      assert.equal(card.intx.masked, false);
      setUnmask(card, null);
    },
  },
  {
    says: "a device is unplugged with a vector masked and pending, and another one is plugged in on its eventfd: the old interrupt does not come",
    async play(it) {
      const old = it.nic();
      const [eventfd] = it.wire(old);
      old.vector("msix", 0).mask();
      old.vector("msix", 0).signal();
      old.dispose();
      const next = it.nic();
      next.setTrigger("msix", 0, eventfd!);
      assert.deepEqual([next.vector("msix", 0).masked, next.vector("msix", 0).pending], [false, false]);
      await it.quiet();
      next.vector("msix", 0).signal();
      await it.arrive(A);
      assert.equal(next.vector("msix", 0).reason, undefined);
    },
  },
  {
    says: "a VMM sets every trigger again at each store to the capability: nothing is lost or doubled, and what is pending stays",
    async play(it) {
      const nic = it.nic();
      const eventfds = it.wire(nic, 2);
      nic.vector("msix", 1).mask();
      nic.vector("msix", 1).signal();
      for (let n = 0; n < 50; n++) {
        nic.setIrqs({ index: "msix", start: 0, count: 2, action: "trigger", data: "eventfd", eventfds });
        nic.vector("msix", 0).signal();
        await it.arrive(A);
      }
      assert.ok(nic.vector("msix", 1).pending);
      nic.vector("msix", 1).unmask();
      await it.arrive(B);
    },
  },
  {
    says: "a driver asks for more vectors as it opens more queues: those that it has go on, and a device that cannot is turned off and on without a loss",
    async play(it) {
      const nic = it.nic();
      const [first] = it.wire(nic);
      nic.vector("msix", 0).mask();
      nic.vector("msix", 0).signal();
      const second = it.wired(B);
      nic.setTrigger("msix", 5, second);
      nic.vector("msix", 5).signal();
      await it.arrive(B);
      nic.vector("msix", 0).unmask();
      await it.arrive(A);
      nic.dispose();
      const old = it.nic({ msix: 2, dynamicMsix: false });
      old.setTrigger("msix", 0, first!);
      assert.throws(() => old.setTrigger("msix", 1, second), { code: "EINVAL" });
      old.disable("msix");
      old.vector("msix", 0).signal();
      const both = [first!, second];
      old.setIrqs({ index: "msix", start: 0, count: 2, action: "trigger", data: "eventfd", eventfds: both });
      await it.arrive(A);
      old.vector("msix", 1).signal();
      await it.arrive(B);
    },
  },
  {
    says: "a platform is reset with interrupts requested and a device in flight: the old ones are forgotten, what the device has pending is its own, and its wiring stays",
    async play(it) {
      const nic = it.nic();
      it.wire(nic, 2);
      nic.vector("msix", 0).signal();
      nic.vector("msix", 1).mask();
      nic.vector("msix", 1).signal();
      it.on.reset();
      await it.quiet();
      nic.vector("msix", 1).unmask();
      await it.arrive(B);
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
];
