// A kick of who sleeps in poll(2) until a Linux eventfd can be read: over a model of what Linux does, in which no time limit passes.
import { override } from "atomics-explorer";
import { LinuxEventfd } from "irqbypass/linux";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { LinuxModel } from "#scenarios/support/linux.js";
import { kickReader } from "#src/eventfd/signal.js";
import { Eventfd as E, READ_KICKED } from "#src/host/layout.js";
import { POLLIN } from "#src/linux/blocking.js";
import { O_NONBLOCK } from "#src/linux/ffi.js";
import { kickDescriptor, ring } from "#src/linux/kick.js";
import { linuxKind } from "#src/linux/kind.js";
import { dies, mortal } from "./support/death.mjs";
import { expect } from "./support/guest.mjs";

const EAGAIN = 11;

/** The eventfd, that of its kicks, and the two that the model takes for them. */
const ROOM = { eventfd: 3 };

/** Threads with a handle each to an eventfd, by default without a limit that they come to; the first has made it. */
function eventfdOf(world, names, { room, nonblocking = true } = {}) {
  const model = new LinuxModel(room);
  const seen = {};
  const calls = Object.fromEntries(names.map((name) => [name, model.calls(() => seen[name].words)]));
  Object.assign(seen, hosts(world, names, { kinds: (name) => [linuxKind(calls[name])], capacity: ROOM }));
  const host = seen[names[0]];
  model.takeRoom(host, 2);
  const eventfd = LinuxEventfd.create(host, { nonblocking });
  const spare = calls[names[0]].ffi().eventfd(0, O_NONBLOCK);
  for (const name of names) calls[name].ffi().eventfd = () => spare; // for whoever sleeps first
  const own = Object.fromEntries(names.map((name) => [name, LinuxEventfd.open(seen[name], eventfd.handle)]));
  const signals = { host, eventfd, counted: () => model.count(host.words, eventfd.fd) };
  return { hosts: seen, calls, eventfd, own, keeps: [eventfd, ...Object.values(own)], signals };
}

/**
 * A reader that is to stop once it was kicked, beside a device that writes once and a VMM that kicks. With `beside` there is another one,
 * which reads once: each kicks on, and what woke a read before can be read still.
 */
function stops(world, { beside = false, nonblocking, kick = (own) => own.kick(), play = () => {} } = {}) {
  const names = ["vmm", "reader", ...(beside ? ["once"] : []), "device"];
  const { hosts: seen, calls, eventfd, own, keeps, signals } = eventfdOf(world, names, { nonblocking });
  const host = seen.vmm;
  const { record } = eventfd;
  if (beside) {
    kickDescriptor(host, calls.vmm.ffi(), record);
    eventfd.kick();
    eventfd.read();
  }
  const state = play({ seen, calls, record });
  /** Returns what it has taken. */
  const reads = (name, most) => () => {
    let taken = 0;
    while (taken < most) {
      const count = own[name].read();
      if (count === undefined) {
        if (beside) own[name].kick();
        break;
      }
      taken += Number(count);
    }
    return taken;
  };
  return {
    threads: {
      reader: reads("reader", Infinity),
      ...(beside ? { once: reads("once", 1) } : {}),
      device: () => own.device.write(),
      vmm: () => void kick(own.vmm, seen.vmm, calls.vmm.ffi()),
    },
    keeps: [...keeps, ...(state === undefined ? [] : [state])],
    end: conserves(
      ({ reader, once = 0 }) => ({ ...signals, taken: reader + once }),
      () => {
        const kicked = (host.words.load(record + E.sequence) & READ_KICKED) !== 0;
        expect(beside || !kicked, "a kick was not heard of");
      },
    ),
  };
}

/** Threads: reader, device, vmm. */
export const kick = {
  sentence:
    "A kick ends a read of a Linux eventfd that sleeps, or is about to for the first time, and no count is lost beside it.",
  mutexes: "assumed",
  setup: (world) => stops(world),
  twins: {
    "looks-first": {
      sentence: "looks whether it is kicked, and makes the descriptor for kicks after that",
      setup: (world) =>
        stops(world, {
          play({ seen, record }) {
            const { words } = seen.reader;
            const state = { looked: undefined };
            seen.reader.words = override(words, {
              compareExchange(word, expected, value) {
                if (word === record + E.kick) state.looked = words.load(record + E.sequence);
                return words.compareExchange(word, expected, value);
              },
              load(word) {
                const { looked } = state;
                if (word !== record + E.sequence || looked === undefined) return words.load(word);
                state.looked = undefined;
                return looked;
              },
            });
            return state;
          },
        }),
    },
    "rings-first": {
      sentence: "writes to the descriptor for kicks before it says that there is one",
      setup: (world) =>
        stops(world, {
          kick({ record }, host, ffi) {
            ring(host, ffi, record);
            kickReader(host.words, record);
          },
        }),
    },
    "rings-nobody": {
      sentence: "says that there is a kick, and does not write to the descriptor",
      setup: (world) => stops(world, { kick: ({ record }, { words }) => kickReader(words, record) }),
    },
  },
};

/** Threads: reader, device, vmm. */
export const kickBlocking = {
  sentence:
    "The same of a Linux eventfd that was made blocking: the read does not sleep in read(2), where no kick reaches.",
  mutexes: "assumed",
  setup: (world) => stops(world, { nonblocking: false }),
  twins: {
    "reads-as-it-is": {
      sentence: "reads by read(2), which sleeps where there is nothing",
      setup: (world) => stops(world, { nonblocking: false, play: readsAsItIs }),
    },
    "looks-first": {
      sentence:
        "looks whether it can be read, and reads by read(2) then, which sleeps where another reader was first",
      setup: (world) => stops(world, { nonblocking: false, beside: true, play: looksFirst }),
    },
  },
};

