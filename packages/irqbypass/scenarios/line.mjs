// A level-triggered line of an interrupt controller of the emulator's: its level, beside the EOI that the emulator tells of.

import { override } from "atomics-explorer";
import { Eventfd, Vcpu, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { Consumer, Line } from "#src/host/layout.js";
import { expect, relayNow, VECTOR } from "./support/guest.mjs";

/**
 * An interrupt whose line is up is in service, and its device still has something to say: it says that when it is asked, and relays by
 * itself.
 */
function serves(world, break_ = () => {}) {
  const seen = hosts(world, ["emulator", "device"]);
  const host = seen.emulator;
  const vm = new Vm(host, { apic: false });
  vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: VECTOR } }]);
  const trigger = Eventfd.create(host);
  const resample = Eventfd.create(host);
  const irqfd = vm.irqfd(trigger, 1, { resample });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const bits = new Uint32Array(8);
  trigger.signal();
  relayNow(host);
  vcpu.take(bits);
  const own = Eventfd.open(seen.device, trigger.handle);
  const asked = Eventfd.open(seen.device, resample.handle);
  break_(seen, irqfd.record + Consumer.line);
  return {
    threads: {
      emulator() {
        irqfd.acknowledge();
        while (vcpu.wait() !== "interrupt");
        vcpu.take(bits);
        expect(irqfd.level, "the interrupt is there, and its line is low");
        return 1;
      },
      device() {
        asked.read();
        own.signal();
        relayNow(seen.device);
      },
    },
    keeps: [irqfd, vcpu, own, asked],
    end: conserves(
      ({ emulator: taken }) => ({ host, vm, eventfd: own, sent: 1, taken }),
      () => {
        expect(irqfd.level, "the device has signalled, and its line is down");
        expect(resample.count === 0n, "it was asked once too often");
      },
    ),
  };
}

/** Threads: emulator, device. */
export const eoi = {
  sentence:
    "A line that is acknowledged while its device goes on at once is up when the next interrupt is taken.",
  mutexes: "assumed",
  setup: (world) => serves(world),
  twins: {
    "asks-first": {
      sentence: "asks the device, and lets go of the line after that, over its answer",
      setup: (world) =>
        serves(world, ({ emulator }, line) => {
          const { words } = emulator;
          emulator.words = override(words, {
            store: (word, value) => (word === line ? undefined : words.store(word, value)),
            compareExchange(word, expected, value) {
              if (word !== line) return words.compareExchange(word, expected, value);
              words.store(line, Line.asking);
              words.store(line, Line.low);
              return expected;
            },
          });
        }),
    },
    "posts-first": {
      sentence: "delivers the interrupt, and raises the line after that",
      setup: (world) =>
        serves(world, ({ device }, line) => {
          const { words } = device;
          let raised = false;
          device.words = override(words, {
            store(word, value) {
              if (word === line) raised = true;
              else words.store(word, value);
            },
            or(word, value) {
              const before = words.or(word, value);
              if (raised && value === 1) {
                raised = false;
                words.store(line, Line.high);
              }
              return before;
            },
          });
        }),
    },
  },
};
