/**
 * Builds the machine of a run: one host, its VMs and eventfds on the main thread, each vCPU and each device on a
 * thread of its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer } from "../../host/layout.js";
import { Host, type Interrupt, IrqBypassError } from "../../index.js";
import { whyNoKvm } from "../../kvm/index.js";
import { LinuxEventfd } from "../../linux/index.js";
import { type Compare, interruptName, type OneSided } from "../result.js";
import type { Workload } from "../workload.js";
import { compareWays } from "./compare.js";
import type { DeviceThreadData } from "./device-thread.js";
import type { Guest, GuestInterrupt } from "./guest.js";
import { KvmGuest } from "./kvm-guest.js";
import { Ledger } from "./ledger.js";
import type { BuildMachine, Machine, MachineOptions, Wiring } from "./machine.js";
import { type Plan, type PlannedDevice, planRun, withoutKind } from "./plan.js";
import { kindsOf, type Seat } from "./seat.js";
import { SoftwareGuest } from "./software-guest.js";
import { endThreads, RunThread } from "./thread.js";

const DEVICE_WORKER = new URL("./device-worker.js", import.meta.url);

/** What a run may find different. */
export interface Surroundings {
  /** The module that a device's thread runs; a test has one that loses interrupts on purpose. */
  readonly deviceWorker?: URL;
  /** Default "/dev/kvm". */
  readonly kvmPath?: string;
}

/** How `irqbypass run` builds its machine. */
export function machineBuilder(surroundings: Surroundings = {}): BuildMachine {
  return async (workload, options) => {
    const { runnable, leftOut } = whatRuns(workload, options, surroundings.kvmPath);
    const machine = new ThreadedMachine(planRun(runnable), leftOut);
    try {
      await machine.open(surroundings.deviceWorker ?? DEVICE_WORKER, options.signal);
      return machine;
    } catch (error) {
      // What failed first is what there is to know.
      await machine.close().catch(() => {});
      throw error;
    }
  };
}

/** The part of the workload that can run here, and why the rest is left out. */
function whatRuns(
  workload: Workload,
  options: MachineOptions,
  kvmPath: string | undefined,
): { runnable: Workload; leftOut: string[] } {
  const guests = workload.vms.filter((vm) => vm.kind === "kvm");
  if (guests.length === 0) return { runnable: workload, leftOut: [] };
  const why = options.kvm
    ? whyNoKvm(kvmPath === undefined ? {} : { path: kvmPath })?.message
    : "--no-kvm was given";
  if (why === undefined) return { runnable: workload, leftOut: [] };
  const runnable = withoutKind(workload, "kvm");
  if (runnable.devices.length === 0) {
    throw new IrqBypassError("EOPNOTSUPP", `nothing is left to run: ${why}`);
  }
  return { runnable, leftOut: guests.map((vm) => `${vm.name} is left out: ${why}`) };
}

/** How often to look whether the relay is through. */
const LOOK_MS = 1;
/** How often a run looks whether its relays have started, until it goes on without. */
const RELAY_LOOKS = 5000;

class ThreadedMachine implements Machine {
  readonly ledger: Ledger;
  readonly leftOut: readonly string[];
  readonly failure: Promise<never>;
  readonly #plan: Plan;
  readonly #host: Host;
  readonly #seat: Seat;
  readonly #guests: Guest[] = [];
  readonly #devices: RunThread[] = [];
  /** By their numbers in the ledger. */
  #interrupts: readonly GuestInterrupt[] = [];
  #fail: (error: unknown) => void = () => {};
  #closed: Promise<void> | undefined;

