/**
 * One link of the chain, and how the findings put what was read into words.
 */

import type { Host } from "../facts/host.js";
import { ANY_RELEASE, type KernelRelease } from "../parse/kernel-release.js";
import { known, type Reading } from "../source/source.js";
import type { ChainLink, Evidence, LinkName, LinkState } from "./report.js";

/** Whether posting is possible on this host, as far as its files show. */
export type Ability = "yes" | "no" | "unknown";

export interface Chain {
  readonly links: readonly ChainLink[];
  readonly able: Ability;
  /** The link that the advice is about: the root of the trouble, not always the first that is broken. */
  readonly broken: ChainLink | undefined;
  /** Where evidence contradicts evidence. */
  readonly contradictions: readonly Contradiction[];
  /** False where the doctor has no rules for the architecture: then nothing of this host means what it would elsewhere. */
  readonly ruled: boolean;
}

/** Evidence that a link is broken, against evidence that it is not: which is right is not known. */
export interface Contradiction {
  readonly link: LinkName;
  /** Both sides, as one clause. */
  readonly says: string;
}

/** A link whose own evidence had no effect that shows: not broken then, and not known. */
export function contradictedLink(one: ChainLink, without: readonly Contradiction[]): ChainLink {
  const against = without.find((each) => each.link === one.name);
  return against === undefined ? one : { ...one, state: "unknown", says: against.says };
}

/** Why what /sys does not have may be there all the same. */
export const NO_SYSFS = "/sys does not show what the kernel has (/sys/module is not there)";

/** What is known of the host's kernel. */
export function releaseOf(host: Host): KernelRelease {
  return known(host.kernel) ?? ANY_RELEASE;
}

/** Makes a link. */
export function link(
  name: LinkName,
  state: LinkState,
  says: string,
  ...evidence: readonly (Evidence | undefined)[]
): ChainLink {
  return { name, state, says, evidence: evidence.filter((one) => one !== undefined) };
}

/** Evidence from the file behind a reading. */
export function seen(reading: Reading<unknown>, says: string): Evidence {
  return { source: `/${reading.path}`, says };
}

/** Why a reading has no value. */
export function whyNot(reading: Reading<unknown>): string {
  switch (reading.state) {
    case "read":
      return "was read";
    case "absent":
      return "is not there";
    case "unreadable":
      return reading.code === "EACCES" || reading.code === "EPERM"
        ? "may not be read"
        : `cannot be read (${reading.code})`;
    case "strange":
      return `has an unknown format (${reading.problem})`;
  }
}
