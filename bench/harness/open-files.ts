import { createRequire } from "node:module";

/** A row takes as many descriptors as this beside those that it measures. */
export const SPARE_FILES = 200;
const RLIMIT_NOFILE = 7;

interface Koffi {
  load(library: null): { func(prototype: string): (resource: number, limits: BigUint64Array) => number };
}

/**
 * Raises this process's limit of open files to `wanted`, or as far as it goes: to the hard limit (where Node puts it when
 * it starts), beyond it only for a privileged process. Returns what it is then. Linux with koffi; elsewhere it stays as it is.
 */
export function raiseFileLimit(wanted: number): number {
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
  } catch {
    return 0; // what needs descriptors of Linux says itself that there is no koffi
  }
  const libc = koffi.load(null);
  const get = libc.func("int getrlimit(int resource, _Out_ void *limits)");
  const set = libc.func("int setrlimit(int resource, const void *limits)");
  const limits = new BigUint64Array(2);
  const read = (): number => {
    if (get(RLIMIT_NOFILE, limits) !== 0) return 0;
    return Number(limits[0]);
  };
  if (read() >= wanted) return read();
  const hard = limits[1]!;
  const goal = BigInt(wanted);
  if (hard < goal && set(RLIMIT_NOFILE, BigUint64Array.of(goal, goal)) === 0) return read();
  set(RLIMIT_NOFILE, BigUint64Array.of(hard < goal ? hard : goal, hard));
  return read();
}
