/**
 * Storms on a kernel that is made up: one whose consumers are in a list, and one whose are in a tree.
 */
import type { Source } from "#src/source/source.js";
import { runStorm, type StormReport } from "#src/storm/storm.js";
import { FakeKernel, seeded } from "./storm-kernel.fake.js";

/** Kernels and what one registration costs on them; the costs are seeded, so that they are the same each time. */
const KINDS = { list: { release: "6.12.40", walk: 4 }, tree: { release: "6.18.4", walk: 0 } } as const;

export interface StormChanges {
  readonly release?: string;
  readonly upTo?: number;
  /** Y, N, or no such parameter. */
  readonly posting?: "Y" | "N";
  /** Times of everything. */
  readonly slower?: number;
}

export async function madeStorm(kind: keyof typeof KINDS, changes: StormChanges = {}): Promise<StormReport> {
  const { release, walk } = KINDS[kind];
  const files: Record<string, string> = {
    "proc/sys/kernel/osrelease": `${changes.release ?? release}\n`,
    "proc/self/limits": "Max open files            20000                20000                files     \n",
    "sys/module/kvm_intel/parameters/enable_device_posted_irqs": `${changes.posting ?? "Y"}\n`,
  };
  const source: Source = {
    name: "a made-up host",
    read: (path) =>
      files[path] === undefined ? { state: "absent", path } : { state: "read", path, value: files[path] },
    list: (path) =>
      path === "sys/module/kvm_intel" || path === "proc/self/fd" || path === "proc"
        ? { state: "read", path, value: [] }
        : { state: "absent", path },
    link: (path) => ({ state: "absent", path }),
  };
  const random = seeded(7);
  const slower = changes.slower ?? 1;
  const kernel = new FakeKernel({
    assign: (standing, own) => slower * (1500 + standing * walk + own + random() * 300),
    deassign: (standing, own) => slower * (50_000 + standing * walk + own * 20 + random() * 4000),
  });
  return await runStorm(
    { upTo: changes.upTo ?? 3000 },
    {
      source,
      openKernel: async () => kernel,
      pid: 4242,
      now: () => performance.now(),
      date: () => new Date("2026-01-02T03:04:05.678Z"),
    },
  );
}
