import type { Reason } from "./reason.js";

/** What each reason means and what to do about it, in one clause of a message; the table for readers is in the README. */
const REMEDIES: Readonly<Record<Reason, string>> = {
  "relay-not-running":
    "nobody relays yet: let the thread that made the host come to its event loop, or wait in it",
  "no-route": "its GSI has no route: give it one with setGsiRouting",
  "no-vcpu": "its MSI names no vCPU that the VM has and whose local APIC is on: name one of them",
  "no-pic":
    "its GSI leads to a PIC alone, and its VM has none: make that with pic: true, or route the GSI to an MSI or the I/O APIC",
  masked: "the guest has masked the pin of the I/O APIC: it unmasks it when it is ready",
  "delivery-mode":
    "its MSI is level-triggered, an NMI, INIT, SMI or the like: only fixed and lowest-priority edges can be posted",
  "thread-died": "the thread that had the other end died: register or assign it again",
  "thread-ended":
    "the thread that had the other end ended well and had not given it back: register or assign it again",
  refused: "a callback of one end refused the connection: its kind knows why",
  "no-capability":
    "the thread that registered the producer makes no system calls: give it the kinds linux() and kvm()",
  "another-producer": "another device interrupt signals this eventfd: give each an eventfd of its own",
  "switched-off": "the host's switch is off: set host.bypass = true",
  "policy-off": 'it was assigned with bypass: "off": assign it with "prefer"',
  "no-producer": "no device interrupt signals its eventfd: register a producer",
  "no-consumer": "no irqfd listens to its eventfd: assign one",
  "no-driver-ok": "the driver of the virtqueue has not set DRIVER_OK: it does so when it is ready",
  "no-irq": "the virtqueue has no interrupt of its own: let getVqIrq return its number",
  multicast: "its MSI goes to several vCPUs: route it to one",
  "several-routes": "its GSI has several routes: leave it one, an MSI",
  "not-msi": "its route is a pin of an interrupt controller: route the GSI to an MSI",
};

export function remedyOf(reason: Reason): string {
  return REMEDIES[reason];
}
