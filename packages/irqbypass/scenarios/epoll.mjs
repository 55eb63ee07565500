// Epolls: signallers that fire watches, a waiter that sleeps on the control word, and watches that come and go meanwhile.

import { override } from "atomics-explorer";
import { Epoll, Eventfd } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { Epoll as E, EpollControl, Eventfd as F, Watch } from "#src/host/layout.js";
import { expect } from "./support/guest.mjs";

/** A host with an epoll and so many eventfds, watched from the first on, as each thread has them. */
function scene(world, names, { eventfds = 1, watched = eventfds, edge = false } = {}) {
  const seen = hosts(world, names, { capacity: { epoll: 2, reference: 24 } });
  const host = seen[names[0]];
  const epoll = Epoll.create(host);
  const made = Array.from({ length: eventfds }, () => Eventfd.create(host));
  const own = Object.fromEntries(
    names.map((name) => [
      name,
      {
        epoll: Epoll.open(seen[name], epoll.handle),
        eventfds: made.map((one) => Eventfd.open(seen[name], one.handle)),
      },
    ]),
  );
  made.slice(0, watched).forEach((one, data) => {
    epoll.add(one, { data, edge });
  });
  const handles = Object.values(own).flatMap((one) => [one.epoll, ...one.eventfds]);
  return { seen, host, epoll, eventfds: made, own, keeps: [epoll, ...made, ...handles] };
}

/** Waits until it has read so many counts; returns how many, by eventfd. */
function takes({ epoll, eventfds }, wanted) {
  const taken = eventfds.map(() => 0);
  for (let left = wanted; left > 0; ) {
    for (const data of epoll.wait()) {
      const count = Number(eventfds[data].tryRead() ?? 0n);
      taken[data] += count;
      left -= count;
    }
  }
  return taken;
}

/** What must become of the counts: so many were written to each eventfd, and the waiter says how many it has taken. */
const accounted = ({ host, eventfds }, sent) =>
  conserves(({ waiter }) =>
    eventfds.map((eventfd, data) => ({ host, eventfd, sent: sent[data], taken: waiter[data] })),
  );

/**
 * Other words under one thread, by a change that gets the epoll's record and the first eventfd's too, and an object for what it has to
 * remember.
 */
function play({ seen, epoll, eventfds, keeps }, name, change) {
  const host = seen[name];
  const memory = {};
  keeps.push(memory);
  host.words = override(host.words, change(host.words, epoll.record, eventfds[0].record, memory));
}

/** One thread adds an eventfd that another writes to, for a third one that waits already, or is about to. */
function adds(world, twin) {
  const made = scene(world, ["waiter", "adder", "writer"], { watched: 0 });
  const { own, keeps } = made;
  if (twin !== undefined) play(made, ...twin);
  return {
    threads: {
      waiter: () => takes(own.waiter, 1),
      adder: () => own.adder.epoll.add(own.adder.eventfds[0], { data: 0 }),
      writer: () => own.writer.eventfds[0].write(),
    },
    keeps,
    end: accounted(made, [1]),
  };
}

/** Threads: waiter, adder, writer. */
export const add = {
  sentence: "An eventfd that is written to as it is added is reported to who waits.",
  setup: (world) => adds(world),
  twins: {
    "looks-before-it-links": {
      sentence: "looks at the counter before the watch is linked from the eventfd",
      setup: (world) =>
        adds(world, [
          "adder",
          (words, _epoll, eventfd, memory) => ({
            store(word, value) {
              if (word === eventfd + F.watches) memory.count = Number(words.load64(eventfd + F.counter));
              words.store(word, value);
            },
            load64: (word) =>
              word === eventfd + F.counter && memory.count !== undefined
                ? BigInt(memory.count)
                : words.load64(word),
          }),
        ]),
    },
    "wakes-none": {
      sentence: "fires without waking who sleeps",
      setup: (world) => adds(world, ["writer", () => ({ notify: () => 0 })]),
    },
    "sleeps-unasked": {
      sentence: "goes to sleep whatever the control word holds",
      setup: (world) =>
        adds(world, [
          "waiter",
          (words, epoll) => ({
            compareExchange(word, expected, value) {
              if (word !== epoll + E.control) return words.compareExchange(word, expected, value);
              words.store(word, value);
              return expected;
            },
          }),
        ]),
    },
  },
};

/** Two writers of two eventfds that share a bit, and a waiter that takes both. */
function shares(world, twin) {
  const made = scene(world, ["waiter", "writer1", "writer2"], { eventfds: 2 });
  const { host, own, keeps, epoll, eventfds } = made;
  shareBit(host, epoll.record, eventfds);
  if (twin !== undefined) play(made, ...twin);
  return {
    threads: {
      waiter: () => takes(own.waiter, 3),
      writer1() {
        own.writer1.eventfds[0].write();
        own.writer1.eventfds[0].write();
      },
      writer2: () => own.writer2.eventfds[1].write(),
    },
    keeps,
    end: accounted(made, [2, 1]),
  };
}

