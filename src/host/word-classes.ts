/**
 * The classes of `layout.ts` as a table that a program can read: for tools that check accesses, and name words. A test
 * holds it to the comments there.
 */
import {
  Consumer,
  Descriptor,
  Eventfd,
  Header,
  Injection,
  IOAPIC_PINS,
  Node,
  POOLS,
  type PoolName,
  Producer,
  Rec,
  Root,
  Route,
  Routing,
  Thread,
  Vcpu,
  Vm,
} from "./layout.js";

/**
 * `A` atomic, `A64` atomic and 64 bits wide; guarded: `H` by the host mutex, `V` by the mutex of its VM, `O` by the thread
 * that runs the vCPU, `C` constant while the record lives.
 */
export type WordClass = "A" | "A64" | "H" | "V" | "O" | "C";

/** Where a field starts in its record, its class, and how many words it takes if not one. */
export type Field = readonly [at: number, wordClass: WordClass, words?: number];
export type Fields = Readonly<Record<string, Field>>;

/** The first two words of every record but a thread's, which is claimed by its state word. */
export const REC_FIELDS: Fields = {
  generation: [Rec.generation, "H"],
  link: [Rec.link, "H"],
};

export const HEADER_FIELDS: Fields = {
  magic: [Header.magic, "C"],
  version: [Header.version, "C"],
  size: [Header.size, "C"],
  id: [Header.id, "C"],
  capacities: [Header.capacities, "C", POOLS.length],
  kinds: [Header.kinds, "C", Header.kindsEnd - Header.kinds],
  ticks: [Header.ticks, "A"],
  bypass: [Header.bypass, "A"],
  threads: [Header.threads, "A"],
  looking: [Header.looking, "A"],
  mutex: [Header.mutex, "A"],
  producers: [Header.producers, "H", Root.words],
  consumers: [Header.consumers, "H", Root.words],
  linuxEventfds: [Header.linuxEventfds, "H", Root.words],
  doorbell: [Header.doorbell, "A"],
  epoll: [Header.epoll, "A"],
  epollControl: [Header.epollControl, "A"],
  changes: [Header.changes, "A"],
  watchers: [Header.watchers, "A"],
  defaultRouting: [Header.defaultRouting, "A"],
  pools: [Header.pools, "H", 3 * POOLS.length],
  relays: [Header.relays, "A", Header.kinds - Header.relays],
};

export const DESCRIPTOR_FIELDS: Fields = {
  pir: [Descriptor.pir, "A", 8],
  control: [Descriptor.control, "A"],
  ndst: [Descriptor.ndst, "A"],
};

export const RECORD_FIELDS: Readonly<Record<PoolName, Fields>> = {
  thread: {
    state: [Thread.state, "A"],
    pid: [Thread.pid, "C"],
    tid: [Thread.tid, "C"],
    startLow: [Thread.startLow, "C"],
    startHigh: [Thread.startHigh, "C"],
    capable: [Thread.capable, "C"],
    signalling: [Thread.signalling, "A"],
    writing: [Thread.writing, "A"],
  },
  eventfd: {
    ...REC_FIELDS,
    flags: [Eventfd.flags, "C"],
    handles: [Eventfd.handles, "H"],
    counter: [Eventfd.counter, "A64", 2],
    sequence: [Eventfd.sequence, "A"],
    sleepers: [Eventfd.sleepers, "A"],
    irqfd: [Eventfd.irqfd, "A"],
    fd: [Eventfd.fd, "H"],
    kernelId: [Eventfd.kernelId, "C"],
    owner: [Eventfd.owner, "C"],
    holds: [Eventfd.holds, "H"],
  },
  producer: {
    ...REC_FIELDS,
    kind: [Producer.kind, "C"],
    eventfd: [Producer.eventfd, "H"],
    consumer: [Producer.consumer, "H"],
    irq: [Producer.irq, "H"],
    owner: [Producer.owner, "H"],
    intent: [Producer.intent, "H"],
    irte: [Producer.irte, "A"],
    since: [Producer.since, "H"],
  },
  consumer: {
    ...REC_FIELDS,
    kind: [Consumer.kind, "C"],
    eventfd: [Consumer.eventfd, "H"],
    producer: [Consumer.producer, "H"],
    owner: [Consumer.owner, "C"],
    intent: [Consumer.intent, "H"],
    since: [Consumer.since, "H"],
    target: [Consumer.target, "A"],
    policy: [Consumer.policy, "C"],
    pending: [Consumer.pending, "A"],
    source: [Consumer.source, "A"],
    refusal: [Consumer.refusal, "H"],
    vm: [Consumer.vm, "C"],
    gsi: [Consumer.gsi, "C"],
    previous: [Consumer.previous, "V"],
    next: [Consumer.next, "V"],
    flags: [Consumer.flags, "C"],
    resample: [Consumer.resample, "C"],
    leftover: [Consumer.leftover, "A"],
    nextResampler: [Consumer.nextResampler, "A"],
  },
  vm: {
    ...REC_FIELDS,
    mutex: [Vm.mutex, "A"],
    flags: [Vm.flags, "C"],
    vcpus: [Vm.vcpus, "C"],
    routing: [Vm.routing, "V"],
    irqfds: [Vm.irqfds, "V"],
    irqfdCount: [Vm.irqfdCount, "V"],
    owner: [Vm.owner, "C"],
    fd: [Vm.fd, "C"],
    resamplers: [Vm.resamplers, "A"],
    lines: [Vm.lines, "V"],
    dying: [Vm.dying, "V"],
    ioapic: [Vm.ioapic, "V", Vm.sources - Vm.ioapic],
    sources: [Vm.sources, "V", IOAPIC_PINS],
    vcpu: [Vm.vcpu, "C", Vm.words - Vm.vcpu],
  },
  vcpu: {
    ...REC_FIELDS,
    vm: [Vcpu.vm, "C"],
    index: [Vcpu.index, "C"],
    runner: [Vcpu.runner, "A"],
    wake: [Vcpu.wake, "A"],
    tpr: [Vcpu.tpr, "O"],
    descriptor: [Vcpu.descriptor, "A", Vcpu.irr - Vcpu.descriptor],
    irr: [Vcpu.irr, "O", 8],
    isr: [Vcpu.isr, "O", 8],
    tmr: [Vcpu.tmr, "A", 8],
  },
  route: {
    ...REC_FIELDS,
    next: [Route.next, "V"],
    type: [Route.type, "V"],
    a: [Route.a, "V"],
    b: [Route.b, "V"],
    c: [Route.c, "V"],
  },
  routing: {
    ...REC_FIELDS,
    count: [Routing.count, "V"],
    gsi: [Routing.gsi, "V", Routing.pins - Routing.gsi],
    pins: [Routing.pins, "V", Routing.words - Routing.pins],
  },
  injection: {
    ...REC_FIELDS,
    fd: [Injection.fd, "C"],
    addressLow: [Injection.addressLow, "C"],
    addressHigh: [Injection.addressHigh, "C"],
    data: [Injection.data, "C"],
    kind: [Injection.kind, "C"],
  },
  node: {
    generation: [Rec.generation, "H"],
    parent: [Node.parent, "H"],
    offset: [Node.offset, "H"],
    count: [Node.count, "H"],
    slots: [Node.slots, "H", Node.words - Node.slots],
  },
};
