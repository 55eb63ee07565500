/**
 * The link that is the kernel itself: whether it is new enough to take interrupts around the host.
 */
import type { Host } from "../facts/host.js";
import { begun, type Platform } from "../rules/beginnings.js";
import { link, releaseOf, seen } from "./link.js";
import type { ChainLink } from "./report.js";

/** `shown`: something else on this host shows that its kernel has it. */
export function kernelLink(host: Host, platform: Platform, shown: string | undefined): ChainLink {
  const release = releaseOf(host);
  const { answer, from } = begun(release, platform);
  const named = `Linux ${release.text}`;
  const evidence = seen(host.kernel, release.text);
  if (answer === "yes") return link("kernel", "holds", `${named}; on ${platform} from ${from} on`, evidence);
  if (shown !== undefined) return link("kernel", "holds", `${named}; ${shown}`, evidence);
  if (answer === "no")
    return link(
      "kernel",
      "broken",
      `${named} takes no interrupt around the host: on ${platform} Linux ${from} is the first that does`,
      evidence,
    );
  return link(
    "kernel",
    "unknown",
    `${named} is ${release.because}: whether it has what mainline has from ${from} on is not known`,
    evidence,
  );
}
