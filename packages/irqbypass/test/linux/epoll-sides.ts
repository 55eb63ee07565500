/** Three epolls over eventfds of the same life: Linux's own, and this library's over both kinds of eventfd. */
import { Epoll, Eventfd, type EventfdContext, type Host, IrqBypassError } from "irqbypass";
import { type Ffi, LinuxEventfd } from "irqbypass/linux";

const [ADD, DEL] = [1, 2];
const [EPOLLIN, EPOLLET] = [1, 1 << 31];
const [EFD_SEMAPHORE, EFD_NONBLOCK, O_CLOEXEC, F_DUPFD] = [1, 0o4000, 0o2000000, 0];
const MOST = 64;
/** struct epoll_event is packed on x86-64 alone. */
const DATA_AT = process.arch === "x64" ? 4 : 8;
const EVENT_BYTES = DATA_AT + 8;
const CODES: Readonly<Record<number, string>> = {
  2: "ENOENT",
  9: "EBADF",
  11: "EAGAIN",
  17: "EEXIST",
  22: "EINVAL",
};

/** What a program does with eventfds and epolls, by their numbers. Each call returns what it brings, or the errno code. */
export interface Side {
  readonly name: string;
  create(eventfd: number, semaphore: boolean): string;
  /** A second handle, or a dup. */
  again(eventfd: number): string;
  /** Closes the first handle, or the second one. */
  close(eventfd: number, which: "first" | "second"): string;
  write(eventfd: number, value: number): string;
  read(eventfd: number): string;
  add(epoll: number, eventfd: number, data: number, edge: boolean): string;
  remove(epoll: number, eventfd: number): string;
  /** What is ready, in order of the data: how two orders come about differs, and says nothing. */
  wait(epoll: number): string;
  end(): void;
}

const sorted = (data: readonly number[]) => [...data].sort((a, b) => a - b).join(" ");

/** The kernel, by its system calls alone. */
export class Kernel implements Side {
  readonly name = "Linux";
  private readonly epolls: number[];
  private readonly first: number[] = [];
  private readonly second: number[] = [];
  private readonly value = new BigUint64Array(1);
  private readonly events = new DataView(new ArrayBuffer(MOST * EVENT_BYTES));

  constructor(
    private readonly ffi: Ffi,
    epolls: number,
  ) {
    this.epolls = Array.from({ length: epolls }, () => ffi.epollCreate(O_CLOEXEC));
  }

  create(eventfd: number, semaphore: boolean): string {
    this.first[eventfd] = this.ffi.eventfd(0, EFD_NONBLOCK | O_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0));
    this.second[eventfd] = -1;
    return "made";
  }
  again(eventfd: number): string {
    this.second[eventfd] = this.ffi.fcntl(this.first[eventfd]!, F_DUPFD, 0);
    return "made";
  }
  close(eventfd: number, which: "first" | "second"): string {
    this.ffi.close(this[which][eventfd]!);
    this[which][eventfd] = -1;
    return "closed";
  }
  write(eventfd: number, value: number): string {
    this.value[0] = BigInt(value);
    return said(this.ffi.write(this.open(eventfd), this.value), "written");
  }
  read(eventfd: number): string {
    return said(this.ffi.read(this.open(eventfd), this.value), () => `${this.value[0]}`);
  }
  add(epoll: number, eventfd: number, data: number, edge: boolean): string {
    const event = new DataView(new ArrayBuffer(EVENT_BYTES));
    event.setInt32(0, edge ? EPOLLIN | EPOLLET : EPOLLIN, true);
    event.setUint32(DATA_AT, data, true);
    return said(this.ffi.epollControl(this.epolls[epoll]!, ADD, this.first[eventfd]!, event), "added");
  }
  remove(epoll: number, eventfd: number): string {
    return said(this.ffi.epollControl(this.epolls[epoll]!, DEL, this.first[eventfd]!, null), "removed");
  }
  wait(epoll: number): string {
    const ready = this.ffi.epollWait(this.epolls[epoll]!, this.events, MOST, 0);
    return sorted(
      Array.from({ length: ready }, (_, at) => this.events.getUint32(at * EVENT_BYTES + DATA_AT, true)),
    );
  }
  end(): void {
    for (const fd of [...this.epolls, ...this.first, ...this.second]) if (fd >= 0) this.ffi.close(fd);
  }

  private open(eventfd: number): number {
    return this.first[eventfd]! >= 0 ? this.first[eventfd]! : this.second[eventfd]!;
  }
}

function said(result: number, well: string | (() => string)): string {
  if (result < 0) return CODES[-result] ?? `errno ${-result}`;
  return typeof well === "string" ? well : well();
}

/** The library, over one kind of eventfd or the other. */
export class Library implements Side {
  readonly name: string;
  private readonly epolls: Epoll[];
  private readonly first: (EventfdContext | undefined)[] = [];
  private readonly second: (EventfdContext | undefined)[] = [];

  constructor(
    private readonly host: Host,
    private readonly real: boolean,
    epolls: number,
  ) {
    this.name = real ? "LinuxEventfd" : "Eventfd";
    this.epolls = Array.from({ length: epolls }, () => Epoll.create(host));
  }

  create(eventfd: number, semaphore: boolean): string {
    const options = { semaphore };
    this.first[eventfd] = this.real
      ? LinuxEventfd.create(this.host, options)
      : Eventfd.create(this.host, options);
    this.second[eventfd] = undefined;
    return "made";
  }
  again(eventfd: number): string {
    const { handle } = this.first[eventfd]!;
    this.second[eventfd] = this.real ? LinuxEventfd.open(this.host, handle) : Eventfd.open(this.host, handle);
    return "made";
  }
  close(eventfd: number, which: "first" | "second"): string {
    this[which][eventfd]!.close();
    if (which === "second") this.second[eventfd] = undefined;
    return "closed";
  }
  write(eventfd: number, value: number): string {
    return outcome(() => {
      this.open(eventfd).write(value);
      return "written";
    });
  }
  read(eventfd: number): string {
    return outcome(() => `${this.open(eventfd).tryRead() ?? "EAGAIN"}`);
  }
  add(epoll: number, eventfd: number, data: number, edge: boolean): string {
    return outcome(() => {
      this.epolls[epoll]!.add(this.first[eventfd]!, { data, edge });
      return "added";
    });
  }
  remove(epoll: number, eventfd: number): string {
    return outcome(() => {
      this.epolls[epoll]!.remove(this.first[eventfd]!);
      return "removed";
    });
  }
  wait(epoll: number): string {
    return sorted(this.epolls[epoll]!.tryWait({ maxEvents: MOST }));
  }
  end(): void {
    for (const one of [...this.epolls, ...this.first, ...this.second]) one?.close();
  }

  private open(eventfd: number): EventfdContext {
    const first = this.first[eventfd]!;
    return first.closed ? (this.second[eventfd] ?? first) : first;
  }
}

function outcome(call: () => string): string {
  try {
    return call();
  } catch (error) {
    if (error instanceof IrqBypassError) return error.code;
    throw error;
  }
}
