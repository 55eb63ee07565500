// Epolls, watches and doorbells that end while others use and end them, and a repair beside each end.
import { override } from "atomics-explorer";
import { Epoll, Eventfd, Vm } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { Epoll as E, Ioeventfd as I, Watch } from "#src/host/layout.js";
import { expect, guest, opensUnlocked, outcome } from "./support/guest.mjs";

const MORTAL = { kills: ["gone"], timeouts: "stuck", preemptions: 2 };
const DOORBELL = { address: 0xfe000000, length: 4 };

/** Nothing is left of what has ended. */
function gone({ mutex, pools }, ...names) {
  mutex.guard(() => {
    for (const name of names) expect(pools[name].live === 0, `the ${name} is still there`);
  });
}

/** A thread that does not see that another one has claimed what it ends: this word of each record of the pool is 0 to it. */
function claimsNothing(host, name, claim) {
  const { words, pools } = host;
  const { base, stride, capacity } = pools[name];
  const isClaim = (word) =>
    word >= base && word < base + stride * capacity && (word - base) % stride === claim;
  host.words = override(words, { get: (word) => (isClaim(word) ? 0 : words.get(word)) });
}

/**
 * Threads of which `gone` may die, as it makes `call`, and `other` repairs after it where it has, beside what the `vmm` does. `end`
 * is asked when nothing of it is left.
 */
function besideRepair(seen, { vmm, call, keeps, end }) {
  const { other, gone: mortal } = seen;
  const { record } = mortal.thread;
  const id = mortal.threadId;
  return {
    threads: {
      vmm,
      other: () => other.thread.isDead(record) && other.threadLost(id),
      gone() {
        call();
        return "done";
      },
    },
    keeps,
    end({ gone: came, other: repaired }) {
      if (came === "done") return;
      if (!repaired) seen.vmm.threadLost(id);
      const { findings } = seen.vmm.audit();
      expect(findings.length === 0, findings[0]?.message);
      end();
    },
  };
}

/** A thread that takes no mutex. */
function locksNothing({ mutex }) {
  mutex.guard = (section) => section();
}

/** The last handle of an epoll is closed, while another thread opens one, and kicks. */
function opensBeside(world, open = Epoll.open) {
  const { vmm, other } = hosts(world, ["vmm", "other"], { capacity: { epoll: 3 } });
  const epoll = Epoll.create(vmm);
  const { handle } = epoll;
  return {
    threads: {
      vmm() {
        epoll.close();
        return Epoll.create(vmm).record;
      },
      other: () => outcome(() => open(other, handle).kick(), "ESTALE"),
    },
    keeps: [epoll],
    end({ vmm: next, other: came }) {
      expect(vmm.words.load(next + E.control) === 0, "the next epoll was kicked");
      expect(came === "ESTALE" || next !== epoll.record, "what is open was given to another");
    },
  };
}

/** Threads: vmm, other. */
export const open = {
  sentence:
    "An epoll that is opened beside the close of its last handle is kept, or is ESTALE; never the next one.",
  setup: (world) => opensBeside(world),
  twins: {
    "opens-unlocked": {
      sentence: "finds the record of a handle, and takes a reference to it in another step",
      setup: (world) => opensBeside(world, opensUnlocked(Epoll, "epoll")),
    },
  },
};

/** Two threads remove the same eventfd from an epoll. */
function bothRemove(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"]);
  const epoll = Epoll.create(seen.vmm);
  const eventfd = Eventfd.create(seen.vmm);
  epoll.add(eventfd);
  const own = [Epoll.open(seen.other, epoll.handle), Eventfd.open(seen.other, eventfd.handle)];
  break_(seen.other);
  return {
    threads: {
      vmm: () => outcome(() => epoll.remove(eventfd), "ENOENT"),
      other: () => outcome(() => own[0].remove(own[1]), "ENOENT"),
    },
    keeps: [epoll, eventfd, ...own],
    end({ vmm, other }) {
      gone(seen.vmm, "watch");
      expect((vmm === "done") !== (other === "done"), "it was removed twice, or by nobody");
    },
  };
}

/** Threads: vmm, other. */
export const remove = {
  conserves: "nothing is signalled",
  sentence: "A watch that two threads remove goes once, and the second is told that there is none.",
  mutexes: "assumed",
  setup: (world) => bothRemove(world),
  twins: {
    "claims-nothing": {
      sentence: "removes a watch that another thread removes already",
      setup: (world) => bothRemove(world, (host) => claimsNothing(host, "watch", Watch.holder)),
    },
  },
};

