// Eventfds in shared memory: readers that sleep, writers that wake them, and a close that races with other uses.

import { Eventfd } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Eventfd as E, READ_KICKED, READER_SLEEPS } from "#src/host/layout.js";
import { deassign } from "#src/vm/assignment.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { expect, guest, playVcpu, sleepsUnsaid } from "./support/guest.mjs";

/** A reader who says that it sleeps in whatever the sequence is by now. */
const saysOverIt = (words, record) => ({
  compareExchange(word, expected, value) {
    if (word !== record + E.sequence) return words.compareExchange(word, expected, value);
    words.or(word, READER_SLEEPS);
    return expected;
  },
  wait: (word, _expected, timeoutMs) => words.wait(word, words.load(word), timeoutMs),
});

/** Readers that each read once, and writers that each write once. */
function cast(world, { readers, writers, semaphore = false, play = {} }) {
  const seen = hosts(world, [...readers, ...writers]);
  const made = Eventfd.create(seen[readers[0]], { semaphore });
  const threads = {};
  const keeps = [];
  for (const name of [...readers, ...writers]) {
    const host = seen[name];
    const own = Eventfd.open(host, made.handle);
    const change = readers.includes(name) ? play.reader : play.writer;
    if (change !== undefined) playVcpu(host, (words) => change(words, made.record));
    keeps.push(own);
    threads[name] = readers.includes(name) ? () => Number(own.read()) : () => own.write();
  }
  const { words } = seen[readers[0]];
  return {
    threads,
    keeps,
    end(results) {
      const read = readers.reduce((sum, name) => sum + results[name], 0);
      expect(
        read + Number(words.load64(made.record + E.counter)) === writers.length,
        "a count is lost or doubled",
      );
    },
  };
}

const one = { readers: ["reader"], writers: ["writer1", "writer2"] };
const two = {
  readers: ["reader1", "reader2"],
  writers: ["writer1", "writer2"],
  semaphore: true,
};

/** Threads: reader, writer1, writer2. */
export const read = {
  sentence: "A reader that sleeps is woken by a write, and every count is read once.",
  setup: (world) => cast(world, one),
  twins: {
    "adds-in-two": {
      sentence: "adds to the counter by a load and a store",
      setup: (world) =>
        cast(world, {
          ...one,
          play: {
            writer: (words) => ({
              compareExchange64(word, expected, value) {
                words.store64(word, value);
                return expected;
              },
            }),
          },
        }),
    },
    "sleeps-unsaid": {
      sentence: "sleeps without saying so in the sequence, so that nobody wakes it",
      setup: (world) => cast(world, { ...one, play: { reader: sleepsUnsaid } }),
    },
    "says-over-it": {
      sentence: "says that it sleeps in whatever the sequence is by now, and waits for that",
      setup: (world) => cast(world, { ...one, play: { reader: saysOverIt } }),
    },
    "same-sequence": {
      sentence: "wakes without changing the word that readers sleep on",
      setup: (world) =>
        cast(world, {
          ...one,
          play: {
            writer: (words, record) => ({
              add: (word, value) => (word === record + E.sequence ? 0 : words.add(word, value)),
            }),
          },
        }),
    },
  },
};

/** Threads: reader1, reader2, writer1, writer2. */
export const semaphore = {
  sentence: "Two readers of a semaphore get one unit each of two writes.",
  preemptions: 2,
  setup: (world) => cast(world, two),
  twins: {
    "wakes-none": {
      sentence: "writes without waking the readers that sleep",
      setup: (world) => cast(world, { ...two, play: { writer: () => ({ notify: () => 0 }) } }),
    },
  },
};

/** The same without the bound: seven million states. */
export const semaphoreWhole = {
  ...semaphore,
  sentence: "Two readers of a semaphore get one unit each of two writes, in every schedule.",
  preemptions: undefined,
  long: true,
};

/** A reader that is to stop once it was kicked, beside a writer: it reads until then, and takes what was written before. */
function stops(world, play = {}) {
  const seen = hosts(world, ["reader", "writer", "vmm"]);
  const made = Eventfd.create(seen.reader);
  for (const [name, change] of Object.entries(play))
    playVcpu(seen[name], (words) => change(words, made.record));
  const own = Object.fromEntries(
    Object.entries(seen).map(([name, host]) => [name, Eventfd.open(host, made.handle)]),
  );
  return {
    threads: {
      reader() {
        let taken = 0;
        for (;;) {
          const count = own.reader.read();
          if (count === undefined) return taken;
          taken += Number(count);
        }
      },
      writer: () => own.writer.write(),
      vmm: () => own.vmm.kick(),
    },
    keeps: Object.values(own),
    end({ reader: taken }) {
      const { words } = seen.reader;
      const left = Number(words.load64(made.record + E.counter));
      expect(taken + left === 1, `of one count ${taken} were read, and ${left} left`);
      expect(
        (words.load(made.record + E.sequence) & READ_KICKED) === 0,
        "it was kicked once, and is so still",
      );
    },
  };
}

