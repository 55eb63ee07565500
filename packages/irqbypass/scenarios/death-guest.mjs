// A thread that dies at any access of what concerns the guest: a vCPU that is taken, halted and given back, lines and
// their EOI, the host's switch.

import { override } from "atomics-explorer";
import { Eventfd, Producer, Vcpu, Vm } from "irqbypass";
import { device, dies, GSI, mortal, noHeal, noHealVm } from "./support/death.mjs";
import { arrived, expect, openVcpu, playVcpu, producer, VECTOR } from "./support/guest.mjs";

const PIN = 5;

/** The victim has the vCPU and gives it back, while the survivor signals: whoever takes it next has that interrupt. */
function givesBack({ host, vm, eventfd }, victim, ...keeps) {
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(host, eventfd);
  return {
    victim,
    survivor: () => source.signal(),
    keeps: [...keeps, irqfd, source],
    signals: () => ({ host, vm, eventfd }),
    check() {
      const next = openVcpu(host, vm);
      expect(next.acknowledge() === VECTOR, "the survivor's interrupt is lost");
      next.put();
    },
  };
}

const takesVcpu = (made) => {
  const { handle } = made.vm.vcpu(0);
  return givesBack(made, () => Vcpu.open(made.victim, handle).put());
};

const STILL_LOADED = "leaves SN clear in a vCPU that nobody runs any more";

function staysLoaded({ host, vm }) {
  const { record } = vm.vcpu(0);
  const { words } = host;
  host.words = override(words, {
    or: (word, value) => (word === record + 24 && value === 2 ? 0 : words.or(word, value)),
  });
}

export const runner = {
  sentence:
    "A thread dies while it takes a vCPU and gives it back: another can take it, with all that was posted.",
  ...mortal,
  setup: (world) => dies(world, takesVcpu),
  twins: {
    "still-loaded": {
      sentence: STILL_LOADED,
      setup: (world) => dies(world, takesVcpu, staysLoaded),
    },
  },
};

const halts = (made) => {
  const { host, vm, victim, eventfd } = made;
  const vcpu = openVcpu(victim, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(host, eventfd);
  return {
    victim: () => vcpu.wait({ timeoutMs: 100 }),
    survivor: () => source.signal(),
    keeps: [vcpu, irqfd, source],
    signals: () => ({ host, vm, eventfd }),
    check: () => expect(arrived(host, vm), "the survivor's interrupt is lost"),
  };
};

export const halted = {
  sentence: "The thread of a vCPU dies while it halts or is woken: what was posted is there for the next.",
  ...mortal,
  setup: (world) => dies(world, halts),
  twins: {
    "not-put": {
      sentence: "repairs everything but who runs which vCPU",
      setup: (world) =>
        dies(world, halts, ({ host, hosts: { victim } }) => {
          const { words } = host;
          host.words = override(words, {
            compareExchange: (word, expected, value) =>
              expected === victim.thread.record ? 0 : words.compareExchange(word, expected, value),
          });
        }),
    },
  },
};

const armsVcpu = (made) => {
  const { vm, victim } = made;
  // Of an async thread one thing at a time is explored: the wait that stands is left out.
  playVcpu(victim, () => ({ waitAsync: () => new Promise(() => {}) }));
  const vcpu = openVcpu(victim, vm);
  const arms = () => {
    vcpu.arm(() => {});
    vcpu.disarm();
    vcpu.put();
  };
  return givesBack(made, arms, vcpu, vcpu.waits.idle);
};

export const armed = {
  sentence:
    "The thread of a vCPU dies while it arms and disarms it: another can take it, with all that was posted.",
  ...mortal,
  setup: (world) => dies(world, armsVcpu),
  twins: {
    "still-loaded": {
      sentence: STILL_LOADED,
      setup: (world) => dies(world, armsVcpu, staysLoaded),
    },
  },
};

/** The victim raises and drops an edge-triggered line that the survivor raises, too. */
const raisesLine = (made) => {
  const { host, vm, victim } = made;
  openVcpu(host, vm);
  vm.ioapic.write(0x10 + 2 * PIN, VECTOR);
  vm.setGsiRouting([
    { gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } },
    { gsi: GSI, msi: { vcpu: 0, vector: 0x51 } },
  ]);
  const own = Vm.open(victim, vm.handle);
  return {
    victim() {
      own.setIrqLine(PIN, true);
      own.setIrqLine(PIN, false);
    },
    survivor: () => vm.setIrqLine(GSI, true),
    signals: () => ({ host, vm, vector: 0x51, most: 2 }), // the victim's line may still be up
    check: (_results, died) =>
      expect(!died || host.words.get(vm.life.record + 13) === 0, "a line is still being pulsed"),
  };
};