/** The `vmm` closes its handle of an epoll, while `other` tears down what a dead thread had: the other handle, which had added. */
function closesBesideRepair(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other", "gone"]);
  const epoll = Epoll.create(seen.vmm);
  const own = Epoll.open(seen.gone, epoll.handle);
  const eventfd = Eventfd.create(seen.gone);
  own.add(eventfd);
  break_(seen.other);
  return besideRepair(seen, {
    vmm: () => epoll.close(),
    call: () => own.kick(),
    keeps: [epoll, own, eventfd],
    end: () => gone(seen.vmm, "epoll", "watch", "eventfd", "reference"),
  });
}

/** Threads: vmm, other, gone. */
export const repair = {
  conserves: "nothing is signalled",
  sentence:
    "An epoll of which one handle is closed while a repair closes the other ends once, with all that it watches.",
  ...MORTAL,
  setup: (world) => closesBesideRepair(world),
  twins: {
    "locks-nothing": {
      sentence: "tears down what a dead thread had without the host mutex",
      setup: (world) => closesBesideRepair(world, locksNothing),
    },
  },
};

/** A VM with a doorbell, of which another thread knows both; `made` says who has assigned it. */
function rung(world, names, by = names[0]) {
  const made = guest(world, names);
  const { hosts: seen, vm, eventfd } = made;
  const others = Vm.open(seen.other, vm.handle);
  const theirs = Eventfd.open(seen.other, eventfd.handle);
  const maker = by === names[0] ? { vm, eventfd } : undefined;
  const its = maker ?? { vm: Vm.open(seen[by], vm.handle), eventfd: Eventfd.open(seen[by], eventfd.handle) };
  const doorbell = its.vm.ioeventfd(DOORBELL, its.eventfd);
  const keeps = [vm, vm.bus, others, others.bus, theirs, eventfd, doorbell, its.vm.bus, its.eventfd];
  return { ...made, seen, others, theirs, its, doorbell, keeps };
}

const claimsNoDoorbell = (host) => claimsNothing(host, "ioeventfd", I.closing);

function bothDeassign(world, break_ = () => {}) {
  const { seen, others, theirs, doorbell, keeps } = rung(world, ["vmm", "other"]);
  break_(seen.other);
  return {
    threads: {
      vmm: () => doorbell.dispose(),
      other: () => outcome(() => others.deassignIoeventfd(DOORBELL, theirs), "ENOENT"),
    },
    keeps,
    end: () => gone(seen.vmm, "ioeventfd"),
  };
}

/** Threads: vmm, other. */
export const doorbell = {
  sentence: "A doorbell that two threads deassign goes once.",
  mutexes: "assumed",
  setup: (world) => bothDeassign(world),
  twins: {
    "claims-nothing": {
      sentence: "takes the doorbell down without looking whether another does",
      setup: (world) => bothDeassign(world, claimsNoDoorbell),
    },
  },
};

function deassignsBesideVm(world, break_ = () => {}) {
  const { seen, others, doorbell, keeps } = rung(world, ["vmm", "other"]);
  break_(seen.other);
  return {
    threads: { vmm: () => doorbell.dispose(), other: () => others.dispose() },
    keeps,
    end: () => gone(seen.vmm, "ioeventfd", "vm"),
  };
}

/** Threads: vmm, other. */
export const vm = {
  conserves: "nothing is signalled",
  sentence: "A doorbell that ends by itself and with its VM ends once.",
  mutexes: "assumed",
  setup: (world) => deassignsBesideVm(world),
  twins: {
    "claims-nothing": {
      sentence: "takes the doorbell down without looking whether another does",
      setup: (world) => deassignsBesideVm(world, claimsNoDoorbell),
    },
  },
};

/** The `vmm` disposes its VM, while `other` tears down what a dead thread had: a doorbell of that VM. */
function disposesBesideRepair(world, break_ = () => {}) {
  const { seen, vm, its, keeps } = rung(world, ["vmm", "other", "gone"], "gone");
  break_(seen.other);
  return besideRepair(seen, {
    vmm: () => vm.dispose(),
    call: () => its.eventfd.tryRead(),
    keeps,
    end: () => gone(seen.vmm, "ioeventfd", "vm"),
  });
}

/** Threads: vmm, other, gone. */
export const lost = {
  conserves: "nothing is signalled",
  sentence: "A dead thread's doorbell that a repair takes down beside the end of its VM ends once.",
  ...MORTAL,
  setup: (world) => disposesBesideRepair(world),
  twins: {
    "claims-nothing": {
      sentence: "takes the doorbell down without looking whether another does",
      setup: (world) => disposesBesideRepair(world, claimsNoDoorbell),
    },
  },
};
