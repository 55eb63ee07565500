// Objects that end while others use them: what has ended is never acted upon, nor its successor in the same place.

import { Eventfd, Vcpu, Vm } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Vcpu as C, Eventfd as E, KICKED, Rec, Vm as V } from "#src/host/layout.js";
import { controlWord, expect, guest, opensUnlocked, outcome } from "./support/guest.mjs";

const PIN = 3;
/** One VM at a time, so that the next one gets the record of the one before. */
const ONE = {
  capacity: { vm: 1, vcpu: 1, eventfd: 1, producer: 1, consumer: 1, reference: 1, injection: 1 },
};

/** The `vmm` disposes its VM and makes the next one in the record; `other` uses the handle to the first. */
function successor(world, use, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"], ONE);
  const vm = new Vm(seen.vmm, { vcpus: 1 });
  const others = Vm.open(seen.other, vm.handle);
  const made = { ...seen, vm, others, words: seen.vmm.words };
  const told = use(made);
  break_(made);
  return {
    threads: {
      vmm() {
        vm.dispose();
        return new Vm(seen.vmm, { vcpus: 1 }).vcpu(0).record;
      },
      other: told.call,
    },
    keeps: [vm, others],
    end: ({ vmm: vcpu, other }) => told.end(vcpu, other),
  };
}

const raises = ({ others, vm, words }) => ({
  call: () => outcome(() => others.setIrqLine(PIN, true), "EBADF"),
  end() {
    const { record } = vm.life;
    expect(words.get(record + V.lines) === 0, "the next VM's line was raised");
    expect(words.get(record + V.sources + PIN) === 0, "somebody asserts a pin of the next VM");
  },
});

/** A handle that looks whether its VM is there before it waits for the mutex, and not when it has it. */
function looksOutside({ others: { life } }) {
  life.guard = (section) => {
    life.look(() => {});
    return life.mutex.guard(section);
  };
}

/** Threads: vmm, other. */
export const line = {
  conserves: "nothing is signalled",
  sentence:
    "A line that is raised through a handle beside the VM's end is the old VM's or EBADF, never the next one's.",
  mutexes: "assumed",
  setup: (world) => successor(world, raises),
  twins: {
    "looks-outside": {
      sentence: "looks at the generation before it takes the mutex, and not under it",
      setup: (world) => successor(world, raises, looksOutside),
    },
    "mutex-goes-too": {
      sentence: "gives the mutex back with the record, so that two can have it",
      setup: (world) =>
        successor(world, raises, ({ vmm }) => {
          vmm.pools.vm.kept = 0;
        }),
    },
  },
};

const routes = ({ vmm, others }) => {
  const { pools, mutex } = vmm;
  const before = pools.route.live;
  return {
    call: () =>
      outcome(() => others.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]), "EBADF", "ENOMEM"),
    end: () =>
      mutex.guard(() => expect(pools.route.live === before, "routes are left, or the next VM has them")),
  };
};

/** Threads: vmm, other. */
export const route = {
  conserves: "nothing is signalled",
  sentence:
    "Routes that are set through a handle beside the VM's end are the old VM's or EBADF, and no table is left.",
  mutexes: "assumed",
  setup: (world) => successor(world, routes),
  twins: {
    "looks-outside": {
      sentence: "looks at the generation before it takes the mutex, and not under it",
      setup: (world) => successor(world, routes, looksOutside),
    },
  },
};

const kicks = (made) => {
  const ref = made.others.vcpu(0);
  return {
    ref,
    call: () => outcome(() => ref.kick(), "EBADF"),
    end: (vcpu) =>
      expect((made.words.load(controlWord(vcpu)) & KICKED) === 0, "the next VM's vCPU was kicked"),
  };
};

