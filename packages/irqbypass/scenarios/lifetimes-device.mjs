// Devices that end while others open and end them, and a repair beside the end.
import { override } from "atomics-explorer";
import { Eventfd, VfioPciDevice } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { endDevice, finishDevice, lifeAt } from "#src/device/device-record.js";
import { loseDevices } from "#src/device/leaving.js";
import { endProducer } from "#src/device/producers.js";
import { Device, DeviceUse } from "#src/host/layout.js";
import { expect, outcome } from "./support/guest.mjs";

/** One device at a time, so that the next one gets the record of the one before. */
const ONE = { capacity: { device: 1 } };

/** The `vmm` disposes its device and makes the next one in the record; `other` opens the first by its handle, and drives its line. */
function opens(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"], ONE);
  const first = new VfioPciDevice(seen.vmm, { intx: true });
  const { handle } = first;
  break_(seen.other, first.life.record);
  return {
    threads: {
      vmm() {
        first.dispose();
        return new VfioPciDevice(seen.vmm, { intx: true }).life.record;
      },
      other: () => outcome(() => VfioPciDevice.open(seen.other, handle).intx.assert(), "ESTALE", "EBADF"),
    },
    keeps: [first],
    end({ vmm: next }) {
      expect(seen.vmm.words.load(next + Device.use) === 0, "the next device's line is up");
      const { findings } = seen.vmm.audit();
      expect(findings.length === 0, findings[0]?.message);
    },
  };
}

/** A thread that does not see that a device is being ended. */
function seesNoEnd(host, device) {
  const { words } = host;
  const use = device + Device.use;
  host.words = override(words, {
    load: (word) => (word === use ? words.load(word) & ~DeviceUse.ending : words.load(word)),
  });
}

/** Threads: vmm, other. */
export const open = {
  sentence: "A device that is opened beside its end is that one or ESTALE, never the next one in its record.",
  mutexes: "assumed",
  setup: (world) => opens(world),
  twins: {
    "opens-what-ends": {
      sentence:
        "opens a device that is being ended, with the life that the next one in its record begins with",
      setup: (world) => opens(world, seesNoEnd),
    },
  },
};

/** Two threads dispose one device. */
function bothDispose(world, end = (device) => device.dispose()) {
  const seen = hosts(world, ["vmm", "other"], ONE);
  const eventfd = Eventfd.create(seen.vmm);
  const device = new VfioPciDevice(seen.vmm, { msix: 1 });
  device.setTrigger("msix", 0, eventfd);
  const theirs = VfioPciDevice.open(seen.other, device.handle);
  return {
    threads: { vmm: () => device.dispose(), other: () => end(theirs) },
    keeps: [device, theirs, eventfd],
    end() {
      const { pools, mutex } = seen.vmm;
      mutex.guard(() =>
        expect(pools.device.live + pools.producer.live === 0, "something of it is still there"),
      );
    },
  };
}

/** Threads: vmm, other. */
export const dispose = {
  conserves: "nothing is signalled",
  sentence: "A device that two threads dispose ends once.",
  mutexes: "assumed",
  setup: (world) => bothDispose(world),
  twins: {
    "looks-outside": {
      sentence: "looks whether the device is there before it takes its mutex, and not under it",
      setup: (world) =>
        bothDispose(world, ({ life }) => {
          if (life.isLive()) life.mutex.enclose(() => finishDevice(life, endProducer));
        }),
    },
  },
};

/** The `vmm` disposes a device, while `other` takes down what the thread had that made it, and is gone. */
function disposesBesideRepair(world, lose = loseDevices) {
  const seen = hosts(world, ["vmm", "other", "gone"], ONE);
  const eventfd = Eventfd.create(seen.gone);
  const device = new VfioPciDevice(seen.gone, { msix: 1 });
  device.setTrigger("msix", 0, eventfd);
  const theirs = VfioPciDevice.open(seen.vmm, device.handle);
  return {
    threads: {
      vmm: () => theirs.dispose(),
      other: () => lose(seen.other, seen.gone.thread.record, endProducer),
      gone() {},
    },
    keeps: [device, theirs, eventfd],
    end() {
      const { findings } = seen.vmm.audit();
      expect(findings.length === 0, findings[0]?.message);
      const { pools, mutex } = seen.vmm;
      mutex.guard(() =>
        expect(pools.device.live + pools.producer.live === 0, "something of it is still there"),
      );
    },
  };
}

/** Threads: vmm, other, gone. */
export const repair = {
  conserves: "nothing is signalled",
  sentence: "A device that is disposed while a repair takes down what its thread had ends once.",
  mutexes: "assumed",
  preemptions: 2,
  setup: (world) => disposesBesideRepair(world),
  twins: {
    "looks-first": {
      sentence: "looks whose the device is before it has its mutex, when another thread may be ending it",
      setup: (world) =>
        disposesBesideRepair(world, (host, thread, end) => {
          const life = lifeAt(host, host.pools.device.at(0));
          if (life !== undefined && host.words.load(life.record + Device.owner) === thread)
            endDevice(life, end);
        }),
    },
  },
};
