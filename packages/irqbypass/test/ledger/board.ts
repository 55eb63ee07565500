/**
 * What the threads of the ledger share. A *line* is an eventfd with what signals it and what it comes to; every line has its
 * words, so that each signal can be asked for afterwards: sent, taken by the guest, counted, pending or dropped.
 */

/** What signals a line. */
export type Sort =
  /** Writes to an eventfd, or a semaphore; nothing is bypassed. */
  | "write"
  | "semaphore"
  /** A producer, which is bypassed where it can be. */
  | "producer"
  /** A vector of a device, which is masked, disabled and given other triggers meanwhile. */
  | "vector"
  /** The INTx pin of a device, whose interrupts are acknowledged through an unmask eventfd. */
  | "intx"
  /** Writes to an eventfd whose last handle is closed in the round. */
  | "hang-up"
  /** Writes to an eventfd whose VM is made and disposed of in the round. */
  | "machine";

/** That, and by what kind of eventfd: shared ones, or those of Linux. */
export type LineKind = Sort | `linux-${Sort}`;

/** One line of each kind without Linux eventfds, of each kind that a real guest can have, and of every kind. */
export const SHARED_LINES: readonly LineKind[] = [
  "write",
  "semaphore",
  "producer",
  "vector",
  "intx",
  "hang-up",
  "machine",
];
export const KVM_LINES: readonly LineKind[] = [
  "linux-write",
  "linux-semaphore",
  "linux-producer",
  "linux-vector",
  "linux-hang-up",
];
export const ALL_LINES: readonly LineKind[] = [...SHARED_LINES, ...KVM_LINES, "linux-intx", "linux-machine"];

/** A line, as each thread is told of it. */
export interface Line {
  readonly kind: LineKind;
  /** Of its eventfd; 0 for a line that has another one in each round, see {@link LineWord.handle}. */
  readonly eventfd: number;
  /** Of the eventfd through which an INTx line is unmasked. */
  readonly unmask?: number;
}

export const isLinux = (kind: LineKind): boolean => kind.startsWith("linux-");
export const sortOf = (kind: LineKind): Sort => kind.replace("linux-", "") as Sort;

/** Each line has a GSI, and two vectors that its route may name. */
export const gsiOf = (line: number): number => 24 + line;
export const vectorsOf = (line: number): readonly [number, number] => [0x40 + line, 0x60 + line];
export const lineOf = (vector: number): number => vector & 0x1f;
/** The pin of the I/O APIC to which an INTx line goes. */
export const pinOf = (kind: LineKind): number => (isLinux(kind) ? 21 : 20);

/** Words of them all. */
export const enum Word {
  /** The round that is on, from 1; -1 says that it is over. */
  round = 0,
  /** The last round that the device's thread, and the VMM's, has finished. */
  device = 1,
  vmm = 2,
  /** Signals of a line in this round, at most. */
  burst = 3,
  /** A spin's. */
  idle = 4,
  lines = 16,
}

/** Words of one line, from `Word.lines` on. */
export const enum LineWord {
  /** Signals of this round that were begun, and that were through. */
  sent = 0,
  done = 1,
  /** Interrupts that the guest has taken since the beginning. */
  taken = 2,
  /** Has it an irqfd? And how often was one assigned in this round? */
  assigned = 3,
  assigns = 4,
  /** Is a signal pending in the device? */
  pending = 5,
  /** What was done to it in this round, by the VMM and by the device: bits, for the report of a fault. */
  did = 6,
  deviceDid = 7,
  /** The round in which it waits for ever. */
  stuck = 8,
  /** A handle, in two words: of the eventfd that it has in one round, and in which. */
  handle = 10,
  handleRound = 12,
  words = 16,
}

export const wordOf = (line: number, word: LineWord): number => Word.lines + line * LineWord.words + word;

/** What was done to a line, in the order of the bits. */
export const VMM_DID = ["assigned", "disposed", "deassigned", "rerouted", "switched", "unrouted"] as const;
export const DEVICE_DID = [
  "masked",
  "unmasked",
  "taken away",
  "replaced",
  "disabled",
  "set",
  "closed",
] as const;

/** Notes that something was done. */
export function note<Name extends string>(
  words: Int32Array,
  word: number,
  names: readonly Name[],
  what: Name,
): void {
  Atomics.or(words, word, 1 << names.indexOf(what));
}

/** Says of a line which eventfd it has in `round`, by a handle, which is a safe integer. */
export function storeHandle(words: Int32Array, line: number, handle: number, round: number): void {
  Atomics.store(words, wordOf(line, LineWord.handleRound), 0); // first and last: nobody takes halves of two
  Atomics.store(words, wordOf(line, LineWord.handle) + 1, Math.floor(handle / 2 ** 32));
  Atomics.store(words, wordOf(line, LineWord.handle), handle | 0);
  Atomics.store(words, wordOf(line, LineWord.handleRound), round);
}

/** The handle of a line's eventfd of `round`; undefined where its device has that no more. */
export function loadHandle(words: Int32Array, line: number, round: number): number | undefined {
  const has = () => Atomics.load(words, wordOf(line, LineWord.handleRound)) === round;
  if (!has()) return undefined;
  const high = Atomics.load(words, wordOf(line, LineWord.handle) + 1);
  const handle = high * 2 ** 32 + (Atomics.load(words, wordOf(line, LineWord.handle)) >>> 0);
  return has() ? handle : undefined;
}

const LOOKS = 300;

/** Waits for the round after `last`, and returns it; -1 where it is over. */
export function nextRound(words: Int32Array, last: number): number {
  for (let looks = 0; ; looks++) {
    const round = Atomics.load(words, Word.round);
    if (round !== last) return round;
    if (looks > LOOKS) Atomics.wait(words, Word.round, round);
  }
}

/** This thread's part of a round is done. */
export function finish(words: Int32Array, word: Word.device | Word.vmm, round: number): void {
  Atomics.store(words, word, round);
  Atomics.notify(words, word);
}

/** Lets some time pass, as much as `looks` at a word take. */
export function dawdle(words: Int32Array, looks: number): void {
  for (let left = looks; left > 0; left--) Atomics.load(words, Word.idle);
}

/** The numbers from 0 to `count` in random order. */
export function shuffled(count: number, pick: (limit: number) => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = pick(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}
