/**
 * What a thread that has died was in the middle of, made whole: the mutexes that it held, and the notifications that it
 * owed. All of it can be done again, by the next one, where the thread that repairs dies too.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { liveNow } from "../bypass/live-records.js";
import { deviceMutex } from "../device/device-life.js";
import { callAgain } from "../eventfd/ready.js";
import { askForRelay } from "../eventfd/relay-state.js";
import { fireAll } from "../eventfd/watch.js";
import {
  Device,
  EVENT,
  Eventfd,
  Header,
  LEAVING,
  PicDue,
  Thread,
  Vcpu,
  Vm,
  VmFlag,
  WAITED,
} from "../host/layout.js";
import type { Words } from "../host/words.js";
import { kick, renotify } from "../posting/descriptor.js";
import { settleApics } from "./apic/change.js";
import { healAsked } from "./asked-routes.js";
import { healClock } from "./clock.js";
import { relinkIoeventfds } from "./io-assignment.js";
import { followAll } from "./ioapic.js";
import { relink } from "./irqfd-list.js";
import { askForIt } from "./line.js";
import { hasPics, notePics } from "./pic-lines.js";
import { completeReroute } from "./reroute.js";
import { healEntries } from "./route-entry.js";
import { endPulse } from "./routing.js";
import { vcpusOf } from "./vcpus.js";
import { vmMutex } from "./vm-mutex.js";

/**
 * Makes whole what the mutex of a VM guards: a route change goes on to its end, the lists are made anew, and lines are
 * serviced. The caller holds the mutex; a thread that died did.
 */
export function healVm(host: BypassHost, vm: number): void {
  const { words, pools, mutex } = host;
  if (!mutex.guard(() => pools.vm.lives(vm))) return;
  relink(host, vm);
  relinkIoeventfds(host, vm);
  healEntries(host, vm);
  if ((words.get(vm + Vm.flags) & VmFlag.kvm) === 0) {
    settleApics(host, vm); // first: the next two send messages
    healClock(host, vm);
    endPulse(host, vm);
    followAll(host, vm);
    if (hasPics(words, vm)) notePics(host, vm, PicDue.lines);
    completeReroute(host, vm);
  } else healAsked(host, vm);
  for (const vcpu of vcpusOf(host, vm)) renotifyVcpu(words, vcpu);
}

/** Notifies once more of what is posted and of events: whoever set their bits may have died before it did. */
function renotifyVcpu(words: Words, vcpu: number): void {
  const events = words.load(vcpu + Vcpu.nmis) | words.load(vcpu + Vcpu.latch);
  if (events !== 0) kick(words, vcpu + Vcpu.descriptor, EVENT);
  renotify(words, vcpu + Vcpu.descriptor);
}

/** Takes the mutexes that the thread held, and makes whole what they guard. */
export function recoverMutexes(host: BypassHost, gone: number): void {
  const { mutex, pools, thread } = host;
  const dead = thread.lockIdOf(gone);
  mutex.recover(dead);
  // Free records too: it may have held the mutex of one whose VM it had just given back.
  for (let slot = 0; slot < mutex.guard(() => pools.vm.used); slot++)
    vmMutex(host, pools.vm.at(slot)).recover(dead);
  for (let slot = 0; slot < mutex.guard(() => pools.device.used); slot++)
    deviceMutex(host, pools.device.at(slot)).recover(dead);
}

/** Notifies whomever the thread may have owed a notification, and makes due what it had claimed. One too many does no harm. */
export function notifyForIt(host: BypassHost, gone: number): void {
  const { words, pools, pending, mutex } = host;
  // Under the host mutex, here and below, so that nobody gives the record back that is written to.
  host.forEachLive(pools.vcpu, (vcpu) => renotifyVcpu(words, vcpu));
  mutex.guard(() => {
    // While its in-flight word names an eventfd, the irqfd there is not given back.
    const writing = words.load(gone + Thread.writing) & ~WAITED;
    // Its write may have taken the count out of an eventfd, and not made the irqfd pending yet.
    const irqfd = pools.eventfd.has(writing) ? words.load(writing + Eventfd.irqfd) & ~LEAVING : 0;
    if (irqfd !== 0) pending.raise(irqfd);
    // Or have added to it, and not told the epolls that watch it.
    if (pools.eventfd.has(writing)) fireAll(words, writing);
  });
  host.forEachLive(pools.epoll, (epoll) => callAgain(words, epoll));
  host.forEachLive(pools.consumer, (consumer) => pending.resume(consumer, gone));
  if (pending.any) askForRelay(host, 0); // of irqfds, too, that another relay serves
  words.store(Header.delayed, 1); // a relay may have died with those that it knew of: the next one looks
  for (const irqfd of liveNow(host, pools.consumer)) askForIt(host, irqfd, gone);
  for (const eventfd of liveNow(host, pools.eventfd)) words.notify(eventfd + Eventfd.sequence);
  for (const vm of liveNow(host, pools.vm)) words.notify(vm + Vm.mutex);
  for (const device of liveNow(host, pools.device)) words.notify(device + Device.mutex);
  for (const word of [Header.mutex, Header.repair, Header.doorbell, Header.changes]) words.notify(word);
  host.kinds.forEach((_, kind) => {
    words.notify(Header.relays + kind);
  });
}

/**
 * Ends what its in-flight words say. After the notifications: a fence that waits for one of these goes on then, and takes
 * away what they go through.
 */
export function leaveForIt({ words, thread }: BypassHost, gone: number): void {
  thread.leave(gone + Thread.signalling);
  thread.leave(gone + Thread.writing);
  // It may have cleared one itself, and died before it woke who waits.
  words.notify(gone + Thread.signalling);
  words.notify(gone + Thread.writing);
}
