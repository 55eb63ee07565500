// A device's INTx pin and its events: its own thread drives them, while another one unmasks, closes and takes records.
import { Eventfd } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { createDevice } from "#src/device/device-record.js";
import { DeviceEvent } from "#src/device/event.js";
import { Intx } from "#src/device/intx.js";
import { Virqfd } from "#src/device/virqfd.js";
import { DeviceFlag, DeviceUse, Eventfd as E } from "#src/host/layout.js";
import { expect, lawless } from "./support/guest.mjs";

const call = (action, eventfd) => ({
  ...{ index: "intx", start: 0, count: 1, action },
  ...{ data: "eventfd", eventfds: [eventfd] },
});

/** A device with an INTx pin, ERR and REQ. */
const made = (host) =>
  createDevice(host, {
    ...{ flags: DeviceFlag.intx | DeviceFlag.pcie, kind: 0, msi: 0, msix: 0 },
    ...{ available: Infinity, gate: 0 },
  });

/** A reader for whom nothing ever comes: the event loop is not what these are about. */
const neverRead = () => ({ next: () => new Promise(() => {}), close() {} });

/**
 * A device with an INTx pin, and a VMM that unmasks it through an eventfd. The device's thread never returns to its event
 * loop: it polls. `drive` gets a fresh pin each time.
 */
function pin(world, { drive, vmm, holds, read = () => 0, break_ = () => {} }) {
  const { device, vmm: other } = hosts(world, ["device", "vmm"]);
  const [trigger, unmask] = [Eventfd.create(device), Eventfd.create(device)];
  unmask.reader = neverRead;
  const theirs = {
    trigger: Eventfd.open(other, trigger.handle),
    unmask: Eventfd.open(other, unmask.handle),
  };
  const fired = () => Number(device.words.load64(trigger.record + E.counter));
  return {
    threads: {
      device() {
        const life = made(device);
        const intx = new Intx(life);
        break_(intx, { life, trigger });
        const set = (action, eventfd) => life.guard(() => intx.setIrqs(call(action, eventfd), undefined));
        return drive({ intx, set, trigger, unmask, fired, words: device.words });
      },
      vmm: () => vmm(theirs),
    },
    keeps: [trigger, unmask, theirs.trigger, theirs.unmask],
    end: conserves(
      (results) => ({ host: device, eventfd: trigger, taken: read(results), most: Infinity }),
      (results) => holds(results, fired()),
    ),
  };
}

const unmasksOnce = ({ unmask }) => unmask.write();

const taken = {
  vmm: unmasksOnce,
  drive({ intx, set, trigger, unmask, fired }) {
    set("trigger", trigger);
    set("unmask", unmask);
    intx.assert();
    set("trigger", null);
    const then = fired();
    intx.poll();
    return then;
  },
  holds: ({ device }, now) => expect(now === device, "signalled when its trigger was gone"),
};

/** Threads: device, vmm. */
export const trigger = {
  sentence: "A pin whose eventfd is taken away while an unmask arrives signals nobody.",
  setup: (world) => pin(world, taken),
  twins: {
    "signals-anything": {
      sentence: "signals without looking whether there is a trigger",
      bug: { id: "CVE-2024-26812", year: 2024 },
      setup: (world) =>
        pin(world, {
          ...taken,
          break_(intx, { trigger }) {
            intx.send = () => trigger.signal();
          },
        }),
    },
  },
};

const disabled = {
  vmm: unmasksOnce,
  drive({ intx, set, trigger, unmask, fired }) {
    set("trigger", trigger);
    set("unmask", unmask);
    intx.assert();
    intx.poll();
    intx.disIntx = true;
    const then = fired();
    intx.poll();
    const after = fired();
    intx.disIntx = false;
    return { then, after };
  },
  holds({ device: { then, after } }, now) {
    expect(after === then, "fired though the guest has disabled it");
    expect(now === then + 1, "did not fire when the guest enabled it with the line up");
  },
};

/** Threads: device, vmm. */
export const disable = {
  sentence: "While the guest has INTx disabled it does not fire, whenever an unmask arrives.",
  setup: (world) => pin(world, disabled),
  twins: {
    "acts-and-forgets": {
      sentence: "masks what is there when the guest sets the bit, and does not look at the bit again",
      bug: { id: "CVE-2024-26810", year: 2024 },
      setup: (world) =>
        pin(world, {
          ...disabled,
          break_: (intx, { life }) =>
            Object.defineProperty(intx, "disIntx", {
              get: () => false,
              set: (on) => life.guard(() => (on ? life.use(DeviceUse.masked, true) : intx.unmask())),
            }),
        }),
    },
  },
};

