/** Random numbers from a seed, the same everywhere (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** A whole number below `bound`, or from 0 to 2^32-1. */
  below(bound = 2 ** 32): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** The seed of a run: from the environment, so that a failure can be had again, or a new one. */
export function seedOf(environment: { readonly IRQBYPASS_FUZZ_SEED?: string | undefined }): number {
  const given = environment.IRQBYPASS_FUZZ_SEED;
  const seed = given === undefined ? Date.now() & 0x3fffffff : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`IRQBYPASS_FUZZ_SEED is ${given}: give a whole number`);
  return seed;
}
