// An irqfd is assigned and deassigned while its eventfd has a count, the relay injects, and others use the same locks.
import { Eventfd, Producer, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Consumer, Eventfd as E, Vm as V } from "#src/host/layout.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import {
  arrived,
  connected,
  expect,
  guest,
  lawless,
  openVcpu,
  pirWord,
  relay,
  VECTOR,
} from "./support/guest.mjs";

/** The eventfd has a count when the irqfd is assigned; another thread deassigns it at once. */
function assigns(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "other", "relay"]);
  openVcpu(hosts.vmm, vm);
  eventfd.write();
  const own = Eventfd.open(hosts.other, eventfd.handle);
  const others = Vm.open(hosts.other, vm.handle);
  const pir = pirWord(vm);
  const keeps = [eventfd, own, vm, others];
  const relays = relay(hosts.relay);
  break_(hosts, vm, keeps);
  return {
    threads: {
      vmm: () => void vm.irqfd(eventfd, 24, { bypass: "off" }),
      other: () => ({ deassigned: others.deassign(own, 24), pir: hosts.other.words.load(pir) }),
      relay: relays,
    },
    daemons: ["relay"],
    keeps,
    // The count at assign is an interrupt, and stays in the counter until the deassign.
    end: conserves({ host: hosts.vmm, vm, eventfd, most: 2 }, ({ other: { deassigned, pir: then } }) => {
      expect(arrived(hosts.vmm, vm), "what was in the eventfd is lost");
      if (deassigned) expect(hosts.vmm.words.load(pir) === then, "injected after the deassign had returned");
    }),
  };
}

/** Threads: vmm, other, relay. With signal/assign the fourth of what Linux comments on: assign with a pending count. */
export const count = {
  sentence:
    "What is in the eventfd when an irqfd is assigned is injected, and by nobody after another thread has deassigned it.",
  mutexes: "assumed",
  setup: (world) => assigns(world),
  twins: {
    "schedules-unlocked": {
      sentence: "lets go of the lock before it makes the injection of the count due",
      bug: { id: "irqfd assign against deassign", year: 2010 },
      setup: (world) => assigns(world, schedulesUnlocked),
    },
  },
};

function schedulesUnlocked({ vmm }, vm, keeps) {
  const { mutex } = vm.life;
  const raise = vmm.pending.raise.bind(vmm.pending);
  const state = { due: 0 };
  keeps.push(state);
  vmm.pending.raise = (irqfd) => {
    state.due = irqfd;
  };
  const late = (lock) => (section) => {
    const result = lock.call(mutex, section);
    if (state.due !== 0) raise(state.due);
    state.due = 0;
    return result;
  };
  vm.life.mutex = { guard: late(mutex.guard), enclose: late(mutex.enclose), held: () => mutex.held() };
}

/** A signal of the irqfd waits for the relay, or is just being injected, when the irqfd is deassigned. */
function deassigns(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "relay"]);
  openVcpu(hosts.vmm, vm);
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
  const { words } = hosts.vmm;
  const record = words.load(eventfd.record + E.irqfd);
  const relays = relay(hosts.relay);
  hosts.vmm.pending.raise(record);
  break_(hosts, record);
  const pir = pirWord(vm);
  return {
    threads: {
      vmm() {
        irqfd.dispose();
        return words.load(pir);
      },
      relay: relays,
    },
    daemons: ["relay"],
    keeps: [irqfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      expect(words.load(pir) === vmm, "injected after deassign had returned");
      expect(arrived(hosts.vmm, vm), "what was signalled before the deassign is lost");
    }),
  };
}

/** Threads: vmm, relay. The seventh of what Linux comments on: deassign waits for outstanding injections. */
export const outstanding = {
  sentence: "A deassign waits for an injection that the relay has begun, and makes one that it has not.",
  setup: (world) => deassigns(world),
  twins: {
    "no-fence": {
      sentence: "does not wait for the relay",
      setup: (world) =>
        deassigns(lawless(world), ({ vmm }, record) => {
          const fenceAll = vmm.thread.fenceAll.bind(vmm.thread);
          vmm.thread.fenceAll = (kind, what) => void (what === record || fenceAll(kind, what));
        }),
    },
    "leaves-it": {
      sentence: "throws away an injection that nobody has begun",
      setup: (world) =>
        deassigns(world, ({ vmm }) => {
          vmm.pending.claim = () => false;
        }),
    },
  },
};

