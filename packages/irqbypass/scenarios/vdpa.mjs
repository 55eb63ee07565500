// A vDPA device in two threads: its VMM's, which may be more than one, and whoever ends it.
import { Eventfd, VdpaDevice } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { endDevice } from "#src/device/device-record.js";
import { endProducer } from "#src/device/producers.js";
import { endSession, isClaimed } from "#src/device/session-end.js";
import { DeviceUse } from "#src/host/layout.js";
import { expect } from "./support/guest.mjs";

/** What `release` does behind its first look, which no mutex guards, and so may see a record that is being given back. */
function releases(session) {
  const { life } = session;
  const section = () => {
    if (isClaimed(life)) endSession(life);
  };
  if (life.mutex.enclose(() => session.close())) life.act(section);
}

/** One thread disposes a vDPA device, which another one opens and releases. */
function ends(world, end = (disk) => disk.dispose()) {
  const seen = hosts(world, ["device", "vmm"]);
  const { device, vmm } = seen;
  const eventfd = Eventfd.create(device);
  const disk = new VdpaDevice(device, { queues: 1 });
  const theirs = VdpaDevice.open(vmm, disk.handle);
  return {
    threads: {
      device: () => end(disk),
      vmm() {
        try {
          const session = theirs.open();
          releases(session);
        } catch (error) {
          if (!["EBADF", "EBUSY"].includes(error.code)) throw error;
        }
      },
    },
    keeps: [eventfd, disk, disk.life, theirs, theirs.life],
    end: conserves({ host: device, eventfd, sent: 0 }, () => {
      expect(device.pools.device.live === 0, "dispose has returned, and the device is there");
    }),
  };
}

/** Threads: device, vmm. */
export const dispose = {
  sentence:
    "A vDPA device that is disposed while another thread opens and releases it ends, in every thread.",
  mutexes: "assumed",
  setup: (world) => ends(world),
  twins: {
    "lets-it-go-on": {
      sentence: "ends it unless another thread is about to open or to release it",
      setup: (world) =>
        ends(world, (disk) => {
          disk.session?.release();
          if (!disk.life.uses(DeviceUse.open)) endDevice(disk.life, endProducer);
        }),
    },
  },
};

/** One thread sets up a queue of a vDPA device, which another one resets. */
function resets(world, play = () => {}) {
  const { device, vmm } = hosts(world, ["device", "vmm"]);
  const [eventfd, first] = [0, 0].map(() => Eventfd.create(device));
  const ops = { getVqIrq: () => 7 };
  const disk = new VdpaDevice(device, { queues: 1, ops });
  const session = disk.open();
  session.setVringCall(0, first);
  session.setStatus(7);
  const call = Eventfd.open(vmm, eventfd.handle);
  const theirs = VdpaDevice.open(vmm, disk.handle, { ops }).session;
  play(session);
  return {
    threads: { device: () => session.setStatus(0), vmm: () => theirs.setVringCall(0, call) },
    keeps: [eventfd, first, disk, disk.life, session, theirs, theirs.life, call],
    end: conserves({ host: device, eventfd, sent: 0 }, () => {
      expect(session.status === 0, "it has a status");
      const has = (one) => device.manager.producerAt(one.record) !== 0;
      expect(!has(first) && !has(eventfd), "a queue is a producer under status 0");
    }),
  };
}

/** Threads: device, vmm. */
export const statusZero = {
  sentence: "A queue that is set up beside status 0 is no producer after both.",
  mutexes: "assumed",
  setup: (world) => resets(world),
  twins: {
    "unsets-once": {
      sentence: "unregisters the queues, and later sets the status",
      setup: (world) =>
        resets(world, (session) => {
          const unsetAll = session.unsetAll.bind(session);
          session.unsetAll = () => {
            session.unsetAll = () => {};
            unsetAll();
          };
        }),
    },
  },
};
