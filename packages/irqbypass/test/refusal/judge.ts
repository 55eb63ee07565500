/** Makes a call and judges what came of it: one of two ends, and in the second everything as before. */
import { readdirSync } from "node:fs";
import { IrqBypassError } from "irqbypass";
import type { Fault } from "./codes.js";
import type { Stage } from "./stage.js";
import { wordsOf } from "./words.js";

/** Against hangs only. */
const PATIENCE_MS = 30_000;

export type State = Fault | "as it should be" | "two things wrong";

/** How often each state was called, and how often that was refused. */
export type Counts = Record<State, { calls: number; refused: number }>;

/** May a call succeed, must it, or must it be refused? And with which codes. */
export interface Expected {
  readonly succeeds: "never" | "always" | "may";
  readonly codes: readonly string[];
  /** Does it change nothing where it succeeds, too? */
  readonly unchanged?: boolean;
}

/** A call that is to be judged. */
export interface Judged {
  /** Of whom it is. */
  readonly name: string;
  readonly state: State;
  /** What is wrong, more exactly. */
  readonly label?: string;
  readonly stage: Stage;
  call(): unknown;
}

export class Judge {
  readonly counts = {} as Counts;
  readonly faults: string[] = [];

  /** With the descriptors of the process, or without. */
  constructor(private readonly withDescriptors: boolean) {}

  /** Returns the code with which it was refused, and so the stage is as before; undefined where it succeeded. */
  async judge(
    { name, state, label = state, stage, call }: Judged,
    { succeeds, codes, unchanged = false }: Expected,
  ): Promise<string | undefined> {
    this.counts[state] ??= { calls: 0, refused: 0 };
    this.counts[state].calls += 1;
    const before = [stage.own, stage.foreign].map(({ host }) => wordsOf(host));
    const descriptors = this.descriptors();
    const fault = (what: string) => this.faults.push(`${name}, ${label}: ${what}`);
    const compareAt = () => {
      const after = [stage.own, stage.foreign].map(({ host }) => wordsOf(host));
      return () => {
        after.forEach((words, i) => {
          const changed = words.compare(before[i]!);
          const whose = i === 0 ? "" : "of the other host ";
          if (changed.length > 0) fault(`${whose}the words ${changed.slice(0, 8).join(", ")} have changed`);
        });
      };
    };
    let compare = () => compareAt()();
    try {
      const result = call();
      if (result instanceof Promise) {
        result.catch(() => {});
        compare = compareAt(); // it is another call's turn after this
        await bounded(result);
      }
      if (succeeds === "never") fault("it succeeded");
      if (unchanged) compare();
      return undefined;
    } catch (error) {
      this.counts[state].refused += 1;
      const known = error instanceof IrqBypassError;
      if (!known) fault(`it threw ${error instanceof Error ? error.stack : String(error)}`);
      else if (succeeds === "always") fault(`it was refused: ${error.message}`);
      else if (!codes.includes(error.code))
        fault(`it was refused with ${error.message}, and not with ${codes.join(" or ")}`);
      compare();
      if (this.descriptors() !== descriptors) fault("it has left a descriptor open or closed");
      return known ? error.code : "none";
    }
  }

  private descriptors(): number {
    return this.withDescriptors ? readdirSync("/proc/self/fd").length : 0;
  }
}

async function bounded(result: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it was not settled")), PATIENCE_MS);
  });
  try {
    await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}