/** Three threads that take the VM's mutex and the host's, each in its own operation. */
function locks(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device", "other"]);
  openVcpu(hosts.vmm, vm);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const others = Vm.open(hosts.other, vm.handle);
  const source = Producer.create(hosts.device);
  break_(hosts, vm);
  return {
    threads: {
      vmm: () => void vm.irqfd(eventfd, 24),
      device: () => source.register(own),
      other: () => others.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }]),
    },
    keeps: [eventfd, own, vm, others, source],
    end() {
      source.eventfd = own;
      source.signal();
      expect(arrived(hosts.vmm, vm, 1) && !arrived(hosts.vmm, vm, 0), "not posted by the new route");
    },
  };
}

/** Threads: vmm, device, other. */
export const order = {
  conserves: "nothing is signalled meanwhile",
  sentence: "An assign, a registration and a routing update at once never wait for each other in a circle.",
  mutexes: "assumed",
  setup: (world) => locks(world),
  twins: {
    circle: {
      sentence: "takes the VM's mutex in a callback, under the host's, as three locks of vfio-pci were taken",
      bug: { id: "igate, memory_lock, pci_bus_sem", year: 2025 },
      setup: (world) => locks(world, takesVmMutexInside),
    },
  },
};

function takesVmMutexInside(hosts, vm) {
  for (const host of Object.values(hosts)) {
    const { consumer } = host.kinds[0];
    const mutex = vmMutex(host, vm.life.record);
    host.kinds[0] = {
      ...host.kinds[0],
      consumer: {
        ...consumer,
        addProducer: (memory, producer, irqfd) =>
          mutex.held()
            ? consumer.addProducer(memory, producer, irqfd)
            : mutex.guard(() => consumer.addProducer(memory, producer, irqfd)),
      },
    };
  }
}

/** Threads: two that deassign the same irqfd, and the device, whose signal may be under way. */
function twice(world, play = () => {}) {
  const made = connected(world, ["vmm", "device", "other"]);
  const { hosts, vm, irqfd, source } = made;
  const others = Vm.open(hosts.other, vm.handle);
  const own = Eventfd.open(hosts.other, made.eventfd.handle);
  const { words } = hosts.vmm;
  play(irqfd, words);
  return {
    threads: {
      vmm() {
        irqfd.dispose();
        return words.load(pirWord(vm));
      },
      other: () => others.deassign(own, 24),
      device: () => source.signal(),
    },
    keeps: [irqfd, own, source],
    end: conserves({ host: hosts.vmm, vm, eventfd: made.eventfd }, ({ vmm }) =>
      expect(words.load(pirWord(vm)) === vmm, "posted after dispose had returned"),
    ),
  };
}

export const together = {
  sentence: "Of two threads that deassign the same irqfd neither returns before nothing is posted any more.",
  mutexes: "assumed",
  setup: (world) => twice(world),
  twins: {
    "returns-early": {
      sentence: "returns at once where another thread has begun to deassign it",
      setup: (world) =>
        twice(world, (irqfd, words) => {
          const isLive = irqfd.isLive.bind(irqfd);
          irqfd.isLive = () => isLive() && words.get(irqfd.record + Consumer.closing) === 0;
        }),
    },
  },
};

const PIN = 10;

/** A level-triggered irqfd goes while the relay is about to raise its line, or does. */
function resampled(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd } = guest(world, ["vmm", "relay"]);
  vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
  vm.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
  openVcpu(host, vm);
  const resample = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, PIN, { resample });
  const { words } = host;
  const relays = relay(hosts.relay);
  host.pending.raise(words.load(eventfd.record + E.irqfd));
  break_(hosts, vm);
  return {
    threads: {
      vmm: () => irqfd.dispose(),
      relay: relays,
    },
    daemons: ["relay"],
    keeps: [irqfd, resample, eventfd],
    end: conserves({ host, vm, eventfd }, () => {
      const record = vm.life.record;
      expect(words.load(record + V.resamplers) === 0, "an irqfd that is gone is still asked");
      expect(words.get(record + V.sources + PIN) === 0, "its line is up");
    }),
  };
}

/** Threads: vmm, relay. */
export const resamplers = {
  sentence:
    "A level-triggered irqfd that goes waits for the relay, which waits for nothing that it holds, and its line drops.",
  mutexes: "assumed",
  setup: (world) => resampled(world),
  twins: {
    "waits-locked": {
      sentence: "waits for the relay under the mutex of the list of resamplers, which the relay needs",
      bug: { id: "synchronize_srcu under resampler_lock", year: 2026 },
      setup: (world) => resampled(world, waitsLocked),
    },
  },
};

function waitsLocked({ vmm }, vm) {
  const { thread } = vmm;
  const fenceAll = thread.fenceAll.bind(thread);
  const mutex = vmMutex(vmm, vm.life.record);
  thread.fenceAll = (word, record) => mutex.guard(() => fenceAll(word, record));
}
