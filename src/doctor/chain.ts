/**
 * The chain: what must hold from end to end before any interrupt of this host can be posted.
 */
import { armChain } from "./chain-arm.js";
import { intelOrAmdChain } from "./chain-x86.js";
import type { Host } from "./host.js";
import type { Chain } from "./link.js";
import { known } from "./source.js";
import type { TraceFacts } from "./trace-facts.js";

/** Examines the chain of a host. */
export function examineChain(host: Host, trace: TraceFacts | undefined): Chain {
  return known(host.cpu)?.vendor === "arm" ? armChain(host) : intelOrAmdChain(host, trace);
}
