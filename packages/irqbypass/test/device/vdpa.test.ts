import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, VdpaDevice, type VdpaOps, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { whyRelayed } from "../support/host.js";
import { closedEventfd, Guest, producers, refused, smallHost } from "./support.js";

const { acknowledge, driver, featuresOk, driverOk } = VIRTIO_STATUS;
const READY = acknowledge | driver | featuresOk | driverOk;

/** An opened device with two queues, whose operations can be changed, and eventfds with irqfds at GSI 32 on. */
function bench() {
  const host = smallHost();
  const guest = new Guest(host, [32, 33, 34, 35]);
  const eventfds = Array.from({ length: 4 }, () => Eventfd.create(host));
  const irqfds = eventfds.map((eventfd, i) => guest.irqfd(eventfd, 32 + i));
  const ops: { -readonly [name in keyof VdpaOps]: VdpaOps[name] } = { getVqIrq: (queue) => 100 + queue };
  const device = new VdpaDevice(host, { queues: 2, ops });
  const session = device.open();
  return {
    host,
    guest,
    eventfds: eventfds as [Eventfd, Eventfd, Eventfd, Eventfd],
    irqfds,
    ops,
    device,
    session,
    queue: device.queue(0),
    /** Eventfds (by position) that have a producer. */
    produced: () =>
      host
        .interrupts()
        .filter(({ producer }) => producer !== undefined)
        .map(({ eventfd }) => eventfds.findIndex(({ id }) => id === eventfd)),
    [Symbol.dispose]() {
      device.dispose();
      assert.equal(host.pools.producer.live, 0);
      guest.dispose();
      host.dispose();
    },
  };
}

