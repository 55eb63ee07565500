// INTx in two threads: the device's drives the line, a vCPU's masks, unmasks, lowers and resets it. All of it is under one mutex.
import { Eventfd, VfioPciDevice } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { finishDevice } from "#src/device/device-record.js";
import { Device, Eventfd as E } from "#src/host/layout.js";
import { expect } from "./support/guest.mjs";

/** A reader for whom nothing ever comes: the event loop is not what these are about. */
const neverRead = () => ({ next: () => new Promise(() => {}), close() {} });

/** Has the writes to an eventfd unmask the card, in the thread that has it open. */
const setUnmask = (card, eventfd) =>
  card.setIrqs({
    ...{ index: "intx", start: 0, count: 1, action: "unmask", data: "eventfd" },
    eventfds: [eventfd],
  });

/**
 * A card with INTx enabled, as the device's thread made it and the vCPU's has it open. `ready` sets the scene; what the line has
 * signalled by then is read out. `sent` of its interrupts are found in the end, no more and no less unless `most` says so.
 */
function shared(
  world,
  { ready = () => {}, device, vcpu, sent = 1, most = sent, check = () => {}, play = () => {} },
) {
  const seen = hosts(world, ["device", "vcpu"]);
  const [trigger, unmask, fifo] = [0, 0, 0].map(() => Eventfd.create(seen.device));
  const card = new VfioPciDevice(seen.device, { intx: true });
  card.setTrigger("intx", 0, trigger);
  const theirs = VfioPciDevice.open(seen.vcpu, card.handle);
  const their = {
    unmask: Eventfd.open(seen.vcpu, unmask.handle),
    fifo: Eventfd.open(seen.vcpu, fifo.handle),
  };
  their.unmask.reader = neverRead;
  ready({ card, theirs, unmask, their });
  trigger.tryRead();
  play({ card, theirs, their });
  const fired = (host) => Number(host.words.load64(trigger.record + E.counter));
  return {
    threads: {
      device: () => device({ card, trigger, unmask, fifo, fired: () => fired(seen.device) }),
      vcpu: () => vcpu({ card: theirs, ...their, fired: () => fired(seen.vcpu) }),
    },
    keeps: [trigger, unmask, fifo, card, theirs, their.unmask, their.fifo, ...pinsOf(card, theirs)],
    end: conserves(
      (results) => ({
        ...{ host: seen.device, eventfd: trigger },
        sent: typeof sent === "function" ? sent(results) : sent,
        most: typeof most === "function" ? most(results) : most,
      }),
      (results) => {
        const { intx } = card;
        expect(
          !intx.asserted || intx.masked || intx.disIntx,
          "the line is up, nothing masks it, and it has not fired",
        );
        check(results, { fired: fired(seen.device), card, fifo });
      },
    ),
  };
}

/** The pins of cards, and what listens in them. */
const pinsOf = (...cards) =>
  cards.flatMap(({ intx }) => (intx.listener === undefined ? [intx] : [intx, intx.listener]));

/** What the vCPU's thread does to the card is not done under its mutex. */
const unlocked = ({ theirs: { life } }) => {
  life.act = (section) => section();
  life.guard = (section) => section();
};

const isUp = ({ card }) => card.intx.assert();

const unmasks = {
  ready: ({ card }) => card.mask("intx"),
  device: isUp,
  vcpu: ({ card }) => card.unmask("intx"),
  check: (_, { fired }) => expect(fired === 1, `fired ${fired} times`),
};

/** Threads: device, vcpu. */
export const unmask = {
  sentence: "A line that is raised while the vCPU's thread unmasks it fires, once.",
  mutexes: "assumed",
  setup: (world) => shared(world, unmasks),
  twins: {
    "looks-unlocked": {
      sentence: "unmasks by the level that it saw, and not under the mutex of who raises it",
      setup: (world) => shared(world, { ...unmasks, play: unlocked }),
    },
  },
};

const lowers = {
  ready: isUp,
  device({ card, fired }) {
    card.intx.deassert();
    return fired();
  },
  vcpu: ({ card }) => card.unmask("intx"),
  sent: 0,
  most: 1,
  check({ device }, { fired, card }) {
    expect(fired === device, "it fired when the line was down");
    expect(!card.intx.masked || fired === 1, "it is masked, and nobody was told");
  },
};

/** Threads: device, vcpu. */
export const lower = {
  sentence: "A line that the device has lowered does not fire, whenever the vCPU's thread unmasks it.",
  mutexes: "assumed",
  setup: (world) => shared(world, lowers),
  twins: {
    "looks-unlocked": {
      sentence: "fires by the level that it saw, when the line is down already",
      setup: (world) => shared(world, { ...lowers, play: unlocked }),
    },
  },
};

