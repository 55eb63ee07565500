/**
 * The chain: what must hold from end to end before any interrupt of this host can be posted.
 */

import type { Host } from "../facts/host.js";
import { known } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { armChain } from "./chain-arm.js";
import { intelOrAmdChain } from "./chain-x86.js";
import type { Chain } from "./link.js";

/** Examines the chain of a host. */
export function examineChain(host: Host, trace: TraceFacts | undefined): Chain {
  return known(host.cpu)?.vendor === "arm" ? armChain(host) : intelOrAmdChain(host, trace);
}
