import { bucketOf, bucketRange } from "irqbypass/internal/cli/histogram.js";
import type { Sample } from "./suite.js";

const PERCENTILES = { p90: 0.9, p99: 0.99, p999: 0.999 } as const;

/** Single latencies of one round, in nanoseconds. */
export class Latencies {
  private readonly counts = new Map<number, number>();
  private readonly values: number[] = [];

  add(ns: number): void {
    const bucket = bucketOf(ns);
    this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + 1);
    this.values.push(ns);
  }

  /**
   * Percentiles and distribution. `typical` is the median, or what the caller has measured without a look at the clock
   * for each single one.
   */
  sample(typical?: number): Sample {
    const sorted = Float64Array.from(this.values).sort();
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
    const percentiles = Object.entries(PERCENTILES).map(([key, share]) => [key, at(share)]);
    return {
      values: { typical: typical ?? at(0.5), ...Object.fromEntries(percentiles) },
      latencies: [...this.counts],
    };
  }
}

/** The middle of a bucket, in nanoseconds. */
export function middle(bucket: number): number {
  const { low, high } = bucketRange(bucket);
  return (low + high) / 2;
}
