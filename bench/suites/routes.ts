import { setTimeout as sleep } from "node:timers/promises";
import { Eventfd, Host, type Msi, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { available } from "../harness/linux.js";
import { type Peer, startPeer, Word } from "../harness/peer.js";
import { msi, type RoutesData } from "../harness/routes-data.js";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measureBy, processor, timed, untimed } from "../harness/timing.js";

const MANY = 4_096;
const VECTORS = 512;
const QUICK = { many: 256, vectors: 32 };
const BATCH = 16;
const THREADS = 4;

/** What both kinds of VM have of routes. */
interface Guest extends Disposable {
  setGsiRouting: Vm["setGsiRouting"];
  routeMsi: Vm["routeMsi"];
  route: Vm["route"];
  /** Listens at a GSI, with the eventfd of this number. */
  listen(gsi: number, number: number): void;
}

/** Makes guests of one kind on one host, with so many eventfds for their irqfds. */
type Guests = (eventfds: number) => () => Guest;

const software: Guests = (count) => {
  const host = Host.create({ size: "medium" });
  const eventfds = Array.from({ length: count }, () => Eventfd.create(host));
  return () => {
    const vm = new Vm(host, { apic: false });
    return Object.assign(vm, {
      listen: (gsi: number, number: number) => void vm.irqfd(eventfds[number]!, gsi),
    });
  };
};

const real: Guests = (count) =>
  available(() => {
    const host = Host.create({ kinds: [linux(), kvm()], size: "medium" });
    const eventfds = Array.from({ length: count }, () => LinuxEventfd.create(host));
    return () => {
      const vm = new KvmVm(host);
      vm.setGsiRouting([]);
      return Object.assign(vm, {
        listen: (gsi: number, number: number) => void vm.irqfd(eventfds[number]!, gsi),
      });
    };
  });

const table = (count: number) => Array.from({ length: count }, (_, gsi) => ({ gsi, msi: msi(gsi) }));

/** Changes one of N routes, at which an irqfd listens; by itself, or as a VMM does that has the whole table to give. */
function changes(guests: Guests, by: "route" | "table"): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const guest = guests(BATCH)();
    const routes = table(n);
    guest.setGsiRouting(routes);
    const changed = Array.from({ length: BATCH }, (_, i) => Math.floor((i * n) / BATCH));
    changed.forEach((gsi, number) => {
      guest.listen(gsi, number);
    });
    const refs = changed.map((gsi) => guest.route(gsi));
    let turn = 0;
    const change = () => {
      turn += 1;
      changed.forEach((gsi, number) => {
        if (by === "route") refs[number]!.change(msi(gsi + turn));
        else {
          routes[gsi] = { gsi, msi: msi(gsi + turn) };
          guest.setGsiRouting(routes);
        }
      });
    };
    return () => ({
      values: { route: measureBy(processor, roundMs(parameters), BATCH, timed(change))[0]! },
    });
  };
}

/** Sets N vectors up one after the other, each with its route and its irqfd. */
function setsUp(guests: Guests, by: "route" | "table"): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const create = guests(n);
    let guest: Guest | undefined;
    const renew = () => {
      guest?.[Symbol.dispose]();
      guest = create();
    };
    const setUp = () => {
      const routes: { gsi: number; msi: Msi }[] = [];
      for (let number = 0; number < n; number++) {
        if (by === "route") guest!.listen(guest!.routeMsi(msi(number)).gsi, number);
        else {
          routes.push({ gsi: number, msi: msi(number) });
          guest!.setGsiRouting(routes);
          guest!.listen(number, number);
        }
      }
    };
    return () => ({
      values: { route: measureBy(processor, roundMs(parameters), n, untimed(renew), timed(setUp))[0]! },
    });
  };
}

/** So many threads change routes of their own among N, each one after the other, at each of which an irqfd listens. */
const together =
  (threads: number): Prepare =>
  async (parameters) => {
    const n = parameters.n!;
    const host = available(() => Host.create({ kinds: [linux(), kvm()], size: "medium" }));
    const vm = new KvmVm(host);
    vm.setGsiRouting(table(n));
    const peers: Peer[] = [];
    for (let thread = 0; thread < threads; thread++) {
      const gsis = Array.from({ length: BATCH }, (_, i) => Math.floor((i * n) / BATCH) + thread);
      for (const gsi of gsis) vm.irqfd(LinuxEventfd.create(host), gsi);
      peers.push(
        await startPeer("reroutes", { host: host.handle, vm: vm.handle, gsis } satisfies RoutesData),
      );
    }
    const made = () => peers.reduce((sum, { words }) => sum + Atomics.load(words, Word.ack), 0);
    return async () => {
      const [changes, spent] = [made(), processor.now()];
      for (const peer of peers) peer.work();
      await sleep(roundMs(parameters));
      for (const peer of peers) peer.rest();
      for (const { words } of peers) while (Atomics.exchange(words, Word.ready, 0) === 0) await sleep(1);
      return { values: { route: ((processor.now() - spent) * 1e6) / (made() - changes) } };
    };
  };

/** The trials and contestants that the targets are of. */
export const ONE_OF_MANY = oneOf(MANY);
export const ONE_BY_ONE = oneByOne(VECTORS);
export const CHANGE = "software: change";
export const SET_UP_BY_TABLES = "software, whole table: set up";

function oneOf(many: number): string {
  return `one of ${many.toLocaleString("en-US")}`;
}

function oneByOne(vectors: number): string {
  return `${vectors} one by one`;
}

const ONE_THREAD = "KVM: one thread";
const AT_ONCE = `KVM: ${THREADS} threads at once`;
const NAMES = ["software", "software, whole table", "KVM", "KVM, whole table"];

export const routes: Suite = {
  name: "routes",
  about:
    "One MSI route of N is changed, where an irqfd listens; and N vectors are set up one by one, each with its route and its irqfd, of which one is shown. In processor time.",
  measures: [{ key: "route", title: "a route", unit: "ns" }],
  contestants: {
    ...Object.fromEntries(
      [
        changes(software, "route"),
        changes(software, "table"),
        changes(real, "route"),
        changes(real, "table"),
      ].map((prepare, index) => [`${NAMES[index]}: change`, prepare]),
    ),
    ...Object.fromEntries(
      [
        setsUp(software, "route"),
        setsUp(software, "table"),
        setsUp(real, "route"),
        setsUp(real, "table"),
      ].map((prepare, index) => [`${NAMES[index]}: set up`, prepare]),
    ),
    [ONE_THREAD]: together(1),
    [AT_ONCE]: together(THREADS),
  },
  trials: (quick) => {
    const { many, vectors } = quick ? QUICK : { many: MANY, vectors: VECTORS };
    return [
      {
        title: oneOf(many),
        parameters: { n: many },
        contestants: NAMES.map((name) => `${name}: change`),
      },
      {
        title: oneByOne(vectors),
        parameters: { n: vectors },
        contestants: NAMES.map((name) => `${name}: set up`),
      },
      {
        title: `${oneOf(many)}, again and again`,
        parameters: { n: many },
        contestants: [ONE_THREAD, AT_ONCE],
      },
    ];
  },
  notes: [
    "The whole table is what a VMM gives that keeps the table itself, as KVM_SET_GSI_ROUTING takes it. KVM takes no other: its rows of single routes are one table each, given by words.",
    `In the last trial threads change routes of their own without a pause, and what one change takes is that of all of them by their number: those that come together are one table.`,
  ],
};
