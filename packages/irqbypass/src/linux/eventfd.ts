import { checkWrite, EventfdContext } from "../eventfd/context.js";
import { addReference } from "../eventfd/reference.js";
import { isReadKicked } from "../eventfd/signal.js";
import { readBlockingWait, type WaitOptions } from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { ERRNO, IrqBypassError, wouldBlock } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Eventfd as E, EventfdFlag, Role } from "../host/layout.js";
import { checkHost, type HostMemory } from "../host/memory.js";
import {
  hasRoom,
  isNotRead,
  mustNotBlock,
  POLLIN,
  SLICE_MS,
  type Sleep,
  untilReady,
  untilRoom,
} from "./blocking.js";
import { fdOf, isBlocking } from "./calls.js";
import { checkDescriptor, checked } from "./checked.js";
import { closeOwn, handOver, openOwn } from "./descriptor.js";
import { type EventfdFileOptions, newEventfd } from "./eventfd-file.js";
import { F_DUPFD_CLOEXEC, type Ffi } from "./ffi.js";
import { hush, kickDescriptor, ring } from "./kick.js";
import { byKernelId, type LinuxKind, linuxKindOf, noteMode, signalFd } from "./kind.js";
import { readFor } from "./read-out.js";
import { armReader, prepareReader } from "./reader.js";
import { writeInTurn } from "./turn.js";

/**
 * A real Linux eventfd as a token of this host. Its identity is the kernel's `eventfd-id`, read from a descriptor of the
 * host's own: two descriptors of one eventfd are the same token, and a closed number that is used again is another. The
 * host must have been made with `kinds: [linux()]`. A close(2) elsewhere is not seen here: closing the last library handle
 * is what deassigns. The relay of a software VM hears of writes by epoll, which is silent about a write of 0 to a counter
 * at 0: a KVM guest and a shared eventfd take that as an interrupt, this does not. Several writes that it finds at once are one
 * event: of a semaphore it takes one unit for them, and the others stay, which may be interrupts too.
 */
export class LinuxEventfd extends EventfdContext {
  /** The kernel's eventfd-id. */
  readonly kernelId: number;
  private readonly kind: LinuxKind;
  private readonly ffi: Ffi;
  private readonly value = new BigUint64Array(1);

  private constructor(memory: HostMemory, record: number, reference: number, kind: LinuxKind) {
    super(memory, record, reference);
    this.kernelId = memory.words.get(record + E.kernelId);
    this.kind = kind;
    this.ffi = kind.ffi();
  }

  /**
   * Makes a new eventfd(2), non-blocking by default. Throws EINVAL, EMFILE, ENOMEM, ENOSYS where there is no FFI.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { linux, LinuxEventfd } from "irqbypass/linux";
   *
   * const host = Host.create({ kinds: [linux()] });
   * using eventfd = LinuxEventfd.create(host);
   * eventfd.write(3);
   * console.log(eventfd.read()); // 3n
   * ```
   */
  static create(memory: HostMemory, options: EventfdFileOptions = {}): LinuxEventfd {
    checkHost(memory);
    const ffi = linuxKindOf(memory).kind.ffi();
    return LinuxEventfd.take(
      memory,
      ffi,
      newEventfd(ffi, options, (call) => openOwn(memory, call)),
    );
  }

  /**
   * A token for the eventfd behind the caller's `fd`, which stays the caller's: the host works on a dup of its own. Throws
   * EBADF for a closed descriptor, EINVAL for one that is no eventfd, ENOSYS and ENOSPC where the kernel has no id for it.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { EventfdFile, linux, LinuxEventfd, loadFfi } from "irqbypass/linux";
   *
   * const host = Host.create({ kinds: [linux()] });
   * using file = EventfdFile.create(loadFfi()); // or a descriptor of whoever else
   * using eventfd = LinuxEventfd.adopt(host, file.fd);
   * file.write(1);
   * console.log(eventfd.read()); // 1n
   * ```
   */
  static adopt(memory: HostMemory, fd: number): LinuxEventfd {
    checkHost(memory);
    const ffi = linuxKindOf(memory).kind.ffi();
    checkDescriptor(fd);
    // The dup first: whatever happens to the caller's number, descriptor and identity belong together.
    const subject = `fd ${fd}`;
    return LinuxEventfd.take(
      memory,
      ffi,
      checked(
        openOwn(memory, () => ffi.fcntl(fd, F_DUPFD_CLOEXEC, 0)),
        "fcntl",
        subject,
      ),
      subject,
    );
  }