  constructor(plan: Plan, leftOut: readonly string[]) {
    this.#plan = plan;
    this.leftOut = leftOut;
    this.ledger = Ledger.create({
      devices: plan.devices.length,
      vcpus: plan.ledgerVcpus,
      interrupts: plan.interrupts.length,
    });
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {});
    const kvm = plan.vms.some((vm) => vm.kind === "kvm");
    // The large size has room for whatever a workload may ask for, but for its threads.
    this.#host = Host.create({
      size: "large",
      capacity: { thread: threadsOf(plan) },
      kinds: kindsOf({ kvm }),
    });
    this.#seat = { handle: this.#host.handle, kvm };
  }

  /** Builds and connects everything; the devices then wait for the ledger's start. */
  async open(deviceWorker: URL, signal: AbortSignal): Promise<void> {
    for (const vm of this.#plan.vms) {
      const guest =
        vm.kind === "kvm"
          ? new KvmGuest(this.#host, vm)
          : new SoftwareGuest(this.#host, this.#seat, this.ledger, vm);
      guest.ended.catch(this.#fail);
      this.#guests.push(guest);
    }
    this.#interrupts = this.#guests
      .flatMap((guest) => guest.interrupts)
      .sort((a, b) => a.planned.number - b.planned.number);
    for (const [number, device] of this.#plan.devices.entries()) {
      const thread = new RunThread(deviceWorker, `device ${device.name}`, this.#deviceData(number, device));
      thread.done.catch(this.#fail);
      this.#devices.push(thread);
    }
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    signal.throwIfAborted();
    await Promise.race([Promise.all([...this.#guests, ...this.#devices].map((one) => one.ready)), stopped]);
    // A relay is about as fast as they are. Where it cannot start, the run says so.
    for (let looks = 0; looks < RELAY_LOOKS && this.#waitsForRelay() && !signal.aborted; looks++)
      await sleep(LOOK_MS);
    signal.throwIfAborted();
  }

  #waitsForRelay(): boolean {
    return this.#interrupts.some(({ irqfd }) => irqfd.reason === "relay-not-running");
  }

  wiring(): Wiring[] {
    return this.#interrupts.map(({ planned, eventfd, irqfd, mailbox }) => {
      const { vm, device, index, gsi, vector } = planned;
      const { path, reason = null } = irqfd;
      return { vm, device, index, gsi, vector, eventfd: eventfd.id, path, reason, mailbox };
    });
  }

  oneSided(): OneSided[] {
    const names = new Map(this.#interrupts.map((one) => [one.eventfd.id, interruptName(one.planned)]));
    return oneSided(this.#host.interrupts(), names);
  }

  reroutes(): number {
    return this.#guests.reduce((sum, guest) => sum + guest.reroutes, 0);
  }

  async settle(): Promise<void> {
    await Promise.all(this.#devices.map((thread) => thread.done));
    // In this order: what the relay has injected, the guests handle before they end.
    while (isRelaying(this.#host)) await sleep(LOOK_MS);
    await Promise.all(this.#guests.map((guest) => guest.finish()));
  }

  compare(signal: AbortSignal): Promise<Compare> {
    return compareWays(signal);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.ledger.stop();
    for (const thread of this.#devices) thread.release();
    let free = await endThreads(this.#devices);
    for (const guest of this.#guests) free = (await guest.close()) && free;
    // A thread that failed took what it held with it.
    if (free) this.#host.dispose();
  }

  #deviceData(device: number, { kind, interrupts }: PlannedDevice): DeviceThreadData {
    return {
      seat: this.#seat,
      ledger: this.ledger.handle,
      kind,
      device,
      interrupts: interrupts.map(({ number, burst, rate }) => {
        const { eventfd, resample, mailbox, vcpu } = this.#interrupts[number]!;
        const linux = eventfd instanceof LinuxEventfd;
        const level = resample === undefined ? {} : { resample: resample.handle };
        return { interrupt: number, eventfd: eventfd.handle, linux, mailbox, vcpu, burst, rate, ...level };
      }),
    };
  }
}

/** The eventfds of a host that have only one end, called by the names that they have in the run. */
export function oneSided(interrupts: readonly Interrupt[], names: ReadonlyMap<number, string>): OneSided[] {
  return interrupts.flatMap(({ eventfd, consumer, producer, reason = null }) => {
    if (consumer !== undefined && producer !== undefined) return [];
    const end = consumer === undefined ? "producer" : "consumer";
    return [{ name: names.get(eventfd) ?? `eventfd ${eventfd}`, eventfd, end, reason }];
  });
}

/** Is an interrupt still between its eventfd and its vCPU? */
function isRelaying(host: Host): boolean {
  let any = false;
  host.forEachLive(host.pools.consumer, (irqfd) => {
    if (host.words.load(irqfd + Consumer.pending) !== 0) any = true;
  });
  return any;
}

/** Threads of a run: the vCPUs, the devices, the main thread and the relays. */
function threadsOf({ vms, devices }: Plan): number {
  const vcpus = vms.reduce((sum, vm) => sum + vm.vcpus, 0);
  return vcpus + devices.length + 4;
}
