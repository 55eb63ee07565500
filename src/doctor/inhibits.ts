/**
 * Reasons for which a VM has APICv or AVIC switched off while it runs. No file shows them, only a tracepoint.
 */
import { link } from "./link.js";
import type { VmProcess } from "./processes.js";
import type { ChainLink } from "./report.js";
import type { InhibitChange, TraceFacts } from "./trace-facts.js";

const EVENT = "kvm:kvm_apicv_inhibit_changed";

/** The link of the chain that is about inhibit reasons. */
export function inhibitLink(trace: TraceFacts | undefined): ChainLink {
  const name = "inhibit reasons";
  if (trace === undefined)
    return link(name, "unknown", "no file shows them; --trace does, while a VM starts");
  if (!trace.followed.includes(EVENT)) return link(name, "unknown", `${EVENT} could not be followed`);
  const last = trace.inhibits.at(-1);
  const span = `in ${trace.seconds.toFixed(1)} s`;
  if (last === undefined) {
    return link(name, "unknown", `none changed ${span}; one set before would not show`, {
      source: EVENT,
      says: `no event ${span}`,
    });
  }
  const says = `last change: ${last.name} ${last.set ? "set" : "cleared"}, inhibits 0x${last.inhibits.toString(16)}`;
  if (last.inhibits === 0)
    return link(name, "holds", `none is set (${last.name} was cleared)`, { source: EVENT, says });
  return link(name, "broken", `APICv/AVIC is inhibited: ${last.name}`, { source: EVENT, says });
}

/** The inhibit that is in force in one VM, by the threads of its process; undefined if none is known. */
export function inhibitOf(vm: VmProcess, trace: TraceFacts | undefined): InhibitChange | undefined {
  const last = trace?.inhibits.filter(({ tid }) => tid === vm.pid || vm.threads.includes(tid)).at(-1);
  return last !== undefined && last.inhibits !== 0 ? last : undefined;
}
