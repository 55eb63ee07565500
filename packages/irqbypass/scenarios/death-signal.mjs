// A thread that dies at any access of a delivery: of a signal, of the relay's part, of the vCPU's. What it owed to others is
// done for it, and what others sent is not lost with it.

import { override } from "atomics-explorer";
import { Eventfd, Producer, Vcpu } from "irqbypass";
import { Header } from "#src/host/layout.js";
import { relayOne } from "#src/vm/relay.js";
import { dies, GSI, mortal, noNotification, second } from "./support/death.mjs";
import { arrived, BIT, expect, openVcpu, pirWord, producer, VECTOR } from "./support/guest.mjs";

const signals = (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(victim, eventfd);
  return {
    victim: () => source.signal(),
    survivor() {
      irqfd.dispose();
      return host.words.load(pirWord(vm)) & BIT;
    },
    keeps: [irqfd, source],
    signals: (_results, died) => ({ host, vm, eventfd, sent: died ? 0 : 1, most: 1 }),
    check: ({ survivor }) =>
      expect((host.words.load(pirWord(vm)) & BIT) === survivor, "posted after deassign had returned"),
  };
};

export const signal = {
  sentence:
    "A thread dies while it signals: a deassign that waits for it goes on, and nothing is posted after it.",
  ...mortal,
  setup: (world) => dies(world, signals),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a signal that is under way",
      setup: (world) =>
        dies(world, signals, ({ host }) => {
          host.thread.fence = () => {};
        }),
    },
  },
};

/** Two devices on one vector, of which one may die, and the vCPU that they wake, whose thread repairs. */
const coalesces = (made) => {
  const { host, vm, victim, hosts, eventfd } = made;
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const first = second(made);
  const irqfd = vm.irqfd(eventfd, GSI);
  const doomed = Producer.create(victim);
  doomed.register(first.own);
  const source = producer(hosts.device, eventfd);
  const id = victim.threadId;
  return {
    victim: () => doomed.signal(),
    device: () => source.signal(),
    survivor() {
      for (;;) {
        const wake = vcpu.wait({ timeoutMs: 100 });
        if (wake === "interrupt") vcpu.acknowledge(); // what was posted is taken, and what comes after it shows by itself
        if (wake !== "timeout") return wake;
        host.threadLost(id);
      }
    },
    keeps: [vcpu, irqfd, doomed, source, first.own],
    signals: () => ({ host, vm, eventfd }),
    check: ({ survivor }) => expect(survivor === "interrupt", "the vCPU was woken for nothing"),
  };
};

export const coalesced = {
  sentence:
    "A signal that finds the bit set by a thread that died wakes the vCPU, by itself or with the repair.",
  ...mortal,
  setup: (world) => dies(world, coalesces, undefined, ["device"]),
  twins: {
    "no-notification": {
      sentence: "repairs without the notifications that the dead thread owed",
      setup: (world) => dies(world, coalesces, noNotification, ["device"]),
    },
  },
};

/** The survivor writes to an eventfd that the relay serves, which may die, and then deassigns. */
const relays = (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  return {
    victim: () => victim.pending.takeAll((one) => relayOne(victim, one)),
    survivor() {
      eventfd.write();
      irqfd.dispose();
    },
    keeps: [irqfd, eventfd],
    signals: () => ({ host, vm, eventfd }),
    check: () => expect(arrived(host, vm), "the survivor's interrupt is lost"),
  };
};

export const relay = {
  sentence: "The relay dies while it injects: whoever deassigns the irqfd does it instead.",
  ...mortal,
  setup: (world) => dies(world, relays),
  twins: {
    "no-resume": {
      sentence: "leaves an injection that a dead relay had claimed as it is",
      setup: (world) =>
        dies(world, relays, ({ host }) => {
          host.pending.resume = () => {};
        }),
    },
  },
};

const writes = (made) => {
  const { host, vm, victim, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  const own = Eventfd.open(victim, eventfd.handle);
  return {
    victim: () => own.write(),
    survivor: () => eventfd.write(),
    keeps: [irqfd, eventfd, own],
    signals: (_results, died) => ({ host, vm, eventfd, sent: died ? 1 : 2 }),
    check: () => expect(arrived(host, vm), "the survivor's interrupt is lost"),
  };
};

export const write = {
  sentence:
    "A thread dies while it writes to an eventfd that another writes to: the other's interrupt arrives.",
  ...mortal,
  setup: (world) => dies(world, writes),
  twins: {
    "in-flight": {
      sentence: "gives the dead thread's record back with what it was writing to",
      setup: (world) =>
        dies(world, writes, ({ host }) => {
          host.repair.thread = () => {};
        }),
    },
  },
};

/** The victim runs the vCPU: takes the survivor's interrupt, serves it and says so just before the EOI. */
const serves = (made) => {
  const { host, vm, victim, eventfd } = made;
  const vcpu = openVcpu(victim, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(host, eventfd);
  return {
    victim() {
      if (vcpu.acknowledge() === undefined) return;
      victim.words.store(Header.changes, 1);
      vcpu.eoi();
    },
    survivor: () => source.signal(),
    keeps: [vcpu, irqfd, source],
    signals: () => ({ host, vm, eventfd, taken: host.words.load(Header.changes), most: 2 }),
    check(_results, died) {
      if (!died) return;
      const next = openVcpu(host, vm);
      const served = host.words.load(Header.changes) === 1;
      const vector = next.acknowledge();
      next.put();
      expect(vector === VECTOR || served, "the survivor's interrupt died with the vCPU's thread");
    },
  };
};

/** The same with another way to take interrupts out of PIR, or into service. */
const playVcpu = (change) => (made) => {
  const { victim } = made.hosts;
  victim.words = override(victim.words, change(victim.words, made.vm.vcpu(0).record));
};

export const vcpu = {
  sentence: "The thread of a vCPU dies between an interrupt and its EOI: whoever runs the vCPU next has it.",
  ...mortal,
  setup: (world) => dies(world, serves),
  twins: {
    "takes-first": {
      sentence: "empties PIR before the local APIC has what was in it",
      setup: (world) =>
        dies(
          world,
          serves,
          playVcpu((words, record) => ({
            load: (word) =>
              word === record + 16 + (VECTOR >>> 5) ? words.exchange(word, 0) : words.load(word),
          })),
        ),
    },
  },
};