const masks = {
  device: isUp,
  vcpu({ card, fired }) {
    card.mask("intx");
    const masked = fired();
    card.unmask("intx");
    return { masked, unmasked: fired() };
  },
  sent: 1,
  most: 2,
  check: ({ vcpu: { masked, unmasked } }, { fired }) =>
    expect(
      fired === Math.max(1, unmasked) && fired <= 1 + masked,
      `${fired} times, ${masked} before the mask`,
    ),
};

/** Threads: device, vcpu. */
export const mask = {
  sentence:
    "A line that rises while the vCPU's thread masks it fires before that, or at the unmask, and is not lost.",
  mutexes: "assumed",
  setup: (world) => shared(world, masks),
  twins: {
    "looks-unlocked": {
      sentence: "masks and unmasks beside who raises the line",
      setup: (world) => shared(world, { ...masks, play: unlocked }),
    },
  },
};

const disables = {
  device: isUp,
  vcpu({ card, fired }) {
    card.intx.disIntx = true;
    const disabled = fired();
    card.intx.disIntx = false;
    return disabled;
  },
  sent: 1,
  most: 2,
  check: ({ vcpu: disabled }, { fired }) =>
    expect(fired >= 1 && fired <= 1 + disabled, `fired ${fired} times`),
};

/** Threads: device, vcpu. */
export const disable = {
  sentence:
    "A line that rises while the guest disables and enables INTx on the vCPU's thread fires, and is not lost.",
  mutexes: "assumed",
  setup: (world) => shared(world, disables),
  twins: {
    "looks-unlocked": {
      sentence: "clears Interrupt Disable beside who raises the line",
      setup: (world) => shared(world, { ...disables, play: unlocked }),
    },
  },
};

const resets = {
  device: isUp,
  vcpu: ({ card }) => card.reset(),
  check: (_, { fired }) => expect(fired === 1, `fired ${fired} times`),
};

/** Threads: device, vcpu. */
export const reset = {
  sentence:
    "A line that rises while the vCPU's thread resets the device fires once, and is down or up as the last of the two left it.",
  mutexes: "assumed",
  setup: (world) => shared(world, resets),
  twins: {
    "lowers-unlocked": {
      sentence: "lowers the line in the middle of its rise",
      setup: (world) => shared(world, { ...resets, play: unlocked }),
    },
  },
};

/** The vCPU's thread empties a FIFO and lowers the line; the device's puts one more into it. The level is what is in the FIFO. */
const empties = {
  device({ card, fifo }) {
    fifo.write();
    card.intx.assert();
  },
  vcpu({ card, fifo }) {
    let taken = fifo.tryRead() ?? 0n;
    card.intx.deassert();
    taken += fifo.tryRead() ?? 0n; // once more behind it: what has come in between has raised the line before
    card.unmask("intx");
    return taken;
  },
  ready: isUp,
  sent: ({ vcpu }) => (vcpu === 0n ? 1 : 0),
  most: 1,
  check: ({ vcpu }, { fired, fifo }) =>
    expect(
      vcpu + fifo.count === 1n && (fifo.count === 0n || fired === 1),
      "something is in the FIFO, and nobody was told",
    ),
};

/** Threads: device, vcpu. */
export const console = {
  sentence:
    "A console whose FIFO the vCPU's thread empties: what is put into it meanwhile is taken, or is an interrupt.",
  mutexes: "assumed",
  setup: (world) => shared(world, empties),
  twins: {
    "looks-once": {
      sentence: "lowers the line, and does not look again at what it stands for",
      setup: (world) =>
        shared(world, {
          ...empties,
          vcpu({ card, fifo }) {
            const taken = fifo.tryRead() ?? 0n;
            card.intx.deassert();
            card.unmask("intx");
            return taken;
          },
        }),
    },
  },
};

/** Reads the unmask eventfd, and looks only then whether it is the one that is to unmask. */
function readsFirst({ intx, life }, isTheOne) {
  const { listener } = intx;
  listener.look = () => {
    if (listener.eventfd.tryRead() === undefined) return isTheOne() ? undefined : false;
    life.act(() => {
      if (isTheOne()) intx.unmask();
    });
    return true;
  };
}

