/**
 * Assign and deassign of an ioeventfd, on records, so that any thread can do either: the other half of virt/kvm/eventfd.c. Both are
 * O(1) in the number of ioeventfds; deassign waits for nobody's work but a store that just rings this one.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { liveRecords } from "../bypass/live-records.js";
import { dropContext, holdContext } from "../eventfd/reference.js";
import { IrqBypassError } from "../host/errors.js";
import { Ioeventfd as I, Thread, Vm, VmFlag } from "../host/layout.js";
import type { Mutex } from "../host/mutex.js";
import { beforeNextLook } from "../host/passing.js";
import type { Assigned } from "./assignment.js";
import { type Doorbell, hex, writeDoorbell } from "./io-access.js";
import { busChanged, type IoBus } from "./io-bus.js";
import { type VmLife, vmMutex } from "./vm-mutex.js";

/**
 * Assigns: from its return on each store that `doorbell` takes signals the eventfd. Throws ENOMEM, EEXIST where another one would take
 * a store of these, and what the kernel says for a KVM guest; nothing is left behind then.
 */
export function assignIoeventfd(
  host: BypassHost,
  life: VmLife,
  bus: IoBus,
  eventfd: number,
  doorbell: Doorbell,
): Assigned {
  const { words, mutex, pools, thread } = host;
  const { record: vm } = life;
  const take = (): Assigned => {
    life.check();
    pools.ioeventfd.checkRoom();
    if (bus.meets(doorbell)) throw isTaken(life, doorbell);
    const record = pools.ioeventfd.allocate();
    holdContext(host, eventfd);
    words.set(record + I.eventfd, eventfd);
    words.set(record + I.vm, vm);
    writeDoorbell(words, record, doorbell);
    words.set(record + I.owner, thread.record); // last: without an owner it is half made
    return { record, handle: pools.ioeventfd.handle(record) };
  };
  return life.mutex.enclose(() => {
    bus.sync();
    const assigned = mutex.guard(take);
    const { record } = assigned;
    try {
      kernelOf(host, vm)?.assign(host, record);
    } catch (error) {
      giveBack(host, record, true);
      throw error;
    }
    words.set(record + I.linked, 1); // first: by this the list is made anew after a death
    enlist(host, vm, record);
    busChanged(host, vm); // after it is in the list, which whoever sees this goes through
    bus.added(record);
    return assigned;
  });
}

function isTaken(life: VmLife, { space, address, length, match }: Doorbell): IrqBypassError {
  const name = `${space} ${hex(address)} of VM ${life.id}`;
  const stores = length === 0 ? "of any length" : `of ${length} bytes`;
  const what = `stores ${stores}${match === undefined ? "" : ` of the value ${hex(match)}`}`;
  return new IrqBypassError(
    "EEXIST",
    `an ioeventfd at ${name} takes ${what} already: deassign that first, or give another address, length or datamatch`,
    { subject: name },
  );
}

/**
 * Deassigns the ioeventfd that `find` names under the VM's and the host mutex, 0 for none. Returns false where there is none; one that
 * another thread is deassigning is waited for. When it has returned, no store signals through it any more.
 */
export function deassignIoeventfd(host: BypassHost, guard: Mutex, find: () => number): boolean {
  const { words, mutex, thread, repair } = host;
  const { begun } = thread;
  for (;;) {
    let record = 0;
    let other = 0;
    let vm = 0;
    const claimed = guard.enclose(() =>
      // Both: what is found is not given back before it is claimed.
      mutex.guard(() => {
        record = find();
        if (record === 0) return false;
        other = words.get(record + I.closing);
        vm = words.get(record + I.vm);
        if (other === 0) claim(host, record);
        return other === 0;
      }),
    );
    if (claimed) takeDown(host, record);
    if (claimed || record === 0) return claimed;
    if (repair !== undefined && thread.isDead(other)) {
      repair.thread(other);
      deassignLostIoeventfd(host, vm, record, other);
    } else {
      beforeNextLook(words, thread, begun, "an ioeventfd", () => words.get(record + I.closing) !== other);
    }
  }
}

/** The deassign is the calling thread's from here on, and no store finds it any more. Under both mutexes. */
function claim(host: BypassHost, record: number): void {
  const { words, thread } = host;
  words.set(record + I.closing, thread.record); // first: whoever looks it up from the next step on does not find it
  busChanged(host, words.get(record + I.vm));
}

