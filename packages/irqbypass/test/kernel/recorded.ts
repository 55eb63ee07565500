/**
 * What a real kernel did, for machines without one. Written by `node build/test/kernel/record.js`, where /dev/kvm is.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import type { Operation } from "./operation.js";

/** The version of the running kernel, without what its builder has added. */
export const kernelVersion = (): string => release().replace(/-.*/, "");

export interface Recorded {
  /** The kernel's version. */
  readonly kernel: string;
  /** The trace of each named case. */
  readonly cases: Readonly<Record<string, readonly string[]>>;
  /** Random sequences, and what followed each of their operations. */
  readonly sequences: readonly {
    readonly operations: readonly Operation[];
    readonly results: readonly string[];
  }[];
}

const FILE = new URL("../../../test/kernel/recorded.json", import.meta.url);

export function readRecorded(): Recorded {
  return JSON.parse(readFileSync(FILE, "utf8")) as Recorded;
}

export function writeRecorded(recorded: Recorded): void {
  writeFileSync(FILE, `${JSON.stringify(recorded, null, 1)}\n`);
}
