// The thread that owns an interrupt file's CPU dies, or whoever posts and kicks, and another takes over or notifies again.

import { Descriptor, KICKED, ON, SN } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { CONTROL, scene, TAKEN, TOKEN } from "./support/file.mjs";
import { expect } from "./support/guest.mjs";

const FILE = 0;

/** Takes ids 1 and 33 to where the CPU keeps them, which outlives its thread, and sleeps in between. */
function serve(file) {
  const { words } = file;
  while (words.get(TAKEN) !== 2 || words.get(TAKEN + 1) !== 2) {
    const why = file.block();
    expect(why === "interrupt", `the wait ended with ${why}`);
    descriptor.harvest(words, FILE, TAKEN);
  }
  return "served";
}

/** The same on an event loop. */
async function serveAsync(file) {
  const { words } = file;
  while (words.get(TAKEN) !== 2 || words.get(TAKEN + 1) !== 2) {
    const why = await file.blockAsync();
    expect(why === "interrupt", `the wait ended with ${why}`);
    descriptor.harvest(words, FILE, TAKEN);
  }
  return "served";
}

/** Whoever knows that the owner has died takes the CPU over. */
function takeOver(file, index) {
  file.words.store(TOKEN, index);
  file.resume();
  return serve(file);
}

/** Nothing may sit in PIR once somebody has served; where the owner died and nobody knows yet, nothing is said. */
function allTaken(words, served) {
  if (!served.includes("served")) return;
  expect(words.get(TAKEN) === 2 && words.get(TAKEN + 1) === 2, "an id is gone");
}

/** Two posters, an owner that dies anywhere as it sleeps and takes, and the next one. */
function owned(world, play, servesAs = serve) {
  const files = scene(world, ["owner", "heir", "poster1", "poster2"], play);
  const { index } = world.thread("owner");
  const heir = world.thread("heir");
  return {
    threads: {
      owner: () => servesAs(files.owner),
      heir: () => (heir.alive(index) ? "none died" : takeOver(files.heir, heir.index)),
      poster1: () => files.poster1.post(1),
      poster2: () => files.poster2.post(33),
    },
    end: ({ owner, heir }) => allTaken(files.owner.words, [owner, heir]),
  };
}

const looksAtNoBits = (words) => ({
  or: (word, value) => (word === CONTROL ? 0 : words.or(word, value)),
});

/** Takes the bits away before they are where the CPU keeps them. */
function awayFirst(words) {
  return {
    set(word, value) {
      if (word >= TAKEN) words.and(Descriptor.pir + word - TAKEN, ~value);
      words.set(word, value);
    },
  };
}

/** Threads: owner, heir, poster1, poster2. */
export const owner = {
  sentence:
    "When an owner has died anywhere as it slept and harvested, whoever resumes its CPU has what was posted.",
  kills: ["owner"],
  setup: (world) => owned(world),
  twins: {
    "looks-at-no-bits": {
      sentence: "resumes without a look at PIR, of which the dead owner had cleared ON",
      setup: (world) => owned(world, { heir: looksAtNoBits }),
    },
    "away-first": {
      sentence: "takes bits out of PIR before it has put them where the CPU keeps them",
      setup: (world) => owned(world, { owner: awayFirst }),
    },
  },
};

/** Threads: owner, heir, poster1, poster2. */
export const awaits = {
  sentence: "The same where the owner died with an asynchronous wait on the word, and left BLOCKED there.",
  kills: ["owner"],
  setup: (world) => owned(world, {}, serveAsync),
  twins: {
    "looks-at-no-bits": {
      sentence: "resumes without a look at PIR, of which the dead owner had cleared ON",
      setup: (world) => owned(world, { heir: looksAtNoBits }, serveAsync),
    },
  },
};

/** The CPU goes from one thread to another. Either may die anywhere; the last one takes it over then, from whoever has it. */
function handed(world, play) {
  const files = scene(world, ["from", "to", "heir", "poster1", "poster2"], play);
  const [from, to, heir] = ["from", "to", "heir"].map((name) => world.thread(name));
  return {
    threads: {
      from() {
        files.from.suspend();
        files.from.words.store(TOKEN, to.index);
      },
      to() {
        if (files.to.words.load(TOKEN) !== to.index) return "not here yet";
        files.to.resume();
        return serve(files.to);
      },
      heir() {
        // First: whoever is dead has handed nothing over since.
        const lives = heir.alive(from.index);
        const isThere = files.heir.words.load(TOKEN) === to.index;
        return (isThere ? heir.alive(to.index) : lives) ? "none died" : takeOver(files.heir, heir.index);
      },
      poster1: () => files.poster1.post(1),
      poster2: () => files.poster2.post(33),
    },
    end: (results) => allTaken(files.from.words, [results.to, results.heir]),
  };
}

/** Threads: from, to, heir, poster1, poster2. */
export const hands = {
  sentence:
    "When a thread has died that suspended a CPU, or one that resumed it, whoever resumes it next has what was posted.",
  kills: ["from", "to"],
  setup: (world) => handed(world),
  twins: {
    "looks-at-no-bits": {
      sentence: "takes over without a look at PIR, where posts have left ON clear",
      setup: (world) => handed(world, { heir: looksAtNoBits }),
    },
    "stays-suspended": {
      sentence: "takes over without clearing SN, so that no post wakes it",
      setup: (world) =>
        handed(world, {
          heir: (words) => ({
            and: (word, value) => (word === CONTROL && value === ~SN ? 0 : words.and(word, value)),
          }),
        }),
    },
  },
};

/** An owner that takes kicks for ever, whoever kicks and dies, and somebody who notices. */
function kicks(world, play) {
  const files = scene(world, ["owner", "kicker", "poster", "repairer"], play);
  const { index } = world.thread("kicker");
  const repairer = world.thread("repairer");
  const { words } = files.owner;
  return {
    threads: {
      owner() {
        for (;;) {
          files.owner.block();
          descriptor.harvest(words, FILE, TAKEN);
        }
      },
      kicker() {
        files.kicker.kick();
        return "kicked";
      },
      poster: () => files.poster.post(1),
      repairer() {
        if (repairer.alive(index)) return false;
        files.repairer.renotify();
        return true;
      },
    },
    daemons: ["owner"],
    end({ kicker, repairer }) {
      if (kicker === undefined && repairer !== true) return; // it died later, and nobody has noticed yet
      expect((words.load(CONTROL) & (KICKED | ON)) === 0, "a kick, or an id, waits for an owner that sleeps");
    },
  };
}

/** Threads: owner, kicker, poster, repairer. */
export const kicker = {
  sentence:
    "When a thread has died that kicked, renotify wakes the owner: of its kick, and of what others posted.",
  kills: ["kicker"],
  setup: (world) => kicks(world),
  twins: {
    "notifies-where-there-are-bits": {
      sentence: "renotifies only where PIR has bits, and a kick leaves none there",
      setup: (world) =>
        kicks(world, {
          repairer: (words) => ({
            notify: (word) => (words.load(0) | words.load(1) ? words.notify(word) : 0),
          }),
        }),
    },
  },
};
