// A write to a Linux eventfd that the irqfd of a software VM listens to, at any moment of an end or a change: the relay and the
// deassign of the shipped code, over a model of what Linux does. Each place where a count is read out has a twin that loses it.
import { override } from "atomics-explorer";
import { Vm } from "irqbypass";
import { LinuxEventfd } from "irqbypass/linux";
import { conserves, whereabouts } from "#scenarios/support/conservation.js";
import { LinuxModel } from "#scenarios/support/linux.js";
import { Leftover } from "#src/eventfd/listen.js";
import { Consumer, Header, RelayState } from "#src/host/layout.js";
import { Pending } from "#src/host/pending.js";
import { readersEpoll } from "#src/linux/epoll.js";
import { linuxKind } from "#src/linux/kind.js";
import { LinuxRelay } from "#src/linux/relay.js";
import { dies, mortal } from "./support/death.mjs";
import { arrived, expect, forgets, guest, openVcpu, waitsForNobody } from "./support/guest.mjs";

const GSI = 24;
const KIND = 1;
const NO_LIMIT = -1;
/** The guest's eventfd, the one that is written to, and the one that the model takes for that. */
const EVENTFDS = { eventfd: 3 };

/** A guest whose host has Linux eventfds, one of them with an irqfd if `assigned`, and what each thread asks its kernel. */
function linuxGuest(world, names, { semaphore = false, assigned = true } = {}) {
  const model = new LinuxModel();
  const seen = {};
  const calls = Object.fromEntries(names.map((name) => [name, model.calls(() => seen[name].words)]));
  const kinds = (name) => [linuxKind(calls[name])];
  const { hosts, host, vm } = guest(world, names, { kinds, capacity: EVENTFDS });
  Object.assign(seen, hosts);
  model.takeRoom(host, 1);
  host.words.store(Header.relays + KIND, RelayState.starting); // so that none is asked for
  readersEpoll(host, calls[names[0]].ffi(), KIND);
  const vcpu = openVcpu(host, vm);
  const eventfd = LinuxEventfd.create(host, { semaphore });
  const irqfd = assigned ? vm.irqfd(eventfd, GSI) : undefined;
  const counted = () => model.count(host.words, eventfd.fd);
  return { hosts, host, vm, vcpu, eventfd, irqfd, calls, signals: { host, vm, eventfd, counted } };
}

/**
 * The device writes once to a Linux eventfd, unless the VMM does, while that does something to its irqfd; a relay serves it, or
 * none is there yet.
 */
function beside(
  world,
  act,
  { sent, most, relayed = true, written = true, units = 1, play = () => {}, end, ...how } = {},
) {
  const names = ["vmm", ...(written ? ["device"] : []), ...(relayed ? ["relay"] : [])];
  const made = linuxGuest(world, names, how);
  const { hosts, vm, eventfd, irqfd, signals } = made;
  const own = LinuxEventfd.open(written ? hosts.device : hosts.vmm, eventfd.handle);
  play(made);
  return {
    threads: {
      vmm: () => void act(made),
      ...(written ? { device: () => own.write(units) } : {}),
      ...(relayed ? { relay: relayOf(made) } : {}),
    },
    ...(relayed ? { daemons: ["relay"] } : {}),
    keeps: [...(irqfd === undefined ? [] : [irqfd]), own, vm, eventfd],
    end: conserves(
      { ...signals, ...(sent === undefined ? {} : { sent }), ...(most === undefined ? {} : { most }) },
      () => end?.(made),
    ),
  };
}

/** The relay thread's part; a daemon. */
const relayOf =
  ({ hosts, calls }) =>
  () => {
    const relay = new LinuxRelay(hosts.relay, calls.relay);
    for (;;) relay.round(NO_LIMIT);
  };

const disposes = ({ irqfd }) => irqfd.dispose();

