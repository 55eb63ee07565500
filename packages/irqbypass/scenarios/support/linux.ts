import { Eventfd } from "irqbypass";
import { Eventfd as E } from "#src/host/layout.js";
import type { Words } from "#src/host/words.js";
import type { LinuxCalls } from "#src/linux/calls.js";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_EVENT_BYTES } from "#src/linux/epoll.js";
import { type Ffi, O_NONBLOCK } from "#src/linux/ffi.js";
import type { Host } from "#src/vm/host.js";

const EAGAIN = -11;
const POLLOUT = 4;
const ENOENT = -2;
const EINVAL = -22;
const EEXIST = -17;
const EFD_SEMAPHORE = 1;
/** Descriptors: of the relay's epoll, of that of who reads, which lies inside it, and of the eventfds from there on. */
const EPOLL = 3;
const READERS = 4;
const FIRST = 5;
/** Where the user's data is in a struct epoll_event. */
const DATA_AT = EPOLL_EVENT_BYTES - 8;

/** The fields of an eventfd's word: its count, and what the epoll knows of it. */
const COUNT = 0xffn;
/** It is on the list of those that epoll_wait looks at. */
const READY = 1n << 8n;
/** The epoll has it; the data of its event is above, a record and its generation. */
const WANTED = 1n << 9n;
/** The readers' epoll has it; it is to report it once; it is on the list of those that it looks at. */
const ADDED = 1n << 10n;
const ASKED = 1n << 11n;
const TOLD = 1n << 12n;
const OF_READERS = ADDED | ASKED | TOLD;
/** Somebody sleeps until it can be read or written to, or has. */
const POLLED = 1n << 13n;
const KEPT = COUNT | OF_READERS | POLLED;
const POLLIN = 1;
const GENERATION_AT = 16n;
const GENERATION = 0xffff;
const RECORD_AT = 32n;

/**
 * What Linux does with eventfds and an edge-triggered epoll, inside which is another, one-shot, as a model for the explorer
 * (fs/eventfd.c, fs/eventpoll.c). All that
 * happens to an eventfd happens under the lock of its wait queue, so it is one 64-bit word here, and one change of it is one
 * step: a write adds to the count and puts the eventfd on the epoll's list; epoll_wait takes it off that, and reports it if there is
 * a count then. The words are those of shared eventfds that nothing else uses, in the memory of the host.
 */
export class LinuxModel {
  private spare: readonly number[] = [];
  /** Of the eventfds that were made: are they semaphores, and does a write without room sleep, and a read of nothing? */
  private readonly semaphores: boolean[] = [];
  private readonly blocking: boolean[] = [];
  /** What the generations of a run have in common, and what is not in a word. */
  private epoch = 0;
  private epolls = 0;
  /** What the readers' epoll reports of each eventfd: the same in all of a run. */
  private readonly readers: (readonly [number, number])[] = [];

  /** `most` is the largest count that a write can reach. */
  constructor(private readonly most = COUNT) {}

  /** Takes the words for so many eventfds out of the room of a host, before the first of them is made. */
  takeRoom(host: Host, count: number): void {
    this.spare = Array.from({ length: count }, () => Eventfd.create(host).record);
  }

  /** What is in a counter. */
  count(words: Words, fd: number): number {
    return Number(words.load64(this.wordOf(fd)) & COUNT);
  }