const enabled = {
  vmm(theirs) {
    theirs.trigger.read();
    theirs.unmask.write();
    theirs.trigger.read();
  },
  drive({ intx, set, trigger, unmask, words }) {
    let fired = 0;
    const { send } = Intx.prototype;
    intx.send = () => {
      fired += 1;
      send.call(intx);
    };
    intx.assert();
    set("trigger", trigger);
    set("unmask", unmask);
    for (intx.poll(); fired < 2; intx.poll()) words.relax();
    return fired;
  },
  read: () => 2,
  holds: ({ device }, left) => expect(device === 2 && left === 0, `fired ${device} times, ${left} unread`),
};

/** Threads: device, vmm. */
export const enable = {
  sentence: "INTx whose line is up when it is enabled fires, and after one unmask it fires again.",
  mutexes: "assumed",
  setup: (world) => pin(world, enabled),
  twins: {
    "masks-twice": {
      sentence: "masks once more what has masked itself when it is enabled",
      bug: { id: "CVE-2024-27437", year: 2024 },
      setup: (world) =>
        pin(world, {
          ...enabled,
          break_(intx) {
            const { enable, unmask } = Intx.prototype;
            let depth = 0;
            intx.enable = () => {
              enable.call(intx);
              depth = 2;
            };
            intx.unmask = () => {
              if (--depth <= 0) unmask.call(intx);
            };
          },
        }),
    },
  },
};

/** A listener that is removed twice, by a close and by the call that disables, while its eventfd is written. */
function removes(world, remove = (virqfd) => virqfd.remove()) {
  const { device, vmm } = hosts(world, ["device", "vmm"]);
  const eventfd = Eventfd.create(device);
  eventfd.reader = neverRead;
  const theirs = Eventfd.open(vmm, eventfd.handle);
  return {
    threads: {
      device() {
        let runs = 0;
        const virqfd = new Virqfd(eventfd, () => {
          runs += 1;
        });
        remove(virqfd);
        const then = runs;
        remove(virqfd);
        return { then, runs };
      },
      vmm: () => theirs.write(),
    },
    keeps: [eventfd, theirs],
    end: conserves(
      ({ device: { runs } }) => ({ host: device, eventfd, taken: runs }),
      ({ device: { then, runs } }) => expect(runs === then, "its handler ran when it was gone"),
    ),
  };
}

/** Threads: device, vmm. */
export const release = {
  sentence: "A listener that is removed twice while its eventfd is written ends once, and loses nothing.",
  setup: (world) => removes(world),
  twins: {
    "reads-and-forgets": {
      sentence: "reads what was written out when it ends, and runs no handler for it",
      setup: (world) =>
        removes(world, (virqfd) => {
          virqfd.stop.abort();
          virqfd.eventfd.tryRead();
        }),
    },
    "ends-twice": {
      sentence: "shuts down again what has been shut down",
      bug: { id: "b68e7fa879cd", year: 2012 },
      setup: (world) =>
        removes(world, (virqfd) => {
          virqfd.stop.abort();
          virqfd.poll();
        }),
    },
  },
};

/** The eventfd of a request is closed while another thread makes one, which may get its record. */
function requests(world, play = () => {}) {
  const { device, other } = hosts(world, ["device", "other"]);
  const eventfd = Eventfd.create(device);
  return {
    threads: {
      device() {
        const life = made(device);
        play(life);
        const event = new DeviceEvent(life, "req");
        life.guard(() => event.setIrqs({ ...call("trigger", eventfd), index: "req" }));
        eventfd.close();
        event.signal();
        return eventfd.record;
      },
      other: () => Eventfd.create(other).record,
    },
    keeps: [eventfd],
    // It goes where nobody can read it any more.
    end: conserves({ host: device, eventfd, sent: 0, most: 1 }, ({ device: signalled, other: record }) =>
      expect(
        signalled !== record || device.words.load64(record + E.counter) === 0n,
        "a request was signalled to another's eventfd",
      ),
    ),
  };
}

/** Threads: device, other. */
export const request = {
  sentence:
    "A request whose eventfd was closed goes to that, which is nobody else's as long as the device has it.",
  setup: (world) => requests(world),
  twins: {
    "uses-what-was-put": {
      sentence: "signals the eventfd that it was given, and does not keep it",
      bug: { id: "b872d0640840", year: 2020 },
      setup: (world) =>
        requests(lawless(world), (life) => {
          life.setEventfd = (at, eventfd) => life.host.words.store(life.record + at, eventfd);
        }),
    },
  },
};