/** Gives the second watch the bit of the first one, as the 257th has. */
function shareBit({ words, mutex }, epoll, [first, second]) {
  mutex.guard(() => {
    const [one, other] = [first, second].map(({ record }) => words.load(record + F.watches));
    words.store(epoll + E.rows + words.get(other + Watch.bit), 0);
    words.set(other + Watch.bit, words.get(one + Watch.bit));
    words.store(other + Watch.nextInRow, one);
    words.store(epoll + E.rows + words.get(one + Watch.bit), other);
  });
}

/** Threads: waiter, writer1, writer2. */
export const share = {
  sentence: "Two eventfds whose watches share a bit are both reported, each for its own writes.",
  preemptions: 2,
  setup: (world) => shares(world),
  twins: {
    "bit-before-fired": {
      sentence: "sets the bit before it says of which watch",
      setup: (world) =>
        shares(world, [
          "writer1",
          (words, epoll, _eventfd, memory) => ({
            store(word, value) {
              if (value === 1 && word > epoll) memory.fired = word;
              else words.store(word, value);
            },
            or(word, value) {
              const before = words.or(word, value);
              if (word === epoll + E.control) words.store(memory.fired, 1);
              return before;
            },
          }),
        ]),
    },
    "looks-before-it-clears": {
      sentence: "looks at the counter before it takes back that the watch was fired",
      setup: (world) =>
        shares(world, [
          "waiter",
          (words, epoll, _eventfd, memory) => ({
            store(word, value) {
              if (value === 0 && word > epoll + E.words) memory.fired = word;
              else words.store(word, value);
            },
            load64(word) {
              const count = words.load64(word);
              if (memory.fired > 0) words.store(memory.fired, 0);
              memory.fired = 0;
              return count;
            },
          }),
        ]),
    },
    "answers-late": {
      sentence: "takes the bits before it clears `ready`",
      setup: (world) =>
        shares(world, [
          "waiter",
          (words, epoll, _eventfd, memory) => ({
            and(word, value) {
              memory.owes ||= word === epoll + E.control && value === ~EpollControl.ready;
              return word === epoll + E.control && memory.owes ? EpollControl.ready : words.and(word, value);
            },
            exchange(word, value) {
              if (memory.owes) words.and(epoll + E.control, ~EpollControl.ready);
              memory.owes = false;
              return words.exchange(word, value);
            },
          }),
        ]),
    },
  },
};

/** A waiter that reads nothing at first waits again for what it was told of, after a count that was taken before. */
function stays(world, twin) {
  const made = scene(world, ["waiter", "writer"]);
  const { own, keeps, epoll, eventfds } = made;
  eventfds[0].write();
  epoll.tryWait();
  eventfds[0].tryRead(); // its bit is still set, and the waiter is called
  if (twin !== undefined) play(made, ...twin);
  return {
    threads: {
      waiter() {
        own.waiter.epoll.wait();
        return takes(own.waiter, 1);
      },
      writer: () => own.writer.eventfds[0].write(),
    },
    keeps,
    end: accounted(made, [1]),
  };
}

/** Threads: waiter, writer. */
export const level = {
  sentence:
    "What nobody has read is reported by the next wait too, also where a wait found it as it was about to sleep.",
  setup: (world) => stays(world),
  twins: {
    "found-and-forgotten": {
      sentence: "leaves `ready` cleared where the last look before a sleep finds something",
      setup: (world) =>
        stays(world, [
          "waiter",
          (words, epoll) => ({
            or: (word, value) => (word === epoll + E.control ? words.load(word) : words.or(word, value)),
          }),
        ]),
    },
    "looks-once": {
      sentence: "takes a bit out, and does not look at the counter again after that",
      setup: (world) =>
        stays(world, [
          "waiter",
          (words, epoll, _eventfd, memory) => ({
            and(word, value) {
              memory.out = word !== epoll + E.control;
              return words.and(word, value);
            },
            load64(word) {
              const out = memory.out;
              memory.out = false;
              return out ? 0n : words.load64(word);
            },
          }),
        ]),
    },
  },
};

/** A kick and a write, in any order, for a waiter that wants both. */
function kicks(world, twin) {
  const made = scene(world, ["waiter", "kicker", "writer"]);
  const { own, keeps } = made;
  if (twin !== undefined) play(made, ...twin);
  return {
    threads: {
      waiter() {
        let taken = 0;
        for (let kicked = false; !kicked || taken === 0; ) {
          const found = own.waiter.epoll.wait();
          if (found.length === 0) kicked = true;
          for (const data of found) taken += Number(own.waiter.eventfds[data].tryRead());
        }
        return [taken];
      },
      kicker: () => own.kicker.epoll.kick(),
      writer: () => own.writer.eventfds[0].write(),
    },
    keeps,
    end: accounted(made, [1]),
  };
}

