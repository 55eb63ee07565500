// The interrupt file by itself: posters, the thread that owns the CPU, and the one that it moves to. No host.

import { Descriptor, EVENT, KICKED, NV_MASK, NV_SHIFT, ON, WAKEUP_VECTOR } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { CONTROL, isBlocked, TAKEN as OWN, scene, serve, TOKEN } from "./support/file.mjs";
import { expect } from "./support/guest.mjs";

/** Two posters, and an owner that sleeps until it has what they post. */
function sleeps(world, play) {
  const files = scene(world, ["owner", "poster1", "poster2"], play);
  return {
    threads: {
      owner: () => serve(files.owner, [1, 33]),
      poster1: () => files.poster1.post(1),
      poster2: () => files.poster2.post(33),
    },
    end({ owner }) {
      expect(owner === "2,2,0,0,0,0,0,0", `it took ${owner}`);
    },
  };
}

/** Sets ON, and only then the bit in PIR. */
function setsOnFirst(words) {
  const state = { before: 0 };
  return {
    or(word, value) {
      if (word === CONTROL) return state.before;
      state.before = words.or(CONTROL, ON);
      return words.or(word, value);
    },
    load: (word) => (word === CONTROL ? 0 : words.load(word)),
  };
}

/** Clears ON when the bits have been taken instead of before. */
function takesFirst(words) {
  const state = { due: false };
  return {
    and(word, value) {
      if (word === CONTROL && value === ~ON) {
        state.due = true;
        return 0;
      }
      return words.and(word, value);
    },
    load(word) {
      const value = words.load(word);
      if (state.due && word === CONTROL - 1) {
        state.due = false;
        words.and(CONTROL, ~ON);
      }
      return value;
    },
  };
}

/** Exchanges the control word where it should compare it. */
function installsOverIt(words) {
  return {
    compareExchange(word, expected, value) {
      if (!isBlocked(value)) return words.compareExchange(word, expected, value);
      words.store(word, value);
      return expected;
    },
  };
}

/** Asks who sleeps, then sets the bit. */
function asksFirst(words) {
  return {
    or(word, value) {
      if (word !== CONTROL) return words.or(word, value);
      const before = words.load(word);
      words.or(word, value);
      return before;
    },
  };
}

/** Notifies all that sleep, then sets the bit. */
function notifiesFirst(words) {
  return {
    or(word, value) {
      if (word === CONTROL) words.notify(word);
      words.or(word, value);
      return 0;
    },
  };
}

/** Threads: owner, poster1, poster2. */
export const sleep = {
  sentence: "Of two posters to an owner that sleeps on the control word neither id is lost.",
  setup: (world) => sleeps(world),
  twins: {
    "sleeps-unblocked": {
      sentence: "goes to sleep without installing BLOCKED, so that nobody notifies",
      setup: (world) =>
        sleeps(world, {
          owner: (words) => ({
            compareExchange: (word, expected) =>
              words.load(word) === expected ? expected : words.load(word),
            wait: (word, expected, timeoutMs) =>
              words.wait(word, (expected & ~NV_MASK) | (0xf2 << NV_SHIFT), timeoutMs),
          }),
        }),
    },
    "clears-on-for-him": {
      sentence: "has a poster take ON back when it has notified, as if it were its own",
      setup: (world) =>
        sleeps(world, {
          poster1: (words) => ({
            or(word, value) {
              const before = words.or(word, value);
              if (word === CONTROL) words.and(word, ~ON);
              return before;
            },
          }),
        }),
    },
    "on-before-the-bit": {
      sentence: "sets ON before the bit in PIR",
      setup: (world) => sleeps(world, { poster1: setsOnFirst, poster2: setsOnFirst }),
    },
    "bits-before-on": {
      sentence: "takes the bits of PIR before it clears ON, so that a post in between leaves nothing to see",
      setup: (world) => sleeps(world, { owner: takesFirst }),
    },
    "installs-over-it": {
      sentence: "installs BLOCKED over whatever has come since it looked, an ON among it",
      setup: (world) => sleeps(world, { owner: installsOverIt }),
    },
    "asks-first": {
      sentence: "looks whether the owner sleeps before it sets ON, and not at the value that it has changed",
      setup: (world) => sleeps(world, { poster1: asksFirst, poster2: asksFirst }),
    },
    "notifies-first": {
      sentence: "notifies before it sets ON",
      setup: (world) => sleeps(world, { poster1: notifiesFirst, poster2: notifiesFirst }),
    },
    "stores-zero": {
      sentence: "takes the bits of a PIR word by a plain store of 0, and with them one that was posted since",
      setup: (world) => {
        const files = scene(world, ["owner", "poster1", "poster2"], {
          owner: (words) => ({
            and(word, value) {
              if (word >= Descriptor.pir && word < CONTROL) words.store(word, 0);
              return word < CONTROL ? 0 : words.and(word, value);
            },
          }),
        });
        return {
          threads: {
            owner: () => serve(files.owner, [1, 2]),
            poster1: () => files.poster1.post(1),
            poster2: () => files.poster2.post(2),
          },
        };
      },
    },
    "reads-the-word-late": {
      sentence: "waits for whatever is in the word after the look, not for the value that it installed",
      setup: (world) =>
        sleeps(world, {
          owner: (words) => ({
            wait: (word, _expected, timeoutMs) => words.wait(word, words.load(word), timeoutMs),
          }),
        }),
    },
  },
};