/** Threads: vmm, other. */
export const kick = {
  conserves: "nothing is signalled",
  sentence: "A kick beside the end of the vCPU's VM is the old vCPU's or EBADF, never the next one's.",
  mutexes: "assumed",
  setup: (world) => successor(world, kicks),
  twins: {
    unannounced: {
      sentence: "looks whether the vCPU is there, and says nowhere that it is about to kick it",
      setup: (world) =>
        successor(world, kicks, ({ other }) => {
          const { store } = other.words;
          const { writing } = other.thread;
          other.words.store = function (word, value) {
            if (word !== writing) store.call(this, word, value);
          };
        }),
    },
  },
};

/** Threads: vmm, other. */
export const opens = {
  conserves: "nothing is signalled",
  sentence: "A vCPU that is opened beside the end of its VM keeps the VM, or is not opened.",
  setup: (world) => opensBeside(world),
  twins: {
    "looks-first": {
      sentence: "looks whether a thread runs the vCPU, and says in another step that its VM goes",
      setup: (world) =>
        opensBeside(world, ({ vmm, vm }) => {
          const { guard } = vmm.mutex;
          // The claim's section of the host mutex is left between its two halves.
          vmm.mutex.guard = function (section, ...rest) {
            return guard.call(
              this,
              () => {
                const { set } = vmm.words;
                vmm.words.set = function (word, value) {
                  if (word === vm.life.record + V.dying) {
                    vmm.mutex.give();
                    vmm.mutex.take() || guard.call(vmm.mutex, () => {}) || vmm.mutex.take();
                  }
                  set.call(this, word, value);
                };
                try {
                  return section();
                } finally {
                  vmm.words.set = set;
                }
              },
              ...rest,
            );
          };
        }),
    },
  },
};

function opensBeside(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"], ONE);
  const vm = new Vm(seen.vmm, { vcpus: 1 });
  const { handle } = vm.vcpu(0);
  const { record } = vm.vcpu(0);
  break_({ ...seen, vm });
  return {
    threads: {
      vmm: () => outcome(() => vm.dispose(), "EBUSY"),
      other: () => outcome(() => Vcpu.open(seen.other, handle), "ESTALE"),
    },
    keeps: [vm],
    end({ vmm, other }) {
      expect(vmm !== "done" || other !== "done", "the VM is gone, and a thread runs its vCPU");
      expect(vmm === "done" || other === "done", "each gave way to the other");
      const { words, mutex } = seen.vmm;
      const lives = mutex.guard(() => words.get(record + Rec.generation) & 1) === 1;
      expect(lives === (vmm !== "done"), "the vCPU's record does not go with its VM");
    },
  };
}

/** Both dispose the same VM, each through a handle of its own. */
function bothDispose(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"], ONE);
  const vm = new Vm(seen.vmm, { vcpus: 1 });
  const others = Vm.open(seen.other, vm.handle);
  break_(others);
  const gone = (own, { mutex, pools }) => {
    own.dispose();
    return mutex.guard(() => pools.vm.live) === 0;
  };
  return {
    threads: { vmm: () => gone(vm, seen.vmm), other: () => gone(others, seen.other) },
    keeps: [vm, others],
    end: ({ vmm, other }) => expect(vmm && other, "dispose has returned, and the VM is not gone"),
  };
}

/** Threads: vmm, other. */
export const disposes = {
  conserves: "nothing is signalled",
  sentence: "A VM that two threads dispose goes once, and is gone when either has returned.",
  timeouts: "stuck",
  mutexes: "assumed",
  setup: (world) => bothDispose(world),
  twins: {
    "returns-at-once": {
      sentence: "leaves the VM to whoever came first, and does not wait for it",
      setup: (world) =>
        bothDispose(world, (others) => {
          const real = others.dispose;
          others.dispose = function () {
            const { words, mutex } = this.host;
            const dying = this.life.mutex.guard(() => words.get(this.life.record + V.dying));
            if (dying === 0 && mutex.guard(() => this.life.isLive())) real.call(this);
          };
        }),
    },
  },
};

