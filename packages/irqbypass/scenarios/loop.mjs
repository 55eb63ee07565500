// An emulator's loop: a running vCPU that looks whether there is an interrupt, while devices post.

import { conserves } from "#scenarios/support/conservation.js";
import * as descriptor from "#src/posting/descriptor.js";
import { deliverable } from "#src/vm/lapic.js";
import { expect, guest, openVcpu, VECTOR } from "./support/guest.mjs";

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
          vcpu.hasInterrupt = () => {
            vcpu.stale ??= deliverable(vcpu.memory.words, vcpu.record) >= 0;
            return vcpu.stale || descriptor.highestPosted(vcpu.memory.words, vcpu.file) >= 0;
          };
        }),
    },
  },
};
