/** Damage to epolls and their watches, and what the audit says of it. */
import { Epoll as E, EpollControl, Eventfd, Watch as W } from "#src/host/layout.js";
import type { Case } from "./sound.js";

export const EPOLLS: readonly Case[] = [
  {
    what: "a watch that whoever signals does not find",
    damage: (s) => s.set(s.at("eventfd", 8) + Eventfd.watches, 0),
    found: ["list watch 0"],
  },
  {
    what: "a watch that whoever waits does not find",
    damage: (s) => s.set(s.at("epoll", 0) + E.rows, 0),
    found: ["list watch 0"],
  },
  {
    what: "a watch in two lists",
    damage: (s) => s.set(s.at("eventfd", 10) + Eventfd.watches, s.at("watch", 0)),
    found: ["list eventfd 10"],
  },
  {
    what: "a list of watches in a circle",
    damage: (s) => s.set(s.at("watch", 1) + W.next, s.at("watch", 1)),
    found: ["list eventfd 11"],
  },
  {
    what: "a list that leads to no watch",
    damage: (s) => s.set(s.at("watch", 1) + W.nextInRow, 8),
    found: ["dangling epoll 0"],
  },
  {
    what: "a watch of no eventfd",
    damage: (s) => s.set(s.at("watch", 0) + W.eventfd, 8),
    found: ["dangling watch 0", "count eventfd 8", "count epoll 0"],
  },
  {
    what: "a watch that somebody removes, and nobody does",
    damage: (s) => s.set(s.at("watch", 0) + W.holder, s.at("thread", 0)),
    found: ["unfinished watch 0"],
  },
  {
    what: "a watch that is neither edge nor level",
    damage: (s) => s.set(s.at("watch", 0) + W.edge, 2),
    found: ["value watch 0"],
  },
  {
    what: "a bit that no epoll has",
    damage: (s) => s.set(s.at("watch", 0) + W.bit, 256),
    found: ["value watch 0"],
  },
  {
    what: "a watch that was fired, and no wait would look at",
    damage: (s) => s.set(s.at("watch", 0) + W.fired, 1),
    found: ["lost watch 0"],
  },
  {
    what: "bits of which the control word does not tell",
    damage: (s) => s.set(s.at("epoll", 0) + E.bits, 1),
    found: ["lost epoll 0"],
  },
  {
    what: "a control word that no epoll has",
    damage: (s) => s.set(s.at("epoll", 0) + E.control, 64),
    found: ["value epoll 0"],
  },
  {
    what: "a sleeper that nobody is",
    damage: (s) => s.set(s.at("epoll", 0) + E.control, EpollControl.asleep),
    found: ["value epoll 0"],
  },
  {
    what: "a waiter that is gone",
    damage: (s) => s.set(s.at("epoll", 0) + E.waiter, s.at("thread", 9)),
    found: ["orphan epoll 0"],
  },
  {
    what: "a turn that there is not",
    damage: (s) => s.set(s.at("epoll", 0) + E.turn, 256),
    found: ["value epoll 0"],
  },
  {
    what: "a descriptor below none",
    damage: (s) => s.set(s.at("epoll", 0) + E.fd, -3),
    found: ["value epoll 0"],
  },
  {
    what: "an epoll that counts other handles than it has",
    damage: (s) => s.add(s.at("epoll", 0) + E.handles, 1),
    found: ["count epoll 0"],
  },
  {
    what: "an epoll that counts other watches than it has",
    damage: (s) => s.add(s.at("epoll", 0) + E.holds, 1),
    found: ["count epoll 0"],
  },
  {
    what: "an epoll that nobody gives back",
    damage: (s) => s.set(s.at("epoll", 0) + E.holds, -s.at("thread", 0)),
    found: ["unfinished epoll 0"],
  },
];