/** The vCPU's thread listens to the unmask eventfd and looks at it; the device's disables INTx and enables it anew, with the line up. */
const enablesAnew = {
  ready({ card, theirs, unmask, their }) {
    isUp({ card });
    setUnmask(theirs, their.unmask);
    unmask.write();
  },
  device({ card, trigger, fired }) {
    card.disable("intx");
    const before = fired();
    card.setTrigger("intx", 0, trigger);
    return before;
  },
  vcpu: ({ card }) => card.intx.poll(),
  most: 2,
  check: ({ device: before }, { fired, card }) => {
    expect(fired === before + 1 && card.intx.masked, `fired ${fired - before} times since it was enabled`);
  },
};

/** Threads: device, vcpu. */
export const anew = {
  sentence: "An unmask from before INTx was disabled does not unmask what has been enabled since.",
  mutexes: "assumed",
  setup: (world) => shared(world, enablesAnew),
  twins: {
    "does-not-look": {
      sentence: "unmasks whatever is enabled by now",
      setup: (world) =>
        shared(world, {
          ...enablesAnew,
          play: ({ theirs }) => readsFirst(theirs, () => true),
        }),
    },
  },
};

/** The vCPU's thread resamples through the unmask eventfd, to which the VMM's thread listens, the device's; that lowers the line then. */
const resamples = {
  ready({ card, unmask }) {
    unmask.reader = neverRead;
    setUnmask(card, unmask);
    isUp({ card });
  },
  device({ card, fired }) {
    card.intx.poll();
    card.intx.deassert();
    const lowered = fired();
    card.intx.poll();
    return lowered;
  },
  vcpu: ({ unmask }) => unmask.write(),
  sent: 0,
  most: 1,
  check({ device: lowered }, { fired }) {
    expect(fired === lowered, "it fired when the line was down");
  },
};

/** Threads: device, vcpu. */
export const resample = {
  sentence: "A resample of the vCPU's thread fires the line again while it is up, and never when it is down.",
  mutexes: "assumed",
  setup: (world) => shared(world, resamples),
  twins: {
    "fires-always": {
      sentence: "fires at each resample, whatever the level",
      setup: (world) =>
        shared(world, {
          ...resamples,
          play({ card }) {
            card.intx.unmask = () => card.intx.send();
          },
        }),
    },
  },
};

/** The vCPU's thread listens, in its event loop, until it finds out that the device's has taken the unmask eventfd away. */
const listens = {
  ready({ card, theirs, unmask, their }) {
    isUp({ card });
    setUnmask(theirs, their.unmask);
    unmask.reader = neverRead;
  },
  vcpu({ card, unmask }) {
    const { listener } = card.intx;
    listener.stop = new AbortController();
    listener.reader = Object.getPrototypeOf(Eventfd.prototype).reader.call(unmask);
    return listener.listen();
  },
};

const handsOver = {
  ...listens,
  ready(scene) {
    listens.ready(scene);
    scene.unmask.write();
  },
  device({ card, unmask }) {
    setUnmask(card, null);
    unmask.write();
    setUnmask(card, unmask);
    card.intx.poll();
  },
  sent: 2,
  check: (_, { fired }) => expect(fired === 2, `two unmasks, and it fired ${fired} times`),
};

/** Threads: device, vcpu. */
export const handover = {
  sentence:
    "An unmask eventfd that another thread takes over: each write unmasks once, whoever listens, and the first listener ends.",
  mutexes: "assumed",
  setup: (world) => shared(world, handsOver),
  twins: {
    "reads-first": {
      sentence: "reads the eventfd, and throws away what it has read once it is not the one any more",
      setup: (world) =>
        shared(world, {
          ...handsOver,
          play: ({ theirs }) => readsFirst(theirs, () => theirs.intx.isArmed(theirs.intx.arming)),
        }),
    },
    "leaves-the-count": {
      sentence: "takes the eventfd away with a write in it, which is one with the next",
      setup: (world) =>
        shared(world, {
          ...handsOver,
          play({ card }) {
            card.intx.listens = () => false;
          },
        }),
    },
  },
};

const endsDevice = { ...listens, device: ({ card }) => card.dispose(), sent: 0 };

/** Threads: device, vcpu. */
export const ends = {
  sentence: "A listener ends by itself when another thread ends the device.",
  mutexes: "assumed",
  setup: (world) => shared(world, endsDevice),
  twins: {
    "is-not-told": {
      sentence: "sleeps on",
      setup: (world) =>
        shared(world, {
          ...endsDevice,
          device({ card: { life } }) {
            life.act(() => {
              life.setEventfd(Device.unmask, 0); // nobody is found who listens
              finishDevice(life, () => {});
            });
          },
        }),
    },
  },
};