  /** The calls of a thread; `words` is its way to the memory. */
  calls(words: () => Words): LinuxCalls {
    const views: ArrayBufferView[] = []; // of which the thread has asked the addresses, for one call
    const ffi: Partial<Ffi> = {
      eventfd: (_count, flags) => this.make((flags & EFD_SEMAPHORE) !== 0, (flags & O_NONBLOCK) === 0),
      close: () => 0,
      fcntl: () => EINVAL, // of the library; nothing here asks for it
      eventfdWrite: (fd, value) => this.write(words(), fd, BigInt(value)),
      write: (fd, buffer) => this.write(words(), fd, (buffer as BigUint64Array)[0]!),
      read: (fd, buffer) => this.read(words(), fd, buffer as BigUint64Array),
      // The readers' first, which makes the relay's, and puts itself into that.
      epollCreate: () => (this.epolls++ === 0 ? READERS : EPOLL),
      epollControl: (epoll, operation, fd, event) => {
        if (fd === READERS) return 0;
        return epoll === READERS
          ? this.controlReaders(words(), operation, fd, event as DataView | null)
          : this.control(words(), operation, fd, event as DataView | null);
      },
      epollWait: (epoll, events, _count, timeoutMs) =>
        epoll === READERS
          ? this.waitReaders(words(), events as DataView)
          : this.wait(words(), events as DataView, timeoutMs),
      poll: (fds, count, timeoutMs) => this.poll(words(), fds as Int32Array, count, timeoutMs),
      addressOf: (view) => views.push(view) - 1,
      // preadv2 with RWF_NOWAIT, of one buffer: the library makes no other call by its number.
      syscall: (_number, fd = 0, vector = 0) => {
        const [address] = views[vector] as BigUint64Array;
        const into = views[Number(address)] as BigUint64Array;
        views.length = 0;
        return into.byteLength < 8 ? EINVAL : this.readNow(words(), fd, into);
      },
    };
    return {
      ffi: () => ffi as Ffi,
      info: (fd) => ({
        id: fd,
        count: words().load64(this.wordOf(fd)) & COUNT,
        semaphore: this.isSemaphore(fd),
        nonblocking: !this.blocking[fd - FIRST],
      }),
    };
  }

  private make(semaphore: boolean, blocking: boolean): number {
    if (this.semaphores.length === this.spare.length) throw new Error("give the model more room");
    this.blocking.push(blocking);
    return FIRST + this.semaphores.push(semaphore) - 1;
  }

  private write(words: Words, fd: number, value: bigint): number {
    for (;;) {
      const seen = this.blocking[fd - FIRST] ? words.load(this.doorbell) : 0; // before the look, as in an epoll
      const hasRoom = (now: bigint) => (now & COUNT) + value <= this.most;
      const before = change(words, this.wordOf(fd), (now) => {
        if (!hasRoom(now)) return now | POLLED;
        return (now + value) | (now & WANTED ? READY : 0n) | (now & ASKED ? TOLD : 0n);
      });
      if (hasRoom(before)) {
        if (before & (WANTED | ASKED | POLLED)) this.ring(words);
        return 8;
      }
      if (!this.blocking[fd - FIRST]) return EAGAIN;
      words.wait(this.doorbell, seen, Infinity);
    }
  }

  /** read(2): of one that blocks it sleeps until there is something. */
  private read(words: Words, fd: number, buffer: BigUint64Array): number {
    for (;;) {
      const seen = this.blocking[fd - FIRST] ? words.load(this.doorbell) : 0; // before the look, as in an epoll
      const result = this.readNow(words, fd, buffer);
      if (result !== EAGAIN || !this.blocking[fd - FIRST]) return result;
      change(words, this.wordOf(fd), (now) => now | POLLED);
      if (this.count(words, fd) === 0) words.wait(this.doorbell, seen, Infinity);
    }
  }

  private readNow(words: Words, fd: number, buffer: BigUint64Array): number {
    const isSemaphore = this.isSemaphore(fd);
    const before = change(words, this.wordOf(fd), (now) => {
      if ((now & COUNT) === 0n) return now;
      return isSemaphore ? now - 1n : now & ~COUNT;
    });
    const count = before & COUNT;
    if (count === 0n) return EAGAIN;
    buffer[0] = isSemaphore ? 1n : count;
    if (before & POLLED) this.ring(words); // there is room
    return 8;
  }

  private control(words: Words, operation: number, fd: number, event: DataView | null): number {
    if (operation === EPOLL_CTL_DEL || event === null)
      return change(words, this.wordOf(fd), (now) => now & KEPT) & WANTED ? 0 : ENOENT;
    const [record, generation] = [event.getInt32(DATA_AT, true), event.getInt32(DATA_AT + 4, true)];
    this.epoch = generation & ~GENERATION;
    const data = (BigInt(record) << RECORD_AT) | (BigInt(generation & GENERATION) << GENERATION_AT);
    // One that can be read already is an event at once.
    const before = change(words, this.wordOf(fd), (now) => {
      const count = now & COUNT;
      return (now & KEPT) | data | WANTED | (count === 0n ? 0n : READY);
    });
    if (before & COUNT) this.ring(words);
    return 0;
  }

