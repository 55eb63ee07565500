// The posted-interrupt descriptor: a device posts while the vCPU harvests, blocks, is put and is loaded.
import { override } from "atomics-explorer";
import { conserves } from "#scenarios/support/conservation.js";
import { EVENT, KICKED, Vcpu as V } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import { post } from "#src/posting/fast-path.js";
import { expect, guest, openVcpu, serve, VECTOR } from "./support/guest.mjs";

const OTHER = 0x42;

/**
 * Devices that each post one vector, and a vCPU. `play` may put other words under a device's `post` or under the vCPU:
 * the descriptor's code is the shipped one, played false in one instruction. What a player remembers it keeps in `state`.
 */
function cast(world, { vectors, run, play = {} }) {
  const names = ["vcpu", ...vectors.map((_, i) => (vectors.length === 1 ? "device" : `device${i + 1}`))];
  const { hosts, vm } = guest(world, names);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const { record, file } = vcpu;
  const keeps = [vcpu];
  const played = (words, player) => {
    if (player === undefined) return words;
    const state = { flag: false, value: 0 };
    keeps.push(state);
    return override(words, player(words, record, state));
  };
  const threads = {};
  for (const [i, vector] of vectors.entries()) {
    const host = hosts[names[i + 1]];
    host.words = played(host.words, play.post);
    threads[names[i + 1]] = () => post(host, file, vector);
  }
  hosts.vcpu.words = played(hosts.vcpu.words, play.vcpu);
  hosts.vcpu.thread.words = hosts.vcpu.words;
  threads.vcpu = () => run(vcpu, hosts.vcpu);
  const end = conserves(({ vcpu: taken }) => ({ host: hosts.vcpu, vm, taken, most: Infinity }));
  return { threads, keeps, end };
}

/** Where the descriptor's PIR and control words are in the vCPU's record. */
const PIR = 16;
const CONTROL = PIR + 8;

/** Threads: vcpu, device. The second: switch to the wake-up notification while blocking. */
export const halt = {
  sentence: "An interrupt posted while the vCPU halts is taken, and wakes it if it sleeps.",
  setup: (world) => cast(world, { vectors: [VECTOR], run: (vcpu) => serve(vcpu, [VECTOR]) }),
  twins: {
    "reads-twice": {
      sentence: "reads the control word once to test ON and once more to exchange it",
      bug: { id: "cfb0e1306a37", year: 2021 },
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR],
          run: (vcpu) => serve(vcpu, [VECTOR]),
          play: {
            vcpu: (words, record) => ({
              compareExchange(word, expected, value) {
                if (word !== record + CONTROL) return words.compareExchange(word, expected, value);
                const second = words.load(word);
                return words.compareExchange(word, second, value) === second ? expected : second;
              },
            }),
          },
        }),
    },
    "blocks-unseen": {
      sentence:
        "switches to the wake-up vector without comparing the word that it looked at, so that an ON in between is lost",
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR],
          run: (vcpu) => serve(vcpu, [VECTOR]),
          play: {
            vcpu: (words, record) => ({
              compareExchange: (word, expected, value) =>
                word === record + CONTROL
                  ? words.exchange(word, value) && expected
                  : words.compareExchange(word, expected, value),
            }),
          },
        }),
    },
    "no-wake-up": {
      sentence: "posts without waking a vCPU that asks for the wake-up vector",
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR],
          run: (vcpu) => serve(vcpu, [VECTOR]),
          play: { post: () => ({ notify: () => 0 }) },
        }),
    },
    "wakes-unseen": {
      sentence: "changes the word that the vCPU sleeps on back before it wakes it",
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR],
          run: (vcpu) => serve(vcpu, [VECTOR]),
          play: {
            post: (words, record) => ({
              // Takes the change back before it notifies.
              notify: (word) => {
                if (word === record + CONTROL) words.and(word, ~1);
                return words.notify(word);
              },
            }),
          },
        }),
    },
  },
};

/** Threads: vcpu, device1, device2. The third: clear ON before PIR is drained. */
export const harvest = {
  sentence: "Of two devices that post while the vCPU harvests neither interrupt is lost.",
  setup: (world) => cast(world, { vectors: [VECTOR, OTHER], run: (vcpu) => serve(vcpu, [VECTOR, OTHER]) }),
  twins: {
    "pir-before-on": {
      sentence: "drains PIR before it clears ON, so that a post in between leaves nothing to see",
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR, OTHER],
          run: (vcpu) => serve(vcpu, [VECTOR, OTHER]),
          play: { vcpu: drainsFirst },
        }),
    },
    "on-before-pir": {
      sentence: "sets ON before the bit in PIR",
      setup: (world) =>
        cast(world, {
          vectors: [VECTOR, OTHER],
          run: (vcpu) => serve(vcpu, [VECTOR, OTHER]),
          play: { post: setsOnFirst },
        }),
    },
  },
};

/** Clears ON when the drain is over instead of before it. */
function drainsFirst(words, record) {
  return {
    and: (word, value) => (word === record + CONTROL && value === ~1 ? 1 : words.and(word, value)),
    load(word) {
      const value = words.load(word);
      if (word === record + PIR + 7) words.and(record + CONTROL, ~1);
      return value;
    },
  };
}

/** Sets ON, and only then the bit in PIR. */
function setsOnFirst(words, record, state) {
  return {
    or(word, value) {
      if (word === record + CONTROL) return state.value;
      state.value = words.or(record + CONTROL, 1);
      return words.or(word, value);
    },
    load: (word) => (word === record + CONTROL ? 0 : words.load(word)),
  };
}

