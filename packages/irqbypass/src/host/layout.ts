/**
 * The shared memory as one table: every record, every word, who may touch it and how.
 *
 * A record is a run of 32-bit words; a *reference* to it is the index of its first word from the start of the
 * host, so that following one costs nothing. Word 0 of every record is its generation and word 1 links it into
 * its pool's free list. `A` marks atomic words, which any thread touches at any time; all others are guarded:
 * `H` by the host mutex, `V` by the mutex of their VM, `O` by the thread that owns the record (a thread record's
 * own thread; for a vCPU the thread that runs it), `C` constant while the record lives.
 *
 * The offsets are const enums: they cost nothing at run time, and the names are there for a trace to print.
 */

import { Device } from "./layout/device.js";
import { Consumer, Eventfd, Injection, Producer, Reference } from "./layout/ends.js";
import { Epoll, Watch } from "./layout/epoll.js";
import { Header, Node, Thread } from "./layout/ground.js";
import { Ioeventfd, Route, Routing, Vcpu, Vm } from "./layout/machine.js";

export * from "./layout/device.js";
export * from "./layout/ends.js";
export * from "./layout/epoll.js";
export * from "./layout/ground.js";
export * from "./layout/interrupt-file.js";
export * from "./layout/machine.js";

/**
 * The pools, in memory order. Each has its capacity in the header and hands out records of one size, zeroed but for the first
 * two words and those of {@link KEPT}.
 */
export const POOLS = [
  { name: "thread", words: Thread.words },
  { name: "eventfd", words: Eventfd.words },
  { name: "producer", words: Producer.words },
  { name: "consumer", words: Consumer.words },
  { name: "vm", words: Vm.words },
  { name: "vcpu", words: Vcpu.words },
  { name: "route", words: Route.words },
  { name: "routing", words: Routing.words },
  { name: "injection", words: Injection.words },
  { name: "reference", words: Reference.words },
  { name: "ioeventfd", words: Ioeventfd.words },
  { name: "epoll", words: Epoll.words },
  { name: "watch", words: Watch.words },
  { name: "device", words: Device.words },
  { name: "node", words: Node.words },
] as const satisfies readonly { readonly name: PoolName; readonly words: number }[];

/** The state of the pool of nodes in {@link Header.pools}: the fifteenth. */
export const NODES = Header.pools + 14 * 3;

/** What a host keeps records of. Written out, since it is public and the table is not. */
export type PoolName =
  | "thread"
  | "eventfd"
  | "producer"
  | "consumer"
  | "vm"
  | "vcpu"
  | "route"
  | "routing"
  | "injection"
  | "reference"
  | "ioeventfd"
  | "epoll"
  | "watch"
  | "device"
  | "node";

/**
 * How many words behind the first two a record keeps when it is given back: whoever waits for a VM's mutex while the VM goes
 * gets it afterwards and finds out under it, whoever knows its ioeventfds finds out by its bus, whoever is about to kick a
 * vCPU by its life; and it is with a device as with both.
 */
export const KEPT: Readonly<Partial<Record<PoolName, number>>> = { vm: 2, vcpu: 1, device: 3 };
