/** Damage to eventfds, producers and irqfds, and what the audit says of it. */
import {
  Consumer,
  Eventfd as E,
  Header,
  Injection,
  LEAVING,
  Producer as P,
  Reference,
  RelayState,
} from "#src/host/layout.js";
import type { Case } from "./sound.js";

/** One that nobody is. */
const THREAD_7 = 7;

export const ENDS: readonly Case[] = [
  // Eventfds.
  {
    what: "unknown flags",
    damage: (s) => s.set(s.at("eventfd", 9) + E.flags, 0x80),
    found: ["value eventfd 9"],
  },
  {
    what: "a reason of drops that there is not",
    damage: (s) => s.set(s.at("eventfd", 9) + E.droppedFor, 70),
    found: ["value eventfd 9"],
  },
  {
    what: "a descriptor of a shared eventfd",
    damage: (s) => s.set(s.at("eventfd", 9) + E.fd, 8),
    found: ["value eventfd 9"],
  },
  {
    what: "a Linux eventfd that no id leads to",
    damage: (s) => {
      s.set(s.at("eventfd", 9) + E.flags, 2);
      s.set(s.at("eventfd", 9) + E.fd, 8);
    },
    found: ["value eventfd 9", "index eventfd 9"],
  },
  {
    what: "a leaked eventfd",
    damage: (s) => s.set(s.at("eventfd", 9) + E.handles, 0),
    found: ["count eventfd 9", "unreachable eventfd 9"],
  },
  {
    what: "a handle too few",
    damage: (s) => s.set(s.at("eventfd", 9) + E.handles, -1),
    found: ["count eventfd 9"],
  },
  {
    what: "a hold too few",
    damage: (s) => s.add(s.at("eventfd", 0) + E.holds, -1),
    found: ["count eventfd 0"],
  },
  {
    what: "a hold too many",
    damage: (s) => s.add(s.at("eventfd", 2) + E.holds, 1),
    found: ["count eventfd 2"],
  },
  {
    what: "an irqfd that listens to a closed eventfd",
    damage: (s) => s.set(s.at("eventfd", 0) + E.handles, 0),
    found: ["count eventfd 0", "unfinished eventfd 0"],
  },
  {
    what: "an eventfd of no irqfd",
    damage: (s) => s.set(s.at("eventfd", 0) + E.irqfd, 6),
    found: ["dangling eventfd 0", "partner irqfd 0"],
  },
  {
    what: "an eventfd of another irqfd",
    damage: (s) => s.set(s.at("eventfd", 0) + E.irqfd, s.at("consumer", 1)),
    found: ["partner eventfd 0", "partner irqfd 0"],
  },
  {
    what: "an irqfd that is leaving, and nobody ends it",
    damage: (s) => s.set(s.at("eventfd", 0) + E.irqfd, s.at("consumer", 0) | LEAVING),
    found: ["partner irqfd 0", "unfinished eventfd 0"],
  },
  {
    what: "a descriptor that nobody closes",
    damage: (s) => s.set(s.at("eventfd", 9) + E.holds, -s.at("thread", 0)),
    found: ["unfinished eventfd 9"],
  },
  {
    what: "a reference in no role",
    damage: (s) => s.set(s.at("reference", 9) + Reference.role, 7),
    found: ["value reference 9", "count eventfd 9"],
  },
  {
    what: "a reference of a thread that is gone",
    damage: (s) => s.set(s.at("reference", 9) + Reference.owner, s.at("thread", 7)),
    found: ["orphan reference 9"],
  },
  {
    what: "a reference to an eventfd that is gone",
    damage: (s) => s.set(s.at("reference", 9) + Reference.eventfd, s.at("eventfd", 70)),
    found: ["dangling reference 9", "count eventfd 9"],
  },
  {
    what: "an owner that is no thread",
    damage: (s) => s.set(s.at("eventfd", 9) + E.owner, 5),
    found: ["dangling eventfd 9"],
  },
  // Producers.
  {
    what: "a kind that there is not",
    damage: (s) => s.set(s.at("producer", 0) + P.kind, 4),
    found: ["value producer 0"],
  },
  {
    what: "a producer that holds what was never an eventfd",
    damage: (s) => s.set(s.at("producer", 2) + P.holds, 4),
    found: ["dangling producer 2"],
  },
  {
    what: "an unregistered producer with an irqfd",
    damage: (s) => s.set(s.at("producer", 2) + P.consumer, s.at("consumer", 0)),
    found: ["partner producer 2"],
  },
  {
    what: "an unregistered producer that posts",
    damage: (s) => s.set(s.at("producer", 2) + P.irte, 1),
    found: ["entry producer 2"],
  },
  {
    what: "a producer under an eventfd that is gone",
    damage: (s) => s.set(s.at("producer", 1) + P.eventfd, s.at("eventfd", 70)),
    found: ["dangling producer 1", "index the index of producers"],
  },
  {
    what: "a producer of a thread that is gone",
    damage: (s) => s.set(s.at("producer", 1) + P.owner, s.at("thread", THREAD_7)),
    found: ["orphan producer 1"],
  },
  {
    what: "a producer that forgot its irqfd",
    damage: (s) => s.set(s.at("producer", 0) + P.consumer, 0),
    found: ["partner producer 0", "entry producer 0"],
  },
  {
    what: "a producer of another irqfd",
    damage: (s) => s.set(s.at("producer", 0) + P.consumer, s.at("consumer", 1)),
    found: ["partner producer 0"],
  },
  {
    what: "a producer of an irqfd that is gone",
    damage: (s) => s.set(s.at("producer", 0) + P.consumer, s.at("consumer", 9)),
    found: ["dangling producer 0"],
  },
  {
    what: "an entry for another vector",
    damage: (s) => s.add(s.at("producer", 0) + P.irte, 4),
    found: ["entry producer 0"],
  },
  {
    what: "an entry of no mode",
    damage: (s) => s.set(s.at("producer", 1) + P.irte, 3),
    found: ["entry producer 1"],
  },
  {
    what: "a reason that there is not",
    damage: (s) => s.set(s.at("producer", 1) + P.irte, 200 << 2),
    found: ["entry producer 1"],
  },
  // Irqfds.
  {
    what: "a policy that there is not",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.policy, 7),
    found: ["value irqfd 3"],
  },
  {
    what: "a refusal that there is not",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.refusal, 70),
    found: ["value irqfd 3"],
  },
  {
    what: "a leftover that is no flag",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.leftover, 7),
    found: ["value irqfd 3"],
  },
  {
    what: "a pending state that there is not",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.pending, 7),
    found: ["lost irqfd 3"],
  },
  {
    what: "a listening state that there is not",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.listening, 7),
    found: ["value irqfd 3"],
  },
  {
    what: "a level without a resample eventfd",
    damage: (s) => s.set(s.at("consumer", 1) + Consumer.resample, 0),
    found: ["value irqfd 1", "count eventfd 2"],
  },
  {
    what: "a resample eventfd that is gone",
    damage: (s) => s.set(s.at("consumer", 1) + Consumer.resample, s.at("eventfd", 70)),
    found: ["dangling irqfd 1", "count eventfd 2"],
  },
  {
    what: "an irqfd without a source",
    damage: (s) => s.set(s.at("consumer", 2) + Consumer.source, 0),
    found: ["unfinished irqfd 2", "partner eventfd 3"],
  },
  {
    what: "an irqfd of the wrong policy in the index",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.policy, 0),
    found: ["partner irqfd 3"],
  },
  {
    what: "an irqfd that is not in the index",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.eventfd, 0),
    found: ["unfinished irqfd 3", "index the index of irqfds"],
  },
  {
    what: "an irqfd with a producer of others",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.producer, s.at("producer", 1)),
    found: ["partner irqfd 3"],
  },
  {
    what: "an unregistered irqfd with a producer",
    damage: (s) => s.set(s.at("consumer", 2) + Consumer.producer, s.at("producer", 1)),
    found: ["partner irqfd 2"],
  },
  {
    what: "a target of another vector",
    damage: (s) => {
      s.add(s.at("consumer", 0) + Consumer.target, 4);
      s.add(s.at("producer", 0) + P.irte, 4);
    },
    found: ["entry irqfd 0"],
  },
  {
    what: "a target that leads to no vCPU",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.target, 1 | (20 << 10)),
    found: ["entry irqfd 3", "entry irqfd 3"],
  },
  {
    what: "a target of no mode",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.target, 3),
    found: ["entry irqfd 3", "entry irqfd 3"],
  },
  {
    what: "an owner of an irqfd that is no thread",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.owner, 3),
    found: ["dangling irqfd 3"],
  },
  {
    what: "an injection of nobody",
    damage: (s) => s.host.mutex.guard(() => s.host.pools.injection.allocate()),
    found: ["unreachable injection 0"],
  },
  {
    what: "an injection of two irqfds, that goes to no VM",
    damage: (s) => {
      const injection = s.host.mutex.guard(() => s.host.pools.injection.allocate());
      s.set(injection + Injection.fd, 99);
      s.set(s.at("consumer", 2) + Consumer.target, 2);
      s.set(s.at("consumer", 3) + Consumer.target, 2);
    },
    found: ["value injection 0", "shared injection 0", "entry irqfd 2", "entry irqfd 3"],
  },
  // Pending irqfds.
  {
    what: "an injection due that no relay sees",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.pending, 1),
    found: ["lost irqfd 0"],
  },
  {
    what: "an injection that its thread is not making",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.pending, s.at("thread", 0)),
    found: ["lost irqfd 0"],
  },
  {
    what: "an injection of a thread that is gone",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.pending, s.at("thread", THREAD_7)),
    found: ["lost irqfd 0"],
  },
  {
    what: "a pending bit without its summary",
    damage: (s) => {
      s.host.pending.raise(s.at("consumer", 0));
      s.set(s.host.pending.levels[1]!, 0);
    },
    found: ["pending the pending irqfds, word 0 of level 0"],
  },
  {
    what: "an injection due that no relay is started for",
    damage: (s) => {
      s.host.pending.raise(s.at("consumer", 0));
      s.set(Header.relays, RelayState.wanted);
    },
    found: ["waiting the relay of irqfd"],
  },
  {
    what: "a pending bit for no irqfd",
    damage: (s) => s.set(s.host.pending.levels[1]!, 1 << 9),
    found: ["pending the pending irqfds, word 0 of level 1"],
  },
];
