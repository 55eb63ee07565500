/**
 * An eventfd of the kernel, through a descriptor of our own.
 *
 * The identity of an eventfd is the kernel's `eventfd-id` of /proc/self/fdinfo: descriptors that share a context
 * (dup, fork, a unix socket) have the same one, and it is not given out again while any descriptor lives. So the
 * dup is made first, and the identity read from the dup: whatever happens to the caller's number afterwards, the
 * two belong together. (fs/eventfd.c: eventfd_show_fdinfo, eventfd_read, eventfd_write.)
 */

import { MAX_COUNT } from "../eventfd/signal.js";
import { checkFlag, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Shown } from "../host/shown.js";
import { patiently, readBlocking, untilRoom } from "./blocking.js";
import { checkDescriptor, checked } from "./checked.js";
import { eventfdInfo, infoOf } from "./eventfd-info.js";
import { checkFfi, F_DUPFD_CLOEXEC, type Ffi, O_CLOEXEC, O_NONBLOCK } from "./ffi.js";

const EFD_SEMAPHORE = 1;
const UINT32_MAX = 0xffff_ffff;

/** Options of a new Linux eventfd. */
export interface EventfdFileOptions {
  /** The first count, 0 to 2^32 - 1; default 0. */
  readonly count?: number;
  /** Default false. */
  readonly semaphore?: boolean;
  /** Default true. */
  readonly nonblocking?: boolean;
}

const OPTIONS: OptionNames<EventfdFileOptions> = { count: true, semaphore: true, nonblocking: true };

/** The bare descriptor of a new eventfd, which `open` makes by a call. Throws as {@link EventfdFile.create}. */
export function newEventfd(
  ffi: Ffi,
  options: EventfdFileOptions,
  open: (call: () => number) => number = (call) => call(),
): number {
  checkFfi(ffi);
  const how = readOptions(options, OPTIONS, "options such as { count: 1 }, or none");
  const { count = 0, semaphore = false, nonblocking = true } = how;
  checkFlag(semaphore, "semaphore");
  checkFlag(nonblocking, "nonblocking");
  if (!Number.isInteger(count) || count < 0 || count > UINT32_MAX) {
    throw new IrqBypassError("EINVAL", `an eventfd starts with a count of 0 to 2^32 - 1, not ${show(count)}`);
  }
  const flags = O_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0) | (nonblocking ? O_NONBLOCK : 0);
  return checked(
    open(() => ffi.eventfd(count, flags)),
    "eventfd",
    "a new eventfd",
  );
}

/** One descriptor of an eventfd, owned by this object. Usable in the thread that made it. */
export class EventfdFile extends Shown implements Disposable {
  /** The kernel's id of the eventfd behind it. */
  readonly id: number;
  /** EFD_SEMAPHORE: does a read take one unit? */
  readonly semaphore: boolean;
  /** Was it made with EFD_NONBLOCK? */
  readonly nonblocking: boolean;
  readonly #ffi: Ffi;
  readonly #word = new BigUint64Array(1);
  #fd: number;

  private constructor(ffi: Ffi, fd: number, subject = `fd ${fd}`) {
    super();
    this.#ffi = ffi;
    this.#fd = fd;
    try {
      const info = infoOf(fd, subject);
      this.id = info.id;
      this.semaphore = info.semaphore;
      this.nonblocking = info.nonblocking;
    } catch (error) {
      ffi.close(fd);
      throw error;
    }
  }

  /**
   * Makes an eventfd. Throws EINVAL for a bad count, EMFILE where the process has no descriptor left.
   *
   * @example
   * ```ts
   * import { EventfdFile, loadFfi } from "irqbypass/linux";
   *
   * using file = EventfdFile.create(loadFfi(), { count: 1 });
   * console.log(file.id, file.read());
   * ```
   */
  static create(ffi: Ffi, options: EventfdFileOptions = {}): EventfdFile {
    return new EventfdFile(ffi, newEventfd(ffi, options));
  }

  /**
   * Takes a descriptor of its own for the eventfd behind `fd`, which stays the caller's. Throws EBADF for a number that is no
   * open descriptor, EINVAL for what is no eventfd.
   *
   * @example
   * ```ts
   * import { EventfdFile, loadFfi } from "irqbypass/linux";
   *
   * const ffi = loadFfi();
   * using file = EventfdFile.create(ffi);
   * using again = EventfdFile.dup(ffi, file.fd);
   * console.log(again.id === file.id);
   * ```
   */
  static dup(ffi: Ffi, fd: number): EventfdFile {
    checkFfi(ffi);
    checkDescriptor(fd);
    const subject = `fd ${fd}`;
    return new EventfdFile(ffi, checked(ffi.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", subject), subject);
  }

  /** The descriptor. Throws EBADF after dispose. */
  get fd(): number {
    if (this.#fd < 0) throw new IrqBypassError("EBADF", `eventfd ${this.id} was closed by dispose`);
    return this.#fd;
  }

  /** The counter now, without taking anything. Opens a file of /proc: not for hot paths. */
  get count(): bigint {
    return eventfdInfo(this.fd).count;
  }

  /**
   * Takes the count, or 1 of a semaphore. Where the count is 0: EAGAIN, or for a blocking eventfd the thread
   * sleeps until a write. It is read(2) of a bare descriptor, without a limit and without a host: what waits with one, and can be
   * kicked, is `LinuxEventfd.adopt(host, file.fd)`.
   */
  read(): bigint {
    const result = this.nonblocking
      ? this.#ffi.read(this.fd, this.#word)
      : readBlocking(this.#ffi, this.fd, this.#word);
    checked(result, "read", `eventfd ${this.id}`);
    return this.#word[0]!;
  }

  /**
   * Adds `value`, 0 to 2^64 - 2; 0 adds nothing and still wakes. Where there is no room: EAGAIN, or for a
   * blocking eventfd the thread sleeps until a read; of two writers that are after the same last room, one of them in write(2).
   */
  write(value: number | bigint = 1): void {
    const valid = typeof value === "bigint" || Number.isSafeInteger(value);
    if (!valid || value < 0 || value > MAX_COUNT) {
      throw new IrqBypassError("EINVAL", `a write to an eventfd adds 0 to 2^64 - 2, not ${show(value)}`, {
        subject: `eventfd ${this.id}`,
      });
    }
    this.#word[0] = BigInt(value);
    if (!this.nonblocking) untilRoom(this.#ffi, this.fd, this.#word[0], patiently(this.#ffi));
    checked(this.#ffi.write(this.fd, this.#word), "write", `eventfd ${this.id}`);
  }

  /** @internal The count as a number, exact below 2^53: JSON has no other. */
  protected describe(): object {
    const { id, fd, semaphore, nonblocking } = this;
    return { id, fd, count: Number(this.count), semaphore, nonblocking };
  }

  /** Closes the descriptor. The eventfd lives on while others hold one. Idempotent. */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    checked(this.#ffi.close(fd), "close", `eventfd ${this.id}`);
  }
}
