/** A device in several threads, of which one ends; what a reset clears; and what it is to be another thread's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type Host, VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { Guest, refused, smallHost } from "./support.js";

/** Starts the other thread, which says something as soon as it is at it. */
async function start(host: Host, part: string, eventfd: Eventfd, device = 0) {
  const workerData = { host: host.handle, eventfd: eventfd.handle, device, part };
  const worker = new Worker(new URL("./other-thread.js", import.meta.url), { workerData });
  const [said] = (await once(worker, "message")) as [unknown];
  return { worker, said };
}

const clean = (host: Host) => assert.deepEqual(host.audit().findings, []);

describe("a device whose thread dies", () => {
  it("ends: nothing is signalled, what is done to it is EBADF, it cannot be opened, and its irqfd says why", async () => {
    const host = smallHost();
    const guest = new Guest(host, [32]);
    const eventfd = Eventfd.create(host);
    const irqfd = guest.irqfd(eventfd, 32);
    const { worker, said } = await start(host, "device", eventfd);
    const handle = said as number;
    const nic = VfioPciDevice.open(host, handle);
    const vector = nic.vector("msix", 0);
    vector.mask(); // beside its signals
    guest.served();
    assert.deepEqual([guest.served(), vector.masked], [[], true]);
    vector.unmask();
    for (let wait = 0; wait < 3000 && guest.served().length === 0; wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await host.terminate(worker);
    guest.served();
    refused("EBADF", () => nic.setTrigger("msix", 0, eventfd));
    refused("EBADF", () => nic.reset());
    refused("EBADF", () => nic.adopt());
    refused("EBADF", () => nic.handle);
    refused("ESTALE", () => VfioPciDevice.open(host, handle));
    vector.unmask();
    nic.intx.assert();
    assert.deepEqual(
      [vector.masked, vector.pending, nic.intx.asserted, vector.path],
      [true, false, false, undefined],
    );
    assert.deepEqual([guest.served(), irqfd.reasons.includes("thread-died")], [[], true]);
    nic.dispose();
    clean(host);
    assert.deepEqual([host.pools.device.live, host.pools.producer.live], [0, 0]);
    guest.dispose();
    host.dispose();
  });
});

describe("a device whose VMM's thread dies", () => {
  it("goes on, from whatever that was in the middle of: each signal after it arrives, and the audit is clean", async () => {
    const host = smallHost();
    const guest = new Guest(host, [32]);
    const eventfd = Eventfd.create(host);
    guest.irqfd(eventfd, 32);
    const nic = new VfioPciDevice(host, { msix: 1, intx: true });
    nic.setTrigger("msix", 0, eventfd);
    nic.setTrigger("err", 0, eventfd);
    const vector = nic.vector("msix", 0);
    for (let death = 0; death < 8; death++) {
      const { worker } = await start(host, "vmm", eventfd, nic.handle);
      const end = host.terminate(worker);
      for (let n = 0; n < 500 * death; n++) vector.signal();
      await end;
      vector.unmask();
      nic.setTrigger("msix", 0, eventfd);
      guest.served();
      assert.deepEqual([vector.masked, vector.pending], [false, false]);
      vector.signal();
      assert.deepEqual(guest.served(), [32], `death ${death}`);
      clean(host);
    }
    nic.dispose();
    guest.dispose();
    host.dispose();
  });

  it("releases the vDPA device that it had open", async () => {
    const host = smallHost();
    const eventfd = Eventfd.create(host);
    const disk = new VdpaDevice(host, { queues: 2 });
    const { worker } = await start(host, "vdpa", eventfd, disk.handle);
    refused("EBUSY", () => disk.open());
    disk.queue(0).signal();
    disk.configChanged();
    assert.equal(eventfd.tryRead(), 2n);
    await host.terminate(worker);
    assert.equal(disk.session, undefined);
    disk.queue(0).signal();
    disk.configChanged();
    assert.equal(eventfd.count, 0n);
    const session = disk.open();
    session.setVringCall(1, eventfd);
    session.setStatus(VIRTIO_STATUS.driverOk);
    disk.queue(1).signal();
    assert.equal(eventfd.count, 1n);
    disk.dispose();
    clean(host);
    host.dispose();
  });
});

describe("a reset", () => {
  it("of a vector: nothing is pending, its mask bit is clear, and its trigger stays", () => {
    const host = smallHost();
    const [first, second] = [Eventfd.create(host), Eventfd.create(host)];
    const nic = new VfioPciDevice(host, { msix: 2 });
    nic.setIrqs({
      ...{ index: "msix", start: 0, count: 2, action: "trigger", data: "eventfd" },
      eventfds: [first, second],
    });
    nic.functionMask = true;
    for (const n of [0, 1]) {
      nic.vector("msix", n).mask();
      nic.vector("msix", n).signal();
    }
    nic.vector("msix", 0).reset();
    assert.deepEqual([...nic.pendingBits("msix")], [0b10, 0]);
    nic.functionMask = false;
    assert.deepEqual([first.count, second.count, nic.vector("msix", 1).masked], [0n, 0n, true]);
    nic.vector("msix", 0).signal();
    nic.vector("msix", 1).unmask();
    assert.deepEqual([first.count, second.count], [1n, 1n]);
    nic.dispose();
    host.dispose();
  });

  it("of a device whose guest has disabled INTx: that is forgotten, with the line", () => {
    const host = smallHost();
    const eventfd = Eventfd.create(host);
    const nic = new VfioPciDevice(host, { intx: true });
    nic.setTrigger("intx", 0, eventfd);
    nic.intx.disIntx = true;
    nic.intx.assert();
    nic.reset();
    assert.deepEqual(
      [nic.intx.disIntx, nic.intx.masked, nic.intx.asserted, eventfd.count],
      [false, false, false, 0n],
    );
    nic.intx.assert();
    assert.equal(eventfd.count, 1n);
    nic.dispose();
    host.dispose();
  });

  /** Masked in this way, INTx stays so over a reset, unless the VMM has unmasked it before; the guest's own bit is beside that. */
  function keepsMasked(mask: (nic: VfioPciDevice) => void): void {
    const host = smallHost();
    const eventfd = Eventfd.create(host);
    for (const disables of [false, true]) {
      for (const unmasks of ["before", "after"]) {
        const nic = new VfioPciDevice(host, { intx: true });
        nic.setTrigger("intx", 0, eventfd);
        mask(nic);
        nic.intx.disIntx = disables;
        nic.intx.deassert();
        if (unmasks === "before") nic.unmask("intx"); // a guest's end of interrupt that comes late
        eventfd.tryRead();
        nic.reset();
        assert.deepEqual([nic.intx.disIntx, nic.intx.masked], [false, unmasks === "after"]);
        nic.intx.assert();
        assert.equal(eventfd.count, unmasks === "after" ? 0n : 1n);
        nic.unmask("intx");
        assert.equal(eventfd.count, unmasks === "after" ? 1n : 2n); // the line is up still
        nic.dispose();
      }
    }
    host.dispose();
  }

  it("of a device whose INTx the VMM has masked: that stays until the VMM unmasks it, also where the guest had disabled it", () =>
    keepsMasked((nic) => nic.mask("intx")));

  it("of a device whose INTx has masked itself: that stays until the VMM unmasks it, also where the guest had disabled it", () =>
    keepsMasked((nic) => nic.intx.assert()));
});

describe("a handle", () => {
  it("of a device of the other kind is ESTALE, of none EINVAL or EXDEV", () => {
    const host = smallHost();
    const nic = new VfioPciDevice(host, { msix: 100 });
    const disk = new VdpaDevice(host, { queues: 1 });
    refused("ESTALE", () => VfioPciDevice.open(host, disk.handle as number));
    refused("ESTALE", () => VdpaDevice.open(host, nic.handle as number));
    refused("ESTALE", () => VdpaDevice.open(host, Eventfd.create(host).handle as number));
    refused("EINVAL", () => VdpaDevice.open(host, -1));
    const { handle } = nic;
    nic.dispose();
    refused("ESTALE", () => VfioPciDevice.open(host, handle));
    refused("EXDEV", () => VfioPciDevice.open(smallHost(), handle));
  });
});
