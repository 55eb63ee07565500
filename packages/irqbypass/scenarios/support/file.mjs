// What the scenarios of an interrupt file by itself share: one file as threads see it that post, own the CPU or take it over.

import { override } from "atomics-explorer";
import { InterruptFile } from "irqbypass";
import { keepTables } from "#scenarios/support/transitions.js";
import { Descriptor, NV_MASK, NV_SHIFT, WAKEUP_VECTOR } from "#src/host/layout.js";
import { platformHere } from "#src/host/platform-here.js";
import { expect } from "./guest.mjs";

export const CONTROL = Descriptor.control;
/** Behind the file: the thread that the CPU is on, as its kernel has it. */
export const TOKEN = Descriptor.words;
/** And what the CPU has taken, of the first two words of PIR, where that is to outlive a thread. */
export const TAKEN = TOKEN + 1;
const NAMES = ["control", "ndst", "header", "suspensions", "", "", "", "", "token", "taken[0]", "taken[1]"];

const PLATFORM = { ...platformHere(), mayBlock: true, hold: () => () => {} };
export const isBlocked = (control) => (control & NV_MASK) >>> NV_SHIFT === WAKEUP_VECTOR;

/**
 * One file as threads of these names see it; the first has the CPU. `play` has other words for some of them. Ids are in the first
 * two words of PIR: a look at the others, which nobody changes, is no step. `runner` says who acts for the first thread.
 */
export function scene(world, names, play = {}, runner = () => 0) {
  const memory = new SharedArrayBuffer(128);
  const view = new Int32Array(memory);
  const access = (name) => {
    const all = world.adopt(name, memory, 0, TAKEN + 2);
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
export function serve(file, ids) {
  const into = new Uint32Array(8);
  const left = () => ids.some((id) => ((into[id >>> 5] >>> (id & 31)) & 1) === 0);
  while (left()) {
    const why = file.block();
    expect(why === "interrupt" || why === "kicked", `the wait ended with ${why}`);
    file.harvest(into);
  }
  return [...into].join();
}
