/** A small host whose every access to shared memory can be counted, changed, or made the moment for something else. */
import assert from "node:assert/strict";
import { Eventfd, Host, type Kind, Producer, Vcpu, Vm, type Words } from "irqbypass";
import { Consumer, Header, RelayState, Vcpu as V } from "#src/host/layout.js";
import { SharedWords } from "#src/host/words.js";
import { relayOne } from "#src/vm/relay.js";
import type { Supervision } from "#src/vm/supervision.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { smallHost } from "../support/host.js";
import { inside } from "./proof.js";

/** Accesses of a host, as they are about to happen. */
export type Watch = (access: keyof Words, word: number) => void;

/** One thread's way to the words, with a watch that may be set at any time. */
class Watched {
  watch: Watch | undefined;
  /** Accesses that are played false. */
  played: Partial<Words> = {};
  readonly words: Words;

  constructor(readonly real: Words) {
    this.words = new Proxy(real, {
      get: (target, name: keyof Words) => {
        return (...args: unknown[]) => {
          this.watch?.(name, args[0] as number);
          const access = (this.played[name] ?? target[name]) as (...args: unknown[]) => unknown;
          return access.apply(target, args);
        };
      },
    });
  }
}

export const VECTOR = 0x41;
export const OTHER_VECTOR = 0x42;
export const GSI = 24;

/** A host with a VM of two vCPUs whose GSI 24 goes to the first of them. No relay thread: `relay` runs it here. */
export class World {
  readonly host: Host;
  readonly vm: Vm;
  readonly eventfd: Eventfd;
  private readonly watched: Watched;
  private readonly views: Host[] = [];

  constructor({ kinds = [] }: { kinds?: readonly Kind[] } = {}) {
    let watched: Watched | undefined;
    this.host = smallHost({
      kinds,
      words: (...view) => {
        watched = new Watched(new SharedWords(...view));
        return watched.words;
      },
    });
    this.watched = watched!;
    this.host.words.store(Header.relays, RelayState.running | this.host.thread.record); // or a thread would be started
    this.vm = new Vm(this.host, { vcpus: 2 });
    this.vm.setGsiRouting([msi(GSI, 0)]);
    this.eventfd = Eventfd.create(this.host);
  }

  /** The host as another thread sees it. */
  other(): Host {
    const kinds = this.host.kinds.slice(1);
    const view = Host.attach(this.host.handle, { kinds });
    (view.kinds as Kind[])[0] = this.host.kinds[0]!;
    this.views.push(view);
    return view;
  }

  /** Replaces parts of the kind of software irqfds. */
  playKind(change: (shipped: Kind) => Partial<Kind>): void {
    const shipped = this.host.kinds[0]!;
    for (const { kinds } of [this.host, ...this.views])
      (kinds as Kind[])[0] = { ...shipped, ...change(shipped) };
  }

  /** A registered producer of an eventfd, in the thread of a view of the host. */
  producer(eventfd = this.eventfd, host = this.host): Producer {
    const producer = Producer.create(host);
    producer.register(host === this.host ? eventfd : Eventfd.open(host, eventfd.handle));
    return producer;
  }

  /** What the relay thread would do now. */
  relay(): void {
    this.host.pending.takeAll((irqfd) => relayOne(this.host, irqfd));
  }

  vcpu(index = 0, vm = this.vm): Vcpu {
    return Vcpu.open(this.host, vm.vcpu(index).handle);
  }

  /** The vectors that are posted to a vCPU or requested in its local APIC; nothing is taken. */
  vectors(index = 0, vm = this.vm): number[] {
    const { words } = this.host;
    const { record } = vm.vcpu(index);
    const has = (base: number, vector: number) =>
      (words.load(base + (vector >>> 5)) & (1 << (vector & 31))) !== 0;
    return Array.from({ length: 256 }, (_, vector) => vector).filter(
      (vector) => has(record + V.descriptor, vector) || has(record + V.irr, vector),
    );
  }

  /** Plays some accesses of this thread false. */
  playWords(change: (real: Words) => Partial<Words>): void {
    this.watched.played = change(this.watched.real);
  }

  /** Calls `watch` before every access of this thread, until it is called without one. */
  watch(watch?: Watch): void {
    this.watched.watch = watch;
  }

  /** Accesses of this thread while `act` runs. */
  steps(act: () => void): number {
    let steps = 0;
    this.watch(() => steps++);
    act();
    this.watch();
    return steps;
  }

  /** Lets go of everything, whatever state it is in. */
  end(): void {
    inside<Supervision>(this.host, "supervision").end();
  }

  /** What of this thread's the other one waits for: twins wait for less. */
  readonly waitsFor = new Set(["host mutex", "VM mutex", "signals in flight", "deassign"]);

  /** Could the other thread run now without waiting for this one? */
  get free(): boolean {
    const { mutex, thread, words, pools } = this.host;
    const irqfds = Array.from({ length: pools.consumer.used }, (_, slot) => pools.consumer.at(slot));
    const busy = {
      "host mutex": mutex.held(),
      "VM mutex": vmMutex(this.host, recordOf(this.vm)).held(),
      deassign: irqfds.some((irqfd) => words.get(irqfd + Consumer.closing) === thread.record),
      "signals in flight": (words.load(thread.signalling) | words.load(thread.writing)) !== 0,
    };
    return !Object.entries(busy).some(([what, is]) => is && this.waitsFor.has(what));
  }
}

/** The record of a VM, and of a producer. */
export function recordOf(object: Vm | Producer): number {
  const inside = object as unknown as
    | { readonly record: number }
    | { readonly life: { readonly record: number } };
  return "life" in inside ? inside.life.record : inside.record;
}

export const msi = (gsi: number, vcpu: number, vector = VECTOR) => ({ gsi, msi: { vcpu, vector } });

/**
 * Runs `first` in a fresh world for each of its accesses, and `second` at once before that access (where it would not
 * have to wait for the first), then looks whether all is well. Every order of the two is seen in which the second is
 * not interrupted itself.
 */
export function atEveryMoment<W extends World>(
  setUp: () => W,
  first: (world: W) => void,
  second: (world: W) => void,
  check: (world: W) => void,
): number {
  for (let moment = 0; ; moment++) {
    const world = setUp();
    let left = moment;
    let ran = false;
    const watch: Watch = () => {
      world.watch();
      if (world.free && left-- === 0) {
        ran = true;
        second(world);
      } else {
        world.watch(watch);
      }
    };
    world.watch(watch);
    first(world);
    world.watch();
    if (!ran) second(world);
    check(world);
    world.end();
    if (!ran) {
      assert.ok(moment > 0, "the first thread has no moments: nothing is tested");
      return moment;
    }
  }
}
