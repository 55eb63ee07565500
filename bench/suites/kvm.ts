import { Host, type Irqfd, Producer } from "irqbypass";
import { KvmVm, kvm as kvmKind } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { available } from "../harness/linux.js";
import { raiseFileLimit, SPARE_FILES } from "../harness/open-files.js";
import { type Native, type Prepare, roundMs, type Suite, Unavailable } from "../harness/suite.js";
import { measure, timed, untimed } from "../harness/timing.js";

const COUNT = 100;
const GSI = 24;
const SIZES = [1, 1_000, 10_000, 20_000];
const QUICK_SIZES = [1, 1_000];

function guest() {
  return available(() => {
    const host = Host.create({ kinds: [linux(), kvmKind()], size: "large" }); // 20,000 irqfds
    const vm = new KvmVm(host);
    vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
    return { host, vm };
  });
}

/** One signal into a guest whose vCPU does not run: what the sender pays. */
function signals(bypass: "require" | "off"): Prepare {
  return (parameters) => {
    const { host, vm } = guest();
    const eventfd = LinuxEventfd.create(host);
    vm.irqfd(eventfd, GSI, { bypass });
    const producer = Producer.create(host);
    producer.register(eventfd);
    return () => {
      const [signal] = measure(
        roundMs(parameters),
        COUNT,
        timed(() => {
          for (let i = 0; i < COUNT; i++) producer.signal();
        }),
      );
      return { values: { signal: signal! } };
    };
  };
}

const assigns: Prepare = (parameters) => {
  const n = parameters.n!;
  const { host, vm } = guest();
  const wanted = n + SPARE_FILES;
  const files = raiseFileLimit(wanted);
  if (files < wanted) {
    const count = n.toLocaleString("en-US");
    throw new Unavailable(
      `${count} irqfds take as many file descriptors, and this process may have ${files}: ulimit -n ${wanted}`,
    );
  }
  const eventfds = Array.from({ length: n }, () => LinuxEventfd.create(host));
  const irqfds: Irqfd[] = eventfds.map((eventfd) => vm.irqfd(eventfd, GSI));
  let random = 1;
  let at = 0;
  return () => {
    const [deassign, assign] = measure(
      roundMs(parameters),
      1,
      untimed(() => {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        at = Math.floor((random / 2 ** 32) * n);
      }),
      timed(() => irqfds[at]!.dispose()),
      timed(() => {
        irqfds[at] = vm.irqfd(eventfds[at]!, GSI);
      }),
    );
    return { values: { deassign: deassign!, assign: assign! } };
  };
};

const native = (work: string): Native => ({
  source: "kvm.c",
  arguments: ({ n, roundMs }) => [work, String(roundMs), String(n ?? 1)],
});

export const kvm: Suite = {
  name: "kvm",
  about:
    "A real guest, from here and from C: one interrupt into it, and one of its N irqfds deassigned and assigned again. Its vCPU does not run, so this is what the sender pays.",
  measures: [
    { key: "signal", title: "one signal", unit: "ns" },
    { key: "deassign", title: "deassign an irqfd", unit: "ns" },
    { key: "assign", title: "assign it", unit: "ns" },
  ],
  contestants: {
    "injected: one KVM_SIGNAL_MSI": signals("require"),
    "C KVM_SIGNAL_MSI": native("msi"),
    "irqfd: one eventfd write": signals("off"),
    "C irqfd write": native("irqfd"),
    "irqfd of a KvmVm": assigns,
    "C KVM_IRQFD": native("assign"),
  },
  trials: (quick) => [
    { title: "injected", parameters: {}, contestants: ["injected: one KVM_SIGNAL_MSI", "C KVM_SIGNAL_MSI"] },
    { title: "irqfd", parameters: {}, contestants: ["irqfd: one eventfd write", "C irqfd write"] },
    ...(quick ? QUICK_SIZES : SIZES).map((n) => ({
      title: `one of ${n.toLocaleString("en-US")}`,
      parameters: { n },
      contestants: ["irqfd of a KvmVm", "C KVM_IRQFD"],
    })),
  ],
  notes: ["Deassigning waits inside KVM for work of other cores; on a busy machine that is most of it."],
};
