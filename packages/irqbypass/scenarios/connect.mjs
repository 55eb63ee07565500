// A device signals while its interrupt is connected and disconnected, and the vCPU halts or harvests: guarantees 1 and 2.

import { override } from "atomics-explorer";
import { Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Producer as P } from "#src/host/layout.js";
import {
  arrived,
  asksForWakeUp,
  connected,
  controlWord,
  expect,
  guest,
  openVcpu,
  pirWord,
  playVcpu,
  producer,
  relay,
  relayNow,
  serve,
  VECTOR,
} from "./support/guest.mjs";

/**
 * The device is registered and signals once; the VMM assigns the irqfd meanwhile, which connects the two. With a vCPU that
 * halts, the VMM's thread goes on as the relay.
 */
function connects(world, halts, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device", ...(halts ? ["vcpu"] : [])]);
  const vcpu = openVcpu(hosts.vcpu ?? hosts.vmm, vm);
  const source = producer(hosts.device, eventfd);
  const relays = relay(hosts.vmm);
  break_(hosts, source, vcpu);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        vm.irqfd(eventfd, 24);
        if (halts) relays();
      },
      ...(halts && { vcpu: () => serve(vcpu) }),
    },
    daemons: ["vmm"],
    keeps: [source, eventfd, vm, vcpu],
    // Counted before the irqfd was there it is an interrupt, and stays in the counter.
    end: conserves(
      ({ vcpu: taken = 0 }) => ({ host: hosts.vmm, vm, eventfd, taken, most: 2 }),
      ({ vcpu: taken }) => {
        if (!halts) {
          const posted = arrived(hosts.vmm, vm);
          const words = hosts.vmm.words.load(pirWord(vm));
          hosts.vmm.words.and(pirWord(vm), 0);
          relayNow(hosts.vmm);
          const relayed = hosts.vmm.words.load(pirWord(vm)) !== 0;
          hosts.vmm.words.or(pirWord(vm), words);
          expect(posted || relayed, "the interrupt is lost");
          expect(!(posted && relayed), "the interrupt went by both paths");
        }
        if (halts) {
          expect(taken === 1, `one signal was taken ${taken} times`);
          expect(hosts.vmm.words.load(pirWord(vm)) === 0, "one signal was delivered twice");
        }
      },
    ),
  };
}

/** Threads: vmm, device. Guarantee 1: exactly one path. */
export const connect = {
  sentence: "A signal while its interrupt is connected goes by exactly one path, the eventfd or the vCPU.",
  setup: (world) => connects(world, false),
  twins: {
    both: {
      sentence: "posts, and signals the eventfd as well, to be sure",
      setup: (world) =>
        connects(world, false, (hosts, source) => {
          const signal = source.signal.bind(source);
          source.signal = () => {
            signal();
            if (hosts.device.words.load(source.record + P.irte) & 1) source.eventfd.signal();
          };
        }),
    },
    "drops-count": {
      sentence: "forgets what was signalled before the irqfd was there",
      setup: (world) =>
        connects(world, false, (hosts) => {
          hosts.vmm.pending.raise = () => {};
        }),
    },
  },
};

/** Threads: vmm (then the relay), device, vcpu. Guarantee 1. */
export const halting = {
  sentence:
    "A vCPU that halted before its VM had a device is woken by the first signal, posted or relayed, and takes it once.",
  setup: (world) => connects(world, true),
  twins: {
    "asks-late": {
      sentence: "asks to be woken only where something is connected that can post when it halts",
      bug: { id: "a2486020a82e", year: 2021 },
      setup: (world) =>
        connects(world, true, ({ vcpu: host }, source, vcpu) =>
          playVcpu(host, (words) => ({
            compareExchange(word, expected, value) {
              const halts = word === controlWord(vcpu.record) && asksForWakeUp(value);
              if (halts && (words.load(source.record + P.irte) & 3) === 0) return expected;
              return words.compareExchange(word, expected, value);
            },
          })),
        ),
    },
  },
};

/** A vCPU that takes what there is now, without halting. */
const look = (vcpu) => vcpu.acknowledge();

