// The interrupt file by itself: posters, the thread that owns the CPU, and the one that it moves to. No host.

import { override } from "atomics-explorer";
import { InterruptFile } from "irqbypass";
import { keepTables } from "#scenarios/support/transitions.js";
import { Descriptor, NV_MASK, NV_SHIFT, ON, WAKEUP_VECTOR } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { expect } from "./support/guest.mjs";

const CONTROL = Descriptor.control;
/** Behind the file: the thread that the CPU is on, as its kernel has it. */
const TOKEN = Descriptor.words;
const NAMES = ["control", "ndst", "header", "suspensions", "", "", "", "", "token"];

const PLATFORM = { mayBlock: true, hold: () => () => {} };
const isBlocked = (control) => (control & NV_MASK) >>> NV_SHIFT === WAKEUP_VECTOR;

/**
 * One file as threads of these names see it; the first has the CPU. `play` has other words for some of them. Ids are in the first
 * two words of PIR: a look at the others, which nobody changes, is no step. `runner` says who acts for the first thread.
 */
function scene(world, names, play = {}, runner = () => 0) {
  const memory = new SharedArrayBuffer(128);
  const view = new Int32Array(memory);
  const access = (name) => {
    const all = world.adopt(name, memory, 0, TOKEN + 2);
    const words = override(all, { load: (word) => (word > 1 && word < CONTROL ? 0 : all.load(word)) });
    return play[name] === undefined ? words : override(words, play[name](words));
  };
  const options = (name) => ({ platform: PLATFORM, words: () => access(name) });
  const files = { [names[0]]: InterruptFile.create(memory, 0, options(names[0])) };
  for (const name of names.slice(1)) files[name] = InterruptFile.open(memory, 0, options(name));
  const nameOf = (word) => (word < CONTROL ? `pir[${word}]` : (NAMES[word - CONTROL] ?? `word ${word}`));
  world.discipline = { name: nameOf, objection: () => undefined };
  keepTables(world, {
    fieldOf: (word) => `file.${nameOf(word)}`,
    nameOf,
    keeper: (who, _table, _word, before) =>
      who !== "runner" ? undefined : view[TOKEN] === 0 ? runner(before) : view[TOKEN],
    named: () => undefined,
    lives: () => true,
    hasEnded: () => false,
  });
  return files;
}

/** Takes ids until each of these was taken, and sleeps in between. */
function serve(file, ids) {
  const into = new Uint32Array(8);
  const left = () => ids.some((id) => ((into[id >>> 5] >>> (id & 31)) & 1) === 0);
  while (left()) {
    const why = file.block();
    expect(why === "interrupt" || why === "kicked", `the wait ended with ${why}`);
    file.harvest(into);
  }
  return [...into].join();
}

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