  /** A token for the eventfd behind `own`, which the record of the calling thread names, and is the host's from here on. */
  private static take(memory: HostMemory, ffi: Ffi, own: number, subject = `fd ${own}`): LinuxEventfd {
    const { number, kind } = linuxKindOf(memory);
    let record = 0;
    let reference = 0;
    let known = false;
    try {
      const { id, semaphore, nonblocking } = kind.info(own, subject);
      const { words, mutex, pools, thread } = memory;
      mutex.guard(() => {
        record = byKernelId(memory).load(id);
        known = record !== 0;
        pools.reference.checkRoom();
        if (!known) {
          byKernelId(memory).checkRoom(id);
          record = pools.eventfd.allocate();
          const modes = (semaphore ? EventfdFlag.semaphore : 0) | (nonblocking ? 0 : EventfdFlag.blocking);
          const flags = EventfdFlag.linux | modes;
          words.store(record + E.flags, flags | (number << EventfdFlag.kindShift));
          words.set(record + E.kernelId, id);
          words.set(record + E.fd, own + 1);
          words.set(record + E.owner, thread.record);
        }
        reference = addReference(memory, record, Role.handle);
        if (known) noteMode(memory, record, nonblocking);
        else byKernelId(memory).insert(id, record);
      });
    } catch (error) {
      closeOwn(memory, ffi, own);
      throw error;
    }
    if (known)
      closeOwn(memory, ffi, own); // the host has a descriptor of this eventfd already
    else handOver(memory, own);
    return new LinuxEventfd(memory, record, reference, kind);
  }

  /**
   * A handle in this thread to a Linux eventfd of the host. Throws ESTALE when it is gone or the handle is
   * of no eventfd, EXDEV for one of another host, EINVAL for a shared eventfd.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { linux, LinuxEventfd } from "irqbypass/linux";
   *
   * const host = Host.create({ kinds: [linux()] });
   * using eventfd = LinuxEventfd.create(host);
   * using again = LinuxEventfd.open(Host.attach(host.handle, { kinds: [linux()] }), eventfd.handle); // in another thread
   * again.write();
   * console.log(eventfd.tryRead()); // 1n
   * ```
   */
  static open(memory: HostMemory, handle: Handle<"eventfd">): LinuxEventfd {
    checkHost(memory);
    const { kind } = linuxKindOf(memory);
    kind.ffi(); // refused before anything is done where there is none
    const { words, mutex, pools } = memory;
    return mutex.guard(() => {
      const record = pools.eventfd.open(handle);
      if ((words.load(record + E.flags) & EventfdFlag.linux) === 0) {
        throw new IrqBypassError(
          "EINVAL",
          `eventfd ${handle} is a shared eventfd: open it with Eventfd.open`,
        );
      }
      if (words.get(record + E.handles) === 0)
        throw new IrqBypassError("ESTALE", `the last handle of eventfd ${handle} was closed`);
      return new LinuxEventfd(memory, record, addReference(memory, record, Role.handle), kind);
    });
  }

  /** The host's descriptor, for calls that take one. It is the host's: do not close it. */
  get fd(): number {
    this.check();
    return fdOf(this.memory, this.record);
  }

  /** @internal */
  protected override describe(): object {
    return { ...super.describe(), kernelId: this.kernelId };
  }

