/**
 * In what irqbypass keeps its producers and consumers: whether a registration walks those of the whole host.
 */
import type { KernelRelease } from "../parse/kernel-release.js";
import { claim, type Row } from "./row.js";

/** A list that is walked, or a map that is asked. */
export type Container = "list" | "xarray";

interface Kept extends Row {
  readonly container: Container;
}

const FILE = "virt/lib/irqbypass.c";

export const CONTAINERS: readonly Kept[] = [
  {
    from: "4.4",
    until: "6.17",
    container: "list",
    source: `${FILE}: list_for_each_entry() over all at each registration, read in 5.10.262, 6.1.192 and 6.12.117`,
  },
  {
    from: "6.17",
    until: null,
    container: "xarray",
    source: `8394b32faecd; ${FILE}: xa_insert() and xa_load() by the eventfd, read in 7.3.4`,
  },
];

/** What this kernel keeps them in; undefined where no row says so. */
export function containerOf(release: KernelRelease): Container | undefined {
  return claim(CONTAINERS, release, ({ container }) => container);
}