/** Ends the listening in another way: `stop` gets what the shipped code does, and what the thread asks the kernel. */
function stopsBy(host, calls, stop) {
  const [first, own] = host.kinds;
  const { listen } = own;
  const otherwise = (...args) => stop({ stop: () => listen.stop(...args), ffi: calls?.ffi(), args });
  host.kinds = [first, { ...own, listen: { ...listen, stop: otherwise } }];
}

/** Takes the count out as the end of listening, and throws it away. */
const throwsAway = ({ hosts, calls, eventfd }) =>
  stopsBy(hosts.vmm, calls.vmm, ({ stop, ffi }) => {
    ffi.read(eventfd.fd, new BigUint64Array(1));
    stop();
  });

/** The relay takes every count out as a signal, and forgets that it has. */
function relayForgets({ hosts, calls }) {
  const { relay } = hosts;
  const { words } = relay;
  const { leftover } = Consumer;
  relay.words = override(words, {
    load: (word) => (relay.pools.consumer.has(word - leftover) ? 0 : words.load(word)),
  });
  const ffi = calls.relay.ffi();
  const { read } = ffi;
  ffi.read = (...args) => {
    read(...args);
    return -1;
  };
}

/** Threads: vmm, device, relay. */
export const deassign = {
  sentence: "A write at any moment of a deassign is an interrupt, or is in the counter when both are over.",
  mutexes: "assumed",
  setup: (world) => beside(world, disposes),
  twins: {
    "throws-away": {
      sentence: "reads out, in the deassign, what is in the counter, and makes nothing due for it",
      setup: (world) => beside(world, disposes, { play: throwsAway }),
    },
    "relay-forgets": {
      sentence: "takes the count out, as the relay, and does not make the injection",
      setup: (world) => beside(world, disposes, { play: relayForgets }),
    },
  },
};

/** The third unit is nobody's. */
const threeUnits = {
  ...{ semaphore: true, units: 3, most: 3 },
  end: ({ signals }) => expect(signals.counted() > 0, "more units are taken than the signal's and the end's"),
};

/** Threads: vmm, device, relay. */
export const semaphore = {
  sentence: "The same with a semaphore, of which the signal takes one unit, and the deassign another one.",
  mutexes: "assumed",
  setup: (world) => beside(world, disposes, threeUnits),
  twins: {
    "throws-away": {
      sentence: "takes a unit out, in the deassign, and makes nothing due for it",
      setup: (world) => beside(world, disposes, { semaphore: true, play: throwsAway }),
    },
    "waits-for-nobody": {
      sentence: "reads out beside a relay that has begun, and has not come to its unit",
      setup: (world) =>
        beside(world, disposes, {
          ...threeUnits,
          play: ({ hosts: { vmm }, irqfd }) =>
            stopsBy(vmm, undefined, ({ stop }) => {
              const { thread } = vmm;
              const { fenceAll } = thread;
              waitsForNobody(vmm, irqfd);
              stop();
              thread.fenceAll = fenceAll;
            }),
        }),
    },
  },
};

const assigns = ({ vm, eventfd }) => vm.irqfd(eventfd, GSI);
const masks = (made) => {
  disposes(made);
  assigns(made);
};
const masksTwice = (made) => {
  disposes(made);
  assigns(made).dispose();
};

/** The count of before is an interrupt of the new irqfd, and stays in the counter until the next signal. */
const arrives = ({ host, vm }) => expect(arrived(host, vm), "the guest waits for it for ever");

/** Threads: vmm, device, relay. */
export const assign = {
  sentence: "A write at any moment of an assign is an interrupt, which may be in the counter still.",
  mutexes: "assumed",
  setup: (world) => beside(world, assigns, { assigned: false, most: 2, end: arrives }),
  twins: {
    "relay-forgets": {
      sentence: "does not make the injection of the count that was there",
      setup: (world) =>
        beside(world, assigns, {
          ...{ assigned: false, most: 2, end: arrives },
          play: relayForgets,
        }),
    },
  },
};