/** The same with somebody else who sleeps on the word, as an asynchronous wait that a thread has left there. */
function watched(world, play) {
  const files = scene(world, ["owner", "poster", "watcher"], play);
  return {
    threads: {
      owner: () => serve(files.owner, [1]),
      poster: () => files.poster.post(1),
      watcher: () => files.watcher.words.wait(CONTROL, WAKEUP_VECTOR << NV_SHIFT, Infinity),
    },
    daemons: ["watcher"],
  };
}

const notifiesOne = (words) => ({ notify: (word) => words.notify(word, 1) });

/** Threads: owner, poster, watcher. */
export const watch = {
  sentence: "The owner is woken also where another wait stands on the control word.",
  setup: (world) => watched(world),
  twins: {
    "notifies-one": {
      sentence: "notifies one of those who wait for the word, which may be the other",
      setup: (world) => watched(world, { poster: notifiesOne }),
    },
  },
};

/** An owner that goes on until it was kicked and has what was posted, in either order. */
function kicked(world, play) {
  const files = scene(world, ["owner", "poster", "kicker"], play);
  return {
    threads: {
      owner() {
        const into = new Uint32Array(8);
        for (let kicks = 0; kicks === 0 || into[0] === 0; files.owner.harvest(into)) {
          const why = files.owner.block();
          expect(why === "interrupt" || why === "kicked", `the wait ended with ${why}`);
          if (why === "kicked") kicks += 1;
        }
        return into[0];
      },
      poster: () => files.poster.post(1),
      kicker: () => files.kicker.kick(),
    },
    end: ({ owner }) => expect(owner === 2, `it took ${owner}`),
  };
}

/** Threads: owner, poster, kicker. */
export const kick = {
  sentence: "Neither a kick is lost beside a post, nor a post beside a kick.",
  setup: (world) => kicked(world),
  twins: {
    "installs-over-it": {
      sentence: "installs BLOCKED over whatever has come since it looked, a kick among it",
      setup: (world) => kicked(world, { owner: installsOverIt }),
    },
    "asks-first": {
      sentence:
        "looks whether the owner sleeps before it sets KICKED, and not at the value that it has changed",
      setup: (world) => kicked(world, { kicker: asksFirst }),
    },
    "notifies-first": {
      sentence: "notifies before it sets KICKED",
      setup: (world) => kicked(world, { kicker: notifiesFirst }),
    },
    "clears-all": {
      sentence: "has the owner clear the whole word as it takes its kick, and with it an ON",
      setup: (world) =>
        kicked(world, {
          owner: (words) => ({
            and: (word, value) => words.and(word, value === ~KICKED ? NV_MASK : value),
          }),
        }),
    },
  },
};

/** Two that each have something for the owner to see in a word of its own. */
function shows(world, play) {
  const files = scene(world, ["owner", "one", "two"], play);
  const has = (file, bit) => {
    file.words.or(OWN, bit);
    descriptor.kick(file.words, 0, EVENT);
  };
  return {
    threads: {
      owner() {
        for (let seen = 0; seen !== 3; ) {
          const why = files.owner.block();
          expect(why === "event", `the wait ended with ${why}`);
          seen |= files.owner.words.exchange(OWN, 0);
        }
      },
      one: () => has(files.one, 1),
      two: () => has(files.two, 2),
    },
  };
}

