// A reset of a guest's platform: what was signalled before does not come after it, beside the relay that would deliver it.
import { override } from "atomics-explorer";
import { Eventfd, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { Consumer, Line } from "#src/host/layout.js";
import { Pending } from "#src/host/pending.js";
import { relayOne } from "#src/vm/relay.js";
import { dies, mortal } from "./support/death.mjs";
import {
  arrived,
  expect,
  openVcpu,
  overlooksDue,
  overlooksOther,
  relay,
  VECTOR,
  waitsForNobody,
} from "./support/guest.mjs";

const GSI = 24;

/** A guest with one vCPU and an irqfd, which is a line of the emulator's if its VM is `bare`. */
function guestOf(world, names, bare = false) {
  const seen = hosts(world, names);
  const host = seen[names[0]];
  const vm = new Vm(host, { apic: !bare });
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }]);
  openVcpu(host, vm);
  const eventfd = Eventfd.create(host);
  const irqfd = bare
    ? vm.irqfd(eventfd, GSI, { resample: Eventfd.create(host) })
    : vm.irqfd(eventfd, GSI, { bypass: "off" });
  const made = { hosts: seen, host, vm, eventfd, irqfd };
  world.beside?.(made);
  return made;
}

/** The VMM writes, and resets the guest; what was written has been an interrupt, and is none any more. */
function resets(world, play = () => {}, relayOf = ({ hosts }) => relay(hosts.relay)) {
  const made = guestOf(world, ["vmm", "relay"]);
  const { host, vm, eventfd, irqfd } = made;
  const relays = relayOf(made);
  play(made);
  return {
    threads: {
      vmm() {
        eventfd.write();
        vm.reset();
      },
      relay: relays,
    },
    daemons: ["relay"],
    keeps: [irqfd, vm, eventfd],
    end: conserves({ host, vm, eventfd, sent: 0 }),
  };
}

/** Threads: vmm, relay. */
export const written = {
  sentence: "What was written before a reset does not come after it, whoever delivers it.",
  mutexes: "assumed",
  setup: (world) => resets(world),
  twins: {
    "leaves-due": {
      sentence: "leaves what is due to the relay, which delivers it to the guest that has begun anew",
      setup: (world) => resets(world, ({ host, irqfd }) => overlooksDue(host, irqfd)),
    },
    "waits-for-nobody": {
      sentence: "resets beside a relay that has begun",
      setup: (world) =>
        resets(world, ({ host, irqfd }) => {
          overlooksOther(host, irqfd);
          waitsForNobody(host, irqfd);
          host.thread.quiesce = () => {};
        }),
    },
  },
};

/** One was written before, and the relay comes to the irqfd once. */
const comesOnce = ({ hosts, eventfd, irqfd }) => {
  eventfd.write();
  return () => void relayOne(hosts.relay, irqfd.record);
};

/** Threads: vmm, relay. */
export const writtenTwice = {
  sentence: "The same of two writes, where the relay is at the first.",
  mutexes: "assumed",
  setup: (world) => resets(world, undefined, comesOnce),
  twins: {
    "waits-for-the-last": {
      sentence: "waits for whoever the irqfd says is at it, which is nobody once the second is delivered",
      setup: (world) =>
        resets(
          world,
          ({ host, irqfd }) => {
            waitsForNobody(host, irqfd);
            host.thread.quiesce = () => {};
          },
          comesOnce,
        ),
    },
  },
};

/** A device writes while the VMM resets: its line and its interrupt are there, or neither. */
function raises(world, play = () => {}) {
  const made = guestOf(world, ["vmm", "device"], true);
  const { hosts, host, vm, eventfd, irqfd } = made;
  const own = Eventfd.open(hosts.device, eventfd.handle);
  play(made);
  return {
    threads: {
      vmm: () => vm.reset(),
      device() {
        own.write();
        relayOne(hosts.device, irqfd.record);
      },
    },
    keeps: [irqfd, own, vm],
    end: conserves({ host, vm, eventfd, sent: 0, most: 1 }, () =>
      expect(
        irqfd.level === arrived(host, vm),
        "the interrupt is there without its line, or that without it",
      ),
    ),
  };
}

/** Threads: vmm, device. */
export const line = {
  sentence:
    "What raises a line of the emulator's beside a reset comes before it or after it, with its interrupt.",
  mutexes: "assumed",
  setup: (world) => raises(world),
  twins: {
    "raises-outside": {
      sentence: "raises the line before it takes the mutex under which it delivers the interrupt",
      setup: (world) =>
        raises(world, ({ hosts: { device }, irqfd: { record } }) => {
          const { words } = device;
          device.words = override(words, {
            load(word) {
              if (word === record + Consumer.target) words.store(record + Consumer.line, Line.high);
              return words.load(word);
            },
            store: (word, value) => (word === record + Consumer.line ? undefined : words.store(word, value)),
          });
        }),
    },
  },
};

/** A relay dies with an interrupt that was written before the survivor resets the guest. */
const relayDies = ({ host, victim, vm, eventfd, irqfd }) => {
  eventfd.write();
  return {
    victim: () => relayOne(victim, irqfd.record),
    survivor: () => vm.reset(),
    keeps: [irqfd, vm, eventfd],
    signals: () => ({ host, vm, eventfd, sent: 0 }),
  };
};

/** Threads: survivor, victim. */
export const deathOfRelay = {
  sentence: "What was written before a reset does not come after it, though the relay that is at it dies.",
  ...mortal,
  setup: (world) => dies(world, relayDies, undefined, [], guestOf),
  twins: {
    "looks-once": {
      sentence: "waits for the relay, and does not look whether that has died with what it was at",
      setup: (world) =>
        dies(
          world,
          relayDies,
          ({ host, irqfd }) => {
            const { thread, words } = host;
            const pending = irqfd.record + Consumer.pending;
            const fenceAll = thread.fenceAll.bind(thread);
            irqfd.isWaitedFor = false; // of what is kept
            thread.fenceAll = (...args) => {
              fenceAll(...args);
              irqfd.isWaitedFor = true;
            };
            host.words = override(words, {
              load: (word) => (word === pending && irqfd.isWaitedFor ? Pending.idle : words.load(word)),
            });
          },
          [],
          guestOf,
        ),
    },
  },
};
