// A thread that dies as it tells of an EOI, beside another one that does.

import { override } from "atomics-explorer";
import { Eventfd, Vm } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Consumer, Line } from "#src/host/layout.js";
import { acknowledgeLine } from "#src/vm/line.js";
import { dies, mortal } from "./support/death.mjs";
import { arrived, expect, relayNow, VECTOR } from "./support/guest.mjs";

/** A VM without an interrupt controller, and one level-triggered irqfd. */
function bare(world, names) {
  const seen = hosts(world, names);
  const host = seen[names[0]];
  const vm = new Vm(host, { apic: false });
  vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: VECTOR } }]);
  const trigger = Eventfd.create(host);
  const resample = Eventfd.create(host);
  const irqfd = vm.irqfd(trigger, 1, { resample });
  const made = { hosts: seen, host, vm, eventfd: trigger, resample, irqfd };
  world.beside?.(made);
  return made;
}

/**
 * The victim is the device, which has always more to say when it is asked, and then the guest whose interrupt that is: it ends it. The
 * survivor has ended the interrupt before.
 */
const asks = ({ host, vm, victim, eventfd, resample, irqfd }) => {
  const own = Eventfd.open(victim, eventfd.handle);
  const asked = Eventfd.open(victim, resample.handle);
  return {
    keeps: [own, asked],
    survivor: () => irqfd.acknowledge(),
    victim() {
      asked.read();
      own.signal();
      relayNow(victim);
      acknowledgeLine(victim, irqfd.record, () => true);
    },
    signals: (_results, died) => ({ host, vm, eventfd, sent: died ? 0 : 1, most: 1 }),
    check() {
      if (!arrived(host, vm)) return; // the device died with what it had to say
      const line = host.words.load(irqfd.record + Consumer.line);
      expect(
        line === Line.high || resample.count > 0n,
        "the line was let go of, and the device is not asked",
      );
    },
  };
};

/** Who has asked takes every mark away, and not its own alone. */
const takesAll = ({ host, irqfd }) => {
  const line = irqfd.record + Consumer.line;
  const { words } = host;
  host.words = override(words, {
    compareExchange(word, expected, value) {
      if (word !== line) return words.compareExchange(word, expected, value);
      const seen = words.load(line);
      return (seen & 3) === Line.asking ? words.compareExchange(line, seen, value) : seen;
    },
  });
};

/** Threads: survivor, victim. */
export const asksDevice = {
  sentence: "Two threads end interrupts of one line, and one dies: the device is asked after the last one.",
  ...mortal,
  setup: (world) => dies(world, asks, () => {}, [], bare),
  twins: {
    "takes-all-marks": {
      sentence: "takes the mark of the other one away, when it has asked",
      setup: (world) => dies(world, asks, takesAll, [], bare),
    },
  },
};
