// Interrupts between vCPUs, and registers of local APICs that change beside them and beside signals of devices.
import { override } from "atomics-explorer";
import { conserves } from "#scenarios/support/conservation.js";
import { Producer as P, SN, Vcpu as V } from "#src/host/layout.js";
import {
  connected,
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

const SVR = 0x80f;
const [SVR_AT, LDR_AT] = [0xf0, 0xd0];
const FLAT = 0xfee00900;

/** vCPU 1 sends vCPU 0 an interrupt while that goes from one thread to another. */
function moves(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["from", "to", "sender"]);
  const moving = openVcpu(hosts.from, vm);
  const sender = openVcpu(hosts.sender, vm, 1);
  const { record, handle } = vm.vcpu(0);
  break_(hosts, record);
  return {
    threads: {
      from: () => moving.put(),
      to: () => serve(openWhenPut(hosts.to, handle)),
      sender: () => sender.sendIpi({ to: 0, vector: VECTOR }),
    },
    keeps: [moving, sender],
    end: conserves(
      ({ to: taken }) => ({ host: hosts.to, vm, taken }),
      ({ to: taken, sender: count }) => {
        expect(count === 1, `the sender was told of ${count}`);
        expect(taken === 1, `it was taken ${taken} times`);
      },
    ),
  };
}

/** Threads: from, to, sender. */
export const moving = {
  sentence: "An IPI to a vCPU that moves to another thread meanwhile is taken there, once.",
  setup: (world) => moves(world),
  twins: {
    "keeps-on-clear": {
      sentence: "clears SN and leaves ON clear though PIR is not empty",
      setup: (world) =>
        moves(world, ({ to }, record) =>
          playVcpu(to, (words) => ({
            or: (word, value) => (word === controlWord(record) && value === 1 ? 0 : words.or(word, value)),
          })),
        ),
    },
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
  },
};

/** vCPU 0 disables its local APIC by software while vCPU 1 sends it an interrupt. */
function disables(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["vcpu", "sender"]);
  const vcpu = openVcpu(hosts.vcpu, vm);
  const sender = openVcpu(hosts.sender, vm, 1);
  const { apic } = vcpu;
  const { words } = hosts.vcpu;
  break_(hosts, vcpu);
  return {
    threads: {
      vcpu() {
        apic.writeMsr(SVR, 0xff);
        return words.load(pirWord(vm));
      },
      sender: () => sender.sendIpi({ to: 0, vector: VECTOR }),
    },
    keeps: [vcpu, sender],
    end: conserves(
      ({ sender: count }) => ({ host: hosts.vcpu, vm, sent: count }),
      ({ vcpu: there, sender: count }) => {
        expect(words.load(pirWord(vm)) === there, "posted to an APIC that was disabled before");
        expect(count === (there === 0 ? 0 : 1), `the sender was told of ${count}`);
      },
    ),
  };
}

/** Threads: vcpu, sender. */
export const disabled = {
  sentence: "When a local APIC has been disabled, no IPI that is under way is posted to it any more.",
  mutexes: "assumed",
  setup: (world) => disables(world),
  twins: {
    "waits-for-nobody": {
      sentence: "changes the register and does not wait for senders that have read it",
      setup: (world) =>
        disables(world, ({ vcpu: { thread } }) => {
          thread.quiesce = () => {};
        }),
    },
    "is-not-announced": {
      sentence: "sends without saying so, and nobody waits for it",
      setup: (world) =>
        disables(world, ({ sender }) => {
          const { words, thread } = sender;
          sender.words = override(words, {
            store: (word, value) => word === thread.writing || words.store(word, value),
          });
        }),
    },
  },
};

/** vCPU 0, to which a device's interrupts are posted, disables its local APIC while the device signals. */
function beside(world, break_ = () => {}) {
  const { hosts, vm, eventfd, irqfd, source, vcpu } = connected(world, ["vmm", "device"]);
  const { words } = hosts.vmm;
  break_(hosts, source);
  return {
    threads: {
      vmm() {
        vcpu.apic.writeMsr(SVR, 0xff);
        return words.load(pirWord(vm));
      },
      device: () => source.signal(),
    },
    keeps: [source, vcpu],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm: there }) => {
      expect(words.load(pirWord(vm)) === there, "posted to an APIC that was disabled before");
      expect(irqfd.reason === "no-vcpu", `the irqfd says ${irqfd.reason}`);
    }),
  };
}