/** Threads: vmm, device, relay. */
export const mask = {
  sentence:
    "A VMM that masks by a deassign and unmasks by an assign gets every interrupt, at whatever moment it comes.",
  mutexes: "assumed",
  setup: (world) => beside(world, masks, { most: 2, end: arrives }),
  twins: {
    "throws-away": {
      sentence: "reads out, in the deassign, what is in the counter, and makes nothing due for it",
      setup: (world) => beside(world, masks, { most: 2, end: arrives, play: throwsAway }),
    },
  },
};

/** Threads: vmm, device. */
export const maskTwice = {
  sentence:
    "A deassign, an assign and a deassign at once: a count of in between is an interrupt, though it is read out.",
  mutexes: "assumed",
  setup: (world) => beside(world, masksTwice, { relayed: false }),
  twins: {
    "forgives-leftover": {
      sentence:
        "takes what was there at assign for an interrupt that has been, though its event is still to come",
      setup: (world) =>
        beside(world, masksTwice, {
          relayed: false,
          play({ hosts: { vmm }, irqfd }) {
            const { words } = vmm;
            const leftover = irqfd.record + Consumer.leftover; // the second irqfd gets the same record
            vmm.words = override(words, { load: (word) => (word === leftover ? 0 : words.load(word)) });
          },
        }),
    },
  },
};

const writesFirst = ({ vm, eventfd }) => {
  eventfd.write();
  vm.setGsiRouting([]);
};

const byOldRoute = { written: false, end: arrives };

/** Ends the flush of the VMM in another way: `flush` gets what the shipped code does, and the irqfd. */
function flushesBy({ hosts: { vmm } }, flush) {
  const [first, own] = vmm.kinds;
  const otherwise = (memory, irqfd, ...args) =>
    flush(() => own.listen.flush(memory, irqfd, ...args), memory.words.load(irqfd + Consumer.pending));
  vmm.kinds = [first, { ...own, listen: { ...own.listen, flush: otherwise } }];
}

/** Threads: vmm, relay. */
export const written = {
  sentence:
    "What was written before a route goes away is one interrupt of that route, whoever of two that come to it delivers it.",
  mutexes: "assumed",
  setup: (world) => beside(world, writesFirst, byOldRoute),
  twins: {
    "does-not-look": {
      sentence: "does not look at what is in the counter, and leaves it to the relay",
      setup: (world) =>
        beside(world, writesFirst, { ...byOldRoute, play: (made) => flushesBy(made, () => {}) }),
    },
    "goes-by-the-event": {
      sentence: "injects, as the relay, for an event of which another has taken the count",
      setup: (world) =>
        beside(world, writesFirst, {
          ...byOldRoute,
          play({ calls }) {
            const ffi = calls.relay.ffi();
            const { read } = ffi;
            ffi.read = (fd, buffer) => {
              buffer[0] = 1n;
              read(fd, buffer);
              return 8;
            };
          },
        }),
    },
  },
};

// The relay may have taken the first of the two.
const bothByOldRoute = {
  ...{ written: false, most: 2 },
  play: ({ eventfd }) => eventfd.write(),
  end: ({ signals }) => expect(whereabouts(signals).dropped === 0, "the second went by the new route"),
};

/** Threads: vmm, relay. */
export const writtenBeside = {
  sentence: "What was written while the relay is at an earlier signal goes by the old route as well.",
  mutexes: "assumed",
  setup: (world) => beside(world, writesFirst, bothByOldRoute),
  twins: {
    "leaves-it": {
      sentence: "leaves it to a relay that is at the irqfd, and may have looked already",
      setup: (world) =>
        beside(world, writesFirst, {
          ...bothByOldRoute,
          play(made) {
            bothByOldRoute.play(made);
            flushesBy(made, (flush, pending) => pending > Pending.due || flush());
          },
        }),
    },
  },
};