/**
 * A posted interrupt is signalled and deassigned while its vCPU harvests. What the vCPU does after the deassign can only
 * take away from PIR what was in it then.
 */
function disconnects(world, break_ = () => {}) {
  const made = guest(world, ["vmm", "device", "vcpu"]);
  const { hosts, vm, eventfd } = made;
  const vcpu = openVcpu(hosts.vcpu, vm);
  const irqfd = vm.irqfd(eventfd, 24);
  const source = producer(hosts.device, eventfd);
  const { words } = hosts.vmm;
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        irqfd.dispose();
        return words.load(pirWord(vm));
      },
      vcpu: () => look(vcpu),
    },
    keeps: [source, irqfd, vcpu],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      expect((words.load(pirWord(vm)) & ~vmm) === 0, "posted after deassign had returned");
    }),
  };
}

/** Threads: vmm, device, vcpu. Guarantee 2, and of guarantee 1 that a signal is somewhere. */
export const disconnect = {
  sentence:
    "When deassign has returned while the vCPU harvests, nothing is posted any more, and no signal was swallowed.",
  setup: (world) => disconnects(world),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a signal that is under way",
      setup: (world) =>
        disconnects(world, ({ vmm }) => {
          vmm.thread.fence = () => {};
        }),
    },
    swallows: {
      sentence: "drops a signal that finds its bypass gone",
      setup: (world) =>
        disconnects(world, ({ device }) => {
          device.pending.raise = () => {};
          device.words = override(device.words, { compareExchange64: (_, expected) => expected });
        }),
    },
  },
};

/** A posted interrupt is signalled and re-routed to the other vCPU while the first one harvests. */
function reroutes(world, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device", "vcpu"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  vm.irqfd(eventfd, 24);
  const source = producer(hosts.device, eventfd);
  const { words } = hosts.vmm;
  const old = pirWord(vm, 0);
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }]);
        return words.load(old);
      },
      vcpu: () => look(vcpu),
    },
    keeps: [source, vm, vcpu],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm }) => {
      expect((words.load(old) & ~vmm) === 0, "posted by the old route after the new one was in force");
    }),
  };
}

/** Threads: vmm, device, vcpu. Guarantees 1 and 2. */
export const reroute = {
  sentence:
    "A signal during a routing update is delivered once, and never to the old vCPU after it, whatever that one harvests.",
  setup: (world) => reroutes(world),
  twins: {
    "no-grace": {
      sentence: "replaces the routes without waiting for a signal that is under way",
      setup: (world) =>
        reroutes(world, ({ vmm }) => {
          vmm.thread.quiesce = () => {};
        }),
    },
  },
};

/** A signal, a routing update and a deassign, all at once. */
function retargets(world, break_ = () => {}) {
  const { hosts, vm, eventfd, irqfd, source } = connected(world, ["vmm", "device", "other"]);
  const others = Vm.open(hosts.other, vm.handle);
  const { words } = hosts.vmm;
  const pirs = [0, 1].map((index) => pirWord(vm, index));
  const both = (seen) => pirs.map((word) => seen.load(word));
  break_(hosts);
  return {
    threads: {
      device: () => source.signal(),
      vmm() {
        irqfd.dispose();
        return both(words);
      },
      other() {
        others.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: VECTOR } }]);
        return both(hosts.other.words)[0];
      },
    },
    keeps: [source, irqfd, others],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm, other }) => {
      const now = both(words);
      expect(now.join() === vmm.join(), "posted after deassign had returned");
      expect(now[0] === other, "posted by the old route after the new one was in force");
    }),
  };
}

/** Threads: vmm, device, other. Guarantee 2 for both at once. */
export const retarget = {
  sentence:
    "When a deassign and a routing update meet under a signal, nothing is posted after the one or by the old route after the other.",
  mutexes: "assumed",
  setup: (world) => retargets(world),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a signal that is under way",
      setup: (world) =>
        retargets(world, ({ vmm }) => {
          vmm.thread.fence = () => {};
        }),
    },
    "no-grace": {
      sentence: "replaces the routes without waiting for a signal that is under way",
      setup: (world) =>
        retargets(world, ({ other }) => {
          other.thread.quiesce = () => {};
        }),
    },
  },
};
