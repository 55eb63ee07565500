/**
 * The VMM of the ledger: assigns and deassigns irqfds, replaces routes, turns bypass off and on, makes VMs and disposes of
 * them, at random, beside the device's thread. A KVM guest belongs to this thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, type EventfdContext, type GsiRoute, Host, IrqBypassError, type Irqfd, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { random } from "../death/random.js";
import {
  dawdle,
  finish,
  gsiOf,
  isLinux,
  LineWord,
  loadHandle,
  nextRound,
  note,
  pinOf,
  shuffled,
  sortOf,
  VMM_DID,
  vectorsOf,
  Word,
  wordOf,
} from "./board.js";
import { plant } from "./plants.js";
import { takenAtRelease } from "./taken-at-release.js";
import type { RealGuest, Work } from "./work.js";

const { host: handle, words, lines, seed, vm: opened, plant: planted } = workerData as Work;
const real = lines.some(({ kind }) => isLinux(kind));
const isKvm = opened === undefined;
const host = Host.attach(handle, { kinds: isKvm ? [linux(), kvm()] : real ? [linux()] : [] });
plant(planted, "vmm", host);
const vm = isKvm ? new KvmVm(host) : Vm.open(host, opened);
const pick = random(seed);
const PAUSE = 400;

const irqfds = new Map<number, Irqfd>();
const eventfds = lines.map(({ kind, eventfd }) => (eventfd === 0 ? undefined : open(isLinux(kind), eventfd)));
const unmasks = lines.map(({ kind, unmask }) =>
  unmask === undefined ? undefined : open(isLinux(kind), unmask),
);

function open(linuxEventfd: boolean, of: number): EventfdContext {
  return linuxEventfd ? LinuxEventfd.open(host, of) : Eventfd.open(host, of);
}

const did = (line: number, what: (typeof VMM_DID)[number]) =>
  note(words, wordOf(line, LineWord.did), VMM_DID, what);

function assign(line: number): void {
  const { kind } = lines[line]!;
  const unmask = unmasks[line];
  const bypass = pick(3) === 0 && sortOf(kind) !== "vector" ? "off" : "prefer";
  const options = {
    bypass,
    ...(unmask === undefined ? {} : { resample: unmask }),
  } as const;
  did(line, "assigned");
  Atomics.add(words, wordOf(line, LineWord.assigns), 1);
  const irqfd =
    vm instanceof KvmVm
      ? vm.irqfd(eventfds[line] as LinuxEventfd, gsiOf(line), { bypass })
      : vm.irqfd(eventfds[line]!, gsiOf(line), options);
  irqfds.set(line, irqfd);
  Atomics.store(words, wordOf(line, LineWord.assigned), 1);
}

function deassign(line: number): void {
  if (vm instanceof Vm && pick(2) === 0) {
    did(line, "deassigned");
    vm.deassign(eventfds[line]!, gsiOf(line));
  } else {
    did(line, "disposed");
    irqfds.get(line)!.dispose();
  }
  irqfds.delete(line);
  Atomics.store(words, wordOf(line, LineWord.assigned), 0);
}

/** Some of: as it was, taken off, put on, taken off and put on at once (as VMMs mask), the other way round. */
function change(line: number): void {
  let turns = pick(3);
  if (!irqfds.has(line) && pick(4) !== 0) turns = 1;
  for (; turns > 0; turns--) {
    if (irqfds.has(line)) deassign(line);
    else assign(line);
    dawdle(words, pick(2) === 0 ? 0 : pick(PAUSE));
  }
}

let nowhere = -1;

/** Every line to one of its vectors; in a software VM now and then one of them nowhere. */
function reroute(): void {
  nowhere = isKvm ? -1 : pick(lines.length * 3);
  const routes: GsiRoute[] = [];
  lines.forEach(({ kind }, line) => {
    const gsi = gsiOf(line);
    if (sortOf(kind) === "intx") routes.push({ gsi, irqchip: { chip: "ioapic", pin: pinOf(kind) } });
    else if (line === nowhere && sortOf(kind) !== "hang-up") did(line, "unrouted");
    else routes.push({ gsi, msi: { vcpu: pick(isKvm ? 1 : 2), vector: vectorsOf(line)[pick(2)]! } });
    did(line, "rerouted");
  });
  vm.setGsiRouting(routes);
}

/** One line to one of its vectors, by its own route. */
function rerouteOne(line: number): void {
  const { kind } = lines[line]!;
  if (sortOf(kind) === "intx" || (line === nowhere && sortOf(kind) !== "hang-up")) return;
  did(line, "rerouted");
  vm.route(gsiOf(line)).change({ vcpu: pick(isKvm ? 1 : 2), vector: vectorsOf(line)[pick(2)]! });
}

function turn(): void {
  lines.forEach((_, line) => {
    did(line, "switched");
  });
  host.bypass = !host.bypass;
}

/** The handle of the irqfd's maker is closed beside that of the device: whichever is the last deassigns. */
function hangUp(line: number, round: number): void {
  const shared = loadHandle(words, line, round);
  if (shared === undefined) return; // this round's has been closed, and the next one's is not to be met twice
  let eventfd: EventfdContext;
  try {
    eventfd = open(isLinux(lines[line]!.kind), shared);
  } catch (error) {
    if (error instanceof IrqBypassError && error.code === "ESTALE") return; // its device has died
    throw error;
  }
  eventfds[line] = eventfd;
  assign(line);
  irqfds.delete(line); // it goes by itself
  Atomics.notify(words, wordOf(line, LineWord.assigned));
  dawdle(words, pick(PAUSE));
  eventfd.close();
}

/** A VM that takes its irqfd along; what its vCPU had then counts as taken. */
function machine(line: number): void {
  const own = new Vm(host);
  own.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: vectorsOf(line)[0] } }]);
  dawdle(words, pick(PAUSE));
  Atomics.add(words, wordOf(line, LineWord.assigns), 1);
  own.irqfd(eventfds[line]!, 1);
  dawdle(words, pick(PAUSE));
  takenAtRelease(host, own, vectorsOf(line)[0], () => Atomics.add(words, wordOf(line, LineWord.taken), 1));
  own.dispose();
}

function act(line: number, round: number): void {
  switch (sortOf(lines[line]!.kind)) {
    case "hang-up":
      hangUp(line, round);
      break;
    case "machine":
      machine(line);
      break;
    default:
      change(line);
  }
}

reroute();
if (vm instanceof KvmVm) {
  vm.start();
  parentPort!.postMessage({ fd: vm.machine.fd, memory: vm.memory } satisfies RealGuest);
} else parentPort!.postMessage("ready");
for (let round = Atomics.load(words, Word.vmm); ; ) {
  round = nextRound(words, round);
  if (round < 0) break;
  const together = pick(8);
  for (const line of shuffled(lines.length, pick)) {
    dawdle(words, pick(PAUSE));
    act(line, round);
    if (together === 0 && pick(lines.length) === 0) reroute();
    if (together > 4) rerouteOne(pick(lines.length));
    if (together === 1 && pick(lines.length) === 0) turn();
  }
  finish(words, Word.vmm, round);
}
for (const irqfd of irqfds.values()) irqfd.dispose();
if (vm instanceof KvmVm) {
  await vm.stop();
  vm.dispose();
}
host.dispose();
