/**
 * How often the host's handler of one interrupt ran within the window.
 */
import type { Vector } from "../facts/devices.js";
import type { Host, Later } from "../facts/host.js";
import { type Growth, grewBetween } from "../parse/interrupts.js";
import { grewPerCpu } from "../parse/irq.js";
import { known } from "../source/source.js";
import { whyNot } from "./link.js";
import type { Evidence } from "./report.js";

/** The two samples, and the seconds between them. */
export interface Window {
  readonly host: Host;
  readonly later: Later;
  readonly seconds: number;
}

/** The growth of a line that is the vector's alone; `count` is null where it is not known. */
export interface Seen {
  readonly count: number | null;
  readonly anew: boolean;
  /** The count of all CPUs at the window's end, offline ones too. */
  readonly total: number | null;
  readonly evidence: Evidence;
}

/** How often the host's handler ran in the window. The per-CPU file counts offline CPUs too, so it goes first. */
export function growthOf(vector: Vector, { host, later, seconds }: Window): Seen {
  const span = `in ${seconds.toFixed(1)} s`;
  const before = known(vector.files.perCpu);
  const reading = later.perCpu.get(vector.irq);
  const after = reading === undefined ? undefined : known(reading);
  const [first, second] = [known(host.interrupts), known(later.interrupts)];
  const line = first && second ? grewBetween(first, second, String(vector.irq)) : null;
  // One for each CPU that the kernel may have: two rows of different length are not of one kernel.
  const counted = before !== undefined && before.length === after?.length;
  const growth: Growth | null = counted
    ? { ...grewPerCpu(before, after), ...(line?.anew === true ? { ...line } : {}) }
    : line;
  const source = counted ? `/${vector.files.perCpu.path}` : `/proc/interrupts, line ${vector.irq}`;
  if (growth === null) {
    const says = `no line in the second sample: ${whyNot(later.interrupts)}`;
    return { count: null, anew: false, total: null, evidence: { source, says } };
  }
  const { count, anew } = growth;
  const words = anew
    ? `counted anew, ${count} since: it was freed and requested again within ${seconds.toFixed(1)} s`
    : count > 0
      ? `grew by ${count} ${span}`
      : `flat for ${seconds.toFixed(1)} s`;
  const total = counted ? after.reduce((sum, one) => sum + one, 0) : null;
  if (vector.sharedWith === "") return { count, anew, total, evidence: { source, says: words } };
  const whose = count > 0 ? ", and whose these were is not known" : "";
  const says = `the line is shared with ${vector.sharedWith}: ${words}${whose}`;
  return { count: count === 0 && !anew ? 0 : null, anew, total: null, evidence: { source, says } };
}
