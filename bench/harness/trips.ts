/**
 * There and back between two threads, both asleep in between. They take turns: some trips of the kind that is measured, and as many by a
 * bare `Atomics.wait` and `notify`. On which cores two threads land changes the time of a trip threefold, and one program keeps
 * that for seconds: only what the same two threads do can be compared. For Node and pages alike.
 */
import { Eventfd, Host, type HostHandle, Producer, Vcpu, Vm } from "irqbypass";
import { VECTOR } from "./machines.js";

/** One of two ends: 0 begins, 1 answers. */
export type Side = 0 | 1;

/** How an end tells the other one, and how it waits for that one. */
export interface End {
  send(): void;
  /** Blocks. */
  receive(): void;
}

/** What both ends open. */
export interface Joined {
  readonly kind: "doorbells" | "interrupts";
  readonly host: HostHandle;
  /** By which each side is told, and the vCPU that it is. */
  readonly eventfds: readonly [number, number];
  readonly vcpus: readonly [number, number];
}

/** What an end needs. */
export interface TripData {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly joined: Joined;
}

/** What an end that begins trips has measured, in nanoseconds a trip. */
export interface TripTimes {
  readonly own: readonly number[];
  readonly bare: readonly number[];
}

/** Words of the two ends, each on a line of its own. */
const Word = { turn: 0, told: [32, 64], words: 96 } as const;
/** Trips of a turn; the first wakes the other end for it, and does not count. */
const TRIPS = 50;

/** Words for two ends. */
export function tripWords(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(Word.words * 4));
}

/** Builds what both sides open, in a third thread. */
export function joined(kind: Joined["kind"]): Joined {
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 2, apic: false });
  vm.setGsiRouting([0, 1].map((vcpu) => ({ gsi: vcpu, msi: { vcpu, vector: VECTOR } })));
  const make = (side: Side) => {
    const eventfd = Eventfd.create(host);
    if (kind === "interrupts") vm.irqfd(eventfd, side, { bypass: "require" });
    return eventfd.handle;
  };
  const vcpus = [vm.vcpu(0).handle, vm.vcpu(1).handle] as const;
  return { kind, host: host.handle, eventfds: [make(0), make(1)], vcpus };
}

/** The end of one side. */
export function openEnd({ kind, host: handle, eventfds, vcpus }: Joined, side: Side): End {
  const host = Host.attach(handle);
  const [mine, others] = [side, 1 - side].map((of) => Eventfd.open(host, eventfds[of as Side]));
  if (kind === "doorbells") return { send: () => others!.signal(), receive: () => void mine!.read() };
  const producer = Producer.create(host);
  producer.register(others!);
  const vcpu = Vcpu.open(host, vcpus[side]);
  const into = new Uint32Array(8);
  return {
    send: () => producer.signal(),
    receive() {
      do vcpu.wait();
      while (!vcpu.take(into));
    },
  };
}

/** The yardstick. */
export function bareEnd(words: Int32Array, side: Side): End {
  const [mine, others] = [Word.told[side], Word.told[side === 0 ? 1 : 0]];
  let [sent, received] = [0, 0];
  return {
    send() {
      sent = (sent + 1) | 0;
      Atomics.store(words, others, sent);
      Atomics.notify(words, others);
    },
    receive() {
      const before = received;
      received = (received + 1) | 0;
      while (Atomics.load(words, mine) === before) Atomics.wait(words, mine, before);
    },
  };
}

/** Answers all trips: side 1, for ever. */
export function answerTrips(words: Int32Array, own: End): never {
  const bare = bareEnd(words, 1);
  for (let seen = 0; ; ) {
    Atomics.wait(words, Word.turn, seen);
    const turn = Atomics.load(words, Word.turn);
    if (turn === seen) continue;
    seen = turn;
    const { send, receive } = turn & 1 ? own : bare;
    for (let left = TRIPS; left > 0; left--) {
      receive();
      send();
    }
  }
}

/** Begins trips: side 0. */
export class Trips {
  private readonly bare: End;
  private turn = 0;

  constructor(
    private readonly words: Int32Array,
    private readonly own: End,
  ) {
    this.bare = bareEnd(words, 0);
  }

  /** A turn: calls `begin` once and then `each` after every trip, of which it returns the number. */
  take(what: "own" | "bare", begin: () => void, each?: () => void): number {
    const isOwn = what === "own";
    this.turn += (this.turn & 1) === (isOwn ? 1 : 0) ? 2 : 1;
    Atomics.store(this.words, Word.turn, this.turn);
    Atomics.notify(this.words, Word.turn);
    const { send, receive } = isOwn ? this.own : this.bare;
    send();
    receive();
    begin();
    for (let left = TRIPS - 1; left > 0; left--) {
      send();
      receive();
      each?.();
    }
    return TRIPS - 1;
  }
}
