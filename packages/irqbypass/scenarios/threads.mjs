// Threads attach to a host and leave it: each has a record of its own meanwhile, and a lock id that no other has had.
import { override } from "atomics-explorer";
import { attaching, hosts } from "#scenarios/support/hosts.js";
import { expect } from "./support/guest.mjs";

/** Two threads attach, announce something in their in-flight word, and leave. There is room for both, beside the creator. */
function come(world, change = () => ({})) {
  const { creator } = hosts(world, ["creator"], { capacity: { thread: 3 } });
  const comes = (name, what) => {
    const own = world.words(name);
    const attach = attaching(world, name, creator, override(own, change(own)));
    return () => {
      const thread = attach();
      const { words, signalling, lockId } = thread;
      words.store(signalling, what);
      const kept = words.load(signalling) === what;
      thread.leave(signalling);
      thread.detach();
      return { lockId, kept };
    };
  };
  return {
    threads: { creator: () => {}, first: comes("first", 8), second: comes("second", 16) },
    end({ first, second }) {
      expect(first.kept && second.kept, "two threads have one record");
      expect(first.lockId !== second.lockId, "two threads have had one lock id");
      const { findings, live } = creator.audit();
      expect(findings.length === 0, findings[0]?.message);
      expect(live.thread === 1, "a thread that has left still has its record");
    },
  };
}

/** Threads: creator, first, second. */
export const attach = {
  conserves: "nothing is signalled",
  sentence:
    "Two threads that attach and leave have a record each while they are there, and never the same lock id.",
  setup: (world) => come(world),
  twins: {
    "looks-then-claims": {
      sentence: "claims a record by a load and a store instead of a compare-exchange",
      setup: (world) =>
        come(world, (words) => ({
          compareExchange(word, expected, value) {
            const seen = words.load(word);
            if (seen === expected) words.store(word, value);
            return seen;
          },
        })),
    },
    "same-life": {
      sentence: "gives its record back without a new life, so that the next one has the same lock id",
      setup: (world) => come(world, (words) => ({ add: (word) => words.load(word) })),
    },
  },
};