const resets = ({ vm, eventfd }) => {
  eventfd.write();
  vm.reset();
};
const isForgotten = ({ host, vm }) => expect(!arrived(host, vm), "it comes to the guest that has begun anew");
const forgotten = { written: false, end: isForgotten };
/** The interrupt was forgotten with the guest. */
const isNone = { sent: 0, end: isForgotten };

/** Threads: vmm, relay. */
export const reset = {
  sentence: "What was written before a reset of the guest does not come after it, whoever has delivered it.",
  mutexes: "assumed",
  setup: (world) => beside(world, resets, { ...forgotten, ...isNone }),
  twins: {
    "does-not-look": {
      sentence: "does not look at what is in the counter, and leaves it to the relay",
      setup: (world) =>
        beside(world, resets, { ...forgotten, ...isNone, play: (made) => flushesBy(made, () => {}) }),
    },
  },
};

/** Takes what an event tells of for a signal, as the relay, though it has been an interrupt before the event came. */
function forgetsDone({ hosts: { relay } }) {
  const { words } = relay;
  const { leftover } = Consumer;
  relay.words = override(words, {
    load(word) {
      const seen = words.load(word);
      const isDone = relay.pools.consumer.has(word - leftover) && seen === Leftover.done;
      return isDone ? Leftover.none : seen;
    },
  });
}

const assignsAndResets = ({ vm, eventfd }) => {
  eventfd.write();
  vm.irqfd(eventfd, GSI);
  vm.reset();
};
const atAssign = { ...forgotten, assigned: false, sent: 0, most: 1 };

/** Threads: vmm, relay. */
export const resetAtAssign = {
  sentence: "What was in the counter at an assign is no interrupt after a reset, whose event comes still.",
  mutexes: "assumed",
  setup: (world) => beside(world, assignsAndResets, atAssign),
  twins: {
    "does-not-look": {
      sentence: "does not look at what is in the counter, and leaves it to the relay",
      setup: (world) =>
        beside(world, assignsAndResets, { ...atAssign, play: (made) => flushesBy(made, () => {}) }),
    },
    "goes-by-the-event": {
      sentence: "takes the count out at its event, as the relay, though it has been an interrupt",
      setup: (world) => beside(world, assignsAndResets, { ...atAssign, play: forgetsDone }),
    },
  },
};

const resetsOnly = ({ vm }) => vm.reset();
/** The second unit is nobody's. */
const twoUnits = {
  ...{ ...forgotten, semaphore: true, sent: 0, most: 1 },
  play: ({ eventfd }) => eventfd.write(2),
};

/** Threads: vmm, relay. */
export const resetOfSemaphore = {
  sentence:
    "A write to a semaphore before a reset is no interrupt after it, though a unit is there when its event comes.",
  mutexes: "assumed",
  setup: (world) => beside(world, resetsOnly, twoUnits),
  twins: {
    "goes-by-the-event": {
      sentence: "takes another unit out at the event, as the relay",
      setup: (world) =>
        beside(world, resetsOnly, {
          ...twoUnits,
          play(made) {
            twoUnits.play(made);
            forgetsDone(made);
          },
        }),
    },
  },
};

/** The VMM has written, and resets, while another thread deassigns the irqfd. */
function resetsInDeassign(world, play = () => {}) {
  const made = linuxGuest(world, ["vmm", "other"]);
  const { hosts, vm, eventfd, irqfd, signals } = made;
  const others = Vm.open(hosts.other, vm.handle);
  const own = LinuxEventfd.open(hosts.other, eventfd.handle);
  eventfd.write();
  play(made);
  return {
    threads: {
      vmm: () => resetsOnly(made),
      other: () => void others.deassign(own, GSI),
    },
    keeps: [irqfd, own, others, vm, eventfd],
    end: conserves({ ...signals, sent: 0, most: 1 }, () => isForgotten(made)),
  };
}

