// An emulator's stores beside the coming and going of the ioeventfds that take them, of their VM, and of the eventfd.
import { override } from "atomics-explorer";
import { Eventfd, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Eventfd as E, Thread, Vm as V } from "#src/host/layout.js";
import { dies, mortal, noHeal, noHealVm } from "./support/death.mjs";
import { expect, guest } from "./support/guest.mjs";

const AT = 0xfe000000;
const DOORBELL = { address: AT, length: 4 };

const count = (host, eventfd) =>
  host.pools.eventfd.lives(eventfd.record) ? Number(host.words.load64(eventfd.record + E.counter)) : 0;

/** A VM with a doorbell, and the `names` after the first as threads that each know it. */
function rung(world, names) {
  const made = guest(world, names);
  const { hosts, vm, eventfd } = made;
  const doorbell = vm.ioeventfd(DOORBELL, eventfd);
  const opened = Object.fromEntries(names.slice(1).map((name) => [name, Vm.open(hosts[name], vm.handle)]));
  for (const one of Object.values(opened)) one.write("mmio", AT, 4, 0); // which looks it up
  eventfd.tryRead();
  const record = vm.life.record;
  return { ...made, doorbell, opened, bus: record + V.bus };
}

/** A store of one thread, true where it was taken. */
const store = (vm) => () => vm.write("mmio", AT, 4, 0);

/** The word that says that something has changed is changed only after the fence. */
function changesLate({ vmm }, bus) {
  const { words, thread } = vmm;
  let due = 0;
  vmm.words = override(words, {
    add(word, value) {
      if (word !== bus) return words.add(word, value);
      due += value;
      return 0;
    },
  });
  const fenceAll = thread.fenceAll.bind(thread);
  thread.fenceAll = (...what) => {
    fenceAll(...what);
    words.add(bus, due);
  };
}

/** The thread makes sure that what it knows still stands before others can see what it is about to ring. */
function looksFirst({ vcpu }, bus) {
  const { words, thread } = vcpu;
  let announces = 0;
  vcpu.words = override(words, {
    store(word, value) {
      if (word === thread.writing) announces = value;
      else words.store(word, value);
    },
    load(word) {
      const seen = words.load(word);
      if (word === bus && announces !== 0) words.store(thread.writing, announces);
      if (word === bus) announces = 0;
      return seen;
    },
  });
}

const noFence = ({ thread }) => {
  thread.fenceAll = () => {};
};

/** A doorbell is deassigned by one thread while another makes a store to it. */
function deassigns(world, break_ = () => {}) {
  const { hosts, host, eventfd, doorbell, opened, bus } = rung(world, ["vmm", "vcpu"]);
  break_(hosts, bus);
  return {
    threads: {
      vmm() {
        doorbell.dispose();
        return count(host, eventfd);
      },
      vcpu: store(opened.vcpu),
    },
    keeps: [doorbell, opened.vcpu.bus, eventfd],
    end: conserves(
      ({ vcpu }) => ({ host, eventfd, sent: vcpu ? 1 : 0 }),
      ({ vmm }) => {
        expect(count(host, eventfd) === vmm, "rung after the deassign had returned");
        expect(!store(opened.vcpu)(), "a store is taken by what was deassigned");
      },
    ),
  };
}

/** Threads: vmm, vcpu. A store announces the eventfd that it is about to signal, in the word in which every writer does. */
export const deassign = {
  sentence: "When a deassign has returned no store rings, and each store that was taken has rung once.",
  mutexes: "assumed",
  setup: (world) => deassigns(world),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a store that has announced what it rings",
      setup: (world) => deassigns(world, ({ vmm }) => noFence(vmm)),
    },
    "looks-before-announcing": {
      sentence: "makes sure that what it knows still stands, and announces what it rings after that",
      setup: (world) => deassigns(world, looksFirst),
    },
    "changes-late": {
      sentence: "waits for stores first, and says after that that the doorbell has gone",
      setup: (world) => deassigns(world, changesLate),
    },
  },
};

/** The doorbell alone keeps the eventfd, whose last handle closes beside a store; then it is deassigned. */
function closes(world, break_ = () => {}) {
  const { hosts, host, eventfd, doorbell, opened } = rung(world, ["vmm", "vcpu"]);
  const own = Eventfd.open(hosts.vcpu, eventfd.handle);
  const fence = host.thread.fenceAll.bind(host.thread);
  break_(hosts);
  return {
    threads: {
      vmm() {
        eventfd.close();
        const open = host.pools.eventfd.lives(own.record);
        doorbell.dispose();
        fence(Thread.writing, own.record); // whoever has not waited yet
        return open;
      },
      vcpu() {
        own.close();
        return store(opened.vcpu)();
      },
    },
    keeps: [doorbell, opened.vcpu.bus, eventfd, own],
    // What is counted in an eventfd that nobody has any more goes with it, as in the kernel.
    end: conserves(
      ({ vcpu }) => ({ host, eventfd, sent: 0, most: vcpu ? 1 : 0 }),
      ({ vmm }) => {
        expect(vmm, "the eventfd has gone before its doorbell");
        expect(!host.pools.eventfd.lives(eventfd.record), "the eventfd is kept by nobody, and lives");
      },
    ),
  };
}

/** Threads: vmm, vcpu. */
export const close = {
  sentence:
    "The last close of an eventfd takes it from no doorbell, and its deassign frees it when no store uses it.",
  mutexes: "assumed",
  setup: (world) => closes(world),
  twins: {
    "frees-first": {
      sentence: "gives the doorbell and the eventfd back, and waits for stores after that",
      setup: (world) => closes(world, ({ vmm }) => noFence(vmm)),
    },
  },
};

