import { Consumer, Device, Epoll, Header, Rec, Thread, ThreadState, Vcpu } from "#src/host/layout.js";
import type { Host } from "#src/vm/host.js";
import type { Keeper, Naming, StateTable } from "../states/table.js";
import { Places } from "./places.js";
import type { Scene } from "./transitions.js";

/** The worker of a thread of the explorer, by its index: what tells whose a thread record is. */
export const workerOf = (thread: number) => thread + 1;

/** A host as rules see it: what a word is, and which thread has what. Threads count from 0, as the explorer has them. */
export class HostScene implements Scene {
  readonly view: Int32Array;
  readonly places: Places;

  constructor(private readonly host: Host) {
    this.view = new Int32Array(host.handle.memory.buffer as SharedArrayBuffer, host.handle.byteOffset);
    this.places = new Places(host, this.view);
  }

  fieldOf(word: number): string {
    const { pool, field } = this.places.at(word);
    return `${pool}.${field}`;
  }

  nameOf(word: number): string {
    return this.places.at(word).name;
  }

  hasEnded(word: number): boolean {
    return (this.view[this.places.at(word).record + Rec.generation]! & 1) === 0;
  }

  /** By the platform, which a scenario may have say that a thread is dead that never ran. */
  lives(thread: number): boolean {
    const who = { pid: 1, tid: thread + 1, startTime: 0, worker: workerOf(thread) };
    return this.host.platform.alive(who) === true;
  }

  keeper(who: Keeper, { names }: StateTable, word: number, before: number): number | undefined {
    const { pool, record, field } = this.places.at(word);
    const part = names === undefined ? 0 : (before & names.mask) >>> names.shift;
    if (pool === "device" && field === "gates") {
      const device = this.view[record + Device.head]! || record;
      if (who === "holder") return this.holder(device + Device.mutex);
      if (who === "owner") return this.threadOf(this.view[device + Device.owner]!);
    }
    if (who === "holder")
      return names?.what === "lock id" ? this.named("lock id", part) : this.holder(Header.mutex);
    if (who === "runner")
      return pool === "vcpu" ? this.threadOf(this.view[record + Vcpu.runner]!) : undefined;
    if (names?.what === "thread") return this.named("thread", part);
    if (names?.what === "irqfd")
      return part === 0 ? undefined : this.threadOf(this.view[part + Consumer.closing]!);
    if (pool === "header") return 0;
    if (pool === "epoll") return this.threadOf(this.view[record + Epoll.waiter]!);
    if (pool === "consumer") return this.threadOf(this.view[record + Consumer.owner]!);
    return pool === "thread" ? this.threadOf(record) : undefined;
  }

  named(what: Naming["what"], part: number): number | undefined {
    if (part === 0) return undefined;
    if (what === "worker") return part - workerOf(0);
    if (what === "thread") return this.threadOf(part);
    if (what !== "lock id") return undefined;
    const { thread } = this.host.pools;
    return this.threadOf(thread.at((part - 1) % thread.capacity));
  }

  /** The thread that holds this mutex, if one does. */
  holder(mutex: number): number | undefined {
    return this.named("lock id", this.view[mutex]! >> 1);
  }

  /** The thread that has this thread record; undefined for 0, and while nobody has it. */
  threadOf(record: number): number | undefined {
    const state = record === 0 ? ThreadState.free : this.view[record + Thread.state]!;
    return state === ThreadState.free ? undefined : (state >>> ThreadState.workerShift) - workerOf(0);
  }
}
