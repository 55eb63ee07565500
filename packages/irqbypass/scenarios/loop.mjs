// An emulator's loop: a running vCPU that looks whether there is an interrupt, and one that goes idle on its event loop, while others
// post and kick.

import { conserves } from "#scenarios/support/conservation.js";
import { KICKED, NOTIFICATION_VECTOR, ON, Vcpu as V } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { Idle } from "#src/vm/idle.js";
import { deliverable } from "#src/vm/lapic.js";
import { asksForWakeUp, controlWord, expect, guest, openVcpu, playVcpu, VECTOR } from "./support/guest.mjs";

/** Of the same class as {@link VECTOR}, so that neither interrupts the other. */
const OTHER = VECTOR + 2;

/** A vCPU that serves two vectors as soon as it sees them, each posted by a device of its own. */
function looks(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["vcpu", "device1", "device2"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  break_(vcpu);
  const posts = ({ words }, vector) => descriptor.post(words, vcpu.file, vector);
  return {
    threads: {
      vcpu() {
        const taken = [];
        while (taken.length < 2) {
          if (!vcpu.hasInterrupt()) {
            hosts.vcpu.words.relax();
            continue;
          }
          const vector = vcpu.acknowledge();
          expect(vector !== undefined, "it was told of an interrupt, and there was none");
          taken.push(vector);
          vcpu.eoi();
        }
        expect(!vcpu.hasInterrupt(), "it is told of an interrupt that nobody posted");
        return taken.sort().join();
      },
      device1: () => posts(hosts.device1, VECTOR),
      device2: () => posts(hosts.device2, OTHER),
    },
    keeps: [vcpu],
    end: conserves(
      ({ vcpu: taken }) => ({ host: hosts.vcpu, vm, sent: 1, taken: taken.includes(VECTOR) ? 1 : 0 }),
      ({ vcpu: taken }) => expect(taken === `${VECTOR},${OTHER}`, `it took ${taken}`),
    ),
  };
}

/** Threads: vcpu, device1, device2. */
export const look = {
  sentence:
    "A vCPU that trusts hasInterrupt is told of each of two posts, and of none that acknowledge would not give.",
  setup: (world) => looks(world),
  twins: {
    "looks-at-on-alone": {
      sentence:
        "takes what is posted for all there is, and strands the second of two that were harvested together",
      setup: (world) =>
        looks(world, (vcpu) => {
          vcpu.hasInterrupt = () => vcpu.pending();
        }),
    },
    "looks-past-on": {
      sentence: "looks at PIR without ON, and sees a post that a harvest does not take yet",
      setup: (world) =>
        looks(world, (vcpu) => {
          const { words } = vcpu.memory;
          vcpu.hasInterrupt = () =>
            deliverable(words, vcpu.record) >= 0 || words.load(vcpu.file + (VECTOR >>> 5)) !== 0;
        }),
    },
    "keeps-its-answer": {
      sentence: "knows what was requested before the last harvest, and does not look again",
      setup: (world) =>
        looks(world, (vcpu) => {
          vcpu.stale = undefined;
          vcpu.hasInterrupt = () => {
            vcpu.stale ??= deliverable(vcpu.memory.words, vcpu.record) >= 0;
            return vcpu.stale || descriptor.highestPosted(vcpu.memory.words, vcpu.file) >= 0;
          };
        }),
    },
  },
};

/**
 * A vCPU that is idle on its event loop as often as it takes until it has the interrupt that a device posts; another thread kicks. Of
 * an async thread one thing at a time is explored: between two idles it does nothing but look.
 */
function idles(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["vcpu", "device", "vmm"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const { waits } = vcpu;
  const { idle } = waits;
  let fail;
  idle.stand = (asleep) => {
    const standing = Idle.prototype.stand.call(idle, asleep);
    standing.catch(fail); // what ends a run ends it in there
    return standing;
  };
  break_(hosts, vcpu);
  return {
    threads: {
      async vcpu() {
        for (;;) {
          let calls = 0;
          await new Promise((resolve, reject) => {
            fail = reject;
            const called = () => {
              calls += 1;
              resolve();
            };
            if (!vcpu.arm(called)) resolve();
          });
          expect(calls <= 1, "it was called twice");
          expect(!vcpu.disarm(), "it is armed still, and was called");
          const vector = vcpu.acknowledge();
          if (vector !== undefined) {
            vcpu.eoi();
            return vector;
          }
          expect(vcpu.wait({ timeoutMs: 0 }) !== "timeout", "it was called for nothing");
        }
      },
      device: () => post(hosts.device, vcpu.file),
      vmm: () => descriptor.kick(hosts.vmm.words, vcpu.file, KICKED),
    },
    keeps: [vcpu, waits, idle],
    end: conserves(
      ({ vcpu: taken }) => ({ host: hosts.vcpu, vm, sent: 1, taken: taken === VECTOR ? 1 : 0 }),
      ({ vcpu: taken }) => expect(taken === VECTOR, `it took ${taken}`),
    ),
  };
}

const post = ({ words }, file) => descriptor.post(words, file, VECTOR);

/** Threads: vcpu, device, vmm. */
export const arm = {
  sentence:
    "A vCPU that is armed is called once for a post and once for a kick, whenever they come, and takes the interrupt.",
  setup: (world) => idles(world),
  twins: {
    "asks-nobody": {
      sentence: "arms without asking to be woken",
      setup: (world) =>
        idles(world, ({ vcpu }, { record }) =>
          playVcpu(vcpu, (words) => ({
            compareExchange: (word, expected, value) =>
              word === controlWord(record) ? expected : words.compareExchange(word, expected, value),
          })),
        ),
    },
    "sleeps-on-what-is-there": {
      sentence: "installs the wait for whatever is in the control word, not for what it looked at",
      setup: (world) =>
        idles(world, ({ vcpu }) =>
          playVcpu(vcpu, (words) => ({
            waitAsync: (word, _expected, timeoutMs) => words.waitAsync(word, words.load(word), timeoutMs),
          })),
        ),
    },
    "looks-at-posts-alone": {
      sentence: "arms though it is kicked, and goes by a kick that came before",
      setup: (world) =>
        idles(world, (_hosts, vcpu) => {
          const { words } = vcpu.memory;
          vcpu.waits.idle.block = () => {
            if (vcpu.hasInterrupt()) return false;
            void vcpu.waits.idle.stand(words.load(controlWord(vcpu.record)));
            return true;
          };
        }),
    },
  },
};

/** A vCPU that is armed and disarmed again beside a post. The wait that stands is left out: it is a thing of the event loop. */
function gives(world, change = () => ({})) {
  const { hosts, vm } = guest(world, ["vcpu", "device"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  playVcpu(hosts.vcpu, (words) => ({
    waitAsync: () => new Promise(() => {}),
    ...change(words, vcpu.record),
  }));
  return {
    threads: {
      vcpu() {
        const armed = vcpu.arm(() => {});
        expect(vcpu.disarm() === armed, "whether it was armed is not what disarm says");
        expect(vcpu.inspect().nv === NOTIFICATION_VECTOR, "it asks to be woken still");
        const taken = vcpu.acknowledge() !== undefined;
        vcpu.eoi();
        return taken;
      },
      device: () => post(hosts.device, vcpu.file),
    },
    keeps: [vcpu, vcpu.waits, vcpu.waits.idle],
    end: conserves(
      ({ vcpu: taken }) => ({ host: hosts.vcpu, vm, sent: 1, taken: taken ? 1 : 0 }),
      ({ vcpu: taken }) =>
        expect(taken || vcpu.hasInterrupt(), "the interrupt is there, and nothing shows it"),
    ),
  };
}

/** Threads: vcpu, device. */
export const disarm = {
  sentence: "A vCPU is armed and disarmed beside a post: the interrupt is taken, or it shows.",
  setup: (world) => gives(world),
  twins: {
    "overwrites-on": {
      sentence: "takes the request to be woken back by a load and a store, over the ON of a post in between",
      setup: (world) =>
        gives(world, (words, record) => ({
          compareExchange(word, expected, value) {
            if (word !== controlWord(record) || asksForWakeUp(value))
              return words.compareExchange(word, expected, value);
            words.store(word, value);
            return expected;
          },
        })),
    },
  },
};

/** A vCPU that halts beside two posts, of which its priority holds one back, and then looks at its control word alone. */
function polls(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["vcpu", "device1", "device2"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const above = VECTOR + 16;
  hosts.vcpu.words.set(vcpu.record + V.tpr, VECTOR | 15);
  break_(hosts, vcpu);
  return {
    threads: {
      vcpu() {
        while (vcpu.wait() !== "interrupt");
        return descriptor.isNews(hosts.vcpu.words.load(controlWord(vcpu.record)));
      },
      device1: () => descriptor.post(hosts.device1.words, vcpu.file, VECTOR),
      device2: () => descriptor.post(hosts.device2.words, vcpu.file, above),
    },
    keeps: [vcpu, vcpu.waits],
    end({ vcpu: says }) {
      expect(says, "it was told of an interrupt, and the word that compiled code polls says nothing");
      expect(vcpu.acknowledge() === above, "the interrupt is lost");
    },
  };
}

/** Threads: vcpu, device1, device2. */
export const poll = {
  sentence: "When a wait has ended with an interrupt the control word says so, whichever post came when.",
  setup: (world) => polls(world),
  twins: {
    harvests: {
      sentence: "takes what is posted into IRR for a look, and clears ON",
      setup: (world) =>
        polls(world, (hosts, vcpu) => {
          vcpu.hasPosted = () => false;
          playVcpu(hosts.vcpu, keepsOnClear);
        }),
    },
    "says-nothing-more": {
      sentence: "does not set ON again for what was posted between its look and its harvest",
      setup: (world) => polls(world, ({ vcpu }) => playVcpu(vcpu, keepsOnClear)),
    },
  },
};

/** Nobody sets ON but who posts. */
const keepsOnClear = (words) => ({ or: (word, value) => (value === ON ? 0 : words.or(word, value)) });
