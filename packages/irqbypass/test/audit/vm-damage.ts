/** Damage to VMs, their routes and their vCPUs, and what the audit says of it. */
import { Vcpu } from "irqbypass";
import { Consumer, Descriptor, Route, Routing, Vm as V, Vcpu as VC } from "#src/host/layout.js";
import type { Case } from "./sound.js";

/** One that nobody is. */
const THREAD_7 = 7;

export const VMS: readonly Case[] = [
  // Routes.
  {
    what: "a routing table of two VMs",
    damage: (s) => s.set(s.at("vm", 1) + V.routing, s.get(s.at("vm", 0) + V.routing)),
    found: ["shared routing table 1", "unreachable routing table 2"],
  },
  {
    what: "a routing table of nobody",
    damage: (s) => s.set(s.at("vm", 1) + V.routing, 0),
    found: ["unreachable routing table 2"],
  },
  {
    what: "a routing table that is none",
    damage: (s) => s.set(s.at("vm", 1) + V.routing, 12),
    found: ["dangling VM 1", "unreachable routing table 2"],
  },
  {
    what: "a wrong count of routes",
    damage: (s) => s.add(s.at("routing", 1) + Routing.count, 1),
    found: ["count routing table 1"],
  },
  {
    what: "routes in a circle",
    damage: (s) => {
      const route = s.get(s.at("routing", 1) + Routing.gsi + 4);
      s.set(s.get(route + Route.next) + Route.next, route);
    },
    found: [`shared route 42`],
  },
  {
    what: "a route that leads nowhere",
    damage: (s) => s.set(s.at("routing", 1) + Routing.gsi + 9, 3),
    found: ["dangling routing table 1", "entry irqfd 3"],
  },
  {
    what: "a free GSI that is passed over",
    damage: (s) => s.set(s.at("routing", 1) + Routing.free, 4),
    found: ["value routing table 1"],
  },
  {
    what: "a change that was begun",
    damage: (s) => s.set(s.at("vm", 0) + V.redo, 1),
    found: ["unfinished VM 0"],
  },
  {
    what: "a route that was being released",
    damage: (s) => s.set(s.at("vm", 0) + V.looseRoute, s.at("route", 40)),
    found: ["unfinished VM 0"],
  },
  {
    what: "a pin that no GSI leads to",
    damage: (s) => s.set(s.at("routing", 1) + Routing.pins + 9, 3),
    found: ["list routing table 1"],
  },
  {
    what: "a pin of another GSI",
    damage: (s) => s.set(s.at("routing", 1) + Routing.pins + 4, 3),
    found: ["list routing table 1"],
  },
  {
    what: "a route of no type",
    damage: (s) => s.set(s.at("route", 42) + Route.type, 9),
    found: ["list routing table 1", "value route 42"],
  },
  {
    what: "a pin that no chip has",
    damage: (s) => s.set(s.at("route", 42) + Route.b, 99),
    found: ["list routing table 1", "value route 42"],
  },
  {
    what: "a pin of no chip",
    damage: (s) => s.set(s.at("route", 42) + Route.a, 9),
    found: ["list routing table 1", "value route 42"],
  },
  {
    what: "a pin with data",
    damage: (s) => s.set(s.at("route", 42) + Route.c, 9),
    found: ["value route 42"],
  },
  {
    what: "an MSI with a bad address",
    damage: (s) => s.set(s.at("route", 40) + Route.b, 9),
    found: ["value route 40"],
  },
  {
    what: "an MSI beside another route",
    damage: (s) => {
      s.set(s.at("route", 42) + Route.type, 2);
    },
    found: ["list route 42", "list routing table 1", "value route 42"],
  },
  {
    what: "a route that is in no table",
    damage: (s) => {
      s.set(s.at("routing", 1) + Routing.gsi + 3, 0);
      s.add(s.at("routing", 1) + Routing.count, -1);
    },
    found: ["unreachable route 40", "entry irqfd 0", "entry irqfd 2"],
  },
  // VMs.
  {
    what: "flags that no VM has",
    damage: (s) => s.set(s.at("vm", 1) + V.flags, 3),
    found: ["value VM 1", "value VM 1", "value VM 1"],
  },
  {
    what: "a request at an 8259 that is not there",
    damage: (s) => s.set(s.at("vm", 0) + V.pics + 1, 8),
    found: ["value VM 0"],
  },
  {
    what: "a descriptor of a software VM",
    damage: (s) => s.set(s.at("vm", 1) + V.fd, 3),
    found: ["value VM 1"],
  },
  {
    what: "a VM that is half gone",
    damage: (s) => s.set(s.at("vm", 1) + V.dying, 1),
    found: ["unfinished VM 1"],
  },
  {
    what: "a vCPU too many",
    damage: (s) => s.add(s.at("vm", 1) + V.vcpus, 1),
    found: ["dangling VM 1"],
  },
  {
    what: "a vCPU too few",
    damage: (s) => s.add(s.at("vm", 0) + V.vcpus, -1),
    found: ["list VM 0", "unreachable vCPU record 1"],
  },
  {
    what: "a vCPU of two VMs",
    damage: (s) => s.set(s.at("vm", 1) + V.vcpu, s.at("vcpu", 0)),
    found: ["shared vCPU record 0", "unreachable vCPU record 2"],
  },
  {
    what: "a vCPU with another index",
    damage: (s) => s.set(s.at("vcpu", 2) + VC.index, 5),
    found: ["partner VM 1"],
  },
  {
    what: "a vCPU that names another VM",
    damage: (s) => s.set(s.at("vcpu", 2) + VC.vm, s.at("vm", 0)),
    found: ["partner VM 1"],
  },
  {
    what: "a line that nobody asserts",
    damage: (s) => s.set(s.at("vm", 0) + V.lines, 4),
    found: ["list VM 0, pin 2"],
  },
  {
    what: "a line that there is not",
    damage: (s) => s.set(s.at("vm", 0) + V.lines, 1 << 24),
    found: ["value VM 0"],
  },
  {
    what: "a source that there is not",
    damage: (s) => s.set(s.at("vm", 0) + V.sources + 2, 4),
    found: ["value VM 0, pin 2"],
  },
  {
    what: "a redirection entry that no pin has",
    damage: (s) => s.set(s.at("vm", 0) + V.ioapic + 4, 1 << 12),
    found: ["value VM 0, pin 2"],
  },
  {
    what: "remote IRR at an edge",
    damage: (s) => s.set(s.at("vm", 0) + V.ioapic + 4, 1 << 14),
    found: ["value VM 0, pin 2"],
  },
  {
    what: "a pin of a bare VM",
    damage: (s) => s.set(s.at("vm", 1) + V.ioapic + 4, 1),
    found: ["value VM 1, pin 2"],
  },
  {
    what: "an irqfd list that ends early",
    damage: (s) => s.set(s.at("consumer", 2) + Consumer.next, 0),
    found: ["count VM 0", "unreachable irqfd 0"],
  },
  {
    what: "an irqfd list in a circle",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.next, s.at("consumer", 2)),
    found: ["shared irqfd 2"],
  },
  {
    what: "an irqfd list that leads out",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.next, 12),
    found: ["dangling VM 0"],
  },
  {
    what: "an irqfd without a way back",
    damage: (s) => s.set(s.at("consumer", 0) + Consumer.previous, 0),
    found: ["list VM 0"],
  },
  {
    what: "an irqfd in the list of another GSI",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.gsi, 10),
    found: ["list VM 0"],
  },
  {
    what: "an irqfd of another VM",
    damage: (s) => s.set(s.at("consumer", 3) + Consumer.vm, s.at("vm", 1)),
    found: ["partner VM 0"],
  },
  {
    what: "a wrong count of irqfds",
    damage: (s) => s.add(s.at("vm", 0) + V.irqfdCount, 1),
    found: ["count VM 0"],
  },
  {
    what: "a resampler that is not told",
    damage: (s) => s.set(s.at("vm", 0) + V.resamplers, 0),
    found: ["list VM 0"],
  },
  {
    what: "a resampler that is none",
    damage: (s) => s.set(s.at("consumer", 1) + Consumer.nextResampler, s.at("consumer", 0)),
    found: ["list VM 0"],
  },
  {
    what: "resamplers in a circle",
    damage: (s) => s.set(s.at("consumer", 1) + Consumer.nextResampler, s.at("consumer", 1)),
    found: ["list VM 0"],
  },
  // vCPUs.
  {
    what: "posted interrupts that nobody looks for",
    damage: (s) => {
      Vcpu.open(s.host, s.vm.vcpu(0).handle);
      s.set(s.at("vcpu", 0) + VC.descriptor + Descriptor.pir + 1, 4);
    },
    found: ["lost vCPU record 0"],
  },
  {
    what: "a vCPU of a thread that is gone",
    damage: (s) => {
      Vcpu.open(s.host, s.vm.vcpu(0).handle);
      s.set(s.at("vcpu", 0) + VC.runner, s.at("thread", THREAD_7));
    },
    found: ["orphan vCPU record 0"],
  },
  {
    what: "a running vCPU that is not notified",
    damage(s) {
      s.set(s.at("vcpu", 0) + VC.runner, s.at("thread", 0));
      s.set(s.at("vcpu", 0) + VC.descriptor + Descriptor.ndst, s.host.thread.lockId);
    },
    found: ["value vCPU record 0"],
  },
  {
    what: "a descriptor with unknown bits",
    damage: (s) => s.add(s.at("vcpu", 0) + VC.descriptor + Descriptor.control, 16),
    found: ["value vCPU record 0"],
  },
  {
    what: "a notification vector that is none",
    damage: (s) => s.set(s.at("vcpu", 0) + VC.descriptor + Descriptor.control, 2),
    found: ["value vCPU record 0"],
  },
  {
    what: "a destination that is not the thread that runs it",
    damage(s) {
      Vcpu.open(s.host, s.vm.vcpu(0).handle);
      s.set(s.at("vcpu", 0) + VC.descriptor + Descriptor.ndst, 99);
    },
    found: ["value vCPU record 0"],
  },
  {
    what: "a stray word of a descriptor",
    damage: (s) => s.set(s.at("vcpu", 0) + VC.descriptor + 12, 99),
    found: ["value vCPU record 0"],
  },
];