/** Threads: vmm, other. */
export const resetInDeassign = {
  sentence:
    "What was written before a reset, at any moment of a deassign, does not come after it; once nobody listens it is counted.",
  mutexes: "assumed",
  preemptions: 2,
  setup: (world) => resetsInDeassign(world),
  twins: {
    "leaves-it": {
      sentence: "leaves it to the deassign, which has begun",
      setup: (world) =>
        resetsInDeassign(world, (made) => {
          const { words } = made.hosts.vmm;
          flushesBy(made, (flush) => words.load(made.irqfd.record + Consumer.source) !== 0 && flush());
        }),
    },
  },
};

/** The same in every schedule. */
export const resetInDeassignWhole = { ...resetInDeassign, preemptions: undefined, long: true };

/** A thread that reads the eventfd once, while others do this. */
function readBeside(
  world,
  others,
  { reads = readsOnce, ready = () => {}, last = () => {}, end, ...how } = {},
) {
  const names = [...others, "reader"];
  const made = linuxGuest(world, names, how);
  const { hosts, vm, eventfd, irqfd, signals } = made;
  const own = LinuxEventfd.open(hosts.reader, eventfd.handle);
  ready(made);
  const acts = {
    vmm: () => how.act(made),
    device: () => eventfd.write(),
    relay: relayOf(made),
    reader: () => reads(own, made),
  };
  return {
    threads: Object.fromEntries(names.map((name) => [name, acts[name]])),
    ...(names.includes("relay") ? { daemons: ["relay"] } : {}),
    keeps: [...(irqfd === undefined ? [] : [irqfd]), own, vm, eventfd],
    end: conserves(
      ({ reader }) => {
        last(made);
        return { ...signals, taken: reader, sent: how.sent ?? 1, most: how.most ?? 1 };
      },
      ({ reader }) => end(made, reader),
    ),
  };
}

const readsOnce = (own) => Number(own.tryRead() ?? 0n);

/** Reads as the kernel has it, whoever listens. */
function readsRaw(own, { calls }) {
  const count = new BigUint64Array(1);
  return calls.reader.ffi().read(own.fd, count) < 0 ? 0 : Number(count[0]);
}

/** Takes no irqfd up, as the reader, while it reads. */
const takesNothingUp = ({ hosts: { reader } }) => {
  reader.pending.takeUp = () => Pending.idle;
};

const fencesNobody = ({ hosts: { vmm } }) => {
  vmm.thread.fenceAll = () => {};
};

/** The same, with something broken once it is ready. */
const playing = (how, play) => ({
  ...how,
  ready(made) {
    how.ready(made);
    play(made);
  },
});

/** Threads: device, relay, reader. */
export const readWhileItListens = {
  sentence: "Nobody who reads an eventfd that an irqfd listens to finds what was written for that.",
  mutexes: "assumed",
  setup: (world) => readBeside(world, ["device", "relay"], { end: isTheGuests }),
  twins: {
    "reads-raw": {
      sentence: "reads what is in the counter, and does not look whose it is",
      setup: (world) => readBeside(world, ["device", "relay"], { end: isTheGuests, reads: readsRaw }),
    },
  },
};

function isTheGuests({ host, vm }, read) {
  expect(arrived(host, vm) && read === 0, "who reads has taken the guest's interrupt");
}

/** What was there at the assign has been an interrupt, which the guest has taken. */
function hasBeen(made) {
  made.eventfd.write();
  assigns(made);
  relayHere(made);
  takes(made);
}

/** The VMM's thread does what the relay would do now. */
function relayHere({ host, calls }) {
  relayAgain(host, calls.vmm, false);
}

function takes({ vcpu }) {
  while (vcpu.acknowledge() !== undefined) vcpu.eoi();
}

function masksIt({ vm, eventfd }) {
  vm.deassign(eventfd, GSI);
}

const isReadOnce = {
  ...{ assigned: false, sent: 0, ready: hasBeen },
  act: masksIt,
  end: ({ host, vm }) => expect(!arrived(host, vm), "what was an interrupt is another one"),
};

