/**
 * Messages that a route holds: it is made, led elsewhere and signalled in steps of its own, so that registers change in between. On the
 * software VM by an irqfd's eventfd, of either kind, and by a device that is connected to another; on KVM by an irqfd's eventfd, and by the
 * KVM_SIGNAL_MSI that stands for such a device there.
 */
import fc from "fast-check";
import { msiWords } from "./messages.js";
import { type Irqfds, ROUTES, SOURCES, type Source } from "./routed.js";
import { hex, type Scene } from "./scene.js";
import type { Step } from "./step.js";

const route = fc.nat(ROUTES - 1);

export function routes(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(route, msiWords(scene)).map(([index, msi]) => ({
    name: `route ${index} leads to ${hex(msi.addressHigh)}:${hex(msi.address)} / ${hex(msi.data)}`,
    kernel: (side) => side.irqfds.lead(index, msi),
    software: (side) => side.irqfds.lead(index, msi),
  }));
}

export function signals(): fc.Arbitrary<Step> {
  return fc.tuple(route, fc.constantFrom(...SOURCES)).map(([index, source]) => ({
    name: `the ${source} of route ${index} signals`,
    kernel: (side) => signal(side.irqfds, index, source),
    software: (side) => signal(side.irqfds, index, source),
  }));
}

function signal(irqfds: Irqfds, index: number, source: Source): string {
  if (!irqfds.has(index)) return "no route";
  irqfds.signal(index, source);
  return "signalled";
}
