// To be run from the folder of the scenarios.
// One write beside one deassign: it is an interrupt, or it stays in the counter (eventfd_ctx_remove_wait_queue).
import { Eventfd } from "irqbypass";
import { arrived, expect, guest, openVcpu, relay } from "./support/guest.mjs";
export const write = {
  sentence: "A write at any moment of a deassign is an interrupt, or is in the counter when both are over.",
  mutexes: "assumed",
  twins: { silent: { sentence: "does not write", setup: (world) => make(world, false) } },
  setup: (world) => make(world, true),
};
function make(world, writes) {
    const { hosts, vm, eventfd } = guest(world, ["vmm", "device", "relay"]);
    openVcpu(hosts.vmm, vm);
    const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
    const own = Eventfd.open(hosts.device, eventfd.handle);
    return { threads: { vmm: () => void irqfd.dispose(), device: () => { if (writes) own.write(); }, relay: relay(hosts.relay) }, daemons: ["relay"], keeps: [irqfd, own, vm, eventfd],
      end() { expect(arrived(hosts.vmm, vm) || eventfd.count === 1n, "the write is neither an interrupt nor in the counter"); } };
}
