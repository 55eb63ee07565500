// The pair of 8259s of a VM, between the thread that raises a line and that of the vCPU that takes what the pair asks for.
import { override } from "atomics-explorer";
import { Vcpu, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { hosts } from "#scenarios/support/hosts.js";
import { Vm as V } from "#src/host/layout.js";
import { dies, mortal } from "./support/death.mjs";
import { expect, openVcpu, VECTOR } from "./support/guest.mjs";

const PIN = VECTOR & 7;
/** ICW1 to ICW4, and nothing masked. */
const PROGRAM = [
  [0x20, 0x11],
  [0x21, VECTOR & ~7],
  [0x21, 0x04],
  [0x21, 0x01],
  [0x21, 0x00],
];

/** A VM whose pair is programmed; the first thread made it. */
function paired(world, names) {
  const seen = hosts(world, names);
  const host = seen[names[0]];
  const vm = new Vm(host, { pic: true });
  for (const [port, value] of PROGRAM) vm.pic.write(port, value);
  return { hosts: seen, host, vm };
}

/** A device raises a line of the pair while the vCPU goes to sleep. `slim`: its thread has not what the pair does, and only notes it. */
function raises(world, { slim = false, break_ = () => {} } = {}) {
  const { hosts: seen, vm } = paired(world, ["vcpu", "device"]);
  const vcpu = Vcpu.open(seen.vcpu, vm.vcpu(0).handle);
  const there = Vm.open(seen.device, vm.handle);
  if (slim) Object.defineProperty(seen.device, "pics", { value: undefined });
  break_(seen.device, vm.life.record);
  return {
    threads: {
      vcpu() {
        expect(vcpu.wait() === "interrupt", "the wait ended with no interrupt");
        expect(vcpu.acknowledge() === VECTOR, "it took another vector");
        return 1;
      },
      device: () => there.setIrqLine(PIN, true),
    },
    keeps: [vm, vcpu, there],
    end: conserves(
      ({ vcpu: taken }) => {
        there.setIrqLine(PIN, false); // it is an edge: what was taken is all
        return { host: seen.vcpu, vm, taken };
      },
      () => expect(vcpu.acknowledge() === undefined, "it is there twice"),
    ),
  };
}

/** Words by which a device's thread does to `word` last what it should do before it wakes the vCPU. */
function afterWaking({ words }, word) {
  let late = () => {};
  const later = (change) => {
    late = change;
    return 0;
  };
  return {
    exchange: (at, value) =>
      at === word ? later(() => words.exchange(word, value)) : words.exchange(at, value),
    or(at, value) {
      if (at === word) return later(() => words.or(word, value));
      const before = words.or(at, value);
      late();
      late = () => {};
      return before;
    },
  };
}

const playDevice = (word) => (device, vm) => {
  device.words = override(device.words, afterWaking(device, vm + word));
};

/** Threads: vcpu, device. */
export const line = {
  sentence: "A line of an 8259 that rises while the vCPU goes to sleep is taken there, once.",
  mutexes: "assumed",
  setup: (world) => raises(world),
  twins: {
    "wakes-first": {
      sentence: "wakes the vCPU, and says after that that the pair asks for it",
      setup: (world) => raises(world, { break_: playDevice(V.picOutput) }),
    },
  },
};

/** Threads: vcpu, device. */
export const noted = {
  sentence: "So is one that a thread raises which can only note it.",
  mutexes: "assumed",
  setup: (world) => raises(world, { slim: true }),
  twins: {
    "wakes-first": {
      sentence: "wakes the vCPU, and notes after that what has changed",
      setup: (world) => raises(world, { slim: true, break_: playDevice(V.picDue) }),
    },
  },
};

/** The victim takes what the pair asks for, whose line the survivor lets go of. */
const takes = ({ host, vm, victim }) => {
  const vcpu = openVcpu(victim, vm);
  vm.setIrqLine(PIN, true);
  return {
    victim: () => vcpu.acknowledge(),
    survivor: () => vm.setIrqLine(PIN, false),
    keeps: [vm, vcpu],
    signals(_results, died) {
      const again = died && openVcpu(host, vm).acknowledge() === VECTOR;
      return { host, vm, taken: again || !died ? 1 : 0 };
    },
  };
};

/** What it served is not requested again. */
function forgets({ host, vm }) {
  const { words } = host;
  const server = vm.life.record + V.picServer;
  host.words = override(words, {
    compareExchange: (word, expected, value) =>
      word === server ? 0 : words.compareExchange(word, expected, value),
  });
}

/** Threads: survivor, victim. */
export const server = {
  sentence: "A thread dies while it takes what an 8259 asks for: whoever has the vCPU next takes it.",
  ...mortal,
  setup: (world) => dies(world, takes, () => {}, [], paired),
  twins: {
    forgets: {
      sentence: "leaves in service what the dead thread had taken",
      setup: (world) => dies(world, takes, forgets, [], paired),
    },
  },
};