describe("a virtqueue is a producer from DRIVER_OK to reset (facts 4)", () => {
  it("SET_VRING_CALL before DRIVER_OK: the eventfd is signalled, without bypass", async () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(acknowledge | driver | featuresOk);
    assert.deepEqual([it.produced(), it.queue.path, it.queue.reason], [[], "relayed", "no-driver-ok"]);
    it.queue.signal();
    assert.equal(await it.guest.next(), 32);
  });

  it("SET_STATUS with DRIVER_OK sets up all queues with a call eventfd, under the device's irq numbers", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    assert.deepEqual([it.produced(), it.queue.path, it.queue.reason], [[0], "posted", undefined]);
    assert.deepEqual([it.device.queue(1).path, it.device.queue(1).reason], [undefined, undefined]);
    assert.equal(it.host.interrupts().find(({ producer }) => producer !== undefined)?.producer?.irq, 100);
    it.queue.signal();
    it.device.queue(1).signal();
    assert.deepEqual(it.guest.served(), [32]);
  });

  it("SET_VRING_CALL under DRIVER_OK sets up, moves, and takes away", () => {
    using it = bench();
    it.session.setStatus(READY);
    it.session.setVringCall(0, it.eventfds[0]);
    assert.deepEqual(it.produced(), [0]);
    it.session.setVringCall(0, it.eventfds[1]);
    assert.deepEqual([it.produced(), whyRelayed(it.irqfds[0]!)], [[1], "no-producer"]);
    it.queue.signal();
    assert.deepEqual(it.guest.served(), [33]);
    it.session.setVringCall(0, null);
    assert.deepEqual([it.produced(), it.queue.path], [[], undefined]);
    it.queue.signal();
    assert.deepEqual(it.guest.served(), []);
  });

  it("swapping under DRIVER_OK leaves nothing at the old eventfd (A5)", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    it.session.setVringCall(0, it.eventfds[1]);
    it.session.setVringCall(1, it.eventfds[0]); // EBUSY without bypass, had the old registration stayed
    assert.deepEqual([it.produced(), it.device.queue(1).reason], [[0, 1], undefined]);
    it.session.setStatus(0);
    assert.deepEqual(it.produced(), []);
    it.session.setStatus(READY);
    assert.deepEqual(it.produced(), [0, 1]);
  });

  it("a bad eventfd in SET_VRING_CALL leaves the old one with its producer (the kernel loses the producer)", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    refused("EBADF", () => it.session.setVringCall(0, closedEventfd(it.host)));
    refused("EINVAL", () => it.session.setVringCall(0, 5 as unknown as Eventfd));
    assert.deepEqual([it.produced(), it.queue.path], [[0], "posted"]);
    it.queue.signal();
    assert.deepEqual(it.guest.served(), [32]);
  });

  it("SET_STATUS 0 ends bypass before it resets; the call eventfds stay for the next DRIVER_OK", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    const atReset: number[] = [];
    it.ops.reset = () => atReset.push(producers(it.host));
    it.session.setStatus(0);
    assert.deepEqual([atReset, it.session.status, it.queue.reason], [[0], 0, "no-driver-ok"]);
    it.session.setStatus(READY);
    assert.deepEqual([it.produced(), atReset.length], [[0], 1]);
  });

  it("after SET_STATUS 0 nobody is told, of queues and of the configuration, until their calls are set anew", async () => {
    using it = bench();
    const config = Eventfd.create(it.host);
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setVringCall(1, it.eventfds[1]);
    it.session.setConfigCall(config);
    it.session.setStatus(READY);
    const raises = () => {
      it.queue.signal();
      it.device.queue(1).signal();
      it.device.configChanged();
    };
    it.session.setStatus(0);
    for (const status of [0, acknowledge | driver, READY]) {
      it.session.setStatus(status);
      raises();
      assert.deepEqual(
        [it.queue.path, it.eventfds[0].count, it.eventfds[1].count, config.count],
        [undefined, 0n, 0n, 0n],
      );
      assert.deepEqual(it.guest.served(), [], `status ${status}`);
    }
    it.session.setVringCall(0, it.eventfds[0]);
    raises();
    assert.deepEqual([it.queue.path, it.guest.served(), config.count], ["posted", [32], 0n]);
    it.session.setConfigCall(config);
    it.session.setVringCall(1, it.eventfds[1]);
    raises();
    assert.deepEqual([it.guest.served(), config.count], [[33, 32], 1n]);
    it.session.setStatus(0);
    it.session.setVringCall(0, it.eventfds[0]); // before DRIVER_OK: by the eventfd
    it.queue.signal();
    assert.equal(await it.guest.next(), 32);
  });

  it("a reset that fails forgets no call", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[3]);
    it.session.setConfigCall(it.eventfds[2]);
    it.ops.reset = () => {
      throw new Error("stuck");
    };
    assert.throws(() => it.session.setStatus(0), /stuck/);
    delete it.ops.reset;
    assert.notEqual(it.queue.path, undefined);
  });

  it("a reset that fails leaves the queues unset and the status as it was", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    it.ops.reset = () => {
      throw new Error("stuck");
    };
    assert.throws(() => it.session.setStatus(0), /stuck/);
    assert.deepEqual([it.session.status, it.produced()], [READY, []]);
    delete it.ops.reset;
    it.session.setStatus(0);
    it.session.setStatus(READY);
    assert.deepEqual(it.produced(), [0]);
  });

  it("only status 0 takes bits away, and a status is eight bits: EINVAL, with nothing changed", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    for (const status of [READY & ~driverOk, driverOk, 1, 256, -1, 0.5, Number.NaN]) {
      refused("EINVAL", () => it.session.setStatus(status));
    }
    assert.deepEqual([it.session.status, it.produced()], [READY, [0]]);
  });

  it("DRIVER_OK set again, or with more bits, sets nothing up twice", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    let asked = 0;
    it.ops.getVqIrq = () => asked++;
    it.session.setStatus(READY);
    const before = asked;
    it.session.setStatus(READY);
    it.session.setStatus(READY | VIRTIO_STATUS.needsReset);
    assert.deepEqual([asked, it.produced()], [before, [0]]);
  });
});

describe("queues without an interrupt of their own", () => {
  it("a negative irq, or a device that cannot tell: no producer, the eventfd works (A7)", async () => {
    using it = bench();
    it.ops.getVqIrq = (queue) => (queue === 0 ? -22 : 7);
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setVringCall(1, it.eventfds[1]);
    it.session.setStatus(READY);
    assert.deepEqual([it.produced(), it.queue.path, it.queue.reason], [[1], "relayed", "no-irq"]);
    it.queue.signal();
    assert.equal(await it.guest.next(), 32);
    it.session.setStatus(0);
    delete it.ops.getVqIrq;
    it.session.setStatus(READY);
    assert.deepEqual([it.produced(), it.device.queue(1).reason], [[], "no-irq"]);
  });

  it("irq 0 is an irq", () => {
    using it = bench();
    it.ops.getVqIrq = () => 0;
    it.session.setStatus(READY);
    it.session.setVringCall(0, it.eventfds[0]);
    assert.deepEqual(it.produced(), [0]);
  });

  it("a queue that loses its interrupt is no producer from the next SET_VRING_CALL on", () => {
    using it = bench();
    it.session.setStatus(READY);
    it.session.setVringCall(0, it.eventfds[0]);
    it.ops.getVqIrq = () => -1;
    it.session.setVringCall(0, it.eventfds[1]);
    assert.deepEqual([it.produced(), it.queue.reason], [[], "no-irq"]);
    it.ops.getVqIrq = () => 5;
    it.session.setVringCall(0, it.eventfds[1]);
    assert.deepEqual(it.produced(), [1]);
  });

  it("two queues with one call eventfd: the second works without bypass", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setVringCall(1, it.eventfds[0]);
    it.session.setStatus(READY);
    assert.deepEqual([it.queue.reason, it.device.queue(1).reason], [undefined, "another-producer"]);
  });
});

