/**
 * The workload file of a storm, checked.
 */
import * as v from "valibot";
import {
  type Allowed,
  number,
  object,
  refused,
  schemaProblems,
  shown,
  WorkloadError,
  whole,
} from "../file-schema.js";
import { VECTORS_PER_VCPU } from "../numbers.js";

/** A storm: VMs that stand there, and rounds that create and destroy more, each time as fast as it goes. */
export interface Storm {
  /** VMs that stand before the first round. */
  readonly standing: number;
  /** irqfds of each VM, standing or not, none with a producer. */
  readonly irqfds: number;
  /** VMs that each round creates and destroys. */
  readonly vms: number;
  readonly rounds: number;
  /** Threads that share the VMs of a round. */
  readonly threads: number;
}

const MAX_STANDING = 10_000;
const MAX_STORM_VMS = 1000;
const MAX_ROUNDS = 10_000;
const MAX_STORM_THREADS = 16;
/** Of all VMs of a storm at once. */
const MAX_STORM_IRQFDS = 1_000_000;
const ALLOWED_IN_STORM: Allowed = {
  "": 'an object with "storm" alone',
  storm: 'an object with "standing", "irqfds", "vms" and "rounds", and perhaps "threads"',
  "storm.standing": `a whole number from 0 to ${number(MAX_STANDING)} (VMs before the first round)`,
  "storm.irqfds": `a whole number from 1 to ${VECTORS_PER_VCPU} (of each VM)`,
  "storm.vms": `a whole number from 1 to ${number(MAX_STORM_VMS)} (VMs of a round)`,
  "storm.rounds": `a whole number from 1 to ${number(MAX_ROUNDS)}`,
  "storm.threads": `a whole number from 1 to ${MAX_STORM_THREADS}`,
};

const stormSchema = object({
  storm: object({
    standing: whole(0, MAX_STANDING),
    irqfds: whole(1, VECTORS_PER_VCPU),
    vms: whole(1, MAX_STORM_VMS),
    rounds: whole(1, MAX_ROUNDS),
    threads: v.exactOptional(whole(1, MAX_STORM_THREADS), 2),
  }),
});
/** Is this the file of a storm? Then it is for {@link checkStorm}. */
export function describesStorm(input: unknown): boolean {
  return typeof input === "object" && input !== null && "storm" in input;
}

/** Checks a parsed file that {@link describesStorm}, as `checkWorkload` does others. @throws {WorkloadError} naming every problem. */
export function checkStorm(input: unknown, source: string): Storm {
  const result = v.safeParse(stormSchema, input);
  if (!result.success) throw new WorkloadError(source, schemaProblems(result.issues, ALLOWED_IN_STORM));
  const { storm } = result.output;
  const problems: string[] = [];
  const irqfds = (storm.standing + storm.vms) * storm.irqfds;
  if (irqfds > MAX_STORM_IRQFDS) {
    problems.push(
      `storm: found ${number(storm.standing + storm.vms)} VMs with ${number(storm.irqfds)} irqfds each; ` +
        `allowed: ${number(MAX_STORM_IRQFDS)} irqfds together`,
    );
  }
  if (storm.threads > storm.vms) {
    problems.push(
      refused("storm.threads", shown(storm.threads), `at most ${storm.vms}, one for each VM of a round`),
    );
  }
  if (problems.length > 0) throw new WorkloadError(source, problems);
  return storm;
}
