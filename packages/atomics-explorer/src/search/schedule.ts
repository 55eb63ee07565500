/**
 * A schedule: who goes on at each place. As text it is a replay id such as `a3b2!a1b`: thread a makes three steps, b two,
 * a dies after one more write to a guarded word, b goes on to its end. `~b` is a time limit of b's that passes.
 */

import { ExplorerError, show } from "../error.js";

/** One decision: a thread's step, its time limit, or its death. */
export type Choice = number;

const THREADS = 8;

export const stepOf = (thread: number): Choice => thread;
export const timeoutOf = (thread: number): Choice => THREADS + thread;
/** The thread dies, after so many more writes to guarded words. */
export const killOf = (thread: number, writes: number): Choice => THREADS * (2 + writes) + thread;

export const threadOf = (choice: Choice): number => choice % THREADS;
export const isKill = (choice: Choice): boolean => choice >= THREADS * 2;
export const isTimeout = (choice: Choice): boolean => choice >= THREADS && choice < THREADS * 2;
export const writesBefore = (choice: Choice): number => Math.floor(choice / THREADS) - 2;

const LETTERS = "abcdefgh";

/** The replay id of a schedule. */
export function formatSchedule(choices: readonly Choice[]): string {
  let text = "";
  for (let at = 0; at < choices.length; ) {
    const choice = choices[at]!;
    const letter = LETTERS[threadOf(choice)]!;
    let run = 1;
    if (isKill(choice)) text += `!${letter}${writesBefore(choice)}`;
    else if (isTimeout(choice)) text += `~${letter}`;
    else {
      while (choices[at + run] === choice) run += 1;
      text += run === 1 ? letter : `${letter}${run}`;
    }
    at += run;
  }
  return text;
}

/** The schedule of a replay id. Throws where it is none. */
export function parseSchedule(text: string): Choice[] {
  if (typeof text !== "string") {
    throw new ExplorerError(`${show(text)} is not a replay id: copy it from the report of a violation`);
  }
  const choices: Choice[] = [];
  const part = /([!~]?)([a-h])(\d*)/y;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null)
      throw new ExplorerError(`${text} is not a replay id: copy it from the report of a violation`);
    const [, mark, letter, digits] = found;
    const thread = LETTERS.indexOf(letter!);
    const number = digits === "" ? 1 : Number(digits);
    if (mark === "!") choices.push(killOf(thread, digits === "" ? 0 : number));
    else if (mark === "~") choices.push(timeoutOf(thread));
    else for (let i = 0; i < Math.min(number, 100_000); i++) choices.push(stepOf(thread));
  }
  return choices;
}
