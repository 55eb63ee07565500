/**
 * Numbers as people read them.
 */

/** A count in few characters: `950`, `12 k`, `1.2 M`. */
export function short(count: number): string {
  if (count < 999.5) return String(Math.round(count));
  return scaled(count, [
    [1e3, "k"],
    [1e6, "M"],
    [1e9, "G"],
  ]);
}

/** A count in full: `1,234,567`. */
export function full(count: number): string {
  return count.toLocaleString("en-US");
}

/** Per second: `950/s`, `1.2 M/s`. */
export function perSecond(rate: number): string {
  return `${short(rate)}/s`;
}

/** A time given in nanoseconds: `850 ns`, `3.1 us`, `12 ms`, `1.5 s`; a dash where there is none. */
export function duration(ns: number | null): string {
  if (ns === null) return "-";
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  return scaled(ns, [
    [1e3, "us"],
    [1e6, "ms"],
    [1e9, "s"],
  ]);
}

/** Seconds of a run: `5 s`, `3.2 s`. */
export function seconds(value: number): string {
  return `${Math.round(value * 10) / 10} s`;
}

/** `1 queue`, `2 queues`. */
export function plural(count: number, what: string): string {
  return `${full(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** In the first unit that needs at most three digits; in the last one otherwise. */
function scaled(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, unit] = units.find(([size]) => value / size < 999.5) ?? units.at(-1) ?? [1, ""];
  const inUnit = value / size;
  return `${inUnit < 9.95 ? inUnit.toFixed(1) : full(Math.round(inUnit))} ${unit}`;
}