describe("an irqfd that requires bypass", () => {
  it("DRIVER_OK is refused where it would be relayed, and no queue stays set up", () => {
    using it = bench();
    const strict = Eventfd.create(it.host);
    it.guest.irqfd(strict, 99, { bypass: "require" });
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setVringCall(1, strict);
    const error = refused("EOPNOTSUPP", () => it.session.setStatus(READY));
    assert.equal(error.reason, "no-route");
    assert.deepEqual([it.session.status, it.produced(), it.queue.reason], [0, [], "no-driver-ok"]);
    it.session.setVringCall(1, it.eventfds[1]);
    it.session.setStatus(READY);
    assert.deepEqual(it.produced(), [0, 1]);
    refused("EOPNOTSUPP", () => it.session.setVringCall(1, strict));
    assert.deepEqual(it.produced(), [0, 1]);
  });
});

describe("opening and releasing", () => {
  it("one opener at a time: EBUSY; opening resets", () => {
    using it = bench();
    refused("EBUSY", () => it.device.open());
    it.session.release();
    let resets = 0;
    it.ops.reset = () => resets++;
    const again = it.device.open();
    assert.deepEqual([resets, again.status], [1, 0]);
  });

  it("a reset that fails at open leaves it closed", () => {
    using it = bench();
    it.session.release();
    it.ops.reset = () => {
      throw new Error("stuck");
    };
    assert.throws(() => it.device.open(), /stuck/);
    delete it.ops.reset;
    it.device.open();
  });

  it("release ends bypass, then resets, then lets the eventfds go (A8)", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setConfigCall(it.eventfds[2]);
    it.session.setStatus(READY);
    const atReset: unknown[] = [];
    it.ops.reset = () => atReset.push([producers(it.host), it.queue.path]);
    it.session.release();
    assert.deepEqual(atReset, [[0, "relayed"]]);
    assert.equal(it.queue.path, undefined);
    it.queue.signal();
    it.device.configChanged();
    assert.deepEqual(it.guest.served(), []);
    it.session.release();
    assert.equal(atReset.length, 1);
    for (const call of [
      () => it.session.setStatus(READY),
      () => it.session.setVringCall(0, it.eventfds[0]),
      () => it.session.setConfigCall(null),
      () => it.session.status,
    ]) {
      refused("EBADF", call);
    }
    const next = it.device.open();
    next.setStatus(READY);
    assert.deepEqual(it.produced(), [], "the call eventfds of the session before are gone");
  });

  it("a reset that fails at release is told, with everything released", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    it.ops.reset = () => {
      throw new Error("stuck");
    };
    assert.throws(() => it.session.release(), /stuck/);
    delete it.ops.reset;
    assert.deepEqual([it.produced(), it.queue.path], [[], undefined]);
    it.device.open();
  });

  it("a device that is disposed releases its session, and cannot be opened", () => {
    using it = bench();
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    it.device.dispose();
    it.device.dispose();
    assert.deepEqual([it.produced(), it.session.open], [[], false]);
    refused("EBADF", () => it.device.open());
  });

  it("queues that the device does not have: ENOBUFS for the VMM, EINVAL for the device", () => {
    using it = bench();
    for (const queue of [2, -1, 0.5, Number.NaN]) {
      assert.equal(refused("ENOBUFS", () => it.session.setVringCall(queue, null)).errno, -105);
      refused("EINVAL", () => it.device.queue(queue));
    }
    for (const queues of [0, 65536, 1.5, -1]) refused("EINVAL", () => new VdpaDevice(it.host, { queues }));
  });

  it("a call eventfd closed before DRIVER_OK: EBADF, with no queue set up", () => {
    using it = bench();
    const closed = Eventfd.create(it.host);
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setVringCall(1, closed);
    closed.close();
    refused("EBADF", () => it.session.setStatus(READY));
    assert.deepEqual([it.produced(), it.session.status], [[], 0]);
  });
});

