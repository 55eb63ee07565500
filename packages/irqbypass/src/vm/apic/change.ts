/**
 * A change of a register by which messages find a local APIC. What a route comes to is decided here, as where the routes
 * themselves change (`reroute.ts`), so that no signal has to ask.
 */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { announceChange } from "../../bypass/changes.js";
import { Vm } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import { irqfdsOf } from "../irqfd-list.js";
import { deliverBefore, retargetAll } from "../reroute.js";
import type { VmLife } from "../vm-mutex.js";
import { mapOf } from "./map.js";

/**
 * Makes the change that `change` is. When it has returned, messages find the APICs as they are now, and what was signalled before
 * has gone where it went then. An irqfd that cannot be posted any more is relayed, also one that requires bypass, and posted
 * again as soon as it can be. Blocks for the VM's mutex, and for signals that are under way.
 */
export function changeApics(host: BypassHost, life: VmLife, change: () => void): void {
  const { words, thread } = host;
  const vm = life.record;
  deliverBefore(host, life, { irqfds: () => irqfdsOf(host, vm) });
  const changed = life.guard(() => {
    // Before the first register: an IPI that has read one of them since looks here again, and goes the other way.
    words.add(vm + Vm.apics, 1);
    change();
    settleApics(host, vm);
    return retargetAll(host, vm);
  });
  thread.quiesce(); // not under the mutex, which what is under way may need
  if (changed) announceChange(words);
}

/** Takes over what the registers say, and ends the change. Whoever repairs after a death does so too. Under the VM's mutex. */
export function settleApics(memory: HostMemory, vm: number): void {
  const { words } = memory;
  words.store(vm + Vm.apicMap, mapOf(memory, vm));
  if (words.load(vm + Vm.apics) & 1) words.add(vm + Vm.apics, 1);
}