/** Threads: vmm, reader. */
export const readInDeassign = {
  sentence:
    "What has been an interrupt and is still in the counter is no second one, though somebody reads it in the deassign.",
  mutexes: "assumed",
  setup: (world) => readBeside(world, ["vmm"], isReadOnce),
  twins: {
    "takes-nothing-up": {
      sentence:
        "reads, and says what has been an interrupt is there no more, while the deassign compares the two",
      setup: (world) => readBeside(world, ["vmm"], playing(isReadOnce, takesNothingUp)),
    },
  },
};

const isHeard = {
  ...{ assigned: false, sent: 2, most: 4 },
  ready: ({ eventfd }) => eventfd.write(),
  act(made) {
    assigns(made);
    relayHere(made); // so that the guest has had what was there
    takes(made);
    made.eventfd.write();
  },
  last: masksIt,
  end: ({ host, vm }) =>
    expect(arrived(host, vm), "the guest waits for what was written once the irqfd was there"),
};

/** Threads: vmm, reader. */
export const readInAssign = {
  sentence:
    "What is written once an assign has returned is an interrupt, though somebody reads what was there before, at whatever moment.",
  mutexes: "assumed",
  setup: (world) => readBeside(world, ["vmm"], isHeard),
  twins: {
    "waits-for-nobody": {
      sentence: "notes the count beside a read that has begun, and takes it for what is there",
      setup: (world) => readBeside(world, ["vmm"], playing(isHeard, fencesNobody)),
    },
    "takes-nothing-up": {
      sentence: "reads while the assign notes what is there",
      setup: (world) => readBeside(world, ["vmm"], playing(isHeard, takesNothingUp)),
    },
  },
};

/** What a relay that comes later would do; for checks. */
function relayAgain(host, calls, arms = true) {
  const relay = new LinuxRelay(host, calls);
  if (arms) relay.arm();
  while (relay.round(0) > 0);
}

/** The survivor writes; the victim does something for the irqfd, and may die in it. */
const ends =
  (act, { arms, check } = {}) =>
  (made) => {
    const { survivor, victim } = made.hosts;
    const { vm, eventfd, irqfd, signals } = made;
    const others = Vm.open(victim, vm.handle);
    const own = LinuxEventfd.open(victim, eventfd.handle);
    return {
      victim: () => act({ ...made, others, own }),
      survivor: () => eventfd.write(),
      keeps: [others, own, eventfd, vm, irqfd],
      signals() {
        relayAgain(survivor, made.calls.survivor, arms);
        return { ...signals, most: 2 }; // repair may make one up
      },
      check: () => check?.(made),
    };
  };
const relays = ({ hosts, calls }) => new LinuxRelay(hosts.victim, calls.victim).round(0);
const deassigns = ({ others, own }) => others.deassign(own, GSI);

/** Threads: victim, survivor. */
export const deathOfRelay = {
  sentence: "A write whose relay dies is an interrupt of the relay that follows.",
  ...mortal,
  setup: (world) => dies(world, ends(relays, { check: arrives }), undefined, [], linuxGuest),
  twins: {
    "takes-up-later": {
      sentence: "takes the count out first, and says after it that it is at the irqfd",
      setup: (world) => dies(world, ends(relays, { check: arrives }), takesUpLater, [], linuxGuest),
    },
    "asks-for-nothing": {
      sentence: "does not ask for the events that the dead one has taken along",
      setup: (world) => dies(world, ends(relays, { arms: false, check: arrives }), undefined, [], linuxGuest),
    },
    "repair-forgets": {
      sentence: "throws away, in the repair, an injection that the dead thread has not made",
      setup: (world) =>
        dies(world, ends(relays, { check: arrives }), ({ host }) => forgets(host), [], linuxGuest),
    },
  },
};

const readsIt = ({ own }) => own.tryRead();

