/**
 * Reasons for which a VM has APICv or AVIC switched off while it runs. No file shows them, only a tracepoint.
 */

import type { VmProcess } from "../facts/processes.js";
import type { InhibitChange, TraceFacts } from "../source/trace-facts.js";
import { link } from "./link.js";
import type { ChainLink } from "./report.js";

const EVENT = "kvm:kvm_apicv_inhibit_changed";

/** The link of the chain that is about inhibit reasons: broken if one is in force in any VM. */
export function inhibitLink(vms: readonly VmProcess[], trace: TraceFacts | undefined): ChainLink {
  const name = "inhibit reasons";
  if (trace === undefined)
    return link(name, "unknown", "no file shows them; --trace does, while a VM starts");
  if (!trace.followed.includes(EVENT)) return link(name, "unknown", `${EVENT} could not be followed`);
  const span = `in ${trace.seconds.toFixed(1)} s`;
  const last = lastChanges(vms, trace);
  const force = last.find(({ inhibits }) => inhibits !== 0);
  const seen = force ?? last.at(-1);
  if (seen === undefined) {
    const says = `none changed ${span}; one set before would not show`;
    return link(name, "unknown", says, { source: EVENT, says: `no event ${span}` });
  }
  const says = `${seen.name} ${seen.set ? "set" : "cleared"} by thread ${seen.tid}, inhibits 0x${seen.inhibits.toString(16)}`;
  if (force === undefined)
    return link(name, "holds", "the last change left none set", { source: EVENT, says });
  return link(name, "broken", `APICv/AVIC is inhibited: ${force.name}`, { source: EVENT, says });
}

/** The inhibit that is in force in one VM, by the threads of its process; undefined if none is known. */
export function inhibitOf(vm: VmProcess, trace: TraceFacts | undefined): InhibitChange | undefined {
  const last = trace?.inhibits.filter(({ tid }) => belongs(vm, tid)).at(-1);
  return last !== undefined && last.inhibits !== 0 ? last : undefined;
}

/** The last change of each VM; threads of unknown processes count as one. */
function lastChanges(vms: readonly VmProcess[], trace: TraceFacts): InhibitChange[] {
  const last = new Map<number | undefined, InhibitChange>();
  for (const change of trace.inhibits) last.set(vms.find((vm) => belongs(vm, change.tid))?.pid, change);
  return [...last.values()];
}

function belongs(vm: VmProcess, tid: number): boolean {
  return tid === vm.pid || vm.threads.includes(tid);
}
