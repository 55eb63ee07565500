/**
 * One step of a comparison with a kernel: what it does on each side, and what it says there. A kind of step is an arbitrary of these
 * in a file of its own; `steps.ts` lists the kinds.
 */
import type { KernelSide } from "./kernel-side.js";
import type { SoftwareSide } from "./software-side.js";

export interface Step {
  /** What is done, in one line. */
  readonly name: string;
  /** Does it; returns its result as a sentence shows it: a count, the code of a refusal, what was read. */
  kernel(side: KernelSide): string;
  software(side: SoftwareSide): string;
}