/** Threads: victim, survivor. */
export const deathOfReader = {
  sentence: "A write is an interrupt, though who reads the eventfd dies in that.",
  ...mortal,
  setup: (world) => dies(world, ends(readsIt, { check: arrives }), undefined, [], linuxGuest),
  twins: {
    "takes-up-later": {
      sentence: "takes out what is the irqfd's, as the reader, and says after it that it is at the irqfd",
      setup: (world) => dies(world, ends(readsIt, { check: arrives }), takesUpLater, [], linuxGuest),
    },
  },
};

/** Threads: victim, survivor. */
export const deathInDeassign = {
  sentence: "A write beside a deassign whose thread dies is an interrupt, or in the counter.",
  ...mortal,
  setup: (world) => dies(world, ends(deassigns), undefined, [], linuxGuest),
  twins: {
    "takes-up-later": {
      sentence: "reads the counter out first, and says after it that it is at the irqfd",
      setup: (world) => dies(world, ends(deassigns), takesUpLater, [], linuxGuest),
    },
    "repair-forgets": {
      sentence: "throws away, in the repair, an injection that the dead thread has not made",
      setup: (world) => dies(world, ends(deassigns), ({ host }) => forgets(host), [], linuxGuest),
    },
  },
};

/** Takes the irqfd up only once it has read the count out. */
function takesUpLater({ hosts: { victim }, calls, irqfd }) {
  const { pending, thread } = victim;
  const takeUp = pending.takeUp.bind(pending);
  pending.takeUp = () => Pending.idle;
  const ffi = calls.victim.ffi();
  const { read } = ffi;
  ffi.read = (...args) => {
    const result = read(...args);
    takeUp(irqfd.record, thread.record);
    return result;
  };
}

/** A reader that awaits a count, and a device that writes it; the relay, whose epoll the reader's is in, wakes who sleeps. */
function awaits(world, play = () => {}) {
  const made = linuxGuest(world, ["reader", "device", "relay"], { assigned: false });
  const { hosts, host, eventfd, calls } = made;
  host.words.store(Header.relays + KIND, RelayState.running | hosts.relay.thread.record);
  const own = LinuxEventfd.open(hosts.device, eventfd.handle);
  const relay = new LinuxRelay(hosts.relay, calls.relay);
  play(made, relay);
  return {
    threads: {
      reader: async () => Number(await eventfd.readAsync()),
      device: () => own.write(),
      relay() {
        for (;;) relay.round(NO_LIMIT);
      },
    },
    daemons: ["relay"],
    keeps: [own, eventfd, relay],
    end({ reader }) {
      expect(reader === 1, `read ${reader}`);
    },
  };
}

/** Threads: reader, device, relay. */
export const reads = {
  sentence:
    "A reader that awaits a Linux eventfd is woken by the relay, at whatever moment the device writes.",
  mutexes: "assumed",
  setup: (world) => awaits(world),
  twins: {
    "asks-for-nothing": {
      sentence: "sleeps without having its epoll report the eventfd",
      setup: (world) =>
        awaits(world, ({ calls }) => {
          calls.reader.ffi().epollControl = () => 0;
        }),
    },
    "looks-late": {
      sentence: "reads the sequence when it goes to sleep, and not before it looks",
      setup: (world) =>
        awaits(world, ({ hosts: { reader } }) => {
          const { words } = reader;
          reader.words = override(words, {
            waitAsync: (word, _expected, timeoutMs) => words.waitAsync(word, words.load(word), timeoutMs),
          });
          reader.thread.parkAsync = (word, expected, timeoutMs) =>
            reader.words.waitAsync(word, expected, timeoutMs);
        }),
    },
    "wakes-nobody": {
      sentence: "takes what is ready for who reads, as the relay, and wakes nobody",
      setup: (world) =>
        awaits(world, (_made, relay) => {
          const wake = relay.wakeReaders.bind(relay);
          relay.wakeReaders = () => {
            relay.host.mutex.guard = () => {};
            wake();
          };
        }),
    },
  },
};
