/**
 * A thread of a storm: creates VMs with irqfds that no device signals, and destroys them again. Blocks its thread.
 */
import { Eventfd, Host, type HostHandle, Vm } from "../../index.js";
import { HISTOGRAM_WORDS } from "../histogram.js";
import { LockWatch } from "../lock-watch.js";
import { FIRST_GSI, FIRST_VECTOR } from "../numbers.js";
import { Board, STEP } from "./board.js";

export interface StormThreadData {
  readonly host: HostHandle;
  readonly board: SharedArrayBuffer;
  readonly irqfds: number;
  /** This thread's shares. */
  readonly standing: number;
  readonly vms: number;
}

/** What one step of one thread took. */
export interface StepReport {
  /** Milliseconds for each VM, in the order in which they were created. */
  readonly create: readonly number[];
  readonly destroy: readonly number[];
  /** What it waited for the lock of the host. */
  readonly lock: LockReport;
}

export interface LockReport {
  /** Times that it was taken, and those of them that waited. */
  readonly taken: number;
  readonly contended: number;
  /** Sleeps meanwhile. */
  readonly parks: number;
  readonly waitedNs: number;
  readonly longestNs: number;
  /** The waits as a histogram; times that did not wait are not in it. */
  readonly waits: Int32Array;
}

/**
 * Does what the board calls until it is to leave.
 * @param report called at the end of each step, the last one too.
 */
export function stormThread(data: StormThreadData, report: (step: StepReport) => void): void {
  const board = new Board(data.board);
  const waits = new Int32Array(HISTOGRAM_WORDS);
  let watch: LockWatch | undefined;
  const host = Host.attach(data.host, {
    words: (buffer, byteOffset, length) => {
      watch = new LockWatch(buffer, byteOffset, length, waits);
      return watch;
    },
  });
  const standing: StormVm[] = [];
  for (;;) {
    const step = board.next();
    waits.fill(0);
    watch?.reset();
    const create: number[] = [];
    const destroy: number[] = [];
    if (step === STEP.stand) createVms(host, data.standing, data.irqfds, standing, create);
    else if (step === STEP.clear) destroyVms(standing, destroy);
    else if (step === STEP.round) {
      const vms: StormVm[] = [];
      createVms(host, data.vms, data.irqfds, vms, create);
      destroyVms(vms, destroy);
    } else host.dispose();
    const { taken = 0, contended = 0, parks = 0, waitedNs = 0, longestNs = 0 } = watch ?? {};
    report({ create, destroy, lock: { taken, contended, parks, waitedNs, longestNs, waits } });
    if (step === STEP.leave) return;
  }
}

interface StormVm {
  readonly vm: Vm;
  readonly eventfds: readonly Eventfd[];
}

function createVms(host: Host, count: number, irqfds: number, into: StormVm[], times: number[]): void {
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    into.push(createVm(host, irqfds));
    times.push(performance.now() - begin);
  }
}

/** As a VMM does it: the VM, its routes, then for each GSI an eventfd and an irqfd. */
function createVm(host: Host, irqfds: number): StormVm {
  const vm = new Vm(host);
  vm.setGsiRouting(
    Array.from({ length: irqfds }, (_, i) => ({
      gsi: FIRST_GSI + i,
      msi: { vcpu: 0, vector: FIRST_VECTOR + i },
    })),
  );
  const eventfds = Array.from({ length: irqfds }, (_, i) => {
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, FIRST_GSI + i);
    return eventfd;
  });
  return { vm, eventfds };
}

/** The newest first, as they came. */
function destroyVms(vms: StormVm[], times: number[]): void {
  for (let one = vms.pop(); one !== undefined; one = vms.pop()) {
    const begin = performance.now();
    one.vm.dispose();
    for (const eventfd of one.eventfds) eventfd.close();
    times.push(performance.now() - begin);
  }
}