/** A doorbell is assigned beside a store of a thread that knows that there is none. */
function assigns(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd } = guest(world, ["vmm", "vcpu"]);
  const opened = Vm.open(hosts.vcpu, vm.handle);
  store(opened)();
  break_(hosts, vm.life.record + V.bus);
  return {
    threads: {
      vmm: () => void vm.ioeventfd(DOORBELL, eventfd),
      vcpu: store(opened),
    },
    keeps: [vm.bus, opened.bus, eventfd],
    end: conserves(
      ({ vcpu }) => ({ host, eventfd, sent: vcpu ? 1 : 0 }),
      () => expect(store(opened)(), "a store after the assign is not taken"),
    ),
  };
}

/** Threads: vmm, vcpu. */
export const assign = {
  sentence:
    "When an assign has returned every store is taken, also in a thread that knew that there was no doorbell.",
  mutexes: "assumed",
  setup: (world) => assigns(world),
  twins: {
    silent: {
      sentence: "says to nobody that something has changed",
      setup: (world) =>
        assigns(world, ({ vmm }, bus) => {
          const { words } = vmm;
          vmm.words = override(words, { add: (word, value) => (word === bus ? 0 : words.add(word, value)) });
        }),
    },
  },
};

/** The VM is disposed beside a store, and another one with a doorbell at the same place takes its record. */
function disposes(world, break_ = () => {}) {
  const { hosts, host, vm, eventfd, opened } = rung(world, ["vmm", "vcpu"]);
  const other = Eventfd.create(host);
  break_(hosts);
  return {
    threads: {
      vmm() {
        vm.dispose();
        const then = count(host, eventfd);
        new Vm(host, { vcpus: 2 }).ioeventfd(DOORBELL, other);
        return then;
      },
      vcpu() {
        try {
          return store(opened.vcpu)();
        } catch (error) {
          if (error.code === "EBADF") return false;
          throw error;
        }
      },
    },
    keeps: [vm, opened.vcpu.bus, eventfd, other],
    end: conserves(
      ({ vcpu }) => [
        { host, eventfd, sent: vcpu ? 1 : 0 },
        { host, eventfd: other, sent: 0 },
      ],
      ({ vmm }) => expect(count(host, eventfd) === vmm, "rung after the VM had gone"),
    ),
  };
}

/** Threads: vmm, vcpu. */
export const dispose = {
  sentence:
    "When a VM has been disposed no store through a handle to it rings, nor a doorbell of the next one in its record.",
  mutexes: "assumed",
  setup: (world) => disposes(world),
  twins: {
    "waits-for-none": {
      sentence:
        "gives a VM back without waiting for a store that has announced what it rings, by either fence",
      setup: (world) =>
        disposes(world, ({ vmm }) => {
          noFence(vmm);
          vmm.thread.quiesce = () => {};
        }),
    },
    "begins-anew": {
      sentence: "lets the word by which threads know that something has changed begin anew with each VM",
      setup: (world) =>
        disposes(world, ({ vmm }) => {
          vmm.pools.vm.kept = 1; // the mutex alone
        }),
    },
  },
};

const writerDies = ({ host, victim, vm, eventfd }) => {
  const doorbell = vm.ioeventfd(DOORBELL, eventfd);
  const own = Vm.open(victim, vm.handle);
  store(own)();
  eventfd.tryRead();
  return {
    victim: store(own),
    survivor() {
      doorbell.dispose();
      return count(host, eventfd);
    },
    keeps: [doorbell, own.bus, eventfd],
    signals: () => ({ host, eventfd, sent: 0, most: 1 }),
    check: ({ survivor }) =>
      expect(count(host, eventfd) === survivor, "rung after the deassign had returned"),
  };
};

export const writer = {
  sentence: "A thread dies in a store: a deassign that waits for it goes on, and nothing rings after it.",
  ...mortal,
  setup: (world) => dies(world, writerDies),
  twins: {
    "no-fence": {
      sentence: "deassigns without waiting for a store that has announced what it rings",
      setup: (world) => dies(world, writerDies, ({ host }) => noFence(host)),
    },
  },
};

/** The victim deassigns the survivor's doorbell and assigns another, while the survivor stores. */
const vmmDies = ({ host, victim, vm, eventfd }) => {
  const doorbell = vm.ioeventfd(DOORBELL, eventfd);
  const others = Vm.open(victim, vm.handle);
  const theirs = Eventfd.open(victim, eventfd.handle);
  store(vm)();
  eventfd.tryRead();
  return {
    victim() {
      others.deassignIoeventfd(DOORBELL, theirs);
      others.ioeventfd({ address: AT + 4, length: 4 }, theirs);
    },
    survivor: store(vm),
    keeps: [doorbell, others.bus, theirs, vm.bus, eventfd],
    signals: ({ survivor: taken }) => ({ host, eventfd, sent: taken ? 1 : 0 }),
    check(_results, died) {
      const left = vm.ioeventfds().map(({ address }) => Number(address));
      expect(left.includes(AT) === store(vm)(), "what is listed is not what takes stores");
      expect(
        left.includes(AT + 4) === vm.write("mmio", AT + 4, 4, 0),
        "the same of the one that was assigned",
      );
      expect(left.includes(AT + 4) !== died, "what the dead thread made is still there");
    },
  };
};

export const vmm = {
  sentence:
    "A thread dies while it deassigns and assigns: each is as it was or gone, and the stores of others go by that.",
  ...mortal,
  setup: (world) => dies(world, vmmDies),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) => dies(world, vmmDies, noHeal),
    },
    "no-relink": {
      sentence: "takes the VM's mutex over and leaves its list as it is",
      setup: (world) => dies(world, vmmDies, noHealVm),
    },
  },
};