describe("the config eventfd", () => {
  it("is signalled, replaced and taken away; a bad one leaves the old one (D10: the kernel has lost it)", () => {
    using it = bench();
    const [first, second] = [Eventfd.create(it.host), Eventfd.create(it.host)];
    it.device.configChanged();
    it.session.setConfigCall(first);
    it.device.configChanged();
    refused("EBADF", () => it.session.setConfigCall(closedEventfd(it.host)));
    refused("EINVAL", () => it.session.setConfigCall({} as unknown as Eventfd));
    it.device.configChanged();
    assert.equal(first.count, 2n);
    it.session.setConfigCall(second);
    it.device.configChanged();
    it.session.setConfigCall(null);
    it.device.configChanged();
    assert.deepEqual([first.count, second.count], [2n, 1n]);
  });

  it("closed, or signalled after release, it throws nothing (D10)", () => {
    using it = bench();
    const config = Eventfd.create(it.host);
    it.session.setConfigCall(config);
    config.close();
    it.device.configChanged();
    it.session.release();
    it.device.configChanged();
  });
});

describe("a device whose own functions call it back", () => {
  it("released in getVqIrq the call is EBADF, and no queue is left a producer", () => {
    for (const call of ["setVringCall", "setStatus"] as const) {
      const it = bench();
      it.session.setVringCall(0, it.eventfds[0]);
      if (call === "setVringCall") it.session.setStatus(READY);
      it.ops.getVqIrq = () => {
        it.session.release();
        return 7;
      };
      const again = () => it.session.setVringCall(0, it.eventfds[1]);
      refused("EBADF", call === "setVringCall" ? again : () => it.session.setStatus(READY));
      assert.deepEqual([it.host.pools.producer.live, it.device.queue(0).path], [0, undefined]);
    }
  });

  it("is not reset by who finds it open, or opens it while another does: EBUSY", () => {
    const { device, host } = bench();
    let resets = 0;
    const there = VdpaDevice.open(host, device.handle, { ops: { reset: () => void resets++ } });
    refused("EBUSY", () => there.open());
    device.session!.release();
    const first = VdpaDevice.open(host, device.handle, {
      ops: { reset: () => refused("EBUSY", () => there.open()) },
    });
    assert.equal(first.open().open, true);
    assert.equal(resets, 0);
    device.session!.release();
    there.open();
    assert.equal(resets, 1);
  });

  for (const [when, act] of [
    ["opens", (device: VdpaDevice) => refused("EBADF", () => device.open())],
    ["releases", (device: VdpaDevice) => device.session!.release()],
    ["resets", (device: VdpaDevice) => refused("EBADF", () => device.session!.setStatus(0))],
    ["disposes", (device: VdpaDevice) => device.dispose()],
  ] as const) {
    it(`is closed in every thread when dispose has returned, also while another ${when} it`, () => {
      const it = bench();
      let during = () => {};
      const there = VdpaDevice.open(it.host, it.device.handle, { ops: { reset: () => during() } });
      it.session.setVringCall(0, it.eventfds[0]);
      it.session.setStatus(READY);
      if (when === "opens") it.session.release();
      const { handle } = it.device;
      let disposed = false;
      during = () => {
        during = () => {};
        it.device.dispose();
        disposed = true;
        refused("ESTALE", () => VdpaDevice.open(it.host, handle));
        refused("EBADF", () => it.device.open());
      };
      act(there);
      assert.deepEqual([disposed, it.produced(), it.host.pools.device.live], [true, [], 0]);
      refused("EBADF", () => there.open());
      there.dispose();
      assert.deepEqual(it.host.audit().findings, []);
    });
  }

  it("status 0 unregisters what another thread sets up while the device is being reset, or before (4.0.7)", () => {
    using it = bench();
    const there = VdpaDevice.open(it.host, it.device.handle, { ops: { getVqIrq: (queue) => queue } })
      .session!;
    it.session.setVringCall(0, it.eventfds[0]);
    it.session.setStatus(READY);
    it.ops.reset = () => {
      there.setVringCall(1, it.eventfds[1]);
      there.setVringCall(0, it.eventfds[2]);
      there.setStatus(READY); // it is so still
    };
    it.session.setStatus(0);
    assert.deepEqual([it.session.status, it.produced(), it.queue.reason], [0, [], "no-driver-ok"]);
    const next = new VfioPciDevice(it.host, { msix: 1 });
    next.setTrigger("msix", 0, it.eventfds[1]);
    assert.equal(next.vector("msix", 0).path, "posted", "the eventfd is free for another device");
    next.dispose();
    delete it.ops.reset;
    it.session.setStatus(READY);
    assert.deepEqual(it.produced(), [1, 2]);
    assert.equal(it.queue.path, undefined, "the reset has forgotten it");
  });

  it("opened or disposed in the reset of open there is one session, and none of a disposed device", () => {
    const { device, ops, session } = bench();
    session.release();
    ops.reset = () => {
      delete ops.reset;
      device.open();
    };
    refused("EBUSY", () => device.open());
    const disposed = bench();
    disposed.session.release();
    disposed.ops.reset = () => disposed.device.dispose();
    refused("EBADF", () => disposed.device.open());
  });
});