export const line = {
  sentence: "A thread dies while it drives a line: the line is as its sources say, and delivered.",
  ...mortal,
  setup: (world) => dies(world, raisesLine),
  twins: {
    "no-heal": {
      sentence: "takes a VM's mutex over and leaves its lines as they are",
      setup: (world) => dies(world, raisesLine, noHealVm),
    },
  },
};

/** The victim serves a level-triggered interrupt; whoever runs the vCPU next ends it, and the device is asked again. */
const endsLevel = (made) => {
  const { host, vm, victim, eventfd } = made;
  vm.ioapic.write(0x10 + 2 * PIN, VECTOR | (1 << 15));
  vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
  const resample = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, PIN, { resample });
  vm.setIrqLine(PIN, true);
  const vcpu = openVcpu(victim, vm);
  vcpu.acknowledge();
  vm.setIrqLine(PIN, false);
  return {
    victim: () => vcpu.eoi(),
    survivor: () => eventfd.signal(),
    keeps: [vcpu, irqfd, eventfd, resample],
    // The line is up, and delivered; what the dead thread served is requested once more.
    signals: () => ({ host, vm, eventfd, most: 3 }),
    check(_results, died) {
      if (died) {
        const next = openVcpu(host, vm);
        if (next.acknowledge() !== undefined) next.eoi();
        next.put();
      }
      expect(resample.tryRead() !== undefined, "nobody asks the device whether it has more to say");
    },
  };
};

export const eoi = {
  sentence:
    "The thread of a vCPU dies in the EOI of a level-triggered interrupt: its device is asked all the same.",
  ...mortal,
  setup: (world) => dies(world, endsLevel),
  twins: {
    "ended-first": {
      sentence: "takes the vector out of service before the I/O APIC knows of it",
      setup: (world) =>
        dies(world, endsLevel, ({ hosts: { victim }, vm }) => {
          const { words } = victim;
          const isr = vm.vcpu(0).record + 40 + (VECTOR >>> 5);
          victim.words = override(words, {
            compareExchange(word, expected, value) {
              if (word === vm.life.record + 2) words.set(isr, 0); // just before the VM's mutex, under which the I/O APIC hears of it
              return words.compareExchange(word, expected, value);
            },
          });
        }),
    },
  },
};

const switches = (made) => {
  const mine = device(made);
  const { victim } = made;
  return {
    ...mine,
    victim() {
      victim.bypass = false;
      victim.bypass = true;
    },
    check(results, died) {
      made.host.bypass = true; // it may have died with the switch off
      mine.check(results, died);
    },
  };
};

export const switched = {
  sentence:
    "A thread dies while it turns bypass off and on: interrupts arrive, and it can be turned on again.",
  ...mortal,
  setup: (world) => dies(world, switches),
  twins: {
    "half-switched": {
      sentence: "repairs without a look at the entries that do not know of the switch yet",
      setup: (world) =>
        dies(world, switches, ({ host }) => {
          const { words } = host;
          const entry = host.pools.producer.at(0) + 8;
          host.words = override(words, {
            exchange: (word, value) => (word === entry ? value : words.exchange(word, value)),
          });
        }),
    },
  },
};

const moves = (made) => {
  const mine = device(made);
  const { host, vm, victim } = made;
  const [first, second] = [Eventfd.create(host), Eventfd.create(host)];
  const irqfds = [vm.irqfd(first, GSI), vm.irqfd(second, GSI)];
  const [from, to] = [first, second].map(({ handle }) => Eventfd.open(victim, handle));
  const source = Producer.create(victim);
  source.register(from);
  return {
    ...mine,
    victim: () => source.move(to),
    keeps: [...mine.keeps, ...irqfds, from, to, source, first, second],
  };
};

export const move = {
  sentence: "A thread dies while it moves a device to another eventfd: neither place has it.",
  ...mortal,
  setup: (world) => dies(world, moves),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, moves, noHeal),
    },
  },
};
