/**
 * How the kernel reads a switch of its command line or of a module: by the first letter, and "on" and "off" by two.
 */
import type { KernelRelease } from "../parse/kernel-release.js";
import { since } from "./row.js";

interface Letters {
  readonly yes: RegExp;
  readonly no: RegExp;
  /** First version that reads them so, and the last that was seen not to; null where they are as old as KVM. */
  readonly from: string | null;
  readonly notIn: string | null;
  readonly source: string;
}

/** kstrtobool() in lib/kstrtox.c, and strtobool() before it. */
export const SWITCH_LETTERS: readonly Letters[] = [
  { yes: /^[yY1]/, no: /^[nN0]/, from: null, notIn: null, source: "strtobool() and kstrtobool(), all" },
  { yes: /^[oO][nN]/, no: /^[oO][fF]/, from: "4.6", notIn: "4.6", source: "a81a5a17d44b, 4.6" },
  { yes: /^[tT]/, no: /^[fF]/, from: "5.19", notIn: "5.19", source: "0d6ea3ac94ca, 5.19" },
  {
    yes: /^[eE]/,
    no: /^[dD]/,
    from: "7.3",
    notIn: "6.13",
    source: "kstrtobool(), not in 6.12.117 and in 7.3.4; releases between were not read",
  },
];

/**
 * What `value` switches on this kernel; null where the kernel refuses it, so that the default stays, and undefined where
 * that is not known.
 */
export function readSwitch(value: string, release: KernelRelease): boolean | null | undefined {
  for (const { yes, no, from, notIn } of SWITCH_LETTERS) {
    const switched = yes.test(value) ? true : no.test(value) ? false : undefined;
    if (switched === undefined) continue;
    if (from === null || since(release, from) === "yes") return switched;
    return since(release, notIn ?? from) === "no" ? null : undefined;
  }
  return null;
}