/** The `vmm` ends its VM, while `other` repairs after a thread that has died long ago. */
function repairs(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other", "gone"], ONE);
  const vm = new Vm(seen.vmm, { vcpus: 1 });
  const { record } = vm.vcpu(0);
  const { words } = seen.vmm;
  break_(seen);
  return {
    threads: {
      vmm: () => vm.dispose(),
      other: () => seen.other.repair.thread(seen.gone.thread.record),
      gone() {},
    },
    keeps: [vm],
    end() {
      for (let word = record + C.life + 1; word < record + C.words; word++)
        expect(words.load(word) === 0, `word ${word - record} of a vCPU that was given back is not 0`);
    },
  };
}

/** Threads: vmm, other, gone. */
export const repair = {
  conserves: "nothing is signalled",
  sentence: "A repair beside the end of a VM writes nothing into what is given back.",
  mutexes: "assumed",
  setup: (world) => repairs(world),
  twins: {
    "notifies-unlocked": {
      sentence: "notes which vCPUs live, and notifies them when they may not",
      setup: (world) =>
        repairs(world, ({ other }) => {
          const { forEachLive } = other;
          other.forEachLive = function (pool, visit) {
            const found = [];
            forEachLive.call(this, pool, (one) => found.push(one));
            for (const one of found) visit(one);
          };
        }),
    },
  },
};

/** The last handle of an eventfd is closed, while another thread opens one, and writes. */
function closesBeside(world, open = Eventfd.open) {
  const { vmm, other } = hosts(world, ["vmm", "other"]);
  const eventfd = Eventfd.create(vmm);
  const { handle } = eventfd;
  return {
    threads: {
      vmm() {
        eventfd.close();
        return Eventfd.create(vmm).record;
      },
      other: () => outcome(() => open(other, handle).write(5), "ESTALE"),
    },
    keeps: [eventfd],
    end({ vmm: next, other: came }) {
      const count = vmm.words.load64(next + E.counter);
      expect(count === 0n, `the next eventfd counts ${count}`);
      expect(came === "ESTALE" || next !== eventfd.record, "what is open was given to another");
    },
  };
}

/** Threads: vmm, other. */
export const eventfd = {
  conserves: "nothing is signalled",
  sentence:
    "An eventfd that is opened beside the close of its last handle is kept, or is ESTALE; never the next one.",
  setup: (world) => closesBeside(world),
  twins: {
    "opens-unlocked": {
      sentence: "finds the record of a handle, and takes a reference to it in another step",
      setup: (world) => closesBeside(world, opensUnlocked(Eventfd, "eventfd")),
    },
  },
};

/** A VM's irqfd is disposed by one thread, and its VM by another. */
function irqfdAndVm(world, break_ = () => {}) {
  const { hosts: seen, vm, eventfd } = guest(world, ["vmm", "other"]);
  const irqfd = vm.irqfd(eventfd, 24);
  const others = Vm.open(seen.other, vm.handle);
  break_(irqfd, others);
  const { words, mutex, pools } = seen.vmm;
  return {
    threads: {
      vmm: () => irqfd.dispose(),
      other: () => others.dispose(),
    },
    keeps: [vm, others, eventfd],
    end() {
      expect(words.load(eventfd.record + E.irqfd) === 0, "the eventfd still has an irqfd");
      mutex.guard(() => expect(pools.consumer.live === 0 && pools.vm.live === 0, "a record is left"));
    },
  };
}

/** Threads: vmm, other. */
export const irqfd = {
  conserves: "nothing is signalled",
  sentence: "An irqfd that ends by itself and with its VM ends once.",
  mutexes: "assumed",
  setup: (world) => irqfdAndVm(world),
  twins: {
    "claims-nothing": {
      sentence: "takes the irqfd down without looking whether another does",
      setup: (world) =>
        irqfdAndVm(world, (_irqfd, { host }) => {
          const { get } = host.words;
          host.words.get = function (word) {
            const { base, stride, capacity } = host.pools.consumer;
            const isClosing =
              word >= base && word < base + stride * capacity && (word - base) % stride === 25;
            return isClosing ? 0 : get.call(this, word);
          };
        }),
    },
  },
};
