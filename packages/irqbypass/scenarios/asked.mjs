// Routes of a real guest that several threads change at once: one of them gives KVM a table for all, over a machine that is none.
import { override } from "atomics-explorer";
import { Eventfd } from "irqbypass";
import { IrqBypassError } from "#src/host/errors.js";
import { Asked, Route, Routing, Thread, Vcpu, Vm } from "#src/host/layout.js";
import { openRoute } from "#src/vm/route-ref.js";
import { dies, mortal } from "./support/death.mjs";
import { expect, VECTOR } from "./support/guest.mjs";
import { GSI, irqfdAt, machine, msi } from "./support/machine.mjs";

/** Where each thread's route leads in the end, and where an irqfd listens. */
const PLACES = [
  { gsi: GSI, to: msi(1, 0x51) },
  { gsi: GSI + 1, to: msi(1, 0x52) },
];
/** A message that KVM refuses, by which it refuses a table. */
const REFUSED = 0x66;
const ENTRY_WORDS = 12;

/**
 * The machine of {@link machine} with a route for each thread. KVM refuses a table that has {@link REFUSED} in it. What it has of each route
 * is in memory, where the explorer knows of it: in registers of a vCPU that nobody runs.
 */
function shared(world, names) {
  // A table that is given back would be more than the explorer lets a thread repair.
  const gsis = PLACES.map(({ gsi }) => gsi);
  const made = machine(world, names, { real: true, gsis, capacity: { injection: 4 } });
  const { hosts, host, vm, life, own, routingOf, eventfd, assigns } = made;
  const first = vm.vcpu(1).record + Vcpu.lvtThermal;
  const kvms = (index) => first + index;
  const routings = Object.fromEntries(
    names.map((name) => [name, routingOf(hosts[name], kvmOf(hosts[name], kvms, own.fd))]),
  );
  const other = Eventfd.create(host);
  const irqfds = [assigns(), irqfdAt(routings[names[0]], host, life, other, PLACES[1].gsi)];
  PLACES.forEach((_, index) => {
    host.words.store(kvms(index), VECTOR);
  });
  const routes = names.map((name, index) => openRoute(routings[name], PLACES[index].gsi));
  return {
    ...made,
    routings,
    routes,
    keeps: [eventfd, other, ...irqfds, ...routes],
    /** Whether KVM has what the route of this thread is changed to. */
    hasIts: (name, index) => hosts[name].words.load(kvms(index)) === PLACES[index].to.data,
    check(injections = 2) {
      PLACES.forEach(({ gsi }, index) => {
        const route = host.words.get(host.words.get(life.record + Vm.routing) + Routing.gsi + gsi);
        const data = route === 0 ? 0 : host.words.get(route + Route.c);
        expect(host.words.load(kvms(index)) === data, "an irqfd listens, and KVM has an older route");
      });
      expect(host.pools.injection.live === injections, "an injection was not given back");
      const { findings } = host.audit();
      expect(findings.length === 0, findings[0]?.message);
    },
  };
}
/** KVM's table as the thread of `host` reaches it. */
function kvmOf({ words }, kvms, fd) {
  return {
    fd,
    replace(table) {
      const messages = PLACES.map(({ gsi }) => messageIn(table, gsi));
      if (messages.includes(REFUSED)) throw new IrqBypassError("EINVAL", "KVM refuses it");
      for (const [index, message] of messages.entries()) words.store(kvms(index), message);
    },
  };
}

/** The data of a GSI's route in a table as KVM takes it, 0 for none. */
function messageIn(table, gsi) {
  for (let at = 2; at < table.length; at += ENTRY_WORDS) if (table[at] === gsi) return table[at + 6];
  return 0;
}

/** Two threads change a route each, at which an irqfd listens; what `wish` says for the second. */
function changes(world, { to = PLACES[1].to, break_ = () => {}, refused = false } = {}) {
  const made = shared(world, ["vmm", "device"]);
  const { routes, hasIts, keeps, check } = made;
  break_(made);
  const change = (name, index, message) => () => {
    routes[index].change(message);
    expect(hasIts(name, index), "its call has returned, and KVM has not got its route");
    return "changed";
  };
  const threads = { vmm: change("vmm", 0, PLACES[0].to), device: change("device", 1, to) };
  if (refused)
    threads.device = () => {
      try {
        routes[1].change(to);
      } catch (error) {
        return error.code;
      }
      return "changed";
    };
  return {
    threads,
    keeps,
    end(results) {
      expect(results.vmm === "changed", "a route that KVM takes was refused");
      expect(
        results.device === (refused ? "EINVAL" : "changed"),
        "who asked for what KVM refuses is not told",
      );
      expect(
        hasIts("vmm", 0) && hasIts("vmm", 1) !== refused,
        "a change is lost, or what was refused is there",
      );
      check();
    },
  };
}

