/** What the threads of the stress share beside the host: handles to each other's objects, who ends what, and what came of it. */

/** Objects that a thread publishes, so that others use and end them. */
export const PLACES = 6;
/** Kinds of calls that can meet an end, and what they meet. */
export const CALLS = [
  "vm use",
  "vm open",
  "vm dispose",
  "vcpu open",
  "vcpu use",
  "irqfd",
  "eventfd",
  "device",
  "device open",
  "device use",
  "device signal",
  "device adopt",
  "msix new",
  "msix open",
  "msix use",
  "vdpa open",
  "vdpa use",
  "vdpa adopt",
  "epoll open",
  "epoll use",
  "ioeventfd",
  "store",
  "audit",
] as const;
export type Call = (typeof CALLS)[number];
export const ENDS = [
  "vm dispose",
  "irqfd dispose",
  "eventfd close",
  "device dispose",
  "msix dispose",
  "vdpa dispose",
  "vdpa release",
  "epoll close",
  "ioeventfd dispose",
  "repair",
] as const;
export type End = (typeof ENDS)[number];

/** Kinds of objects that are published: VMs, eventfds, epolls, devices, vDPA devices, MSI-X and its VM. */
const KINDS = 7;
const COUNTS = CALLS.length * ENDS.length;
/** Threads at once, with the one that starts them. */
const SEATS = 16;
const enum At {
  /** 1: the threads are to come to an end. */
  stop = 0,
  calls = 1,
  interrupts = 2,
  overlaps = 3,
}
/** For each seat and kind of end: is its thread in the middle of one? */
const ENDING = At.overlaps + COUNTS;
const WORDS = ENDING + SEATS * ENDS.length;

export class Board {
  readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly handles: Float64Array;

  /** For the thread in a seat, of which each has one. */
  constructor(
    private readonly seat: number,
    buffer?: SharedArrayBuffer,
  ) {
    const start = Math.ceil(WORDS / 2) * 8;
    this.buffer = buffer ?? new SharedArrayBuffer(start + KINDS * PLACES * 8);
    this.words = new Int32Array(this.buffer, 0, WORDS);
    this.handles = new Float64Array(this.buffer, start, KINDS * PLACES);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, At.stop) !== 0;
  }
  stop(): void {
    Atomics.store(this.words, At.stop, 1);
  }

  /** A VM. One handle at a place, so that a thread that dies while it publishes leaves nothing half done. */
  publishVm(place: number, vm: number): void {
    this.handles[place] = vm;
  }
  vmAt(place: number): number {
    return this.handles[place]!;
  }
  publishEventfd(place: number, eventfd: number): void {
    this.handles[PLACES + place] = eventfd;
  }
  eventfdAt(place: number): number {
    return this.handles[PLACES + place]!;
  }

  publishEpoll(place: number, epoll: number): void {
    this.handles[2 * PLACES + place] = epoll;
  }
  epollAt(place: number): number {
    return this.handles[2 * PLACES + place]!;
  }

  publishDevice(place: number, device: number): void {
    this.handles[3 * PLACES + place] = device;
  }
  deviceAt(place: number): number {
    return this.handles[3 * PLACES + place]!;
  }

  publishVdpa(place: number, vdpa: number): void {
    this.handles[4 * PLACES + place] = vdpa;
  }
  vdpaAt(place: number): number {
    return this.handles[4 * PLACES + place]!;
  }

  /** Two handles: whoever reads them may have those of two. */
  publishMsix(place: number, msix: number, vm: number): void {
    this.handles[5 * PLACES + place] = msix;
    this.handles[6 * PLACES + place] = vm;
  }
  msixAt(place: number): { readonly msix: number; readonly vm: number } {
    return { msix: this.handles[5 * PLACES + place]!, vm: this.handles[6 * PLACES + place]! };
  }

  /** Runs a call, and counts the ends that were under way when it began or ended. */
  during<T>(call: Call, run: () => T): T {
    this.meet(call);
    try {
      return run();
    } finally {
      this.meet(call);
      Atomics.add(this.words, At.calls, 1);
    }
  }

  begin(end: End): void {
    Atomics.store(this.words, this.ending(this.seat, ENDS.indexOf(end)), 1);
  }
  finish(end: End): void {
    Atomics.store(this.words, this.ending(this.seat, ENDS.indexOf(end)), 0);
  }
  /** The thread in a seat has died: it is in the middle of nothing any more. */
  reset(seat: number): void {
    for (let end = 0; end < ENDS.length; end++) Atomics.store(this.words, this.ending(seat, end), 0);
  }

  interrupted(): void {
    Atomics.add(this.words, At.interrupts, 1);
  }

  get calls(): number {
    return Atomics.load(this.words, At.calls);
  }
  get interrupts(): number {
    return Atomics.load(this.words, At.interrupts);
  }
  overlaps(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      CALLS.flatMap((call, i) =>
        ENDS.map((end, j) => [
          `${call} x ${end}`,
          Atomics.load(this.words, At.overlaps + i * ENDS.length + j),
        ]),
      ),
    );
  }

  private ending(seat: number, end: number): number {
    return ENDING + seat * ENDS.length + end;
  }

  private meet(call: Call): void {
    for (let seat = 0; seat < SEATS; seat++) {
      for (let end = 0; end < ENDS.length && seat !== this.seat; end++) {
        if (Atomics.load(this.words, this.ending(seat, end)) === 0) continue;
        Atomics.add(this.words, At.overlaps + CALLS.indexOf(call) * ENDS.length + end, 1);
      }
    }
  }
}

/** The only vector that a VM's routes name: by its handle, so that whoever sees another knows that it is a stranger's. */
export const vectorOf = (vm: number): number =>
  0x20 + ((Math.floor(vm / 2 ** 21) * 31 + (vm % 2 ** 21)) % 200);