/** Threads: owner, one, two. */
export const event = {
  sentence:
    "An owner that clears EVENT and then looks at a word of its own sees what two others have put there.",
  setup: (world) => shows(world),
  twins: {
    "looks-first": {
      sentence: "looks at its own word, and only then clears EVENT",
      setup: (world) =>
        shows(world, {
          owner(words) {
            const state = { seen: 0 };
            return {
              and(word, value) {
                state.seen = words.exchange(OWN, 0);
                return words.and(word, value);
              },
              exchange: () => state.seen,
            };
          },
        }),
    },
    "marks-first": {
      sentence: "sets EVENT before there is anything to see",
      setup: (world) =>
        shows(world, {
          one: (words) => ({
            or(word, _value) {
              const before = words.or(word === OWN ? CONTROL : OWN, word === OWN ? EVENT : 1);
              if (word === OWN && isBlocked(before)) words.notify(CONTROL);
              return 0;
            },
          }),
        }),
    },
  },
};

/** An owner that awaits; other work of its thread, a thread of its own here, disarms meanwhile, and only then something is posted. */
function disarms(world, play) {
  const work = world.thread("waits").index + 1;
  const files = scene(world, ["waits", "work", "poster"], play, (before) => (isBlocked(before) ? work : 0));
  return {
    threads: {
      waits: () => files.waits.blockAsync(),
      work() {
        const { words } = files.work;
        for (;;) {
          const control = words.load(CONTROL);
          if (isBlocked(control)) break;
          if (control & ON) return; // it ends without
          words.relax();
        }
        files.work.disarm();
      },
      poster: () => files.poster.post(1),
    },
    end: ({ waits }) => expect(waits === "interrupt", `the wait ended with ${waits}`),
  };
}

/** Threads: waits, work, poster. */
export const disarm = {
  sentence: "An asynchronous wait that its own thread disarms hears of what is posted then.",
  setup: (world) => disarms(world),
  twins: {
    "disarms-in-silence": {
      sentence: "clears BLOCKED without a word to the wait that is under way, which nobody wakes then",
      setup: (world) => disarms(world, { work: () => ({ notify: () => 0 }) }),
    },
  },
};

/** An owner that takes for ever, posters of which one may die, and somebody who notices. */
function dies(world, play) {
  const files = scene(world, ["owner", "poster1", "poster2", "repairer"], play);
  const { alive, index } = { alive: world.thread("repairer").alive, index: world.thread("poster1").index };
  const { words } = files.owner;
  return {
    threads: {
      owner() {
        for (const into = new Uint32Array(8); ; ) {
          files.owner.block();
          files.owner.harvest(into);
        }
      },
      poster1: () => files.poster1.post(1),
      poster2() {
        files.poster2.post(33);
        files.poster2.post(1);
        return "posted";
      },
      repairer() {
        if (alive(index)) return false;
        files.repairer.renotify();
        return true;
      },
    },
    daemons: ["owner"],
    end({ poster1, repairer }) {
      if (poster1 === undefined && repairer !== true) return; // it died later, and nobody has noticed yet
      expect(words.load(0) === 0 && words.load(1) === 0, "an id sits in PIR, and its owner sleeps");
    },
  };
}

/** Threads: owner, poster1, poster2, repairer. */
export const death = {
  sentence: "When a poster has died anywhere, renotify brings the owner what was posted.",
  kills: ["poster1"],
  long: true,
  setup: (world) => dies(world),
  twins: {
    "notifies-where-there-are-bits": {
      sentence:
        "renotifies only where PIR has bits: the dead one's may have been taken, and its ON keeps others from notifying",
      setup: (world) =>
        dies(world, {
          repairer: (words) => ({
            notify: (word) => (words.load(0) | words.load(1) ? words.notify(word) : 0),
          }),
        }),
    },
    "does-nothing": {
      sentence: "does not notify again",
      setup: (world) => dies(world, { repairer: () => ({ notify: () => 0, or: () => 0 }) }),
    },
  },
};

