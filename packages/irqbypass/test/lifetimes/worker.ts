/** A thread that makes, uses and ends VMs, vCPUs, eventfds and devices at random, its own and those of others. */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Eventfd, Host, type HostHandle, IrqBypassError, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { random } from "../death/random.js";
import { Board, type End, PLACES, vectorOf } from "./board.js";
import { deviceOperations, endOwnDevices } from "./devices.js";
import { msixOperations } from "./msix.js";

export interface LifetimesWork {
  readonly host: HostHandle;
  readonly board: SharedArrayBuffer;
  readonly seat: number;
  readonly seed: number;
}

const { host: handle, board: buffer, seat, seed } = workerData as LifetimesWork;
const host = Host.attach(handle);
const board = new Board(seat, buffer);
const pick = random(seed);
const GSI = 24;

/** What a call may be told of what others do. Whatever else is thrown is a fault. */
const LOSES = new Set(["EBADF", "ESTALE", "EBUSY", "EEXIST", "ENOENT", "ENOMEM"]);

function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof IrqBypassError && LOSES.has(error.code)) return undefined;
    throw error;
  }
}

function ending(end: End, run: () => void): void {
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
const epolls: (Epoll | undefined)[] = [];

/** Where a VM has its doorbell: by its handle, so that a store that is taken by another one's is seen. */
const addressOf = (vm: number) => 0x1000 * (1 + (vm % 2 ** 40));

/** A VM and its vCPU, as they were when this thread looked. */
interface Known {
  readonly vm: number;
  readonly vcpu: number;
}
/** The last of each place: what is used of it may have ended long ago. */
const known: (Known | undefined)[] = [];

/** What is published at some place, or was when this thread looked last; undefined where nothing was. */
function someVm(): Known | undefined {
  const place = pick(PLACES);
  if (pick(2) === 0) return known[place];
  const published = board.vmAt(place);
  // One handle is published and the other is asked for: two words could be of two VMs.
  const vm = published === 0 ? undefined : attempt(() => Vm.open(host, published));
  const vcpu = vm && attempt(() => vm.vcpu(0).handle);
  if (vcpu !== undefined) known[place] = { vm: published, vcpu };
  return known[place];
}

function openVm(): { readonly vm: Vm; readonly handle: number } | undefined {
  const found = someVm();
  const vm = found && attempt(() => Vm.open(host, found.vm));
  return vm && { vm, handle: found!.vm };
}

const actor = { host, board, pick, attempt, ending, openEventfd, openVm };

const operations: readonly (() => void)[] = [
  function makeVm() {
    const vm = new Vm(host, { vcpus: 1 });
    const own = vm.handle;
    vm.setGsiRouting(routes(own));
    const place = pick(PLACES);
    const before = board.vmAt(place);
    board.publishVm(place, own);
    if (before !== 0) disposeVm(before);
  },
  function useVm() {
    const found = someVm();
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
    const found = someVm();
    if (found !== undefined) disposeVm(found.vm);
  },
  function runVcpu() {
    const found = someVm();
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
    const found = someVm();
    const eventfd = board.during("eventfd", openEventfd);
    if (eventfd === undefined) return;
    const vm = found && attempt(() => Vm.open(host, found.vm));
    const bypass = pick(3) === 0 ? "off" : "prefer";
    const irqfd = vm && board.during("irqfd", () => attempt(() => vm.irqfd(eventfd, GSI, { bypass })));
    const device = attempt(() => new VfioPciDevice(host, { msix: 1 }));
    if (device !== undefined) {
      board.during("device", () => {
        attempt(() => device.setTrigger("msix", 0, eventfd));
        for (let signals = pick(6); signals > 0; signals--) device.vector("msix", 0).signal();
      });
      ending("device dispose", () => device.dispose());
    }
    if (irqfd !== undefined && pick(3) > 0)
      ending("irqfd dispose", () => board.during("irqfd", () => irqfd.dispose()));
    ending("eventfd close", () => eventfd.close());
  },
  function makeEpoll() {
    const place = pick(PLACES);
    const before = epolls[place];
    epolls[place] = undefined;
    if (before !== undefined) ending("epoll close", () => before.close());
    const made = Epoll.create(host);
    epolls[place] = made;
    board.publishEpoll(place, made.handle);
  },
  function useEpoll() {
    const published = board.epollAt(pick(PLACES));
    if (published === 0) return;
    const epoll = board.during("epoll open", () => attempt(() => Epoll.open(host, published)));
    if (epoll === undefined) return;
    const eventfd = openEventfd();
    if (eventfd !== undefined) {
      board.during("epoll use", () =>
        attempt(() => epoll.add(eventfd, { data: published, edge: pick(2) === 0 })),
      );
      if (pick(2) === 0) eventfd.write();
    }
    for (let turns = pick(4); turns > 0; turns--) {
      board.during("epoll use", () => {
        // What another epoll reports is a stranger's.
        for (const data of attempt(() => epoll.tryWait()) ?? [])
          if (data !== published) throw new Error(`epoll ${published} reports what ${data} watches`);
      });
    }
    if (eventfd !== undefined) {
      if (pick(2) === 0) board.during("epoll use", () => attempt(() => epoll.remove(eventfd)));
      ending("eventfd close", () => eventfd.close());
    }
    ending("epoll close", () => epoll.close());
  },
  function ring() {
    const found = someVm();
    const vm = found && attempt(() => Vm.open(host, found.vm));
    if (vm === undefined) return;
    const mine = addressOf(found!.vm);
    const eventfd = pick(2) === 0 ? openEventfd() : undefined;
    const options = { address: mine, length: pick(2) === 0 ? 4 : 2 } as const;
    const doorbell =
      eventfd && board.during("ioeventfd", () => attempt(() => vm.ioeventfd(options, eventfd)));
    for (let stores = pick(6); stores > 0; stores--) {
      board.during("store", () => attempt(() => vm.write("mmio", mine, options.length, stores)));
      const taken = attempt(() => vm.write("mmio", mine + 8, 4, stores));
      if (taken === true) throw new Error("a store is taken where the VM has no doorbell");
    }
    if (eventfd === undefined) return;
    if (doorbell !== undefined) {
      const ends = pick(2) === 0 ? () => doorbell.dispose() : () => vm.deassignIoeventfd(options, eventfd);
      ending("ioeventfd dispose", () => board.during("ioeventfd", () => attempt(ends)));
    }
    ending("eventfd close", () => eventfd.close());
  },
  ...deviceOperations(actor),
  ...msixOperations(actor),
];

parentPort!.postMessage("begun");
while (!board.stopped) {
  attempt(operations[pick(operations.length)]!);
  if (pick(50) === 0) await new Promise((resolve) => setImmediate(resolve)); // for what listens to unmask eventfds
}
endOwnDevices(host); // a device whose trigger has its producer keeps this thread in the host
host.dispose();
