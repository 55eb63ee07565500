/** One thread of the race test: a device, a vCPU, or whoever connects, disconnects and re-routes. */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, type GsiRoute, Host, Producer, Vcpu, Vm } from "irqbypass";
import { Board, DEVICES, type RaceWork, VARIANTS, VCPUS, vectorOf } from "./race-board.js";
import { WORDS } from "./race-words.js";

const work = workerData as RaceWork;
const board = new Board(work.board);
const host = Host.attach(work.host, { words: WORDS[work.role === "device" ? work.words : "plain"] });
/** Far longer than any wait of a healthy run. */
const LOST_MS = 5000;
/** Bursts that each device has to get through, however slow the machine. */
const ENOUGH = 200;

/** Bursts of 1 to 8 signals; between some of them the producer leaves and comes back, or moves away and back. */
function device(): void {
  using eventfd = Eventfd.open(host, work.eventfds[work.number]!);
  using elsewhere = Eventfd.create(host);
  const producer = Producer.create(host);
  producer.register(eventfd, work.number);
  for (let index = 1; !board.devicesStopped; index++) {
    board.publish(work.number, index);
    let signals = 1 + (index % 8);
    for (let before = -1; before !== board.reassigned(work.number); signals = 1) {
      before = board.reassigned(work.number);
      for (let left = signals; left > 0; left--) producer.signal();
    }
    board.burstDone(work.number, !board.awaitNoted(work.number, index, LOST_MS));
    if (index % 97 === 0) {
      producer.unregister();
      producer.register(eventfd, work.number);
    } else if (index % 89 === 0) {
      producer.move(elsewhere);
      producer.move(eventfd);
    }
  }
  producer.dispose();
}

/** Takes what comes; between some interrupts the vCPU is put and loaded again. */
function vcpu(): void {
  let running = Vcpu.open(host, work.vcpus[work.number]!);
  for (let turn = 1; !board.vcpusStopped; turn++) {
    const wanted = board.drainWanted(work.number);
    for (let vector = running.acknowledge(); vector !== undefined; vector = running.acknowledge()) {
      board.note(work.number, vector);
      running.eoi();
    }
    board.drained(work.number, wanted);
    if (turn % 61 === 0) {
      running.put();
      running = Vcpu.open(host, work.vcpus[work.number]!);
    }
    running.wait(); // without a limit: a wake-up that is lost is a burst that is lost
  }
  running.put();
}

/** Routes of every device: to one vCPU and vector, or to both vCPUs, which cannot be posted. */
function controller(): void {
  const vm = Vm.open(host, work.vm);
  const eventfds = work.eventfds.map((handle) => Eventfd.open(host, handle));
  let irqfds = eventfds.map((eventfd, device) => vm.irqfd(eventfd, device));
  let random = 12345;
  const next = (limit: number) => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % limit;
  };
  /** Where each device's interrupts go: variant of the vector, and the vCPU or all of them. */
  let targets = Array.from({ length: DEVICES }, () => ({ variant: 0, vcpu: 0 as number | "all" }));
  const route = ({ variant, vcpu }: (typeof targets)[number], device: number): GsiRoute => {
    const vector = vectorOf(device, variant);
    if (vcpu !== "all") return { gsi: device, msi: { vcpu, vector } };
    return { gsi: device, msi: { address: 0xfeeff000, data: vector } };
  };
  const reached = ({ vcpu }: (typeof targets)[number]) =>
    vcpu === "all" ? Array.from({ length: VCPUS }, (_, n) => n) : [vcpu];
  vm.setGsiRouting(targets.map(route));
  parentPort!.postMessage("connected");

  const unfinished = (round: number) =>
    round < work.rounds || board.result().bursts.some((count) => count < ENOUGH);
  for (let round = 0; unfinished(round) && board.result().stale === 0; round++) {
    const what = next(8);
    if (what === 0) {
      host.bypass = !host.bypass;
    } else if (what === 1) {
      const device = next(DEVICES);
      board.reassigning(device);
      irqfds[device]!.dispose();
      irqfds = irqfds.with(device, vm.irqfd(eventfds[device]!, device));
      board.reassigning(device);
    } else {
      const old = targets;
      // Never the variant of before, so that an old vector is no new one.
      targets = old.map(({ variant }) => {
        const to = next(VCPUS + 1);
        return { variant: (variant + 1 + next(VARIANTS - 1)) % VARIANTS, vcpu: to === VCPUS ? "all" : to };
      });
      for (const [device, target] of targets.entries())
        for (const vcpu of reached(target)) board.retire(vcpu, vectorOf(device, target.variant), false);
      vm.setGsiRouting(targets.map(route));
      // Bits that were set before are not recalled: they are taken first, and from then on none may come.
      for (let vcpu = 0; vcpu < VCPUS; vcpu++) board.drain(vcpu, () => vm.vcpu(vcpu).kick());
      for (const [device, target] of old.entries())
        for (const vcpu of reached(target)) board.retire(vcpu, vectorOf(device, target.variant), true);
    }
  }
  host.bypass = true;
  board.stop("devices");
  for (const eventfd of eventfds) eventfd.close(); // one handle is left in the main thread
}

if (work.role === "device") device();
else if (work.role === "vcpu") vcpu();
else controller();
host.dispose();
