// What a real guest's interrupts go through in shared memory: the code of `KvmVm` and of a producer, over a machine that
// is none. One KVM_SIGNAL_MSI is a post into the vCPU that the MSI names, by whoever makes it.
import { override } from "atomics-explorer";
import { Eventfd, Producer } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { IrqBypassError } from "#src/host/errors.js";
import { Vm } from "#src/host/layout.js";
import { encodeTable } from "#src/kvm/table.js";
import { whileThere } from "#src/kvm/vm-ref.js";
import { openRoute } from "#src/vm/route-ref.js";
import { lifeOf } from "#src/vm/vm-mutex.js";
import { disposeClaimed } from "#src/vm/vm-record.js";
import { arrived, expect, lawless, noMutex, pirWord, producer, relayNow } from "./support/guest.mjs";
import { GSI, irqfdAt, machine, msi } from "./support/machine.mjs";

/** The VMM does something while a device signals whose interrupt is injected. */
function injects(world, act, end, break_ = () => {}) {
  const { hosts, host, vm, kvm, eventfd, assigns } = machine(world);
  const irqfd = assigns();
  const source = producer(hosts.device, eventfd);
  expect(source.path === "injected", `the device's interrupt is ${source.path}`);
  const old = pirWord(vm, 0);
  break_(hosts);
  return {
    threads: {
      vmm() {
        act({ kvm, irqfd });
        return host.words.load(old);
      },
      device: () => source.signal(),
    },
    keeps: [kvm, irqfd, source],
    end: conserves({ host, vm, eventfd }, (results) => {
      expect(host.words.load(old) === results.vmm, "injected by the old route after the call had returned");
      relayNow(host);
      end(host, vm);
    }),
  };
}

/** The VMM assigns the irqfd while the device registers its producer. */
function meet(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd, assigns } = machine(world);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const source = Producer.create(hosts.device);
  break_(hosts);
  return {
    threads: { vmm: () => void assigns(), device: () => source.register(own) },
    keeps: [own, source],
    end() {
      source.eventfd = own;
      expect(source.path === "injected", `the device's interrupt is ${source.path}: ${source.reason}`);
      source.signal();
      expect(arrived(host, vm, 0), "the interrupt is lost");
    },
  };
}

/** Threads: vmm, device. */
export const connect = {
  conserves: "nothing is signalled meanwhile",
  sentence: "A real guest's irqfd and its producer find each other, whichever comes first.",
  mutexes: "assumed",
  setup: (world) => meet(world),
  twins: {
    unlocked: {
      sentence: "registers the producer without the lock under which the irqfd looks for it",
      setup: (world) =>
        meet(lawless(world), ({ device }) => {
          device.mutex = noMutex;
        }),
    },
  },
};

const noFence = ({ vmm }) => {
  vmm.thread.fence = () => {};
  vmm.thread.quiesce = () => {};
};

const disposes = ({ irqfd }) => irqfd.dispose();
const nothingLeft = (host) => expect(host.pools.injection.live === 0, "its injection was not given back");

/** Threads: vmm, device. */
export const deassign = {
  sentence: "Once a real guest's irqfd is deassigned nothing is injected by what it gave back.",
  mutexes: "assumed",
  setup: (world) => injects(world, disposes, nothingLeft),
  twins: {
    "no-fence": {
      sentence: "gives the injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, disposes, nothingLeft, noFence),
    },
  },
};

const reroutes = ({ kvm }) => kvm.setGsiRouting([{ gsi: GSI, msi: msi(1) }]);

function once(host, vm) {
  expect(arrived(host, vm, 0) !== arrived(host, vm, 1), "the interrupt is lost, or came twice");
  expect(host.pools.injection.live === 1, "the old injection was not given back");
}

/** Threads: vmm, device. */
export const reroute = {
  sentence:
    "A real guest's interrupt that is re-routed goes by the old route, by the eventfd or by the new one, once.",
  mutexes: "assumed",
  setup: (world) => injects(world, reroutes, once),
  twins: {
    "no-fence": {
      sentence: "gives the old injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, reroutes, once, noFence),
    },
  },
};

const changesOne = ({ kvm }) => kvm.route(GSI).change(msi(1));

/** Threads: vmm, device. */
export const single = {
  sentence:
    "A real guest's interrupt whose single route is changed goes by the old message or by the new one, once.",
  mutexes: "assumed",
  setup: (world) => injects(world, changesOne, once),
  twins: {
    "no-fence": {
      sentence: "gives the old injection back without waiting for a signal that is under way",
      setup: (world) => injects(world, changesOne, once, noFence),
    },
  },
};

/** Two threads change routes of a real guest, one of them where an irqfd listens and one where none does yet. */
function together(world, break_ = () => {}) {
  const { hosts, host, life, kvm, own, routingOf, assigns } = machine(world);
  const there = routingOf(hosts.device);
  const route = openRoute(there, GSI);
  const irqfd = assigns();
  const listens = Eventfd.create(host);
  break_(there);
  return {
    threads: {
      vmm() {
        const { gsi } = kvm.routeMsi(msi(1));
        irqfdAt(routingOf(host), host, life, listens, gsi);
      },
      device: () => route.change(msi(1)),
    },
    keeps: [kvm, irqfd, route],
    end() {
      const { words } = host;
      const table = [...encodeTable(words, words.get(life.record + Vm.routing))];
      expect(table.join() === own.table.join(), "an irqfd listens, and KVM has an older table");
    },
  };
}

/** Threads: vmm, device. */
export const tables = {
  conserves: "nothing is signalled",
  sentence: "Whoever changes routes of a real guest, KVM has the newest table where an irqfd listens.",
  mutexes: "assumed",
  setup: (world) => together(world),
  twins: {
    "memory-alone": {
      sentence: "changes the table in memory, and gives KVM none",
      setup: (world) =>
        together(world, (there) => {
          there.follow = () => {};
        }),
    },
  },
};

/** A thread sends a message through a guest that the VMM ends. */
function messages(world, break_ = () => {}) {
  const { hosts, host, life } = machine(world, ["vmm", "device"], { real: true });
  const there = lifeOf(hosts.device, life.record);
  const descriptor = life.record + Vm.fd;
  break_(hosts);
  return {
    threads: {
      vmm: () =>
        disposeClaimed(
          host,
          life.record,
          () => life.isLive(),
          () => host.mutex.guard(() => host.words.set(descriptor, 0)),
        ),
      device() {
        try {
          return whileThere(hosts.device, there, () => hosts.device.words.get(descriptor));
        } catch (error) {
          if (!(error instanceof IrqBypassError)) throw error;
          return error.code;
        }
      },
    },
    keeps: [],
    end({ device: sent }) {
      expect(sent !== 0, "sends a message through a descriptor that was closed");
      expect(host.pools.vm.live === 1, "the guest's record was not given back");
    },
  };
}

/** Threads: vmm, device. */
export const message = {
  conserves: "nothing is signalled",
  sentence: "A message goes through a real guest while it is there, or is refused; its end waits for it.",
  mutexes: "assumed",
  setup: (world) => messages(world),
  twins: {
    "no-fence": {
      sentence: "closes the guest without waiting for a message that is under way",
      setup: (world) => messages(world, noFence),
    },
    "not-announced": {
      sentence: "looks whether the guest is there, and then sends without saying so",
      setup: (world) =>
        messages(world, ({ device }) => {
          const { words, thread } = device;
          device.words = override(words, {
            store(word, value) {
              if (word !== thread.writing) words.store(word, value);
            },
          });
        }),
    },
  },
};
