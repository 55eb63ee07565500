// The asynchronous waits: a vCPU, a reader of an eventfd, and whoever waits for a bypass. Each thread awaits one thing at a time.

import { override } from "atomics-explorer";
import { Eventfd, Producer } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Eventfd as E, Header, KICKED, NOTIFICATION_VECTOR } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { controlWord, expect, guest, openVcpu, playVcpu, sleepsUnsaid, VECTOR } from "./support/guest.mjs";

/** A vCPU that waits for an interrupt asynchronously; a device posts it, and the VMM kicks. */
function halts(world, break_ = () => {}) {
  const { hosts: seen, vm } = guest(world, ["vcpu", "device", "vmm"]);
  const vcpu = openVcpu(seen.vcpu, vm);
  const { record, file } = vcpu;
  break_(seen, record);
  return {
    threads: {
      async vcpu() {
        while ((await vcpu.waitAsync()) !== "interrupt");
        return vcpu.acknowledge();
      },
      device: () => descriptor.post(seen.device.words, file, VECTOR),
      vmm: () => descriptor.kick(seen.vmm.words, file, KICKED),
    },
    keeps: [vcpu, vcpu.waits],
    end({ vcpu: vector }) {
      expect(vector === VECTOR, `it took ${vector}`);
      const { nv } = vcpu.inspect();
      expect(nv === NOTIFICATION_VECTOR, "it is awake, and still asks to be woken");
    },
  };
}

/** Threads: vcpu, device, vmm. */
export const halt = {
  sentence: "A vCPU that awaits an interrupt takes it, and is woken if it sleeps, also beside a kick.",
  setup: (world) => halts(world),
  twins: {
    "never-asks": {
      sentence: "goes to sleep without asking to be woken",
      setup: (world) =>
        halts(world, ({ vcpu }, record) =>
          playVcpu(vcpu, (words) => ({
            compareExchange: (word, expected, value) =>
              word === controlWord(record) ? expected : words.compareExchange(word, expected, value),
          })),
        ),
    },
    "looks-late": {
      sentence: "sleeps on whatever is in the control word, not on the value that it looked at",
      setup: (world) =>
        halts(world, ({ vcpu }) =>
          playVcpu(vcpu, (words) => ({
            waitAsync: (word, _expected, timeoutMs) => words.waitAsync(word, words.load(word), timeoutMs),
          })),
        ),
    },
  },
};

/** A reader that awaits two counts, and two writers. */
function reads(world, break_ = () => {}) {
  const seen = hosts(world, ["reader", "writer1", "writer2"]);
  const own = Eventfd.create(seen.reader, { semaphore: true });
  const writers = ["writer1", "writer2"].map((name) => [name, Eventfd.open(seen[name], own.handle)]);
  const { words, mutex } = seen.reader;
  break_(seen, own.record);
  return {
    threads: {
      reader: async () => Number((await own.readAsync()) + (await own.readAsync())),
      ...Object.fromEntries(writers.map(([name, theirs]) => [name, () => theirs.write()])),
    },
    keeps: [own, ...writers.map(([, theirs]) => theirs)],
    end({ reader }) {
      expect(reader === 2, `read ${reader}`);
      mutex.guard(() =>
        expect(words.get(own.record + E.holds) === 0, "the eventfd is held by nobody who waits"),
      );
    },
  };
}

/** Threads: reader, writer1, writer2. */
export const read = {
  sentence: "A reader that awaits two units of a semaphore gets both, and holds nothing after that.",
  mutexes: "assumed",
  setup: (world) => reads(world),
  twins: {
    "sleeps-unsaid": {
      sentence: "sleeps without saying so in the sequence, so that nobody wakes it",
      setup: (world) =>
        reads(world, ({ reader }, record) => {
          playVcpu(reader, (words) => sleepsUnsaid(words, record));
        }),
    },
  },
};

/** A VMM that awaits the bypass of its irqfd, while the device's producer is registered. */
function awaits(world, break_ = () => {}) {
  const { hosts: seen, vm, eventfd } = guest(world, ["vmm", "device"]);
  openVcpu(seen.vmm, vm);
  const irqfd = vm.irqfd(eventfd, 24);
  const own = Eventfd.open(seen.device, eventfd.handle);
  const source = Producer.create(seen.device);
  break_(seen);
  return {
    threads: {
      vmm: () => irqfd.bypassed(),
      device: () => source.register(own),
    },
    keeps: [irqfd, own, source],
    end({ vmm }) {
      expect(vmm === "posted", `it is ${vmm}`);
      expect(seen.vmm.words.load(Header.watchers) === 0, "somebody is counted as watching");
    },
  };
}

/** Threads: vmm, device. */
export const bypassed = {
  conserves: "nothing is signalled",
  sentence: "Whoever awaits a bypass hears of it, whenever the other end arrives.",
  mutexes: "assumed",
  setup: (world) => awaits(world),
  twins: {
    "watches-late": {
      sentence: "counts itself as a watcher when it has looked, so that a change in between is not announced",
      setup: (world) =>
        awaits(world, ({ vmm }) => {
          const { words } = vmm;
          const add = (word, value) => (word === Header.watchers ? 0 : words.add(word, value));
          vmm.words = override(words, { add });
          vmm.thread.words = override(words, {
            async waitAsync(word, expected, timeoutMs) {
              words.add(Header.watchers, 1);
              const end = await words.waitAsync(word, expected, timeoutMs);
              words.add(Header.watchers, -1);
              return end;
            },
          });
        }),
    },
  },
};