  private controlReaders(words: Words, operation: number, fd: number, event: DataView | null): number {
    if (operation === EPOLL_CTL_DEL || event === null)
      return change(words, this.wordOf(fd), (now) => now & ~OF_READERS) & ADDED ? 0 : ENOENT;
    const adds = operation === EPOLL_CTL_ADD;
    this.readers[fd] = [event.getInt32(DATA_AT, true), event.getInt32(DATA_AT + 4, true)];
    const before = change(words, this.wordOf(fd), (now) => {
      if (((now & ADDED) === 0n) !== adds) return now;
      return now | ADDED | ASKED | (now & COUNT ? TOLD : 0n);
    });
    if (((before & ADDED) === 0n) !== adds) return adds ? EEXIST : ENOENT;
    if (before & COUNT) this.ring(words);
    return 0;
  }

  /** Reports each eventfd of the readers' list that can be read, and it once. Does not sleep. */
  private waitReaders(words: Words, events: DataView): number {
    let found = 0;
    for (let index = 0; index < this.semaphores.length; index++) {
      const fd = FIRST + index;
      const before = change(words, this.wordOf(fd), (now) =>
        now & TOLD && now & COUNT ? now & ~(TOLD | ASKED) : now & ~TOLD,
      );
      if ((before & TOLD) === 0n || (before & COUNT) === 0n) continue;
      const [record, generation] = this.readers[fd]!;
      events.setInt32(found * EPOLL_EVENT_BYTES + DATA_AT, record, true);
      events.setInt32(found * EPOLL_EVENT_BYTES + DATA_AT + 4, generation, true);
      found += 1;
    }
    return found;
  }

  /** Reports each eventfd of the list that can be read; where there is none, sleeps until one is put there. */
  private wait(words: Words, events: DataView, timeoutMs: number): number {
    for (;;) {
      const seen = words.load(this.doorbell); // before the look: what is put on the list after it changes this
      let found = 0;
      let readers = false;
      for (let index = 0; index < this.semaphores.length; index++) {
        const word = this.wordOf(FIRST + index);
        const before = change(words, word, (now) => now & ~READY);
        readers ||= (before & TOLD) !== 0n;
        if ((before & READY) === 0n) continue;
        // Looked at once it is off the list: what is written from here on puts it there again.
        if ((words.load64(word) & COUNT) === 0n) continue;
        const at = found * EPOLL_EVENT_BYTES + DATA_AT;
        events.setInt32(at, Number(before >> RECORD_AT), true);
        events.setInt32(at + 4, this.epoch | (Number(before >> GENERATION_AT) & GENERATION), true);
        found += 1;
      }
      if (readers) {
        for (const at of [0, 4]) events.setInt32(found * EPOLL_EVENT_BYTES + DATA_AT + at, 0, true);
        found += 1;
      }
      if (found > 0 || timeoutMs === 0) return found;
      words.wait(this.doorbell, seen, Infinity);
    }
  }

  /** Says which can be read; where none can, sleeps until one can: no time limit passes. */
  private poll(words: Words, pollfds: Int32Array, count: number, timeoutMs: number): number {
    const sleeps = timeoutMs !== 0;
    for (;;) {
      const seen = sleeps ? words.load(this.doorbell) : 0; // before the look, as in an epoll
      let ready = 0;
      for (let index = 0; index < count; index++) {
        if (pollfds[2 * index]! < 0) continue;
        const word = this.wordOf(pollfds[2 * index]!);
        const now = sleeps ? change(words, word, (before) => before | POLLED) : words.load64(word);
        const can = ((now & COUNT) > 0n ? POLLIN : 0) | ((now & COUNT) < this.most ? POLLOUT : 0);
        const found = can & pollfds[2 * index + 1]!;
        if (found === 0) continue;
        pollfds[2 * index + 1]! |= found << 16;
        ready += 1;
      }
      if (ready > 0 || !sleeps) return ready;
      words.wait(this.doorbell, seen, Infinity);
    }
  }

  private ring(words: Words): void {
    words.add(this.doorbell, 4); // as a sequence counts, whose word it is
    words.notify(this.doorbell);
  }

  private get doorbell(): number {
    return this.spare[0]! + E.sequence;
  }

  private wordOf(fd: number): number {
    return this.spare[fd - FIRST]! + E.counter;
  }

  private isSemaphore(fd: number): boolean {
    return this.semaphores[fd - FIRST]!;
  }
}

/** Changes a word in one step; returns what it was. */
function change(words: Words, word: number, next: (now: bigint) => bigint): bigint {
  for (;;) {
    const now = words.load64(word);
    const then = next(now);
    if (then === now || words.compareExchange64(word, now, then) === now) return now;
    words.relax();
  }
}
