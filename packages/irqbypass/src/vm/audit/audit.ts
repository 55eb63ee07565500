/**
 * The audit of a host: a walk over the whole shared memory, that says for each word whether it can be what it is, and for
 * each record whether exactly one place leads to it.
 */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { auditDevices } from "./devices.js";
import { auditEpolls } from "./epolls.js";
import { auditEventfds } from "./eventfds.js";
import type { Audit } from "./finding.js";
import { auditHeader, auditThreads, endedThreads } from "./header.js";
import { auditIndexes } from "./indexes.js";
import { auditIoeventfds } from "./ioeventfds.js";
import { auditIrqfds } from "./irqfds.js";
import { underAllMutexes } from "./locks.js";
import { auditPending } from "./pending.js";
import { auditPools } from "./pools.js";
import { auditProducers } from "./producers.js";
import { auditReferences } from "./references.js";
import { auditRelays, type Unserved, unservedIrqfds } from "./relays.js";
import { auditRoutes } from "./routes.js";
import { auditVcpus } from "./vcpus.js";
import { View } from "./view.js";
import { auditVms } from "./vms.js";

/** See {@link Host.audit}. */
export function audit(host: BypassHost): Audit {
  const view = new View(host);
  const ended = endedThreads(view);
  let unserved: readonly Unserved[] = [];
  underAllMutexes(view, () => {
    auditHeader(view);
    auditThreads(view, ended);
    auditPools(view); // finds the live records, which the others go through
    auditIndexes(view);
    auditProducers(view);
    auditDevices(view);
    auditIrqfds(view);
    auditIoeventfds(view);
    auditReferences(view);
    auditEpolls(view);
    auditEventfds(view); // after those that hold them
    auditRoutes(view);
    auditVms(view); // after the routes, which it follows
    auditVcpus(view);
    auditPending(view);
    unserved = unservedIrqfds(view);
  });
  auditRelays(view, unserved);
  return view.result;
}
