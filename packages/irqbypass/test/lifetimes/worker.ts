/** A thread that makes, uses and ends VMs, vCPUs, eventfds and devices at random, its own and those of others. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, IrqBypassError, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { random } from "../death/random.js";
import { Board, PLACES, vectorOf } from "./board.js";

export interface LifetimesWork {
  readonly host: HostHandle;
  readonly board: SharedArrayBuffer;
  readonly seed: number;
}

const { host: handle, board: buffer, seed } = workerData as LifetimesWork;
const host = Host.attach(handle);
const board = new Board(buffer);
const pick = random(seed);
const GSI = 24;

/** What a call may be told of what others do. Whatever else is thrown is a fault. */
const LOSES = new Set(["EBADF", "ESTALE", "EBUSY", "ENOMEM"]);

function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof IrqBypassError && LOSES.has(error.code)) return undefined;
    throw error;
  }
}

function ending(end: "vm dispose" | "eventfd close", run: () => void): void {
  board.begin(end);
  try {
    run();
  } finally {
    board.finish(end);
  }
}

/** A handle to one of the eventfds that are published; undefined where there is none, or it has been closed. */
function openEventfd(): Eventfd | undefined {
  const published = board.eventfdAt(pick(PLACES));
  return published === 0 ? undefined : attempt(() => Eventfd.open(host, published));
}

const routes = (vm: number) => [{ gsi: GSI, msi: { vcpu: 0, vector: vectorOf(vm) } }];

function disposeVm(handle: number): void {
  const vm = attempt(() => Vm.open(host, handle));
  if (vm !== undefined)
    ending("vm dispose", () => board.during("vm dispose", () => attempt(() => vm.dispose())));
}

/** The handles of this thread, by place: others close theirs. */
const eventfds: (Eventfd | undefined)[] = [];

const operations: readonly (() => void)[] = [
  function makeVm() {
    const vm = new Vm(host, { vcpus: 1 });
    const own = vm.handle;
    vm.setGsiRouting(routes(own));
    const place = pick(PLACES);
    const before = board.vmAt(place);
    board.publishVm(place, own, vm.vcpu(0).handle);
    if (before !== undefined) disposeVm(before.vm);
  },
  function useVm() {
    const found = board.vmAt(pick(PLACES));
    if (found === undefined) return;
    const vm = board.during("vm open", () => attempt(() => Vm.open(host, found.vm)));
    if (vm === undefined) return;
    const uses = [
      () => vm.setIrqLine(GSI, pick(2) === 0),
      () => vm.setGsiRouting(routes(found.vm)),
      () => vm.vcpu(0).kick(),
      () => vm.ioapic.redirect(3, { vcpu: 0, vector: vectorOf(found.vm) }),
      () => vm.ioapic.lines,
      () => vm.vcpu(0).inspect(),
    ];
    for (let times = 1 + pick(4); times > 0; times--)
      board.during("vm use", () => attempt(uses[pick(uses.length)]!));
  },
  function endVm() {
    const found = board.vmAt(pick(PLACES));
    if (found !== undefined) disposeVm(found.vm);
  },
  function runVcpu() {
    const found = board.vmAt(pick(PLACES));
    if (found === undefined) return;
    const vcpu = board.during("vcpu open", () => attempt(() => Vcpu.open(host, found.vcpu)));
    if (vcpu === undefined) return;
    for (let turns = pick(8); turns > 0; turns--) {
      board.during("vcpu use", () => {
        vcpu.wait({ timeoutMs: 0 });
        for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
          if (vector !== vectorOf(found.vm))
            throw new Error(`a stranger's vector: ${vector}, where the VM has ${vectorOf(found.vm)} alone`);
          vcpu.eoi();
          board.interrupted();
        }
      });
    }
    vcpu.put();
  },
  function audit() {
    // What others are in the middle of may be reported, but nothing is thrown.
    if (pick(8) === 0) board.during("audit", () => host.audit());
  },
  function makeEventfd() {
    const place = pick(PLACES);
    const before = eventfds[place];
    eventfds[place] = undefined; // a refusal of the next one leaves none
    if (before !== undefined) ending("eventfd close", () => before.close());
    const made = Eventfd.create(host);
    eventfds[place] = made;
    board.publishEventfd(place, made.handle);
  },
  function closeEventfd() {
    const eventfd = openEventfd();
    if (eventfd === undefined) return;
    if (pick(4) === 0) eventfd.write(1 + pick(3));
    ending("eventfd close", () => board.during("eventfd", () => eventfd.close()));
  },
  function interrupt() {
    const found = board.vmAt(pick(PLACES));
    const eventfd = board.during("eventfd", openEventfd);
    if (eventfd === undefined) return;
    const vm = found && attempt(() => Vm.open(host, found.vm));
    const bypass = pick(3) === 0 ? "off" : "prefer";
    const irqfd = vm && board.during("irqfd", () => attempt(() => vm.irqfd(eventfd, GSI, { bypass })));
    const device = attempt(() => new VfioPciDevice(host, { msix: 1 }));
    if (device !== undefined) {
      attempt(() => device.setTrigger("msix", 0, eventfd));
      for (let signals = pick(6); signals > 0; signals--) device.vector("msix", 0).signal();
      device.dispose();
    }
    if (irqfd !== undefined && pick(3) > 0) board.during("irqfd", () => irqfd.dispose());
    ending("eventfd close", () => eventfd.close());
  },
];

while (!board.stopped) attempt(operations[pick(operations.length)]!);
host.dispose();
