/**
 * What the doctor knows of kernels stands in rows: from which version to which it holds, and where that was read.
 * No row, no claim: where the rows that may apply to a kernel do not agree, or leave a gap, the answer is that it is
 * not known, and never that of the nearest row.
 */
import { compareVersions, type KernelRelease, parseVersion } from "../parse/kernel-release.js";

export interface Row {
  /** First version for which it holds: "5.19". */
  readonly from: string;
  /** First version for which it holds no more; null where it holds to the newest that was read, {@link UNREAD}. */
  readonly until: string | null;
  /** It is taken to hold later too: what a kernel can do it does not unlearn, while orders and numbers do change. */
  readonly stays?: true;
  /** Kernel function or file, and the version or commit in which it was read. */
  readonly source: string;
}

/** The first version of which nothing was read. */
export const UNREAD = "7.4";

export type Answer = "yes" | "no" | "perhaps";

/** Whether `release` behaves as kernels do from version `from` on. */
export function since(release: KernelRelease, from: string): Answer {
  const first = parseVersion(from);
  if (compareVersions(release.low, first) >= 0) return "yes";
  return compareVersions(release.high, first) < 0 ? "no" : "perhaps";
}

/**
 * The one answer that `rows` give for `release`; undefined if several differ or a version that it may behave like is in
 * none. Rows are in ascending order and do not overlap.
 */
export function claim<R extends Row, T>(
  rows: readonly R[],
  release: KernelRelease,
  answer: (row: R) => T,
): T | undefined {
  const touched = rows.filter(
    ({ from, until }) => since(release, from) !== "no" && (until === null || since(release, until) !== "yes"),
  );
  const first = touched[0];
  const last = touched.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const covered =
    since(release, first.from) === "yes" &&
    (last.until === null ? last.stays === true || isRead(release) : since(release, last.until) === "no") &&
    touched.every((row, at) => at === 0 || touched[at - 1]!.until === row.from);
  const answers = new Set(touched.map(answer));
  return covered && answers.size === 1 ? answer(first) : undefined;
}

/** Whether its version is one of those that were read. An enterprise kernel goes by its number, which is its least. */
function isRead({ low, high }: KernelRelease): boolean {
  const first = parseVersion(UNREAD);
  return compareVersions(Number.isFinite(high[0]) ? high : low, first) < 0;
}

/** The range of a row in words: "5.19 to before 6.3", "4.4 on". */
export function rangeOf({ from, until, stays }: Row): string {
  if (until === null && stays === true) return from === "0" ? "all" : `${from} on`;
  return `${from === "0" ? "" : `${from} to `}before ${until ?? UNREAD}`;
}
