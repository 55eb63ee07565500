/** Damage to ioeventfds and to the lists that they are in, and what the audit says of it. */
import { Ioeventfd as I, Vm as V } from "#src/host/layout.js";
import type { Case } from "./sound.js";

export const IOEVENTFDS: readonly Case[] = [
  {
    what: "an ioeventfd that signals no eventfd",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.eventfd, 12),
    found: ["dangling ioeventfd 0", "count eventfd 6"],
  },
  {
    what: "an ioeventfd that another one takes for its own",
    damage: (s) => s.set(s.at("ioeventfd", 1) + I.vm, s.at("vm", 1)),
    found: ["partner VM 0"],
  },
  {
    what: "an ioeventfd of no VM",
    damage: (s) => s.set(s.at("ioeventfd", 2) + I.vm, 0),
    found: ["dangling ioeventfd 2", "partner VM 1"],
  },
  {
    what: "an ioeventfd in no list",
    damage: (s) => s.set(s.at("vm", 1) + V.ioeventfds, 0),
    found: ["unreachable ioeventfd 2"],
  },
  {
    what: "a list of ioeventfds that leads nowhere",
    damage: (s) => s.set(s.at("vm", 1) + V.ioeventfds, 7),
    found: ["dangling VM 1", "unreachable ioeventfd 2"],
  },
  {
    what: "a list of ioeventfds that goes in a circle",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.next, s.at("ioeventfd", 1)),
    found: ["shared ioeventfd 1"],
  },
  {
    what: "an ioeventfd that does not lead back",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.previous, 0),
    found: ["list VM 0"],
  },
  {
    what: "an ioeventfd that says that it is in no list",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.linked, 0),
    found: ["list VM 0"],
  },
  {
    what: "an ioeventfd that takes stores of three bytes",
    damage: (s) => s.set(s.at("ioeventfd", 2) + I.takes, 3),
    found: ["value ioeventfd 2"],
  },
  {
    what: "an ioeventfd with a flag that there is not",
    damage: (s) => s.add(s.at("ioeventfd", 2) + I.takes, 64),
    found: ["value ioeventfd 2"],
  },
  {
    what: "a value to match of an ioeventfd that takes any",
    damage: (s) => s.set(s.at("ioeventfd", 2) + I.matchHigh, 1),
    found: ["value ioeventfd 2"],
  },
  {
    what: "two ioeventfds that take the same store",
    damage: (s) => s.set(s.at("ioeventfd", 1) + I.addressLow, 0x1000),
    found: ["shared ioeventfd 0"],
  },
  {
    what: "an ioeventfd that somebody is deassigning",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.closing, s.host.thread.record),
    found: ["unfinished ioeventfd 0"],
  },
  {
    what: "an owner of an ioeventfd that is no thread",
    damage: (s) => s.set(s.at("ioeventfd", 0) + I.owner, 3),
    found: ["dangling ioeventfd 0"],
  },
];