/** Threads: waiter, kicker, writer. */
export const kick = {
  sentence: "A kick ends one wait, and a signal beside it is reported.",
  setup: (world) => kicks(world),
  twins: {
    "kicks-silently": {
      sentence: "kicks without waking who sleeps",
      setup: (world) => kicks(world, ["kicker", () => ({ notify: () => 0 })]),
    },
    "takes-all": {
      sentence: "clears the whole control word when it takes the kick",
      setup: (world) =>
        kicks(world, [
          "waiter",
          (words, epoll) => ({
            and: (word, value) =>
              words.and(word, word === epoll + E.control && value === ~EpollControl.kicked ? 0 : value),
          }),
        ]),
    },
  },
};

/** An eventfd in two epolls is removed from one while it is written to, and its watch is used again for another eventfd. */
function removes(world, twin) {
  const made = scene(world, ["waiter", "remover", "writer"], { eventfds: 2, watched: 1 });
  const { seen, host, own, keeps, eventfds } = made;
  const other = Epoll.create(seen.remover);
  other.add(own.remover.eventfds[0], { data: 5 }); // ahead of the first one in the eventfd's list
  twin?.(seen.remover);
  return {
    threads: {
      waiter: () => takes(own.waiter, 1),
      remover() {
        other.remove(own.remover.eventfds[0]);
        own.remover.epoll.add(own.remover.eventfds[1], { data: 1 });
        return other.tryWait().length;
      },
      writer: () => own.writer.eventfds[0].write(),
    },
    keeps: [...keeps, other],
    end: conserves(
      ({ waiter }) =>
        eventfds.map((eventfd, data) => ({ host, eventfd, sent: data === 0 ? 1 : 0, taken: waiter[data] })),
      ({ remover }) => expect(remover === 0, "what was removed is reported"),
    ),
  };
}

/** Gives the watch back first, and waits after that for who may stand on it. */
function freesFirst({ thread, pools }) {
  const quiesce = thread.quiesce.bind(thread);
  const release = pools.watch.release.bind(pools.watch);
  thread.quiesce = () => {};
  pools.watch.release = (watch) => {
    release(watch);
    quiesce();
  };
}

/** Threads: waiter, remover, writer. */
export const remove = {
  sentence:
    "A watch that is removed while its eventfd is written to is given back when nobody stands on it any more.",
  preemptions: 3,
  setup: (world) => removes(world),
  twins: {
    "free-before-fence": {
      sentence: "gives the watch back before it has waited for who may stand on it",
      setup: (world) => removes(world, freesFirst),
    },
  },
};

/** A watch is removed while the waiter goes through what is ready. */
function forgets(world, twin) {
  const made = scene(world, ["waiter", "remover"]);
  const { seen, host, own, keeps, eventfds } = made;
  eventfds[0].write();
  const told = { removed: false, late: false };
  const { words } = seen.waiter;
  seen.waiter.words = override(words, {
    get(word) {
      told.late ||= told.removed && word > made.epoll.record + E.words;
      return words.get(word);
    },
  });
  twin?.(seen.remover);
  return {
    threads: {
      waiter: () => own.waiter.epoll.tryWait().length,
      remover() {
        own.remover.epoll.remove(own.remover.eventfds[0]);
        told.removed = true;
      },
    },
    keeps: [...keeps, told],
    end: conserves({ host, eventfd: eventfds[0] }, () => {
      expect(!told.late, "a watch is looked at after its removal has returned");
    }),
  };
}

/** Threads: waiter, remover. */
export const forget = {
  sentence: "A removal waits for a waiter that goes through what is ready: none is looked at after that.",
  setup: (world) => forgets(world),
  twins: {
    "no-fence": {
      sentence: "does not wait for a waiter that is under way",
      setup: (world) =>
        forgets(world, ({ thread }) => {
          thread.quiesce = () => {};
        }),
    },
  },
};

/** The last handle of a watched eventfd is closed while the last one of the epoll is. */
function closes(world, twin) {
  const made = scene(world, ["vmm", "closer"]);
  const { seen, epoll, own, eventfds, keeps } = made;
  for (const one of [own.vmm.eventfds[0], eventfds[0], epoll, own.closer.epoll]) one.close();
  const { pools, mutex } = seen.vmm;
  if (twin !== undefined) play(made, ...twin);
  return {
    threads: {
      vmm: () => own.vmm.epoll.close(),
      closer: () => own.closer.eventfds[0].close(),
    },
    keeps,
    end() {
      mutex.guard(() => {
        for (const pool of ["watch", "eventfd", "epoll"])
          expect(pools[pool].live === 0, `the ${pool} is still there`);
      });
    },
  };
}

/** Threads: vmm, closer. */
export const close = {
  conserves: "nothing is signalled",
  sentence:
    "The last close of an eventfd beside that of an epoll which watches it gives all of it back, once.",
  mutexes: "assumed",
  setup: (world) => closes(world),
  twins: {
    "takes-another-s": {
      sentence: "removes a watch that another thread removes already",
      setup: (world) =>
        closes(world, [
          "closer",
          (words, epoll) => ({
            get: (word) =>
              word > epoll + E.words && word % Watch.words === Watch.holder ? 0 : words.get(word),
          }),
        ]),
    },
  },
};
