// The repair itself: its order, while others go on; and a thread that dies while it repairs after another.
import { override } from "atomics-explorer";
import { Eventfd, Producer, Vcpu } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Header, ON } from "#src/host/layout.js";
import { tearDown } from "#src/vm/lost-thread.js";
import { relayOne } from "#src/vm/relay.js";
import { leaveForIt, notifyForIt, recoverMutexes } from "#src/vm/repair.js";
import { GSI } from "./support/death.mjs";
import { controlWord, expect, guest, openVcpu, producer } from "./support/guest.mjs";

const STEPS = { notify: notifyForIt, leave: leaveForIt, "tear-down": tearDown };

/**
 * The victim writes to an eventfd, is the relay, and owns a device; the survivor deassigns the irqfd of that eventfd; the
 * supervisor writes to it too, and repairs when the victim has died, at any moment after that, and the survivor what it waits
 * for. A writer that saw the irqfd may take out what the supervisor has put in when the irqfd was on its way out.
 */
function repairs(world, order) {
  const made = guest(world, ["survivor", "victim", "supervisor"]);
  const { survivor: host, victim, supervisor } = made.hosts;
  const { vm, eventfd } = made;
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI, { bypass: "off" });
  const source = producer(victim, Eventfd.create(victim));
  const own = Eventfd.open(victim, eventfd.handle);
  const others = Eventfd.open(supervisor, eventfd.handle);
  const [id, record] = [victim.threadId, victim.thread.record];
  for (const one of [host, supervisor]) {
    one.repair.thread = (gone) => {
      recoverMutexes(one, gone);
      for (const step of order) STEPS[step](one, gone);
    };
  }
  const isDead = () => supervisor.thread.isDead(record);
  return {
    threads: {
      victim() {
        own.write();
        victim.pending.takeAll((one) => relayOne(victim, one));
        source.signal();
        victim.words.store(Header.changes, 1);
        victim.words.notify(Header.changes);
        return "done";
      },
      survivor() {
        irqfd.dispose();
        return "done";
      },
      supervisor() {
        others.write();
        while (!isDead()) {
          if (supervisor.words.load(Header.changes) === 1) return;
          supervisor.words.wait(Header.changes, 0, 100);
        }
        supervisor.threadLost(id);
      },
    },
    keeps: [irqfd, eventfd, source, own, others],
    end: conserves(
      ({ victim: done }) => {
        if (done !== "done") supervisor.threadLost(id); // unless the supervisor has
        // The supervisor's, the victim's if it came so far, and one that repair makes up where it cannot tell.
        return { host, vm, eventfd, most: 3 };
      },
      () => {
        const { findings } = host.audit();
        expect(findings.length === 0, findings[0]?.message);
      },
    ),
  };
}

const twin = (...order) => ({
  sentence: `repairs in another order: ${order.join(", ")}`,
  setup: (world) => repairs(world, order),
});

export const order = {
  sentence:
    "Repair notifies, then clears the in-flight words, then tears down: others that go on meanwhile lose nothing.",
  kills: ["victim"],
  timeouts: "stuck",
  preemptions: 1,
  setup: (world) => repairs(world, ["notify", "leave"]),
  twins: {
    "leave-first": twin("leave", "notify", "tear-down"),
    "leave-then-tear-down": twin("leave", "tear-down", "notify"),
    "tear-down-before-leave": twin("notify", "tear-down", "leave"),
    "tear-down-first": twin("tear-down", "notify", "leave"),
    "notify-last": twin("tear-down", "leave", "notify"),
  },
};

/** The same with one more. */
export const orderDeeper = { ...order, preemptions: 2, long: true };

/** A thread that has died before, and left things of each kind; the victim repairs after it, and dies. */
function repairerDies(world, play = () => {}) {
  const made = guest(world, ["survivor", "victim", "corpse"]);
  const { survivor: host, victim, corpse } = made.hosts;
  const { vm, eventfd } = made;
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(corpse, eventfd);
  openVcpu(corpse, vm);
  const idle = Producer.create(corpse);
  const other = Eventfd.create(corpse);
  source.signal();
  const ids = [victim.threadId, corpse.threadId];
  for (const one of [host, victim]) {
    const { platform } = one;
    const corpseTid = corpse.thread.osThread(corpse.thread.record).tid;
    const alive = platform.alive.bind(platform);
    platform.alive = (who) => (who.tid === corpseTid ? false : alive(who));
  }
  play(made);
  return {
    threads: {
      survivor: () => host.interrupts().length,
      victim() {
        victim.threadLost(ids[1]);
        return "done";
      },
      corpse: () => "dead",
    },
    keeps: [irqfd, source, idle, other],
    end: conserves(
      ({ victim: done }) => {
        for (const id of done === "done" ? [] : ids) host.threadLost(id);
        return { host, vm, eventfd };
      },
      () => {
        const { findings, live } = host.audit();
        expect(findings.length === 0, findings[0]?.message);
        expect(live.producer === 0 && live.eventfd === 1, "something of the dead thread is left");
      },
    ),
  };
}

export const repairer = {
  sentence: "A thread dies while it repairs after another: the next one does it for both.",
  kills: ["victim"],
  timeouts: "stuck",
  preemptions: 1,
  setup: (world) => repairerDies(world),
  twins: {
    "no-heal": {
      sentence: "takes the host mutex over and makes nothing whole that it guards",
      setup: (world) =>
        repairerDies(world, ({ hosts }) => {
          hosts.survivor.repair.host = () => {};
        }),
    },
  },
};

/**
 * The victim's vCPU halts, while the survivor's device signals it; when the victim has died, the next one repairs and takes
 * the vCPU.
 */
function runsOn(world, change = () => ({})) {
  const made = guest(world, ["survivor", "victim", "next"]);
  const { survivor: host, victim, next } = made.hosts;
  const { vm, eventfd } = made;
  const vcpu = openVcpu(victim, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(host, eventfd);
  const [id, record] = [victim.threadId, victim.thread.record];
  const { handle } = vm.vcpu(0);
  next.words = override(next.words, change(next.words, { thread: record, vcpu: vcpu.record }));
  return {
    threads: {
      survivor: () => source.signal(),
      victim: () => vcpu.wait({ timeoutMs: 100 }),
      next() {
        if (!next.thread.isDead(record)) return false;
        next.threadLost(id);
        Vcpu.open(next, handle);
        return true;
      },
    },
    keeps: [vcpu, irqfd, source],
    end: conserves(
      ({ victim: woken, next: repaired }) => {
        if (woken === undefined && !repaired) host.threadLost(id);
        return { host, vm, eventfd };
      },
      () => {
        const { findings } = host.audit();
        expect(findings.length === 0, findings[0]?.message);
      },
    ),
  };
}

export const halted = {
  sentence:
    "The thread of a vCPU dies while it halts: another repairs, and takes the vCPU with what is posted meanwhile.",
  kills: ["victim"],
  timeouts: "stuck",
  preemptions: 3,
  setup: (world) => runsOn(world),
  twins: {
    "not-put": {
      sentence: "repairs everything but who runs which vCPU",
      setup: (world) =>
        runsOn(world, (words, { thread }) => ({
          compareExchange: (word, expected, value) =>
            expected === thread ? 0 : words.compareExchange(word, expected, value),
        })),
    },
    "takes-unseen": {
      sentence: "takes the vCPU without a look at what was posted while nobody ran it",
      setup: (world) =>
        runsOn(world, (words, { vcpu }) => ({
          or: (word, value) => (word === controlWord(vcpu) && value === ON ? 0 : words.or(word, value)),
        })),
    },
  },
};