/** The CPU goes from one thread to another while two devices post, and somebody kicks. */
function moves(world, play) {
  const files = scene(world, ["from", "to", "poster1", "poster2"], play);
  const to = world.thread("to").index;
  return {
    threads: {
      from() {
        const { file, words } = { file: files.from, words: files.from.words };
        file.suspend();
        words.store(TOKEN, to);
      },
      to() {
        const { words } = files.to;
        while (words.load(TOKEN) !== to) words.relax();
        files.to.resume();
        return serve(files.to, [1, 33]);
      },
      poster1: () => files.poster1.post(1),
      poster2: () => files.poster2.post(33),
    },
    end({ to: taken }) {
      expect(taken === "2,2,0,0,0,0,0,0", `it took ${taken}`);
    },
  };
}

/** Threads: from, to, poster1, poster2. */
export const move = {
  sentence: "What is posted while a CPU is suspended on one thread and resumed on another is taken there.",
  setup: (world) => moves(world),
  twins: {
    "looks-at-no-bits": {
      sentence: "resumes without a look at PIR, where posts have left ON clear",
      setup: (world) =>
        moves(world, {
          to: (words) => ({ or: (word, value) => (word === CONTROL ? 0 : words.or(word, value)) }),
        }),
    },
    "looks-before-clearing": {
      sentence: "looks at PIR before it clears SN instead of after it",
      setup: (world) => moves(world, { to: looksFirst }),
    },
  },
};

/** Clears SN when PIR has been looked at. */
function looksFirst(words) {
  const due = new WeakMap();
  const key = {};
  return {
    and(word, value) {
      if (word !== CONTROL || value !== ~2) return words.and(word, value);
      due.set(key, true);
      return 0;
    },
    load(word) {
      const value = words.load(word);
      if (due.get(key) && word < CONTROL && (value !== 0 || word === CONTROL - 1)) {
        due.delete(key);
        words.and(CONTROL, ~2);
      }
      return value;
    },
  };
}

/**
 * The owner awaits on one thread; other work of that thread, which is a thread of its own here, hands the CPU to another one, and
 * only then something is posted.
 */
function awaits(world, play) {
  const work = world.thread("waits").index + 1;
  // Both are the owner's thread: what it does while it waits, it does in the other.
  const files = scene(world, ["waits", "work", "to", "poster"], play, (before) =>
    isBlocked(before) ? work : 0,
  );
  const to = world.thread("to").index;
  return {
    threads: {
      waits: () => files.waits.blockAsync(),
      work() {
        const { words } = files.work;
        while (!isBlocked(words.load(CONTROL))) words.relax();
        files.work.suspend();
        words.store(TOKEN, to);
      },
      to() {
        const { words } = files.to;
        while (words.load(TOKEN) !== to) words.relax();
        files.to.resume();
        return serve(files.to, [1]);
      },
      poster() {
        const { words } = files.poster;
        while (words.load(TOKEN) !== to) words.relax();
        files.poster.post(1);
      },
    },
    end({ waits, to: taken }) {
      expect(waits === "suspended", `the wait of the thread that has no CPU ended with ${waits}`);
      expect(taken === "2,0,0,0,0,0,0,0", `it took ${taken}`);
    },
  };
}

/** Threads: waits, work, to, poster. */
export const handover = {
  sentence:
    "An asynchronous wait ends when its thread suspends the CPU, and disturbs no sleep of the next one.",
  setup: (world) => awaits(world),
  twins: {
    "unblocks-afterwards": {
      sentence: "clears BLOCKED where the asynchronous wait goes on, which by then is the next owner's",
      setup: (world) =>
        awaits(world, {
          waits: (words) => ({
            async waitAsync(word, expected, timeoutMs) {
              const end = await words.waitAsync(word, expected, timeoutMs);
              descriptor.unblock(words, Descriptor.pir);
              return end;
            },
          }),
        }),
    },
    "takes-it-for-its-own": {
      sentence: "looks at the control word where it goes on, and not whether the CPU is still here",
      setup: (world) =>
        awaits(world, {
          waits: (words) => ({ load: (word) => (word === Descriptor.suspensions ? 0 : words.load(word)) }),
        }),
    },
    "suspends-in-silence": {
      sentence: "suspends without notifying, so that the wait of its thread stays",
      setup: (world) =>
        awaits(world, { work: () => ({ notify: () => 0 }), poster: () => ({ notify: () => 0 }) }),
    },
  },
};