/** Reads by read(2), as the reader. */
function readsAsItIs({ calls: { reader } }) {
  const ffi = reader.ffi();
  const views = [];
  ffi.addressOf = (view) => views.push(view) - 1;
  ffi.syscall = (_number, fd, vector) => {
    const into = views[Number(views[vector][0])];
    views.length = 0;
    return ffi.read(fd, into);
  };
}

/** The same once it can be read. */
function looksFirst(made) {
  const ffi = made.calls.reader.ffi();
  readsAsItIs(made);
  const { syscall } = ffi;
  ffi.syscall = (...args) =>
    ffi.poll(new Int32Array([args[1], POLLIN]), 1, 0) === 0 ? -EAGAIN : syscall(...args);
}

/** Threads: reader, once, device, vmm. */
export const kickOn = {
  sentence:
    "Whoever was woken by a kick that is another's, or leaves it since there is a count, keeps no one asleep whom it is for.",
  mutexes: "assumed",
  preemptions: 2,
  setup: (world) => stops(world, { beside: true }),
  twins: {
    "hushes-the-next": {
      sentence: "takes back what woke it, and does not look whether there is a kick by now",
      setup: (world) => stops(world, { beside: true, play: hushesTheNext }),
    },
    "hushes-its-own": {
      sentence: "takes back what woke it also where there is a kick, which it leaves for a count",
      setup: (world) => stops(world, { beside: true, play: hushesItsOwn }),
    },
  },
};

/** Does not write to the descriptor for kicks right after it has read that. */
function hushesTheNext({ calls }) {
  const ffi = calls.once.ffi();
  const { read, poll, eventfdWrite } = ffi;
  const state = { hushed: 0 };
  ffi.read = (fd, buffer) => {
    state.hushed = fd;
    return read(fd, buffer);
  };
  ffi.poll = (...args) => {
    state.hushed = 0;
    return poll(...args);
  };
  ffi.eventfdWrite = (fd, value) => (fd === state.hushed ? 8 : eventfdWrite(fd, value));
  return state;
}

/** Reads the descriptor for kicks whenever that has woken it. */
function hushesItsOwn({ calls }) {
  const ffi = calls.once.ffi();
  const { read, poll } = ffi;
  ffi.poll = (pollfds, ...args) => {
    const ready = poll(pollfds, ...args);
    if (pollfds.length > 2 && pollfds[3] >>> 16 !== 0) read(pollfds[2], new BigUint64Array(1));
    return ready;
  };
}

/** Two threads that write to a blocking eventfd with room for one of them, and a VMM that kicks once. */
function writesBeside(world, { signals = false, play = () => {} } = {}) {
  const made = eventfdOf(world, ["vmm", "first", "second"], { room: 1n, nonblocking: false });
  const { own, keeps } = made;
  play(made);
  return {
    threads: {
      first: () => own.first.write(),
      second: () => (signals ? own.second.signal() : own.second.write()),
      vmm: () => own.vmm.kick(),
    },
    keeps,
    end: conserves(
      ({ first, second }) => ({ ...made.signals, sent: first || second || signals ? 1 : 0 }),
      ({ first, second }) => expect(signals || first !== second, "both have written, or neither"),
    ),
  };
}

/** Takes every turn, whoever has it. */
function heedsNoTurn({ hosts: { second }, eventfd }) {
  const { words } = second;
  const turn = eventfd.record + E.counter;
  second.words = override(words, {
    load64: (word) => (word === turn ? 0n : words.load64(word)),
    compareExchange64: (word, ...values) => (word === turn ? 0n : words.compareExchange64(word, ...values)),
  });
}

/** Threads: first, second, vmm. */
export const lastRoom = {
  sentence:
    "Of two writers to a blocking eventfd that are after the same last room one writes, and the other hears of a kick.",
  mutexes: "assumed",
  setup: (world) => writesBeside(world),
  twins: {
    "heeds-no-turn": {
      sentence: "looks for room and writes, whoever else is about to",
      setup: (world) => writesBeside(world, { play: heedsNoTurn }),
    },
  },
};

/** Threads: first, second, vmm. */
export const lastRoomSignalled = {
  sentence:
    "A device that signals a blocking eventfd beside a writer that is after the same last room does not sleep.",
  mutexes: "assumed",
  setup: (world) => writesBeside(world, { signals: true }),
  twins: {
    "heeds-no-turn": {
      sentence: "looks for room and signals, whoever else is about to write",
      setup: (world) => writesBeside(world, { signals: true, play: heedsNoTurn }),
    },
  },
};

/** Threads: victim, survivor. */
export const deathInTurn = {
  sentence: "A writer to a blocking eventfd does not wait for one that has died in its turn.",
  ...mortal,
  setup: (world) => diesInTurn(world),
  twins: {
    "waits-for-the-dead": {
      sentence: "takes no turn of another thread's, dead or not",
      setup: (world) =>
        diesInTurn(world, ({ hosts: { survivor } }) => {
          survivor.thread.isGone = () => false;
        }),
    },
  },
};

function diesInTurn(world, play) {
  const make = ({ own, keeps, signals }) => ({
    victim: () => own.victim.write(),
    survivor: () => expect(own.survivor.write(), "it was not kicked"),
    keeps,
    signals: () => ({ ...signals, most: 2 }),
  });
  const guestOf = (_world, names) => eventfdOf(world, names, { room: 2n, nonblocking: false });
  return dies(world, make, play, [], guestOf);
}
