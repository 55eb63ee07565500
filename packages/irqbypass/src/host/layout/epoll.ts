/**
 * Epolls and what they watch.
 */
/** An epoll. What its waiter alone writes is on the first line, what signallers write on the second. */
export const enum Epoll {
  /** The number of its next watch; written under the host mutex. A */
  number = 2,
  /** Its references of role handle, at the place of an eventfd's; when the last closes, it watches nothing any more. H */
  handles = 3,
  /** The thread that waits, 0 while nobody does. A */
  waiter = 4,
  /** The thread that took events last. A */
  taker = 5,
  /** The bit that the next wait begins with, and the watch of that bit, a mere hint. A */
  turn = 6,
  begin = 7,
  /** Linux: the kernel's epoll for the watches of the kernel's eventfds, plus one; 0 while there are none. A */
  fd = 8,
  /** Its watches, and references other than handles; as {@link Eventfd.holds}, and at its place. H */
  holds = 12,
  /** Bit n: watches with the number n modulo 256 may be ready, 8 words. A */
  bits = 16,
  /** {@link EpollControl}. The waiter sleeps on it. A */
  control = 24,
  /** Heads of the watches of each bit, 256 words; written under the host mutex. A */
  rows = 32,
  words = 288,
}
export const EPOLL_BITS = 256;

/** Bits of {@link Epoll.control}. Who takes it from which to which: `scenarios/states/epoll-control.ts`. */
export const enum EpollControl {
  /** There may be bits. */
  ready = 1,
  /** The wait is to end, the present one or the next. */
  kicked = 2,
  /** The waiter sleeps, or is about to: whoever sets another bit wakes it. */
  asleep = 4,
}

/** An eventfd that an epoll watches. */
export const enum Watch {
  /** The eventfd, which it keeps alive. C */
  eventfd = 2,
  /** The epoll. Set last: without it the watch is half made. C */
  epoll = 3,
  /** The next watch of the eventfd; written under the host mutex. A */
  next = 4,
  /** The next watch of the epoll with the same bit; written under the host mutex. A */
  nextInRow = 5,
  /** Its number modulo 256. C */
  bit = 6,
  /** 1: edge-triggered. C */
  edge = 7,
  /** What is reported, low and high half. C */
  dataLow = 8,
  dataHigh = 9,
  /** 1 from before its bit is set, until the waiter looks at the counter. A */
  fired = 10,
  /** The thread that adds or removes it, 0 in between. H */
  holder = 11,
  words = 16,
}
