import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { linux } from "../linux/available.js";
import { setUnmask } from "../support/intx.js";
import { Guest, smallHost } from "./support.js";

async function until(settled: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!settled()) {
    assert.ok(Date.now() < deadline, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe("devices on Linux eventfds", linux, () => {
  it("a vector, a virtqueue, and replacing one kind of eventfd by the other", () => {
    const host = smallHost({ kinds: [linuxKind()] });
    const guest = new Guest(host, [32, 33]);
    const real = LinuxEventfd.create(host);
    const dup = LinuxEventfd.adopt(host, real.fd);
    const irqfd = guest.vm.irqfd(real, 32);
    const nic = new VfioPciDevice(host, { msix: 2 });
    nic.setTrigger("msix", 0, dup);
    assert.deepEqual([irqfd.path, nic.vector("msix", 0).path], ["posted", "posted"]);
    nic.vector("msix", 0).signal();
    assert.deepEqual(guest.served(), [32]);
    nic.setTrigger("msix", 1, real);
    assert.equal(nic.vector("msix", 1).reason, "another-producer", "a dup is the same eventfd");
    nic.dispose();
    const block = new VdpaDevice(host, { queues: 1, ops: { getVqIrq: (queue) => queue } });
    const session = block.open();
    session.setVringCall(0, real);
    session.setStatus(VIRTIO_STATUS.driverOk);
    assert.equal(block.queue(0).path, "posted");
    block.dispose();
    guest.dispose();
    for (const eventfd of [real, dup]) eventfd.close();
    assert.equal(host.pools.eventfd.live, 0);
    host.dispose();
  });

  for (const nonblocking of [true, false])
    it(`INTx with a trigger and an unmask eventfd of the kernel, made ${nonblocking ? "non-blocking" : "blocking"}`, async () => {
      const host = smallHost({ kinds: [linuxKind()] });
      const [trigger, unmask] = [LinuxEventfd.create(host), LinuxEventfd.create(host, { nonblocking })];
      const device = new VfioPciDevice(host, { intx: true });
      device.setTrigger("intx", 0, trigger);
      setUnmask(device, unmask);
      device.intx.assert();
      for (let round = 1n; round <= 3n; round++) {
        assert.equal(trigger.count, round);
        unmask.write();
        await until(() => trigger.count === round + 1n);
      }
      device.dispose();
      for (const eventfd of [trigger, unmask]) eventfd.close();
      await until(() => host.pools.eventfd.live === 0); // who waited on one has to see that it is over
      host.dispose();
    });
});