/**
 * Threads: vcpu, device. The first of the interleavings that Linux comments on: clear SN, then look at PIR.
 */
export const migration = {
  sentence: "An interrupt posted while the vCPU is put and loaded again is not left in PIR.",
  setup: (world) => migrate(world, {}),
  twins: {
    "keeps-on-clear": {
      sentence: "clears SN and leaves ON clear though PIR is not empty",
      bug: { id: "c112b5f50232", year: 2019 },
      setup: (world) =>
        migrate(world, {
          vcpu: (words, record) => ({
            or: (word, value) => (word === record + CONTROL && value === 1 ? 0 : words.or(word, value)),
          }),
        }),
    },
    "looks-before-clearing": {
      sentence: "looks at PIR before it clears SN instead of after it",
      setup: (world) =>
        migrate(world, {
          vcpu: (words, record, state) => ({
            and(word, value) {
              if (word !== record + CONTROL || value !== ~2) return words.and(word, value);
              state.flag = true; // it is cleared when PIR has been looked at
              return 0;
            },
            load(word) {
              const value = words.load(word);
              if (state.flag && (value !== 0 || word === record + PIR + 7)) {
                state.flag = false;
                words.and(record + CONTROL, ~2);
              }
              return value;
            },
          }),
        }),
    },
  },
};

function migrate(world, play) {
  return cast(world, {
    vectors: [VECTOR],
    play,
    run(vcpu, host) {
      // The thread is put off its core and comes back, as between two slices of time.
      descriptor.suspend(host.words, vcpu.file);
      descriptor.load(host.words, vcpu.file, 1);
      return serve(vcpu, [VECTOR]);
    },
  });
}

/** A vCPU that runs, and looks for interrupts by itself, until it has taken one. */
function poll(vcpu, host) {
  while (!vcpu.pending()) host.words.relax();
  expect(vcpu.acknowledge() === VECTOR, "something is pending, and nothing can be taken");
}

/** Threads: vcpu, device1, device2. */
export const death = {
  sentence:
    "When a device dies in the middle of a post, a running vCPU takes the next post of the vector all the same.",
  kills: ["device1"],
  setup: (world) => cast(world, { vectors: [VECTOR, VECTOR], run: poll }),
  twins: {
    "trusts-the-bit": {
      sentence:
        "does not look at ON where the bit in PIR is set already, though whoever set it may have died",
      setup: (world) => cast(world, { vectors: [VECTOR, VECTOR], run: poll, play: { post: trustsTheBit } }),
    },
  },
};

function trustsTheBit(words, record, state) {
  return {
    or(word, value) {
      const before = words.or(word, value);
      if (word !== record + CONTROL) state.flag = (before & value) !== 0;
      return before;
    },
    load: (word) => (word === record + CONTROL && state.flag ? 1 : words.load(word)),
  };
}

/** A vCPU that waits once, and a thread that kicks it. */
function kicks(world, play) {
  const { hosts, vm } = guest(world, ["vcpu", "vmm"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const words = play === undefined ? hosts.vmm.words : override(hosts.vmm.words, play(hosts.vmm.words));
  return {
    threads: { vcpu: () => vcpu.wait(), vmm: () => descriptor.kick(words, vcpu.file, KICKED) },
    keeps: [vcpu],
    end: ({ vcpu: why }) => expect(why === "kicked", `the wait ended with ${why}`),
  };
}

/** Threads: vcpu, vmm. */
export const kick = {
  sentence: "A kick ends the vCPU's wait, also one that has only begun.",
  setup: (world) => kicks(world),
  twins: {
    "no-mark": {
      sentence: "wakes the vCPU without leaving a mark for one that is about to sleep",
      setup: (world) => kicks(world, () => ({ or: () => 0 })),
    },
  },
};

/** A vCPU that waits until it had a kick and an NMI, and threads that each send one; an interrupt that it masks wakes it too. */
function sends(world, play = () => ({})) {
  const { hosts, vm } = guest(world, ["vcpu", "vmm", "other"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  vcpu.tpr = 0xff;
  hosts.vcpu.words = override(hosts.vcpu.words, play(hosts.vcpu.words, vcpu.record));
  return {
    threads: {
      vcpu: () => [vcpu.wait(), vcpu.wait()].sort().join(),
      vmm() {
        descriptor.kick(hosts.vmm.words, vcpu.file, KICKED);
        post(hosts.vmm, vcpu.file, VECTOR);
      },
      other() {
        hosts.other.words.add(vcpu.record + V.nmis, 1);
        descriptor.kick(hosts.other.words, vcpu.file, EVENT);
      },
    },
    keeps: [vcpu],
    end: ({ vcpu: why }) => expect(why === "kicked,nmi", `the two waits ended with ${why}`),
  };
}

/** Threads: vcpu, vmm, other. */
export const nmi = {
  sentence: "A kick and an NMI each end one wait of a vCPU, whatever else wakes it.",
  setup: (world) => sends(world),
  twins: {
    "takes-both": {
      sentence: "takes the kick out of the control word with the event, and goes by one",
      setup: (world) =>
        sends(world, (words, record) => ({
          and: (word, value) =>
            words.and(word, word === record + CONTROL && value === ~EVENT ? ~(EVENT | KICKED) : value),
        })),
    },
  },
};
