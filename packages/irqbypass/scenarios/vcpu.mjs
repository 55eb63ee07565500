// A vCPU and the threads that share it: producers of one vector, a kick, whoever takes it over. It is never left asleep.

import { override } from "atomics-explorer";
import { Eventfd, Producer, Vcpu } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Descriptor, KICKED, ON, SN, Vcpu as V } from "#src/host/layout.js";
import * as descriptor from "#src/posting/descriptor.js";
import {
  asksForWakeUp,
  controlWord,
  expect,
  guest,
  openVcpu,
  openWhenPut,
  pirWord,
  playVcpu,
  serve,
  VECTOR,
} from "./support/guest.mjs";

const LAST_PIR = 7;

/** Two producers whose interrupts have one vector of one vCPU, in one thread or in two. */
function shares(world, devices, break_ = () => {}) {
  const { hosts, vm, eventfd } = guest(world, ["vcpu", ...devices]);
  const msi = { vcpu: 0, vector: VECTOR };
  vm.setGsiRouting([
    { gsi: 24, msi },
    { gsi: 25, msi },
  ]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const sources = [eventfd, Eventfd.create(hosts.vcpu)].map((one, index) => {
    vm.irqfd(one, 24 + index);
    const host = hosts[devices[index] ?? devices[0]];
    const source = Producer.create(host);
    source.register(Eventfd.open(host, one.handle));
    return source;
  });
  break_(hosts, vcpu.record);
  const threads = { vcpu: () => serve(vcpu) };
  for (const [at, device] of devices.entries()) {
    threads[device] = () => {
      for (const [index, source] of sources.entries()) if (index % devices.length === at) source.signal();
    };
  }
  return {
    threads,
    keeps: [vcpu, ...sources],
    end({ vcpu: taken }) {
      expect(taken === 1 || taken === 2, `two signals were taken ${taken} times`);
      const left = hosts.vcpu.words.load(pirWord(vm)) !== 0;
      expect(!left || vcpu.pending(), "an interrupt sits in PIR, and nothing shows it");
    },
  };
}

/** Threads: vcpu, device. */
export const shared = {
  sentence: "A thread signals two producers of one vector: the halted vCPU takes it, and what is left shows.",
  setup: (world) => shares(world, ["device"]),
  twins: {
    "no-wake": {
      sentence: "posts without waking a vCPU that asks for the wake-up vector",
      setup: (world) =>
        shares(world, ["device"], ({ device }) => {
          device.words = override(device.words, { notify: () => 0 });
        }),
    },
  },
};

/** Threads: vcpu, device1, device2. */
export const sharing = {
  sentence: "Two threads signal producers of one vector: the halted vCPU takes it, and what is left shows.",
  setup: (world) => shares(world, ["device1", "device2"]),
  twins: {
    "clears-late": {
      sentence: "clears ON when it has drained PIR, and with it the ON of a post in between",
      setup: (world) => shares(world, ["device1", "device2"], clearsLate),
    },
  },
};

function clearsLate({ vcpu }, record) {
  playVcpu(vcpu, (words) => ({
    and: (word, value) => (word === controlWord(record) && value === ~1 ? 1 : words.and(word, value)),
    load(word) {
      const value = words.load(word);
      if (word === record + V.descriptor + LAST_PIR) words.and(controlWord(record), ~1);
      return value;
    },
  }));
}

/** A vCPU that halts, and other threads that each do one thing to it. */
function halts(world, others, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["vcpu", ...Object.keys(others)]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const { handle } = vm.vcpu(0);
  break_(hosts, vcpu.record);
  const threads = {
    vcpu() {
      while (vcpu.wait() !== "interrupt");
      return vcpu.acknowledge();
    },
  };
  for (const [name, act] of Object.entries(others))
    threads[name] = () => act(hosts[name], vcpu.record, handle);
  return {
    threads,
    keeps: [vcpu],
    end: ({ vcpu: vector }) => expect(vector === VECTOR, `it took ${vector}`),
  };
}

const post = ({ words }, record) => descriptor.post(words, record + V.descriptor, VECTOR);
const kick = ({ words }, record) => descriptor.kick(words, record + V.descriptor, KICKED);

/**
 * Threads: vcpu, device, vmm. A vCPU that is woken by something else has to switch its notification vector back while the
 * device sets ON in the same word, as the doorbell of GICv4.1 rings while the vPE is taken off its CPU.
 */
export const unblock = {
  sentence: "An interrupt posted while a kicked vCPU wakes up is not forgotten.",
  setup: (world) => halts(world, { device: post, vmm: kick }),
  twins: {
    "overwrites-on": {
      sentence:
        "switches the notification vector back by a load and a store, over the ON of a post in between",
      bug: { id: "GICv4.1 doorbell", year: 2020 },
      setup: (world) =>
        halts(world, { device: post, vmm: kick }, ({ vcpu }, record) =>
          playVcpu(vcpu, (words) => ({
            compareExchange(word, expected, value) {
              if (word !== controlWord(record) || asksForWakeUp(value))
                return words.compareExchange(word, expected, value);
              words.store(word, value);
              return expected;
            },
          })),
        ),
    },
  },
};

/**
 * Threads: vcpu, errand. With `waitAsync` the thread that waits for its vCPU goes on with other work meanwhile, which may
 * post to that very vCPU; here the two are threads of their own, which has every order that the one has, and more.
 */
export const own = {
  sentence: "A vCPU is woken by what its own thread posts to it, at any moment of its wait.",
  setup: (world) => halts(world, { errand: post }),
  twins: {
    "takes-itself-for-awake": {
      sentence: "does not wake a vCPU that belongs to the thread that posts: it seems to be running",
      bug: { id: "fdba608f15e2", year: 2021 },
      setup: (world) =>
        halts(world, { errand: post }, ({ vcpu, errand }, record) => {
          const { lockId } = vcpu.thread;
          const { words } = errand;
          errand.words = override(words, {
            or(word, value) {
              const before = words.or(word, value);
              const mine = words.load(record + V.descriptor + Descriptor.ndst) === lockId;
              return mine && word === controlWord(record) ? before | ON : before;
            },
          });
        }),
    },
  },
};

/** Tries to take the vCPU over. */
function take(host, _record, handle) {
  try {
    Vcpu.open(host, handle);
    return "taken";
  } catch (error) {
    if (error.code !== "EBUSY") throw error;
    return "refused";
  }
}

/** Threads: vcpu, device, other. What NDST was rewritten for in Linux, a second runner, is refused here. */
export const runner = {
  sentence: "A vCPU that is blocked on one thread cannot be loaded on another, and is woken where it is.",
  setup: (world) => halts(world, { device: post, other: take }),
  twins: {
    "loads-it-all-the-same": {
      sentence: "loads a vCPU that is blocked elsewhere, and rewrites where its notifications go",
      bug: { id: "Do not change PID.NDST when loading a blocked vCPU", year: 2019 },
      setup: (world) =>
        halts(world, { device: post, other: take }, ({ other }, record) => {
          const { words } = other;
          other.words = override(words, {
            compareExchange: (word, expected, value) =>
              word === record + V.runner ? 0 : words.compareExchange(word, expected, value),
          });
        }),
    },
  },
};

/** The vCPU goes from one thread to another while a device posts to it. */
function moves(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["from", "to", "device"]);
  const vcpu = openVcpu(hosts.from, vm);
  const { record, handle } = vm.vcpu(0);
  break_(hosts, record);
  return {
    threads: {
      from: () => vcpu.put(),
      to: () => serve(openWhenPut(hosts.to, handle)),
      device: () => descriptor.post(hosts.device.words, record + V.descriptor, VECTOR),
    },
    keeps: [vcpu],
    end: conserves(
      ({ to: taken }) => ({ host: hosts.to, vm, taken }),
      ({ to: taken }) => expect(taken === 1, `it was taken ${taken} times`),
    ),
  };
}

/** Threads: from, to, device. The ninth of the interleavings that Linux comments on: migration while posted to. */
export const migration = {
  sentence: "An interrupt posted while its vCPU moves to another thread is taken there, once.",
  setup: (world) => moves(world),
  twins: {
    "gives-back-first": {
      sentence: "lets the other thread have the vCPU before SN is set, and then sets it under that one",
      setup: (world) =>
        moves(world, ({ from }, record) => {
          const { words } = from;
          from.words = override(words, {
            or: (word, value) => (word === controlWord(record) ? 0 : words.or(word, value)),
            store(word, value) {
              words.store(word, value);
              if (word === record + V.runner) words.or(controlWord(record), SN);
            },
          });
        }),
    },
    "keeps-on-clear": {
      sentence: "clears SN and leaves ON clear though PIR is not empty",
      setup: (world) =>
        moves(world, ({ to }, record) => {
          playVcpu(to, (words) => ({
            or: (word, value) => (word === controlWord(record) && value === 1 ? 0 : words.or(word, value)),
          }));
        }),
    },
  },
};
