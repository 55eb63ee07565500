/**
 * The chain: what must hold from end to end before any interrupt of this host can be posted.
 */

import type { Host } from "../facts/host.js";
import { OTHER_WAYS } from "../rules/architectures.js";
import { known } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { armChain } from "./chain-arm.js";
import { intelOrAmdChain } from "./chain-x86.js";
import { type Chain, link, seen, whyNot } from "./link.js";

/** Examines the chain of a host. */
export function examineChain(host: Host, trace: TraceFacts | undefined): Chain {
  switch (known(host.cpu)?.arch) {
    case "x86":
      return intelOrAmdChain(host, trace);
    case "arm64":
      return armChain(host);
    default:
      return unruledChain(host);
  }
}

/** The one link of a host whose architecture the doctor has no rules for, or cannot tell. */
function unruledChain(host: Host): Chain {
  const arch = known(host.cpu)?.arch;
  const says =
    arch === undefined || arch === "x86" || arch === "arm64"
      ? `not known: /${host.cpu.path} ${whyNot(host.cpu)}`
      : `how ${arch} takes interrupts around the host is not known to the doctor: ${OTHER_WAYS[arch]}`;
  const evidence = arch === undefined ? undefined : seen(host.cpu, arch);
  const links = [link("architecture", "unknown", says, evidence)];
  return { links, able: "unknown", broken: undefined, contradictions: [], ruled: false };
}
