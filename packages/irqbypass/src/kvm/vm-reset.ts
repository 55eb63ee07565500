/** A reset of a KVM guest: what hardware forgets is forgotten, and what the VMM has wired stays. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { listenOf } from "../eventfd/listen.js";
import { Consumer, LEVEL, MAX_GSI, Route, RouteType } from "../host/layout.js";
import { irqfdsOf } from "../vm/irqfd-list.js";
import { firstRoute } from "../vm/routing.js";
import type { VmLife } from "../vm/vm-mutex.js";
import { placeVcpu } from "./guest.js";
import { Irqchips } from "./irqchips.js";
import type { KvmMachine } from "./machine.js";

/**
 * Resets a guest, whose local APICs began as `lapics` say. Throws EBUSY, with nothing changed, while one of its vCPUs runs. By the thread
 * that made it.
 */
export function resetGuest(
  host: BypassHost,
  life: VmLife,
  machine: KvmMachine,
  lapics: readonly Uint8Array[],
): void {
  const chips = new Irqchips(machine, life);
  life.guard(() => {
    chips.refuseIfRunning();
    // The lines first: one that is up would be in the chips again. And the vCPUs last, which the chips may have told of it.
    lowerLines(host, life, machine);
    chips.reset();
    for (const [index, vcpu] of machine.vcpus.entries()) {
      vcpu.forgetEvents();
      placeVcpu(vcpu);
      vcpu.setLapic(lapics[index]!);
    }
  });
}

/** Every line that a GSI leads to is down, whoever has raised it. */
function lowerLines(host: BypassHost, { record: vm }: VmLife, machine: KvmMachine): void {
  const { words } = host;
  for (let gsi = 0; gsi < MAX_GSI; gsi++) {
    const route = firstRoute(host, vm, gsi);
    if (route !== 0 && words.get(route + Route.type) === RouteType.irqchip) machine.setIrqLine(gsi, false);
  }
  // What resampling irqfds hold up KVM lets go of at an EOI, of which their devices are told, or with the last of them. What is
  // signalled between the two waits in the eventfd's counter, which the assign looks at. So do units that are left
  // of a semaphore, of which the deassign takes one: KVM has no other way to let go of a line, and none to assign without that look. One that is on its way out is left to that.
  const resampling = [...irqfdsOf(host, vm)].filter(
    (irqfd) => (words.get(irqfd + Consumer.flags) & LEVEL) !== 0 && words.get(irqfd + Consumer.closing) === 0,
  );
  const listening = resampling.map((irqfd) => {
    const eventfd = words.get(irqfd + Consumer.holds);
    return { irqfd, eventfd, listen: listenOf(host, irqfd, eventfd) };
  });
  for (const { irqfd, eventfd, listen } of listening) listen.stop(host, irqfd, eventfd);
  for (const { irqfd, eventfd, listen } of listening) listen.start(host, irqfd, eventfd);
}
