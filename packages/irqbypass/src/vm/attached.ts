/**
 * The threads of a host: who they are, what each has, and what it waits for.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { isDevice } from "../bypass/live-records.js";
import {
  Consumer,
  Device,
  Header,
  Ioeventfd,
  LifeLock,
  Producer,
  Reference,
  RelayState,
  Role,
  Thread,
  ThreadState,
  Vcpu,
  Vm,
} from "../host/layout.js";
import { lockOf } from "../host/life-lock.js";
import { readName } from "../host/thread-name.js";

/** A thread that is attached to a host, as `host.threads()` lists it. */
export interface AttachedThread {
  /** Its {@link Host.threadId}. */
  readonly id: number;
  /** As it was given to `Host.create` or `Host.attach`, or what the platform calls it: "main", "worker 3"; "" where it has no name. */
  readonly name: string;
  /**
   * What will tell that it has ended: "process", the system knows the thread; "lock", it holds a lock of its own, which its end
   * frees (a page's Web Lock); "none", nothing does so far, and where that stays so `host.threadLost(id)` has to say it; "lost":
   * its end is proven, and it is being repaired after.
   */
  readonly proof: "process" | "lock" | "none" | "lost";
  /** What ends with it, by name, each once: "vCPU 0 of VM 1", "VM 1", "producer 3", "the irqfd of eventfd 2", "eventfd 2", "the relay". */
  readonly has: readonly string[];
  /** What it waits for, by name, that for which it has waited longest; undefined while it does not wait. */
  readonly waitsFor: string | undefined;
  /** For how many milliseconds it has waited for that, to a tenth of a second; 0 while it does not. */
  readonly waitsMs: number;
  /** How many milliseconds ago it attached, to a tenth of a second. */
  readonly sinceMs: number;
}

/** Every thread that is attached. Holds the host mutex for one record at a time. */
export function threadsOf(host: BypassHost): AttachedThread[] {
  const { words, pools } = host;
  const now = words.load(Header.ticks);
  const since = (word: number) => Math.max(0, (now - words.load(word)) | 0);
  const found: AttachedThread[] = [];
  const belongings = belongingsOf(host);
  for (let slot = 0; slot < words.load(Header.threads); slot++) {
    const record = pools.thread.at(slot);
    if (words.load(record + Thread.state) === ThreadState.free) continue;
    const waits = words.load(record + Thread.waits);
    found.push({
      id: slot,
      name: readName(words, record) || systemName(host, record),
      proof: proofOf(host, record),
      has: [...(belongings.get(record) ?? [])],
      waitsFor: waits === 0 ? undefined : nameOf(host, waits, record),
      waitsMs: waits === 0 ? 0 : since(record + Thread.waitsSince),
      sinceMs: since(record + Thread.since),
    });
  }
  return found;
}

/** What a thread is called by its number, where the platform has one. */
function systemName({ words, thread }: BypassHost, record: number): string {
  if (words.load(record + Thread.tid) === 0) return "";
  const { worker } = thread.osThread(record);
  return worker === 0 ? "main" : `worker ${worker}`;
}

function proofOf({ words }: BypassHost, record: number): AttachedThread["proof"] {
  if (words.load(record + Thread.state) & ThreadState.lost) return "lost";
  if (words.load(record + Thread.tid) !== 0) return "process";
  return words.load(Header.watcher) !== 0 && lockOf(words, record) === LifeLock.held ? "lock" : "none";
}

/** The names of what each thread has, by its record. */
function belongingsOf(host: BypassHost): Map<number, Set<string>> {
  const { words, pools, kinds } = host;
  const found = new Map<number, Set<string>>();
  const add = (owner: number, name: string) => {
    const names = found.get(owner) ?? new Set();
    found.set(owner, names.add(name));
  };
  const eventfdAt = (record: number) => `eventfd ${pools.eventfd.slot(record)}`;
  host.forEachLive(pools.vcpu, (vcpu) => {
    const runner = words.load(vcpu + Vcpu.runner);
    if (runner !== 0) add(runner, vcpuAt(host, vcpu));
  });
  host.forEachLive(pools.vm, (vm) => add(words.get(vm + Vm.owner), `VM ${pools.vm.slot(vm)}`));
  host.forEachLive(pools.device, (device) => {
    if (isDevice(host, device)) add(words.load(device + Device.owner), `device ${pools.device.slot(device)}`);
  });
  host.forEachLive(pools.producer, (producer) => {
    if (words.get(producer + Producer.gate) !== 0) return; // one of a device
    add(words.get(producer + Producer.owner), `producer ${pools.producer.slot(producer)}`);
  });
  host.forEachLive(pools.consumer, (irqfd) => {
    const eventfd = words.load(irqfd + Consumer.source);
    if (eventfd !== 0) add(words.get(irqfd + Consumer.owner), `the irqfd of ${eventfdAt(eventfd)}`);
  });
  host.forEachLive(pools.ioeventfd, (ioeventfd) =>
    add(words.get(ioeventfd + Ioeventfd.owner), `ioeventfd ${pools.ioeventfd.slot(ioeventfd)}`),
  );
  host.forEachLive(pools.reference, (reference) => {
    const of = words.get(reference + Reference.eventfd);
    if (words.get(reference + Reference.role) !== Role.handle || of === 0) return;
    const name = pools.epoll.has(of) ? `epoll ${pools.epoll.slot(of)}` : eventfdAt(of);
    add(words.get(reference + Reference.owner), name);
  });
  kinds.forEach(({ name }, kind) => {
    const relay = words.load(Header.relays + kind);
    if ((relay & RelayState.mask) === RelayState.running)
      add(relay & ~RelayState.mask, kind === 0 ? "the relay" : `the relay of ${name}`);
  });
  return found;
}

function vcpuAt({ words, pools }: BypassHost, vcpu: number): string {
  return `vCPU ${words.get(vcpu + Vcpu.index)} of VM ${pools.vm.slot(words.get(vcpu + Vcpu.vm))}`;
}

const HEADER_WAITS: Readonly<Record<number, string>> = {
  [Header.mutex]: "the host mutex",
  [Header.repair]: "the repair of this host",
  [Header.doorbell]: "something to relay",
  [Header.changes]: "a change of a connection",
};

/** What is waited for at a word. It may be gone by now, and its record something else of the kind. */
function nameOf(host: BypassHost, word: number, waiter: number): string {
  const { pools, mutex } = host;
  const named = HEADER_WAITS[word];
  if (named !== undefined) return named;
  for (const [name, pool] of Object.entries(pools)) {
    const slot = Math.floor((word - pool.base) / pool.stride);
    if (slot < 0 || slot >= pool.capacity) continue;
    const record = pool.at(slot);
    // A thread that naps until another one goes on does so on a word of its own.
    if (record === waiter) return "another thread";
    if (pool === pools.vm && word === record + Vm.mutex) return `the mutex of VM ${slot}`;
    if (pool !== pools.vcpu) return `${name} ${slot}`;
    return mutex.guard(() => (pool.lives(record) ? vcpuAt(host, record) : `vCPU record ${slot}`));
  }
  return "the host";
}
