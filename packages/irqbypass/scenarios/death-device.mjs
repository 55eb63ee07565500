// A thread that dies at any access of what it does to a device, beside the one that signals it: what was raised is not lost, and the
// device goes on.
import { override } from "atomics-explorer";
import { Eventfd, VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { Device, DeviceUse, Gate } from "#src/host/layout.js";
import { dies, GSI, mortal } from "./support/death.mjs";
import { arrived, expect, openVcpu, outcome } from "./support/guest.mjs";

const READY = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk;

/** Nobody makes whole what the mutex of a device guards. */
const noHeal = ({ hosts }) => {
  for (const host of Object.values(hosts)) host.repair.device = () => {};
};

/**
 * A device of the survivor's, with two vectors of which the first leads to the guest; the survivor signals that once, while the victim
 * does something to the device, and may die in it. `sent` says whether that must be found; where the guest's bit, the two eventfds and
 * the pending bit are: in one of them, or, where a dead thread's was sent once more, in two.
 */
const beside =
  ({ act, ready = () => {}, sent = 1, check = () => {} }) =>
  (made) => {
    const { host, vm, victim, eventfd } = made;
    openVcpu(host, vm);
    const irqfd = vm.irqfd(eventfd, GSI);
    const other = Eventfd.create(host);
    const nic = new VfioPciDevice(host, { msix: 2 });
    nic.setTrigger("msix", 0, eventfd);
    const [vector, second] = [nic.vector("msix", 0), nic.vector("msix", 1)];
    ready({ nic, vector, other });
    const theirs = VfioPciDevice.open(victim, nic.handle);
    const [own, others] = [eventfd, other].map(({ handle }) => Eventfd.open(victim, handle));
    return {
      victim: () => act({ nic: theirs, vector: theirs.vector("msix", 0), other: others, own }),
      survivor: () => vector.signal(),
      keeps: [irqfd, nic, theirs, own, others, other, eventfd],
      signals: (_results, died) => ({
        ...{ host, vm, eventfd, sent, most: died ? 2 : 1 },
        taken: (vector.pending ? 1 : 0) + Number(other.count),
      }),
      check(_, died) {
        const gates = nic.life.gates.map((gate) => host.words.load(gate));
        expect(
          gates.every((gate) => ((gate & Gate.functionMask) !== 0) === nic.functionMask),
          "some vectors have the function mask, and some have not",
        );
        check({ nic, vector, second, other }, died);
        nic.functionMask = false;
        vector.unmask();
        nic.setTrigger("msix", 0, other);
        expect(!vector.pending, "it is pending in a vector that nothing holds back");
        const before = other.count;
        vector.signal();
        expect(other.count === before + 1n, "the device does not signal any more");
      },
    };
  };

/** A scenario of one such act, and its twin, where nobody makes the device whole. */
const scenario = (sentence, how, twins) => ({
  sentence,
  ...mortal,
  setup: (world) => dies(world, beside(how)),
  twins: twins ?? {
    "no-heal": {
      sentence: "leaves as it is what the dead thread was doing to the device",
      setup: (world) => dies(world, beside(how), noHeal),
    },
  },
});

const masks = {
  act({ vector }) {
    vector.mask();
    vector.unmask();
  },
  check: ({ vector }, died) => expect(died || !vector.masked, "it stays masked"),
};

/** Threads: survivor, victim. */
export const mask = {
  sentence:
    "A VMM's thread dies while it masks and unmasks a vector: what is raised is delivered, or pending until the next unmask.",
  ...mortal,
  setup: (world) => dies(world, beside(masks)),
  twins: {
    "clears-first": {
      sentence: "clears the pending bit before it sends what is pending, and dies in between",
      setup: (world) =>
        dies(
          world,
          beside({
            ...masks,
            act({ vector }) {
              const { life, gate } = vector;
              const { words } = life.host;
              vector.mask();
              life.act(() => {
                if ((words.and(gate, ~Gate.pending) & Gate.pending) !== 0) words.or(gate, Gate.pending);
              });
              vector.unmask();
            },
          }),
        ),
    },
  },
};

/** Threads: survivor, victim. */
export const functionMask = scenario(
  "A VMM's thread dies while it sets and clears the function mask: all vectors have it, or none.",
  {
    act({ nic }) {
      nic.functionMask = true;
      nic.functionMask = false;
    },
  },
);

/** Threads: survivor, victim. */
export const trigger = scenario(
  "A VMM's thread dies while it replaces a trigger: what is raised is at the old one, at the new one, or pending.",
  { act: ({ nic, other }) => nic.setTrigger("msix", 0, other) },
);

const exchanges = {
  ready: ({ nic, other }) => nic.setTrigger("msix", 1, other),
  act({ nic, own, other }) {
    const block = { index: "msix", start: 0, count: 2, action: "trigger", data: "eventfd" };
    nic.setIrqs({ ...block, eventfds: [other, own] });
  },
  check({ vector, second }, died) {
    const paths = [vector.path, second.path];
    expect(paths.includes("posted"), `the eventfd of the guest has no producer: ${paths.join(", ")}`);
    expect(died || second.path === "posted", "the exchange was not done");
    for (const { reason } of [vector, second])
      expect(reason !== "no-producer", "one has been left where it was for a moment");
  },
};

/** Threads: survivor, victim. */
export const exchange = scenario(
  "A VMM's thread dies while two vectors exchange their eventfds: what is raised is at one of them or pending, and bypass goes on.",
  exchanges,
);

/** Threads: survivor, victim. */
export const takesAway = scenario(
  "A VMM's thread dies while it takes a trigger away: what is raised has arrived, or is pending.",
  { act: ({ nic }) => nic.setTrigger("msix", 0, null) },
);

/** Threads: survivor, victim. */
export const disable = scenario(
  "A VMM's thread dies while it disables MSI-X: what is raised has arrived, or is pending.",
  { act: ({ nic }) => nic.disable("msix") },
);

/** Threads: survivor, victim. */
export const reset = scenario("A VMM's thread dies while it resets a device: the device goes on.", {
  ready({ nic, vector }) {
    vector.mask();
    nic.functionMask = true;
  },
  act: ({ nic }) => nic.reset(),
  sent: 0,
});

/** The victim adopts the survivor's device. */
const adopts = (break_) => (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  const vector = nic.vector("msix", 0);
  const theirs = VfioPciDevice.open(victim, nic.handle);
  break_?.(nic.life);
  return {
    victim: () => outcome(() => theirs.adopt(), "EBUSY"),
    survivor: () => outcome(() => vector.signal(), "EBUSY"),
    keeps: [irqfd, nic, nic.life, theirs, theirs.life, vm, eventfd],
    signals: ({ survivor }) => ({ host, vm, eventfd, sent: survivor === "done" ? 1 : 0, most: 1 }),
    check(_, died) {
      if (!died || host.mutex.guard(() => host.pools.device.live) === 0) return; // it is the victim's, or has ended with it
      vector.signal();
      expect(arrived(host, vm), "the device is nobody's");
    },
  };
};

/** Threads: survivor, victim. */
export const adopt = {
  sentence: "A thread dies while it adopts a device: that ends with it, or is the other one's as before.",
  ...mortal,
  setup: (world) => dies(world, adopts()),
  twins: {
    "is-nobodys": {
      sentence: "goes by what it knew of whose the device is, and does not look again",
      setup: (world) =>
        dies(
          world,
          adopts((life) => {
            const owner = life.record + Device.owner;
            const { host } = life;
            const load = (word) => (word === owner ? 0 : host.words.load(word));
            life.host = Object.create(host, { words: { value: override(host.words, { load }) } });
          }),
        ),
    },
  },
};

/** The victim's own device, which it signals; the survivor, a VMM's thread, does something to it, and waits for a signal that is under way. */
const outlives =
  (act, goes = () => 1) =>
  (made) => {
    const { host, vm, victim, eventfd } = made;
    openVcpu(host, vm);
    const irqfd = vm.irqfd(eventfd, GSI);
    const nic = new VfioPciDevice(victim, { msix: 1 });
    const own = Eventfd.open(victim, eventfd.handle);
    nic.setTrigger("msix", 0, own);
    const vector = nic.vector("msix", 0);
    const theirs = VfioPciDevice.open(host, nic.handle);
    return {
      victim: () => vector.signal(),
      survivor() {
        outcome(() => act(theirs), "EBADF");
        return arrived(host, vm);
      },
      keeps: [irqfd, vm, nic, nic.life, theirs, theirs.life, own, eventfd],
      signals: (_results, died) => ({
        ...{ host, vm, eventfd, sent: died ? 0 : goes(), most: 1 },
        taken: vector.pending ? 1 : 0,
      }),
      check({ survivor: before }, died) {
        expect(arrived(host, vm) === before, "it arrived when the call had returned");
        host.mutex.guard(() => expect(!died || host.pools.device.live === 0, "the device is still there"));
      },
    };
  };
/** What a device raises when it has ended. */
const nowhere = () => 0;
const masksIt = (nic) => nic.vector("msix", 0).mask();

/** Threads: survivor, victim. */
export const owner = {
  sentence:
    "A device's thread dies in a signal that a VMM's waits for as it masks: that goes on, and nothing arrives after it.",
  ...mortal,
  setup: (world) => dies(world, outlives(masksIt)),
  twins: {
    "no-fence": {
      sentence: "masks without waiting for a signal that is under way",
      setup: (world) =>
        dies(
          world,
          outlives((nic) => {
            nic.life.fence = () => {};
            masksIt(nic);
          }),
        ),
    },
  },
};

/** Threads: survivor, victim. */
export const ownersEnd = {
  sentence:
    "A device's thread dies in a signal that a VMM's waits for as it disposes the device: that ends once.",
  ...mortal,
  setup: (world) =>
    dies(
      world,
      outlives((nic) => nic.dispose(), nowhere),
    ),
  twins: {
    "no-fence": {
      sentence: "ends the device without waiting for a signal that is under way",
      setup: (world) =>
        dies(
          world,
          outlives((nic) => {
            nic.life.fence = () => {};
            nic.dispose();
          }, nowhere),
        ),
    },
  },
};

/** The survivor's device, which it signals; the victim, a VMM's thread, disposes it. */
const disposes = (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  const vector = nic.vector("msix", 0);
  const theirs = VfioPciDevice.open(victim, nic.handle);
  return {
    victim: () => theirs.dispose(),
    survivor: () => vector.signal(),
    keeps: [irqfd, vm, nic, nic.life, theirs, theirs.life, eventfd],
    signals: () => ({ host, vm, eventfd, sent: 0, most: 1, taken: vector.pending ? 1 : 0 }),
    check(_results, died) {
      const live = host.mutex.guard(() => host.pools.device.live);
      expect(live === 0 || (died && !vector.masked), "the device is there, and not whole");
    },
  };
};

/** Threads: survivor, victim. */
export const dispose = {
  sentence: "A VMM's thread dies while it disposes a device: that has ended then, or is as before.",
  ...mortal,
  setup: (world) => dies(world, disposes),
  twins: {
    "no-heal": {
      sentence: "leaves as it is what the dead thread was doing to the device",
      setup: (world) => dies(world, disposes, noHeal),
    },
  },
};

/** The survivor's vDPA device, which the VMM runs: it uses buffers of its queue once, while the victim, who has it open, too, makes a call. */
const runs =
  ({ act, sent = 1, opener = "survivor", check = () => {} }) =>
  (made) => {
    const { host, vm, victim, eventfd } = made;
    openVcpu(host, vm);
    const irqfd = vm.irqfd(eventfd, GSI);
    const other = Eventfd.create(host);
    const others = Eventfd.open(victim, other.handle);
    const ops = { getVqIrq: () => 7 };
    const disk = new VdpaDevice(host, { queues: 1, ops });
    const theirs = VdpaDevice.open(victim, disk.handle, { ops });
    const first = opener === "survivor" ? disk : theirs;
    const session = first.open();
    const call = opener === "survivor" ? eventfd : Eventfd.open(victim, eventfd.handle);
    session.setVringCall(0, call);
    session.setStatus(READY);
    const queue = disk.queue(0);
    return {
      victim: () => act({ session: theirs.session, device: theirs, other: others }),
      survivor: () => queue.signal(),
      keeps: [irqfd, vm, eventfd, other, others, call, disk, disk.life, theirs, theirs.life],
      signals: () => ({ host, vm, eventfd, sent, most: 2, taken: Number(other.count) }),
      check(_, died) {
        check({ disk, died });
        const again = disk.session ?? disk.open();
        again.setStatus(0);
        again.setVringCall(0, other);
        again.setStatus(READY);
        const before = other.count;
        queue.signal();
        expect(other.count === before + 1n, "the device does not signal any more");
      },
    };
  };

const vdpaScenario = (sentence, how, settings = {}) => ({
  sentence,
  ...mortal,
  ...settings,
  setup: (world) => dies(world, runs(how)),
  twins: {
    "no-heal": {
      sentence: "leaves as it is what the dead thread was doing to the device",
      setup: (world) => dies(world, runs(how), noHeal),
    },
  },
});

/** Threads: survivor, victim. */
export const call = vdpaScenario(
  "A VMM's thread dies while it replaces the call of a queue: what is used is told to the old one or to the new one.",
  { act: ({ session, other }) => session.setVringCall(0, other) },
);

/** Threads: survivor, victim. */
export const status = vdpaScenario(
  "A VMM's thread dies while it resets a vDPA device: that can be set up again.",
  { act: ({ session }) => session.setStatus(0), sent: 0 },
);

/** Threads: survivor, victim. */
export const release = vdpaScenario(
  "A VMM's thread dies while it releases a vDPA device that it has opened: it is released, and can be opened again.",
  {
    act: ({ session }) => session.release(),
    opener: "victim",
    sent: 0,
    check: ({ disk, died }) => expect(!died || disk.session === undefined, "it is open, and nobody has it"),
  },
  { preemptions: 2 },
);

/** The survivor's card, whose line it raises once; the victim, a vCPU's thread, does something to it. */
const drives =
  ({ act, check = () => {} }) =>
  (made) => {
    const { host, victim, eventfd } = made;
    const [unmask, other] = [Eventfd.create(host), Eventfd.create(host)];
    const card = new VfioPciDevice(host, { intx: true });
    const { intx } = card;
    card.setTrigger("intx", 0, eventfd);
    const theirs = VfioPciDevice.open(victim, card.handle);
    const own = Eventfd.open(victim, unmask.handle);
    for (const one of [own, other]) one.reader = neverRead;
    return {
      victim: () => act({ card: theirs, unmask: own }),
      survivor: () => intx.assert(),
      keeps: [card, card.life, theirs, theirs.life, theirs.intx, own, unmask, other, eventfd],
      signals: () => ({
        ...{ host, eventfd, most: 3 }, // the repair says once more what may not have been said
        taken: intx.asserted && intx.disIntx ? 1 : 0,
      }),
      check() {
        expect(!intx.masked || intx.disIntx || eventfd.count > 0n, "the line is masked, and nobody was told");
        check({ card, other });
      },
    };
  };

/** A reader for whom nothing ever comes: the event loop is not what these are about. */
const neverRead = () => ({ next: () => new Promise(() => {}), close() {} });

const disables = {
  act({ card }) {
    card.intx.disIntx = true;
    card.intx.disIntx = false;
  },
};

/** Threads: survivor, victim. */
export const disIntx = {
  sentence:
    "A vCPU's thread dies while its guest disables and enables INTx: the line fires, or is disabled; it is not masked for ever.",
  ...mortal,
  setup: (world) => dies(world, drives(disables)),
  twins: {
    "two-steps": {
      sentence:
        "masks the line as it disables INTx, enables that in one step and unmasks the line in the next",
      setup: (world) =>
        dies(
          world,
          drives({
            act({ card: { intx, life } }) {
              life.act(() => life.use(DeviceUse.disabled | DeviceUse.masked, true));
              life.act(() => {
                life.use(DeviceUse.disabled, false);
                intx.unmask();
              });
            },
          }),
        ),
    },
  },
};

const listens = {
  act: ({ card, unmask }) => setUnmask(card, unmask),
  check: ({ card, other }) =>
    expect(
      outcome(() => setUnmask(card, other), "EBUSY") === "done" || card.life.read(Device.listener) !== 0,
      "nobody can listen",
    ),
};

/** Has the writes to an eventfd unmask the card, in the thread that has it open. */
const setUnmask = (card, eventfd) =>
  card.setIrqs({
    ...{ index: "intx", start: 0, count: 1, action: "unmask", data: "eventfd" },
    eventfds: [eventfd],
  });

/** Threads: survivor, victim. */
export const listener = {
  sentence: "A thread dies while it sets the eventfd that unmasks INTx: another one may set one.",
  ...mortal,
  setup: (world) => dies(world, drives(listens)),
  twins: {
    "says-so-last": {
      sentence: "has the device keep the eventfd before it says who listens",
      setup: (world) =>
        dies(
          world,
          drives({
            ...listens,
            act: ({ card: { life }, unmask }) =>
              life.act(() => {
                life.setEventfd(Device.unmask, unmask.record);
                life.host.words.store(life.record + Device.listener, life.host.thread.record);
              }),
          }),
        ),
    },
  },
};
