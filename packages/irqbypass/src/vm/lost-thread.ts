/**
 * A thread that has died: what it was in the middle of is made whole, then what it owned is torn down, in the order in
 * which it would have done so itself.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { liveNow, liveRecords, ownedBy } from "../bypass/live-records.js";
import { refreshAll } from "../bypass/remapping.js";
import { loseDevices } from "../device/leaving.js";
import { closerOf, dropContext, irqfdOf } from "../eventfd/reference.js";
import { dropWatches, fireAgain } from "../eventfd/watch.js";
import { IrqBypassError } from "../host/errors.js";
import {
  Consumer,
  Epoll,
  Eventfd,
  EventfdFlag,
  Header,
  IN_USE,
  Injection,
  Ioeventfd,
  KvmDue,
  Producer,
  RelayState,
  Routing,
  Thread,
  ThreadState,
  Vcpu,
  Vm,
  VmFlag,
  Watch,
} from "../host/layout.js";
import { ring } from "../host/life-lock.js";
import { Mutex } from "../host/mutex.js";
import { suspend } from "../posting/descriptor.js";
import { injected, relayed } from "../posting/irte.js";
import { type Reason, reasonCode } from "../posting/reason.js";
import { giveUpAsked } from "./asked-routes.js";
import { deassignLost } from "./assignment.js";
import { deassignLostIoeventfd } from "./io-assignment.js";
import { requestAgain } from "./lapic.js";
import { closeReferences } from "./leaving.js";
import { endLostTables } from "./msix/end.js";
import { servePicsAgain } from "./pic-lines.js";
import { relaysNoMore } from "./relay.js";
import { freeLostTable } from "./routing.js";
import { lifeOf, vmMutex } from "./vm-mutex.js";
import { claimVm, disposeVm } from "./vm-record.js";

/**
 * Repairs and tears down after the thread that had a record in this life of it, and is proven to be gone. Blocks while another thread
 * does so. Returns false where that has been done already.
 */
export function loseThread(
  host: BypassHost,
  gone: number,
  life = host.words.load(gone + Thread.life),
): boolean {
  const { words, thread, pools, repair } = host;
  const mutex = new Mutex(words, Header.repair, thread, "the repair of this host", () => {});
  mutex.recover(thread.lockIdOf(gone, life)); // it may have died in the middle of a repair
  return mutex.guard(() => {
    // Here, where nobody else gives the record of a dead thread back: the next thread that has it is not this one.
    if (words.load(gone + Thread.life) !== life || !declareLost(host, gone)) return false;
    // Those too whose repair was left half done by a thread that died.
    for (let slot = 0; slot < words.load(Header.threads); slot++) {
      const lost = pools.thread.at(slot);
      if ((words.load(lost + Thread.state) & ThreadState.lost) === 0) continue;
      repair!.thread(lost);
      tearDown(host, lost);
      host.mutex.guard(() => thread.free(lost));
    }
    return true;
  });
}

/** Repairs after every thread that is proven to be gone: by the platform, or because its worker has exited. */
export function loseAll(host: BypassHost, exited?: number): void {
  const { words, thread, pools } = host;
  const found = exited === undefined ? [] : thread.recordsOf(exited);
  for (let slot = 0; slot < words.load(Header.threads); slot++) {
    const record = pools.thread.at(slot);
    if (found.includes(record) || thread.isDead(record)) loseThread(host, record);
  }
}

function declareLost({ words }: BypassHost, gone: number): boolean {
  const state = words.load(gone + Thread.state);
  if (state === ThreadState.free) return false;
  return words.compareExchange(gone + Thread.state, state, state | ThreadState.lost) === state;
}