/** Threads: vmm, device. */
export const signalled = {
  sentence:
    "A signal beside the disabling of the local APIC it is posted to is posted before that, or relayed.",
  mutexes: "assumed",
  setup: (world) => beside(world),
  twins: {
    "posts-on": {
      sentence: "changes the register and leaves the device's entry posted",
      setup: (world) =>
        beside(world, (hosts, { record }) => {
          const { words } = hosts.vmm;
          hosts.vmm.words = override(words, {
            exchange: (word, value) => (word === record + P.irte ? value : words.exchange(word, value)),
          });
        }),
    },
  },
};

/** vCPU 1 takes over the logical id that a device's messages name, while the device signals. */
function renames(world, break_ = () => {}) {
  const { hosts, vm, eventfd, irqfd, source, vcpu } = connected(world, ["vmm", "device"]);
  const { words } = hosts.vmm;
  const other = openVcpu(hosts.vmm, vm, 1);
  for (const { apic } of [vcpu, other]) apic.setBase(FLAT); // as xAPICs their logical ids are the guest's to write
  for (const { apic } of [vcpu, other]) apic.write(SVR_AT, 0x1ff);
  vcpu.apic.write(LDR_AT, 1 << 24);
  other.apic.write(LDR_AT, 2 << 24);
  vm.setGsiRouting([{ gsi: 24, msi: { address: 0xfee01004, data: VECTOR } }]);
  break_(hosts, source);
  return {
    threads: {
      vmm() {
        vcpu.apic.write(LDR_AT, 4 << 24);
        other.apic.write(LDR_AT, 1 << 24);
        return words.load(pirWord(vm));
      },
      device: () => source.signal(),
    },
    keeps: [source, vcpu, other],
    end: conserves({ host: hosts.vmm, vm, eventfd }, ({ vmm: there }) => {
      expect(words.load(pirWord(vm)) === there, "posted to a vCPU that had given its logical id away before");
      expect(irqfd.path === "posted", `the irqfd is ${irqfd.path}`);
    }),
  };
}

/** Threads: vmm, device. */
export const renamed = {
  sentence:
    "A signal beside a change of LDR goes to the vCPU that had the logical id or to the one that gets it; none to the first after that.",
  mutexes: "assumed",
  setup: (world) => renames(world),
  twins: {
    "posts-on": {
      sentence: "changes the register and leaves the device's entry as it was",
      setup: (world) =>
        renames(world, (hosts, { record }) => {
          const { words } = hosts.vmm;
          hosts.vmm.words = override(words, {
            exchange: (word, value) => (word === record + P.irte ? value : words.exchange(word, value)),
          });
        }),
    },
    "waits-for-nobody": {
      sentence: "changes the entry and does not wait for a signal that has read the old one",
      setup: (world) =>
        renames(world, ({ vmm: { thread } }) => {
          thread.quiesce = () => {};
        }),
    },
  },
};

/** vCPU 0 sends an INIT and a start-up to vCPU 1, which waits. */
function begins(world, break_ = () => {}) {
  const { hosts, vm } = guest(world, ["boot", "other"]);
  const boot = openVcpu(hosts.boot, vm);
  const other = openVcpu(hosts.other, vm, 1);
  break_(hosts, other.record);
  return {
    threads: {
      boot() {
        boot.sendIpi({ to: 1, mode: "init" });
        boot.sendIpi({ to: 1, mode: "start-up", vector: 9 });
      },
      other: () => [other.wait(), other.wait(), other.startUpVector].join(),
    },
    keeps: [boot, other],
    end: ({ other: why }) => expect(why === "init,start-up,9", `it was told of ${why}`),
  };
}

/** Threads: boot, other. */
export const starts = {
  sentence: "A vCPU that is sent an INIT and a start-up is told of both, however they meet.",
  mutexes: "assumed",
  setup: (world) => begins(world),
  twins: {
    "clears-all": {
      sentence:
        "clears the whole latch when it has applied the INIT, and a start-up that came meanwhile with it",
      setup: (world) =>
        begins(world, ({ other }, record) =>
          playVcpu(other, (words) => ({
            compareExchange(word, expected, value) {
              if (word !== record + V.latch) return words.compareExchange(word, expected, value);
              words.store(word, 0);
              return expected;
            },
          })),
        ),
    },
  },
};