/** A thread asks before it has said what for. */
const asksFirst = ({ hosts: { device }, life }) => {
  const { words } = device;
  const { record } = device.thread;
  device.words = override(words, {
    set(word, value) {
      if (word === record + Thread.askedRoute) words.store(record + Thread.asked, life.record);
      words.set(word, value);
    },
  });
};

/** Threads: vmm, device. */
export const group = {
  conserves: "nothing is signalled",
  sentence: "Of threads that change routes of a real guest at once each returns when KVM has its own.",
  mutexes: "assumed",
  setup: (world) => changes(world),
  twins: {
    "asks-first": {
      sentence: "asks before it has written down what for",
      setup: (world) => changes(world, { break_: asksFirst }),
    },
    "not-given": {
      sentence: "has the others' changes in memory, and gives KVM none",
      setup: (world) =>
        changes(world, {
          break_({ routings }) {
            routings.vmm.follow = () => {};
          },
        }),
    },
  },
};

/** Threads: vmm, device. */
export const refused = {
  conserves: "nothing is signalled",
  sentence: "Of threads that change routes at once, one of which KVM refuses, that one alone throws.",
  mutexes: "assumed",
  setup: (world) => changes(world, { to: msi(1, REFUSED), refused: true }),
  twins: {
    "not-taken-back": {
      sentence: "leaves the routes of others in memory as they were refused",
      setup: (world) =>
        changes(world, {
          to: msi(1, REFUSED),
          refused: true,
          break_({ routings: { vmm } }) {
            const { carryOut } = vmm;
            vmm.carryOut = (all, always) =>
              carryOut.call(
                vmm,
                all.map((change) => ({ ...change, takeBack: () => {} })),
                always,
              );
          },
        }),
    },
  },
};

/** The survivor changes its route, and the victim changes or ends its own: whichever of them gives KVM the table, it may die. */
const asks = (ends) => (made) => {
  const { host, life, routes, keeps, hasIts, check, routings } = made;
  const before = host.pools.route.live;
  return {
    keeps,
    survivor() {
      routes[0].change(PLACES[0].to);
      expect(hasIts("survivor", 0), "its call has returned, and KVM has not got its route");
    },
    victim() {
      if (ends) routes[1].dispose();
      else routes[1].change(PLACES[1].to);
    },
    check(_results, died) {
      life.guard(() => routings.survivor.settle()); // as the next one does who changes a route
      const there = host.words.get(host.words.get(life.record + Vm.routing) + Routing.gsi + PLACES[1].gsi);
      if (!died) expect(ends ? there === 0 : hasIts("survivor", 1), "its change is lost, and it lives");
      expect(host.pools.route.live === before - (there === 0 ? 1 : 0), "a route is in no table");
      check(there === 0 ? 1 : 2);
    },
  };
};
const dying = (ends, play) => (world) => dies(world, asks(ends), play, [], shared);

/** Nobody makes again what a dead thread had taken. */
const notAgain = ({ hosts }) => {
  for (const host of Object.values(hosts)) host.repair.vm = () => {};
};

/** The victim tells whoever asks that its change is made, and then gives KVM the table. */
const tellsEarly = ({ hosts: { victim }, routings, host }) => {
  const routing = routings.victim;
  const { follow } = routing;
  const asked = host.thread.record + Thread.asked;
  routing.follow = (...args) => {
    if (victim.words.load(asked) !== 0) victim.mutex.guard(() => victim.words.store(asked, 0));
    follow.apply(routing, args);
  };
};

/** Nobody marks what it makes. */
const notTaken = ({ hosts, life }) => {
  for (const host of Object.values(hosts)) {
    const { words } = host;
    host.words = override(words, {
      store: (word, value) => (value === (life.record | Asked.taken) ? value : words.store(word, value)),
    });
  }
};

const MORTAL = { ...mortal, conserves: "nothing is signalled" };

/** Threads: survivor, victim. */
export const death = {
  sentence:
    "A thread dies while routes are changed together, its own and another's: the other's is made, and its own is made or is not.",
  ...MORTAL,
  setup: dying(false),
  twins: {
    "not-repaired": {
      sentence: "does not make again what the dead thread had taken",
      setup: dying(false, notAgain),
    },
    "tells-early": {
      sentence: "tells the other thread that its change is made before KVM has it",
      setup: dying(false, tellsEarly),
    },
  },
};

/** Threads: survivor, victim. */
export const deathOfEnd = {
  sentence:
    "A thread dies while a route of its own ends with another's change: the route is in the table, or is given back.",
  ...MORTAL,
  setup: dying(true),
  twins: {
    "not-repaired": {
      sentence: "does not make again what the dead thread had taken",
      setup: dying(true, notAgain),
    },
    "not-taken": {
      sentence: "makes a change without marking it as taken first",
      setup: dying(true, notTaken),
    },
  },
};
