/** Damage to the header, the threads, the pools and the indexes, and what the audit says of it. */
import { Host } from "irqbypass";
import {
  Eventfd as E,
  Header,
  NODES,
  Node,
  Rec,
  RelayState,
  Root,
  Thread,
  Vm as V,
} from "#src/host/layout.js";
import type { Case } from "./sound.js";

/** One that nobody is. */
const THREAD_7 = 7;

export const GROUND: readonly Case[] = [
  // The header.
  {
    what: "another layout version",
    damage: (s) => s.add(Header.version, 1),
    found: ["header the header"],
  },
  { what: "no magic number", damage: (s) => s.set(Header.magic, 0), found: ["header the header"] },
  { what: "another size", damage: (s) => s.add(Header.size, -16), found: ["header the header"] },
  {
    what: "another capacity",
    damage: (s) => s.add(Header.capacities + 2, 1),
    found: ["header the header"],
  },
  {
    what: "another name of a kind",
    damage: (s) => s.add(Header.kinds + 2, 1),
    found: ["header the header"],
  },
  {
    what: "a word behind the names",
    damage: (s) => s.set(Header.kindsEnd - 1, 5),
    found: ["header the header"],
  },
  { what: "a stray word", damage: (s) => s.set(Header.bypass + 2, 5), found: ["header the header"] },
  {
    what: "half a switch",
    damage: (s) => s.set(Header.bypass, 3),
    found: ["header the header"],
  },
  {
    what: "fewer watchers than none",
    damage: (s) => s.set(Header.watchers, -1),
    found: ["count the header"],
  },
  {
    what: "an epoll descriptor below 0",
    damage: (s) => s.set(Header.epoll, -9),
    found: ["header the header"],
  },
  { what: "a relay in no state", damage: (s) => s.set(Header.relays, 9), found: ["header the header"] },
  {
    what: "a relay that is no thread",
    damage: (s) => s.set(Header.relays, RelayState.running | s.at("consumer", 0)),
    found: ["header the header"],
  },
  { what: "a relay of no kind", damage: (s) => s.set(Header.relays + 9, 1), found: ["header the header"] },
  {
    what: "a default routing table that is none",
    damage: (s) => s.set(Header.defaultRouting, s.at("vm", 0)),
    found: ["dangling the header", "unreachable routing table 0"],
  },
  {
    what: "no default routing table",
    damage: (s) => s.set(Header.defaultRouting, 0),
    found: ["dangling the header", "unreachable routing table 0"],
  },
  {
    what: "a thread that looks for ever",
    damage: (s) => s.set(Header.looking, 1),
    found: ["unfinished the header"],
  },
  {
    what: "a thread that is gone, and looks",
    damage: (s) => s.set(Header.looking, 8),
    found: ["unfinished the header"],
  },
  {
    what: "nothing in another thread that looks while it lives, as the relay does at any moment",
    damage: (s) => s.set(Header.looking, Host.attach(s.host.handle).thread.lockId),
    found: [],
  },
  {
    what: "no thread counted",
    damage: (s) => s.set(Header.threads, 0),
    found: ["count thread 0"],
  },
  {
    what: "more threads than there can be",
    damage: (s) => s.set(Header.threads, 99),
    found: ["count the header"],
  },
  // Threads.
  {
    what: "a thread in no state",
    damage: (s) => s.set(s.at("thread", THREAD_7) + Thread.state, 4),
    found: ["count thread 7", "value thread 7"],
  },
  {
    what: "a lost thread",
    damage: (s) => s.set(s.at("thread", THREAD_7) + Thread.state, 3),
    found: ["count thread 7", "orphan thread 7"],
  },
  {
    what: "a free thread with a pid",
    damage: (s) => s.set(s.at("thread", THREAD_7) + Thread.pid, 5),
    found: ["value thread 7"],
  },
  {
    what: "a free thread in flight",
    damage: (s) => s.set(s.at("thread", THREAD_7) + Thread.writing, s.at("eventfd", 0)),
    found: ["in-flight thread 7"],
  },
  {
    what: "a free thread that asks for a route",
    damage: (s) => s.set(s.at("thread", THREAD_7) + Thread.asked, s.at("vm", 0)),
    found: ["unfinished thread 7"],
  },
  {
    what: "a thread that asks for a route of no VM",
    damage: (s) => s.set(s.at("thread", 0) + Thread.asked, s.at("eventfd", 0)),
    found: ["value thread 0"],
  },
  {
    what: "a capability for no kind",
    damage: (s) => s.set(s.at("thread", 0) + Thread.capable, 8),
    found: ["value thread 0"],
  },
  {
    what: "a signal of no producer",
    damage: (s) => s.set(s.at("thread", 0) + Thread.signalling, s.at("eventfd", 0)),
    found: ["in-flight thread 0"],
  },
  {
    what: "a write to no eventfd",
    damage: (s) => s.set(s.at("thread", 0) + Thread.writing, 3),
    found: ["in-flight thread 0"],
  },
  {
    what: "a used state of the pool of threads",
    damage: (s) => s.set(Header.pools, 3),
    found: ["pool the pool of threads"],
  },
  {
    what: "an ended thread",
    damage: (s) => {
      const thread = s.at("thread", 1);
      s.set(thread + Thread.state, 1);
      s.set(Header.threads, 2);
      s.set(thread + Thread.pid, s.get(s.at("thread", 0) + Thread.pid));
      s.set(thread + Thread.tid, 0x3fffffff);
    },
    found: ["orphan thread 1"],
  },
  // Pools.
  {
    what: "a free list in a circle",
    damage: (s) => s.set(s.at("eventfd", 70) + Rec.link, s.at("eventfd", 70)),
    found: ["pool the pool of eventfd records"],
  },
  {
    what: "a free list that leads out",
    damage: (s) => s.set(s.at("eventfd", 70) + Rec.link, 5),
    found: ["pool the pool of eventfd records"],
  },
  {
    what: "a live record on the free list",
    damage: (s) => s.set(s.at("eventfd", 70) + Rec.link, s.at("eventfd", 9)),
    found: ["pool eventfd 9"],
  },
  {
    what: "a free record off the free list",
    damage: (s) => s.set(Header.pools + 3 * 1, 0),
    found: ["pool eventfd 70"],
  },
  {
    what: "a free record that is not empty",
    damage: (s) => s.set(s.at("eventfd", 70) + E.owner, 9),
    found: ["pool eventfd 70"],
  },
  {
    what: "a wrong count of live records",
    damage: (s) => s.add(Header.pools + 3 * 3 + 2, 1),
    found: ["pool the pool of consumer records"],
  },
  {
    what: "more records handed out than there are",
    damage: (s) => s.set(NODES + 1, 1e6),
    found: ["pool the pool of node records"],
  },
  {
    what: "a link in a live record",
    damage: (s) => s.set(s.at("producer", 0) + Rec.link, 3),
    found: ["pool producer 0"],
  },
  {
    what: "a stray word of a record",
    damage: (s) => s.set(s.at("vm", 0) + V.vcpu - 1, 3),
    found: ["value VM 0"],
  },
  // Indexes.
  {
    what: "an index of impossible height",
    damage: (s) => s.set(Header.consumers + Root.levels, 9),
    found: [
      "index the index of irqfds",
      "index irqfd 0",
      "index irqfd 1",
      "index irqfd 3",
      "partner producer 0",
      "unreachable index node 0",
      "unreachable index node 1",
      "unreachable index node 2",
    ],
  },
  {
    what: "a wrong count in a node",
    damage: (s) => s.add(s.top(Header.consumers) + Node.count, 1),
    found: ["index index node 1"],
  },
  {
    what: "a node in another place",
    damage: (s) => s.add(s.get(s.top(Header.consumers) + Node.slots + 1) + Node.offset, 1),
    found: ["index index node 2"],
  },
  {
    what: "an entry that is gone",
    damage: (s) => s.set(s.get(s.top(Header.consumers) + Node.slots) + Node.slots + 1, 0),
    found: ["index index node 0", "index irqfd 1"],
  },
  {
    what: "an entry in the wrong slot",
    damage: (s) => {
      const leaf = s.top(Header.producers);
      s.set(leaf + Node.slots + 6, s.get(leaf + Node.slots + 5));
      s.set(leaf + Node.slots + 5, 0);
    },
    found: ["index producer 1", "index the index of producers"],
  },
  {
    what: "an entry of what is no producer",
    damage: (s) => s.set(s.top(Header.producers) + Node.slots + 5, 77),
    found: ["index producer 1", "index the index of producers"],
  },
  {
    what: "an empty node",
    damage: (s) => {
      const leaf = s.get(s.top(Header.consumers) + Node.slots + 1);
      s.set(leaf + Node.slots + 5, 0);
      s.set(leaf + Node.count, 0);
    },
    found: ["index index node 2", "index irqfd 3"],
  },
  {
    what: "a tree that goes in a circle",
    damage: (s) => {
      const top = s.top(Header.consumers);
      s.set(top + Node.slots + 1, top);
    },
    found: ["shared index node 1", "unreachable index node 2", "index irqfd 3"],
  },
  {
    what: "a node that lives no more",
    damage: (s) => s.add(s.get(s.top(Header.consumers) + Node.slots + 1) + Rec.generation, -1),
    found: [
      "dangling the index of irqfds",
      "index irqfd 3",
      "pool index node 2",
      "pool the pool of node records",
    ],
  },
];
