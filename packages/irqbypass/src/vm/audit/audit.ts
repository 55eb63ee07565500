/**
 * The audit of a host: a walk over the whole shared memory, that says for each word whether it can be what it is, and for
 * each record whether exactly one place leads to it.
 */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { Header } from "../../host/layout.js";
import { auditDevices } from "./devices.js";
import { auditEpolls } from "./epolls.js";
import { auditEventfds } from "./eventfds.js";
import type { Audit } from "./finding.js";
import { auditHeader, auditThreads, endedThreads } from "./header.js";
import { auditIndexes } from "./indexes.js";
import { auditIoeventfds } from "./ioeventfds.js";
import { auditIrqfds } from "./irqfds.js";
import { nap, underAllMutexes } from "./locks.js";
import { auditPending } from "./pending.js";
import { auditPools } from "./pools.js";
import { auditProducers } from "./producers.js";
import { auditReferences } from "./references.js";
import { auditRelays, type Unserved, unservedIrqfds } from "./relays.js";
import { auditRoutes } from "./routes.js";
import { auditVcpus } from "./vcpus.js";
import { View } from "./view.js";
import { auditVms } from "./vms.js";

/**
 * After how long it looks again, and then after twice as long and so on, to about a second: by then a thread has been on a core, and it
 * has been far more often than one is found in the middle of the same by chance.
 */
const [FIRST_NAP_MS, LAST_NAP_MS] = [1, 512];

/**
 * See {@link Host.audit}. No step of another thread is told from damage by how it looks: what it is in the middle of passes, and damage
 * stays. So what is found beside others that live is looked at again, and a finding is what stands in each look.
 */
export function audit(host: BypassHost): Audit {
  let found = look(host);
  for (let ms = FIRST_NAP_MS; ms <= LAST_NAP_MS && mayPass(host, found); ms *= 2) {
    nap(host, ms);
    const again = look(host);
    const stood = new Set(found.findings.map(({ message }) => message));
    found = { ...again, findings: again.findings.filter(({ message }) => stood.has(message)) };
  }
  return found;
}

/** May another thread be in the middle of what was found? Not of a mutex, for which the look has waited. */
function mayPass({ words, pools, thread }: BypassHost, { findings, more }: Audit): boolean {
  if (findings.length === 0 || more > 0 || findings.some(({ kind }) => kind === "mutex")) return false;
  const { thread: threads } = pools;
  for (let slot = Math.min(words.load(Header.threads), threads.capacity) - 1; slot >= 0; slot--) {
    const record = threads.at(slot);
    if (!thread.isMine(record) && thread.isAlive(record)) return true;
  }
  return false;
}

function look(host: BypassHost): Audit {
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