/** Threads: reader, writer, vmm. */
export const kick = {
  sentence: "A kick ends a read once, the present one or the next, and no count is lost beside it.",
  setup: (world) => stops(world),
  twins: {
    "kicks-who-sleeps": {
      sentence: "wakes who sleeps, and leaves no mark for one that is about to",
      setup: (world) =>
        stops(world, {
          vmm: (words, record) => ({
            or(word, value) {
              if (word !== record + E.sequence) return words.or(word, value);
              words.notify(word);
              return value;
            },
          }),
        }),
    },
    "writes-over-it": {
      sentence: "counts the sequence by a load and a store, over a kick in between",
      setup: (world) =>
        stops(world, {
          writer: (words, record) => ({
            add(word, value) {
              if (word !== record + E.sequence) return words.add(word, value);
              const before = words.load(word);
              words.store(word, before + value);
              return before;
            },
          }),
        }),
    },
    "wakes-first": {
      sentence: "notifies before it takes the sleepers' bit away, which is that of the next one by then",
      setup: (world) =>
        stops(world, {
          writer: (words, record) => ({
            and(word, value) {
              if (word === record + E.sequence) words.notify(word);
              return words.and(word, value);
            },
            notify: (word) => (word === record + E.sequence ? 0 : words.notify(word)),
          }),
        }),
    },
    "does-not-wake": {
      sentence: "marks the kick, and wakes nobody",
      setup: (world) => stops(world, { vmm: () => ({ notify: () => 0 }) }),
    },
  },
};

/** Two readers who are to stop, of whom each kicks on. */
function stopBoth(world, play = {}) {
  const seen = hosts(world, ["reader1", "reader2", "vmm"]);
  const made = Eventfd.create(seen.vmm);
  const { words } = seen.vmm;
  for (const [name, change] of Object.entries(play))
    playVcpu(seen[name], (words) => change(words, made.record));
  const own = Object.fromEntries(
    Object.entries(seen).map(([name, host]) => [name, Eventfd.open(host, made.handle)]),
  );
  const stop = (eventfd) => () => {
    expect(eventfd.read() === undefined, "a count was read that nobody wrote");
    eventfd.kick();
  };
  return {
    threads: { reader1: stop(own.reader1), reader2: stop(own.reader2), vmm: () => own.vmm.kick() },
    keeps: Object.values(own),
    end: () => expect((words.load(made.record + E.sequence) & READ_KICKED) !== 0, "the last kick is gone"),
  };
}

/** Threads: reader1, reader2, vmm. */
export const kickOn = {
  sentence: "Of two readers of whom each kicks on when it was kicked, both end.",
  setup: (world) => stopBoth(world),
  twins: {
    "says-over-it": {
      sentence:
        "goes to sleep on a kick that came since it looked, in the place of one that another read took",
      setup: (world) => stopBoth(world, { reader1: saysOverIt }),
    },
  },
};

/**
 * The last handle is closed while another thread deassigns the irqfd and assigns another one, which may get the same
 * record: that one must stay.
 */
function closes(world, trusting = false) {
  const { hosts: seen, vm, eventfd } = guest(world, ["vmm", "closer"]);
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
  const own = Eventfd.open(seen.closer, eventfd.handle);
  eventfd.close();
  const other = Eventfd.create(seen.vmm);
  const { words, pools, mutex } = seen.vmm;
  if (trusting) {
    const hangup = (memory, found) => void deassign(memory, vmMutex(memory, vm.life.record), () => found);
    seen.closer.kinds = [{ ...seen.closer.kinds[0], hangup }];
  }
  return {
    threads: {
      vmm() {
        irqfd.dispose();
        vm.irqfd(other, 25, { bypass: "off" });
      },
      closer: () => own.close(),
    },
    keeps: [own, irqfd, other, vm],
    end() {
      mutex.guard(() => expect(pools.eventfd.live === 1, "the closed eventfd is still there"));
      expect(words.load(other.record + E.irqfd) !== 0, "the other irqfd was taken away");
    },
  };
}

/** Threads: vmm, closer. The eighth: close against deassign. */
export const close = {
  conserves: "nothing is signalled",
  sentence: "A close that races with a deassign takes away no irqfd but its own.",
  mutexes: "assumed",
  setup: (world) => closes(world),
  twins: {
    "looks-once": {
      sentence: "takes the irqfd that it saw, without looking whether the record is another's by now",
      setup: (world) => closes(world, true),
    },
  },
};
