/** Situations with INTx, ERR and REQ, virtqueues, and devices in several threads. */
import assert from "node:assert/strict";
import { VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { FIRST_GSI, type Report } from "./platform.js";

const A = FIRST_GSI;
const READY = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk;

export const otherReports: readonly Report[] = [
  {
    says: "a line is up when the VMM enables INTx, and up still at the unmask: it fires each time, and is quiet once it is down",
    async play(it) {
      const nic = it.nic();
      nic.intx.assert();
      nic.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      await it.arrive(A);
      nic.unmask("intx");
      await it.arrive(A);
      nic.intx.deassert();
      nic.unmask("intx");
      await it.quiet();
      assert.equal(nic.intx.masked, false);
    },
  },
  {
    says: "a guest sets Interrupt Disable with the line up, and clears it: the interrupt comes then, and not before",
    async play(it) {
      const nic = it.nic();
      nic.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      nic.intx.disIntx = true;
      nic.intx.assert();
      nic.unmask("intx");
      await it.quiet();
      nic.intx.disIntx = false;
      await it.arrive(A);
    },
  },
  {
    says: "a console's FIFO is emptied in the vCPU's thread, which lowers the line before the unmask: no interrupt for which there is no reason",
    async play(it) {
      const uart = it.nic({ intx: true });
      uart.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      const vcpus = VfioPciDevice.open(it.on.attach(), uart.handle);
      for (let byte = 0; byte < 20; byte++) {
        uart.intx.assert();
        await it.arrive(A);
        vcpus.intx.deassert();
        vcpus.unmask("intx");
      }
      await it.quiet();
      assert.deepEqual([uart.intx.asserted, uart.intx.masked], [false, false]);
    },
  },
  {
    says: "a guest resets a device whose line is up: the line is down, and INTx works when the VMM has unmasked it",
    async play(it) {
      const nic = it.nic();
      nic.setTrigger("intx", 0, it.wired(A, { bypass: "off" }));
      nic.intx.assert();
      await it.arrive(A);
      nic.reset();
      assert.deepEqual([nic.intx.asserted, nic.intx.masked], [false, true]);
      nic.unmask("intx");
      await it.quiet();
      nic.intx.assert();
      await it.arrive(A);
    },
  },
  {
    says: "a device reports an error that nobody listens for, then one that somebody does; its reset keeps whom it tells",
    play(it) {
      const nic = it.nic();
      nic.reportError();
      nic.requestRelease();
      const [err, req] = [it.on.eventfd(), it.on.eventfd()];
      nic.setTrigger("err", 0, err);
      nic.setTrigger("req", 0, req);
      assert.deepEqual([err.count, req.count], [0n, 0n]);
      nic.reset();
      nic.reportError();
      for (let n = 0; n < 3; n++) nic.requestRelease();
      assert.deepEqual([err.tryRead(), req.tryRead()], [1n, 3n]);
    },
  },
  {
    says: "a VMM closes its descriptor of an eventfd that a device has: the device goes on signalling that, nobody else, and takes another one",
    async play(it) {
      const nic = it.nic();
      const eventfd = it.on.eventfd();
      nic.setTrigger("msix", 0, eventfd);
      nic.setTrigger("err", 0, eventfd);
      eventfd.close();
      const next = it.wired(A);
      nic.vector("msix", 0).signal();
      nic.reportError();
      await it.quiet();
      nic.setTrigger("msix", 0, next);
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a virtqueue is used between the reset and the driver's next set-up: its old call eventfd hears nothing",
    async play(it) {
      const disk = new VdpaDevice(it.host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
      const session = disk.open();
      const call = it.wired(A);
      session.setVringCall(0, call);
      session.setStatus(READY);
      disk.queue(0).signal();
      await it.arrive(A);
      session.setStatus(0);
      disk.queue(0).signal();
      disk.configChanged();
      await it.quiet();
      session.setVringCall(0, call);
      session.setStatus(READY);
      await it.quiet();
      disk.queue(0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a driver polls and sets DRIVER_OK late: a queue that is used before that interrupts through the eventfd, and is bypassed after it",
    async play(it) {
      const disk = new VdpaDevice(it.host, { queues: 1, ops: { getVqIrq: () => 7 } });
      const session = disk.open();
      session.setVringCall(0, it.wired(A));
      disk.queue(0).signal();
      await it.arrive(A);
      assert.equal(disk.queue(0).reason, "no-driver-ok");
      session.setStatus(READY);
      assert.equal(disk.queue(0).reason, undefined);
      disk.queue(0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a configuration changes before the VMM has set its eventfd, and after it: only the second is told, and none after a reset",
    play(it) {
      const disk = new VdpaDevice(it.host, { queues: 1 });
      const session = disk.open();
      const config = it.on.eventfd();
      disk.configChanged();
      session.setConfigCall(config);
      disk.configChanged();
      assert.equal(config.tryRead(), 1n);
      session.setStatus(0);
      disk.configChanged();
      assert.equal(config.tryRead(), undefined);
    },
  },
  {
    says: "two vCPU threads of a VMM drive one vDPA device: both have its session, and a second opener is refused",
    async play(it) {
      const disk = new VdpaDevice(it.host, { queues: 1, ops: { getVqIrq: () => 7 } });
      const session = disk.open();
      const other = VdpaDevice.open(it.on.attach(), disk.handle, { ops: { getVqIrq: () => 7 } });
      assert.throws(() => other.open(), { code: "EBUSY" });
      session.setVringCall(0, it.wired(A));
      other.session!.setStatus(READY);
      assert.equal(session.status, READY);
      disk.queue(0).signal();
      await it.arrive(A);
      other.session!.release();
      assert.deepEqual([session.open, other.session], [false, undefined]);
      disk.queue(0).signal();
      await it.quiet();
    },
  },
  {
    says: "a guest's store to the vector table arrives in the vCPU's thread: masked there it is masked, and its pending bit is seen in both",
    async play(it) {
      const nic = it.nic();
      it.wire(nic);
      const vcpus = VfioPciDevice.open(it.on.attach(), nic.handle);
      vcpus.vector("msix", 0).mask();
      nic.vector("msix", 0).signal();
      assert.deepEqual([nic.vector("msix", 0).masked, vcpus.pendingBits("msix")[0]], [true, 1]);
      await it.quiet();
      vcpus.vector("msix", 0).unmask();
      await it.arrive(A);
    },
  },
  {
    says: "an I/O thread takes a device over from the main loop: it signals from then on, and the main loop is refused",
    async play(it) {
      const nic = it.nic();
      it.wire(nic);
      const io = VfioPciDevice.open(it.on.attach(), nic.handle);
      assert.throws(() => io.vector("msix", 0).signal(), { code: "EBUSY" });
      io.adopt();
      io.vector("msix", 0).signal();
      await it.arrive(A);
      assert.throws(() => nic.vector("msix", 0).signal(), { code: "EBUSY" });
      nic.adopt();
      nic.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
  {
    says: "a device is unplugged in the VMM's thread while its model runs: the model's signals go nowhere, and the VMM's calls are refused",
    async play(it) {
      const nic = it.nic();
      const [eventfd] = it.wire(nic);
      const vmms = VfioPciDevice.open(it.on.attach(), nic.handle);
      const { handle } = nic;
      vmms.dispose();
      nic.vector("msix", 0).signal();
      nic.reportError();
      nic.intx.assert();
      await it.quiet();
      assert.throws(() => nic.setTrigger("msix", 0, eventfd!), { code: "EBADF" });
      assert.throws(() => VfioPciDevice.open(it.host, handle), { code: "ESTALE" });
      const next = it.nic();
      next.setTrigger("msix", 0, eventfd!);
      next.vector("msix", 0).signal();
      await it.arrive(A);
    },
  },
];