/** Tears down what the thread owned. After its in-flight words are clear, for which this waits too. */
export function tearDown(host: BypassHost, gone: number): void {
  const { words, pools } = host;
  const endedWell = (words.load(gone + Thread.state) & ThreadState.ended) !== 0;
  const reason = endedWell ? "thread-ended" : "thread-died";
  // First: a record that names one of them too lives as long as what the thread has of that.
  for (const kind of host.kinds) kind.closeLeft?.(host, gone);
  for (const vcpu of liveNow(host, pools.vcpu)) putVcpu(host, vcpu, gone);
  giveUpAsked(host, gone);
  loseDevices(host, gone, (_, producer) => endProducer(host, producer, reason));
  endLostTables(host);
  for (const producer of ownedBy(host, pools.producer, Producer.owner, gone))
    endProducer(host, producer, reason);
  for (const irqfd of liveNow(host, pools.consumer)) endIrqfd(host, irqfd, gone, reason);
  for (const ioeventfd of liveNow(host, pools.ioeventfd)) endIoeventfd(host, ioeventfd, gone);
  for (const vm of liveNow(host, pools.vm)) endVm(host, vm, gone);
  for (const table of liveNow(host, pools.routing)) endTable(host, table, gone);
  for (const injection of liveNow(host, pools.injection)) endInjection(host, injection, gone);
  dropWatches(host, ownedBy(host, pools.watch, Watch.holder, gone));
  for (const epoll of liveNow(host, pools.epoll)) takeAgain(host, epoll, gone);
  closeReferences(host, gone);
  for (const eventfd of liveNow(host, pools.eventfd)) endEventfd(host, eventfd, gone);
  for (const epoll of liveNow(host, pools.epoll)) endEpoll(host, epoll, gone);
  if (words.compareExchange(Header.watcher, gone, 0) === gone) ring(words); // another one may wait for all from here on
  for (const vm of liveNow(host, pools.vm)) settleVm(host, vm);
  stopLooking(host, gone);
  stopRelaying(host, gone);
  refreshAll(host); // it may have been turning the switch
  announceChange(host.words);
}

/** Takes a vCPU off the thread, with nothing lost: what it served is requested once more. */
function putVcpu(host: BypassHost, vcpu: number, gone: number): void {
  const { words, thread } = host;
  if (words.compareExchange(vcpu + Vcpu.runner, gone, thread.record) !== gone) return;
  requestAgain(words, vcpu);
  servePicsAgain(host, vcpu);
  suspend(words, vcpu + Vcpu.descriptor);
  words.store(vcpu + Vcpu.runner, 0);
}

/** Unregisters a device interrupt and gives it back; the irqfd that it was connected to says why it is not any more. */
function endProducer(host: BypassHost, producer: number, reason: Reason): void {
  const { words, mutex, pools, manager } = host;
  const eventfd = mutex.guard(() => words.get(producer + Producer.eventfd));
  manager.unregisterProducer(producer);
  const close = mutex.guard(() => {
    // Also one that wants no bypass, and so is not registered.
    const consumer = eventfd === 0 ? 0 : manager.consumerAt(eventfd) || irqfdOf(host, eventfd);
    if (consumer !== 0) words.set(consumer + Consumer.refusal, reasonCode(reason));
    const holds = words.load(producer + Producer.holds);
    pools.producer.release(producer);
    return holds === 0 ? undefined : dropContext(host, holds);
  });
  close?.();
}

/** Deassigns an irqfd that the thread made, or was deassigning; the producer that it was connected to says why. */
function endIrqfd(host: BypassHost, irqfd: number, gone: number, reason: Reason): void {
  const { words, mutex, manager } = host;
  const { vm, eventfd } = mutex.guard(() => ({
    vm: words.get(irqfd + Consumer.vm),
    eventfd: words.get(irqfd + Consumer.eventfd),
  }));
  if (vm === 0) return; // given back meanwhile
  if (!evenIfRefused(() => deassignLost(host, vm, irqfd, gone))) return;
  mutex.guard(() => {
    const producer = eventfd === 0 ? 0 : manager.producerAt(eventfd);
    if (producer !== 0 && words.get(producer + Producer.consumer) === 0)
      words.store(producer + Producer.irte, relayed(reason));
  });
}

/** Deassigns an ioeventfd that the thread made, or was deassigning. */
function endIoeventfd(host: BypassHost, ioeventfd: number, gone: number): void {
  const vm = host.mutex.guard(() => host.words.get(ioeventfd + Ioeventfd.vm));
  if (vm === 0) return; // given back meanwhile
  evenIfRefused(() => {
    deassignLostIoeventfd(host, vm, ioeventfd, gone);
    return true;
  });
}

/** A VM goes with the thread that made it, or goes on being disposed; not while another thread runs one of its vCPUs. */
function endVm(host: BypassHost, vm: number, gone: number): void {
  const { words, mutex, pools, thread, kinds } = host;
  const isLeft = () => words.get(vm + Vm.dying) === gone || words.get(vm + Vm.owner) === gone;
  try {
    if (claimVm(host, vm, isLeft, gone) !== "mine") return;
  } catch (error) {
    if (!(error instanceof IrqBypassError) || error.code !== "EBUSY") throw error;
    mutex.guard(() => {
      if (pools.vm.lives(vm) && isLeft()) words.set(vm + Vm.owner, thread.record); // somebody has to be
    });
    return;
  }
  const isKvms = (words.get(vm + Vm.flags) & VmFlag.kvm) !== 0;
  const close = () => {
    if (isKvms) for (const kind of kinds) kind.closeVm?.(host, vm);
  };
  evenIfRefused(() => {
    disposeVm(host, vm, close);
    return true;
  });
}

