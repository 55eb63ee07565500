import { Eventfd, Host, Vm } from "irqbypass";
import { Consumer } from "irqbypass/internal/host/layout.js";
import { irqfdList } from "irqbypass/internal/vm/irqfd-list.js";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, timed, untimed } from "../harness/timing.js";

const SIZES = [10, 1_000, 20_000];
const QUICK_SIZES = [10, 20_000];
const BATCH = 8;
const GSI = 24;

/** `search`: looks for the irqfd from the head of the VM's list first, as the kernel does. */
function deassigns(search: boolean): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const host = Host.create({ capacity: { eventfd: n + 1, consumer: n + 1 } });
    const { words } = host;
    const vm = new Vm(host);
    vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
    const record = host.pools.vm.open(vm.handle);
    const eventfds = Array.from({ length: n }, () => Eventfd.create(host));
    for (const eventfd of eventfds) vm.irqfd(eventfd, GSI);
    let random = 1;
    let chosen: Eventfd[] = [];

    const choose = () => {
      const indexes = new Set<number>();
      while (indexes.size < Math.min(BATCH, n)) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        indexes.add(Math.floor((random / 2 ** 32) * n));
      }
      chosen = [...indexes].map((index) => eventfds[index]!);
    };
    const find = (eventfd: Eventfd): void => {
      let irqfd = words.get(irqfdList(record, GSI));
      while (words.load(irqfd + Consumer.source) !== eventfd.record) irqfd = words.get(irqfd + Consumer.next);
    };
    return () => {
      const [down, up] = measure(
        roundMs(parameters),
        BATCH,
        untimed(choose),
        timed(() => {
          for (const eventfd of chosen) {
            if (search) find(eventfd);
            vm.deassign(eventfd, GSI);
          }
        }),
        timed(() => {
          for (const eventfd of chosen) vm.irqfd(eventfd, GSI);
        }),
      );
      return { values: { deassign: down!, assign: up! } };
    };
  };
}

export const deassign: Suite = {
  name: "deassign",
  about: "Deassigns one of a VM's N irqfds, chosen at random, and assigns it again.",
  measures: [
    { key: "deassign", title: "deassign an irqfd", unit: "ns" },
    { key: "assign", title: "assign it", unit: "ns" },
  ],
  contestants: { irqbypass: deassigns(false), "with a list search": deassigns(true) },
  trials: (quick) =>
    (quick ? QUICK_SIZES : SIZES).map((n) => ({
      title: n.toLocaleString("en-US"),
      parameters: { n },
      contestants: ["irqbypass", "with a list search"],
    })),
  notes: [
    "With a list search: the same deassign, after the search from the list's head that KVM makes. KVM's own figures are in the suite kvm: they also wait for a grace period.",
  ],
};