  /**
   * As {@link EventfdContext.write}; one write(2). Blocks where the eventfd was made blocking and has no room: true once it is written,
   * false after {@link kick}, with nothing added. Throws EAGAIN then in a thread that may not block, and EDEADLK in a callback. Threads of
   * the host take turns; where a writer outside of it takes the last room just then, this sleeps in write(2), where no kick reaches,
   * until somebody reads.
   */
  write(value: number | bigint = 1): boolean {
    const wide = value === 1 ? 1n : checkWrite(value);
    this.value[0] = wide;
    const { memory, record, ffi, fd } = this;
    if (!isBlocking(memory, record)) {
      this.writeNow(fd);
      return true;
    }
    const sleep: Sleep = (told, events) => {
      memory.checkCall(); // no callback waits
      if (this.takeKick()) return false;
      if (!memory.thread.mayBlock) throw noRoomYet(`eventfd ${this.id}`);
      return this.sleep(told, events, Infinity);
    };
    return writeInTurn(
      memory,
      record,
      () => untilRoom(ffi, fd, wide, sleep),
      () => hasRoom(ffi, fd, wide),
      () => this.writeNow(fd),
    );
  }

  private writeNow(fd: number): void {
    checked(this.ffi.write(fd, this.value), "write", `eventfd ${this.id}`, "read it first");
  }

  signal(): void {
    this.check();
    signalFd(this.memory, this.ffi, this.record);
  }

  /**
   * As {@link EventfdContext.tryRead}. What was written for an irqfd of a software VM is delivered first, and not read; so in a callback it
   * throws EDEADLK where there is such an irqfd. Before Linux 5.8 it throws EINVAL on an eventfd that was made blocking.
   */
  tryRead(): bigint | undefined {
    this.check();
    const result = readFor(this.memory, this.kind, this.record, this.value);
    if (result === -ERRNO.EAGAIN) {
      this.memory.thread.serveAtTimes();
      return undefined;
    }
    if (isNotRead(result)) throw mustNotBlock(`eventfd ${this.id}`);
    checked(result, "read", `eventfd ${this.id}`);
    return this.value[0];
  }

  /** As {@link EventfdContext.read}; sleeps in poll(2). */
  read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined {
    const timeoutMs = readBlockingWait(options, "readAsync");
    this.checkWait();
    const { words } = this.memory;
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const taken = this.tryRead();
      if (taken !== undefined) return taken;
      if (this.takeKick()) return undefined;
      const left = leftUntil(words, deadline);
      if (left <= 0) return undefined;
      if (!this.memory.thread.mayBlock)
        throw wouldBlock(`a read of eventfd ${this.id}, which is at 0,`, "readAsync");
      if (!this.sleep(this.fd, POLLIN, left)) return undefined;
    }
  }

  /**
   * As {@link EventfdContext.kick}, of who reads; and of a `write` to an eventfd that was made blocking and has no room, or else the
   * next one that finds none. A thread that sleeps in either wakes at once; only where no descriptor was left for that, within a
   * twentieth of a second.
   */
  override kick(): void {
    super.kick();
    ring(this.memory, this.ffi, this.record);
  }

  /** Sleeps in poll(2) until `fd` is ready for `events`, or for a moment; false where a kick ends the wait. */
  private sleep(fd: number, events: number, leftMs: number): boolean {
    const { memory, ffi, record } = this;
    const kick = kickDescriptor(memory, ffi, record);
    if (this.takeKick()) return false;
    const rung = untilReady(ffi, fd, events, kick, Math.min(leftMs, this.slice()));
    if (rung && !isReadKicked(memory.words, record)) hush(memory, ffi, record);
    return true; // also where it is kicked: what there is to take comes first
  }

  /** @internal */
  protected override prepareSleep(): void {
    prepareReader(this.memory, this.ffi, linuxKindOf(this.memory).number);
  }

  /** @internal The relay's thread waits for who reads. Until it runs they look by themselves. */
  protected override sleepLimit(): number {
    return armReader(this.memory, this.ffi, linuxKindOf(this.memory).number, this.record, this.fd);
  }

  /** How long this thread may be in a system call: it serves others in between. */
  private slice(): number {
    return Math.min(SLICE_MS, this.memory.thread.serve?.() ?? Infinity);
  }

  get count(): bigint {
    return this.kind.info(this.fd).count;
  }
}

/** There is no write that waits without blocking the thread. */
function noRoomYet(subject: string): IrqBypassError {
  return new IrqBypassError(
    "EAGAIN",
    `a write to ${subject}, which has no room, would block, and this thread may not: read it first, or write in a thread that may`,
    { subject },
  );
}
