import { Eventfd, Host, Producer, Vcpu, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { available } from "../harness/linux.js";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measureBy, processor, timed } from "../harness/timing.js";

const CALLS = 1_000;
const VECTOR = 0x41;
const MESSAGE = { vcpu: 0, vector: VECTOR };

/** A host, and a VM of two vCPUs whose first this thread runs, and takes nothing: each interrupt finds the last one's bit. */
function guest() {
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 2 });
  const vcpus = [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle)) as [Vcpu, Vcpu];
  return { host, vm, vcpus };
}

/** Rounds of one call. */
const calls =
  (make: () => () => void): Prepare =>
  (parameters) => {
    const call = make();
    const many = timed(() => {
      for (let i = 0; i < CALLS; i++) call();
    });
    return () => ({
      values: { message: measureBy(processor, roundMs(parameters), CALLS, many)[0]! },
    });
  };

export const message: Suite = {
  name: "message",
  about:
    "An interrupt message to one of two vCPUs, that runs: through a connected producer, for which whom it reaches was decided when the route was, and by the calls that decide it each time. In processor time.",
  measures: [{ key: "message", title: "a message", unit: "ns" }],
  contestants: {
    "producer.signal(), posted": calls(() => {
      const { host, vm } = guest();
      const eventfd = Eventfd.create(host);
      vm.setGsiRouting([{ gsi: 24, msi: MESSAGE }]);
      vm.irqfd(eventfd, 24, { bypass: "require" });
      const producer = Producer.create(host);
      producer.register(eventfd);
      return () => producer.signal();
    }),
    "vcpu.sendIpi()": calls(() => {
      const { vcpus } = guest();
      return () => void vcpus[1].sendIpi({ to: 0, vector: VECTOR });
    }),
    "vm.signalMsi()": calls(() => {
      const { vm } = guest();
      return () => void vm.signalMsi(MESSAGE);
    }),
    "vm.signalMsi() of a KvmVm": calls(() =>
      available(() => {
        const vm = new KvmVm(Host.create({ kinds: [linux(), kvm()] }));
        return () => void vm.signalMsi(MESSAGE);
      }),
    ),
  },
  trials: () => [
    {
      title: "to one vCPU",
      parameters: {},
      contestants: [
        "producer.signal(), posted",
        "vcpu.sendIpi()",
        "vm.signalMsi()",
        "vm.signalMsi() of a KvmVm",
      ],
    },
  ],
};