/** A guest's routes may stand in memory alone: KVM follows, and so do the irqfds. What it refuses is left to the next change. */
function settleVm(host: BypassHost, vm: number): void {
  const { words, mutex, kinds } = host;
  const life = mutex.guard(() => lifeOf(host, vm));
  evenIfRefused(() => {
    life.guard(() => {
      if ((words.get(vm + Vm.flags) & VmFlag.kvm) === 0 || words.get(vm + Vm.kvmDue) !== KvmDue.irqfds)
        return;
      for (const kind of kinds) kind.settle?.(host, vm);
    });
    return true;
  });
}

/** What the system refuses is nobody's to hear of here, and keeps nothing from going: it is thrown last, so it counts as done. */
function evenIfRefused(teardown: () => boolean): boolean {
  try {
    return teardown();
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
    return true;
  }
}

/** A routing table that the thread was building or freeing, unless it has become a VM's. */
function endTable(host: BypassHost, table: number, gone: number): void {
  const { words, mutex, pools } = host;
  if (words.load(table + Routing.owner) !== gone) return;
  let used = false;
  for (const vm of liveNow(host, pools.vm))
    used ||= vmMutex(host, vm).guard(() => words.get(vm + Vm.routing)) === table;
  if (used) words.store(table + Routing.owner, IN_USE);
  else if (mutex.guard(() => pools.routing.lives(table))) freeLostTable(host, table);
}

/**
 * What it was about to give an irqfd, or had given one of another thread's: that keeps it. Those of its own irqfds, and of its guests,
 * are gone with them.
 */
function endInjection({ words, mutex, pools }: BypassHost, injection: number, gone: number): void {
  mutex.guard(() => {
    if (!pools.injection.lives(injection) || words.get(injection + Injection.owner) !== gone) return;
    const target = injected(pools.injection.slot(injection));
    for (const irqfd of liveRecords(pools.consumer)) {
      if (words.load(irqfd + Consumer.target) !== target) continue;
      words.set(injection + Injection.owner, IN_USE);
      return;
    }
    pools.injection.release(injection);
  });
}

/** The descriptor of a Linux eventfd that the thread was closing; others it made belong to whoever still has them. */
function endEventfd(host: BypassHost, eventfd: number, gone: number): void {
  const { words, mutex, pools, thread, kinds } = host;
  const { closing, kind } = mutex.guard(() => {
    if (words.get(eventfd + Eventfd.owner) === gone) words.set(eventfd + Eventfd.owner, thread.record);
    return {
      closing: closerOf(words, eventfd) === gone,
      kind: words.load(eventfd + Eventfd.flags) >>> EventfdFlag.kindShift,
    };
  });
  if (!closing) return;
  kinds[kind]?.reclaim?.(host, eventfd);
  mutex.guard(() => pools.eventfd.release(eventfd));
}

/** The kernel's epoll of an epoll that the thread was ending. */
function endEpoll(host: BypassHost, epoll: number, gone: number): void {
  const { words, mutex, pools, kinds } = host;
  if (mutex.guard(() => !pools.epoll.lives(epoll) || closerOf(words, epoll) !== gone)) return;
  for (const { watching } of kinds) watching?.close(host, epoll);
  mutex.guard(() => pools.epoll.release(epoll));
}

/** What the thread took out of an epoll, and may not have come to: all of it that is ready still is looked at again. */
function takeAgain(host: BypassHost, epoll: number, gone: number): void {
  const { words, pools } = host;
  if (words.load(epoll + Epoll.taker) !== gone && words.load(epoll + Epoll.waiter) !== gone) return;
  host.forEachLive(pools.watch, (watch) => {
    if (words.get(watch + Watch.epoll) === epoll) fireAgain(host, watch);
  });
  words.compareExchange(epoll + Epoll.taker, gone, 0);
}

function stopLooking({ words, thread }: BypassHost, gone: number): void {
  const lockId = thread.lockIdOf(gone);
  for (let place: number = Header.looking; place < Header.lookingEnd; place++)
    words.compareExchange(place, lockId, 0);
}

/** A relay that is gone: its word goes on as if it had said so itself. */
function stopRelaying({ words, kinds }: BypassHost, gone: number): void {
  kinds.forEach((_, kind) => {
    relaysNoMore(words, Header.relays + kind, RelayState.running | gone);
  });
}