/**
 * Deassigns an ioeventfd of this VM that a thread made that is gone, or was deassigning, from wherever it had got to; not where it is
 * neither, or has been given back.
 */
export function deassignLostIoeventfd(host: BypassHost, vm: number, record: number, gone: number): void {
  const { words, mutex, pools } = host;
  const claimIt = () => {
    if (!pools.ioeventfd.lives(record) || words.get(record + I.vm) !== vm) return false;
    const closing = words.get(record + I.closing);
    if (closing !== gone && (closing !== 0 || words.get(record + I.owner) !== gone)) return false;
    claim(host, record);
    return true;
  };
  if (vmMutex(host, vm).enclose(() => mutex.guard(claimIt))) takeDown(host, record);
}

/** Deassigns every ioeventfd of a VM that takes no new ones, and waits for those that other threads are deassigning. */
export function deassignIoeventfds(host: BypassHost, guard: Mutex, vm: number): void {
  const first = () => host.words.get(vm + Vm.ioeventfds);
  while (guard.guard(first) !== 0) deassignIoeventfd(host, guard, first);
}

/**
 * Takes an ioeventfd down that the calling thread has claimed. Each step may have been done before, by a thread that died. It leaves
 * the list last: whoever disposes the VM waits for it.
 */
function takeDown(host: BypassHost, record: number): void {
  const { words, thread } = host;
  const vm = words.get(record + I.vm);
  // A store that found it before it was claimed has announced its eventfd, and is through after this.
  thread.fenceAll(Thread.writing, words.get(record + I.eventfd));
  let failure: IrqBypassError | undefined;
  try {
    kernelOf(host, vm)?.deassign(host, record);
  } catch (error) {
    // What the system refuses is told in the end: the ioeventfd goes all the same, or nobody could ever take it down.
    if (!(error instanceof IrqBypassError)) throw error;
    failure = error;
  }
  vmMutex(host, vm).guard(() => {
    if (words.get(record + I.linked) === 1) unlink(host, vm, record);
  });
  giveBack(host, record, false);
  if (failure !== undefined) throw failure;
}

/**
 * Who takes the stores of a VM's guest, where that is not `Vm.write`: KVM, as long as its VM is there. One that is being disposed is
 * closed with everything in it.
 */
function kernelOf({ words, kinds }: BypassHost, vm: number) {
  if ((words.get(vm + Vm.flags) & VmFlag.kvm) === 0 || words.get(vm + Vm.dying) !== 0) return undefined;
  return kinds.find(({ ioeventfd }) => ioeventfd !== undefined)?.ioeventfd;
}

function giveBack(host: BypassHost, record: number, undo: boolean): void {
  const { words, pools, mutex } = host;
  const close = mutex.guard(() => {
    const eventfd = words.get(record + I.eventfd);
    if (undo) pools.ioeventfd.undo(record);
    else pools.ioeventfd.release(record);
    return dropContext(host, eventfd);
  });
  close?.();
}

/** The VM's ioeventfds are a doubly linked list: out of it in constant time, where the kernel searches. */
function enlist({ words }: BypassHost, vm: number, record: number): void {
  const head = words.get(vm + Vm.ioeventfds);
  words.set(record + I.previous, 0);
  words.set(record + I.next, head);
  if (head !== 0) words.set(head + I.previous, record);
  words.set(vm + Vm.ioeventfds, record);
}

function unlink({ words }: BypassHost, vm: number, record: number): void {
  words.set(record + I.linked, 0);
  const previous = words.get(record + I.previous);
  const next = words.get(record + I.next);
  if (previous === 0) words.set(vm + Vm.ioeventfds, next);
  else words.set(previous + I.next, next);
  if (next !== 0) words.set(next + I.previous, previous);
}

/**
 * Makes the list of a VM anew, after a thread has died in the middle of a change. Under the VM's mutex. What that thread was about to add or
 * take away is claimed by whoever tears down after it, who says that it has changed.
 */
export function relinkIoeventfds(host: BypassHost, vm: number): void {
  const { words, pools, mutex } = host;
  words.set(vm + Vm.ioeventfds, 0);
  mutex.guard(() => {
    for (const record of liveRecords(pools.ioeventfd)) {
      if (words.get(record + I.vm) === vm && words.get(record + I.linked) === 1) enlist(host, vm, record);
    }
  });
}
