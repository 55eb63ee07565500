// A device in two threads: one signals a vector, the other one masks it, sets its trigger, resets, ends or adopts the device.
import { override } from "atomics-explorer";
import { Eventfd, VfioPciDevice } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Device, Gate } from "#src/host/layout.js";
import { arrived, expect, guest, openVcpu, outcome } from "./support/guest.mjs";

const GSI = 24;

/**
 * A device with one vector, connected to the guest. Its thread signals it once, unless it does something else; `vmm` gets the device as
 * that thread has it open. The end accounts for the signals: pending in the vector, too.
 */
function beside(
  world,
  {
    vmm,
    signal = (vector) => vector.signal(),
    ready = () => {},
    check = () => {},
    play = () => {},
    sent = 1,
    most = 1,
  },
) {
  const { hosts, vm, eventfd } = guest(world, ["vmm", "device"]);
  openVcpu(hosts.vmm, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const own = Eventfd.open(hosts.device, eventfd.handle);
  const nic = new VfioPciDevice(hosts.device, { msix: 1 });
  nic.setTrigger("msix", 0, own);
  const vector = nic.vector("msix", 0);
  ready({ nic, vector });
  const theirs = VfioPciDevice.open(hosts.vmm, nic.handle);
  const their = theirs.vector("msix", 0);
  play({ hosts, nic, vector, theirs, their });
  const came = () => arrived(hosts.vmm, vm);
  const made = {}; // what the VMM makes, for the end
  return {
    threads: {
      vmm: () => vmm({ nic: theirs, vector: their, came, eventfd, made }),
      device: () => signal(vector, nic),
    },
    keeps: [irqfd, own, vm, eventfd, nic, theirs],
    end: conserves(
      (results) => ({
        ...{ host: hosts.vmm, vm, eventfd, most },
        sent: typeof sent === "function" ? sent(results) : sent,
        taken: vector.pending ? 1 : 0,
      }),
      (results) => check(results, { came: came(), pending: vector.pending, vector, made }),
    ),
  };
}

/** Waits for no signal that is under way. */
const noFence = ({ their }) => {
  their.life.fence = () => {};
};

/** The device's thread looks at a gate once, before it has announced what it is about to use. */
const looksOnce = ({ hosts, vector }) => {
  let seen;
  const { device } = hosts;
  const { words } = device;
  device.words = override(words, {
    load(word) {
      if (word !== vector.gate) return words.load(word);
      seen ??= words.load(word);
      return seen;
    },
  });
};

/** It sets the pending bit whatever has become of the gate since it has looked. */
const pendsBlindly = ({ hosts, vector }) => {
  const { device } = hosts;
  const { words } = device;
  device.words = override(words, {
    compareExchange(word, expected, value) {
      if (word !== vector.gate) return words.compareExchange(word, expected, value);
      words.or(word, Gate.pending);
      return expected;
    },
  });
};

/** It does not look whether the device is still its own. */
const knowsTenure = ({ hosts, vector }) => {
  const { device } = hosts;
  const { words } = device;
  const tenure = vector.life.record + Device.tenure;
  device.words = override(words, {
    load: (word) => (word === tenure ? vector.life.tenure : words.load(word)),
  });
};

const masks = {
  vmm({ vector, came }) {
    vector.mask();
    return came();
  },
  check: ({ vmm }, { came }) => expect(came === vmm, "it arrived after the mask had returned"),
};

/** Threads: vmm, device. */
export const mask = {
  sentence:
    "When a vector is masked in another thread nothing arrives any more, and what was raised is pending.",
  mutexes: "assumed",
  setup: (world) => beside(world, masks),
  twins: {
    "no-fence": {
      sentence: "masks without waiting for a signal that is under way",
      setup: (world) => beside(world, { ...masks, play: noFence }),
    },
    "looks-once": {
      sentence: "signals by what it saw of the gate before it had announced it",
      setup: (world) => beside(world, { ...masks, play: looksOnce }),
    },
  },
};

const unmasks = {
  ready: ({ vector }) => vector.mask(),
  vmm: ({ vector }) => vector.unmask(),
  check: (_, { came, pending }) => expect(came && !pending, "it is pending in a vector that nothing masks"),
};

/** Threads: vmm, device. */
export const unmask = {
  sentence: "What is raised while another thread unmasks the vector arrives, once.",
  mutexes: "assumed",
  setup: (world) => beside(world, unmasks),
  twins: {
    "pends-blindly": {
      sentence: "sets the pending bit though the vector is not masked any more",
      setup: (world) => beside(world, { ...unmasks, play: pendsBlindly }),
    },
  },
};

const retargets = {
  vmm({ nic, came }) {
    nic.setTrigger("msix", 0, null);
    return came();
  },
  check: ({ vmm }, { came }) => expect(came === vmm, "it arrived when the trigger was gone"),
};

/** Threads: vmm, device. */
export const retarget = {
  sentence: "What is raised while another thread takes the trigger away has arrived by then, or is pending.",
  mutexes: "assumed",
  setup: (world) => beside(world, retargets),
  twins: {
    "looks-once": {
      sentence: "signals through the producer that it saw before it had announced it",
      setup: (world) => beside(world, { ...retargets, play: looksOnce }),
    },
  },
};

const resets = {
  ready: ({ vector }) => {
    vector.mask();
    vector.signal();
  },
  signal: () => {},
  vmm: ({ nic }) => nic.reset(),
  sent: 0,
  check: (_, { came, pending, vector }) =>
    expect(!came && !pending && !vector.masked, "the reset has left, or sent, what was pending"),
};

/** Threads: vmm, device. */
export const reset = {
  sentence: "A reset forgets what is pending, and keeps the trigger.",
  setup: (world) => beside(world, resets),
  twins: {
    "sends-first": {
      sentence: "unmasks, which sends what is pending, and then clears it",
      setup: (world) =>
        beside(world, {
          ...resets,
          vmm: ({ nic, vector }) => {
            vector.unmask();
            nic.reset();
          },
        }),
    },
  },
};

/** The VMM ends the device and makes another one, which may get its record, while the device's thread signals. */
const ends = {
  vmm({ nic, came, eventfd, made }) {
    nic.dispose();
    const before = came();
    made.next = new VfioPciDevice(nic.host, { msix: 1 });
    made.next.setTrigger("msix", 0, eventfd);
    made.next.vector("msix", 0).mask();
    return before;
  },
  sent: 0,
  check({ vmm: before }, { came, made }) {
    expect(came === before, "it arrived when the device had ended");
    expect(!made.next.vector("msix", 0).pending, "another device has what this one raised");
  },
};

/** Threads: vmm, device. */
export const end = {
  sentence:
    "A device that ends in another thread signals nobody any more, and its successor in the record has nothing of it.",
  mutexes: "assumed",
  setup: (world) => beside(world, ends),
  twins: {
    "does-not-look": {
      sentence: "signals without a look whether the device is there",
      setup: (world) => beside(world, { ...ends, play: knowsTenure }),
    },
  },
};

const adopts = {
  vmm({ nic, came }) {
    if (outcome(() => nic.adopt(), "EBUSY") !== "done") return { adopted: false };
    nic.setTrigger("msix", 0, null);
    return { adopted: true, before: came() };
  },
  signal: (vector) => outcome(() => vector.signal(), "EBUSY"),
  sent: ({ device }) => (device === "done" ? 1 : 0),
  check({ vmm: { adopted, before }, device }, { came }) {
    if (adopted) expect(came === before, "it arrived when its trigger was gone");
    else expect(device === "done", "the device is nobody's");
  },
};

/** Threads: vmm, device. */
export const adopt = {
  sentence:
    "Of two threads one has a device: what the other had begun to signal is through, and from then on it is refused.",
  mutexes: "assumed",
  setup: (world) => beside(world, adopts),
  twins: {
    "does-not-look": {
      sentence: "goes on to signal what another thread has",
      setup: (world) => beside(world, { ...adopts, play: knowsTenure }),
    },
  },
};
