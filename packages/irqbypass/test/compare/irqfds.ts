/**
 * Messages that a route holds: it is made, led elsewhere and signalled in steps of its own, so that registers change in between. On the
 * software VM by an irqfd's eventfd, of either kind, and by a device that is connected to another; on KVM by an irqfd's eventfd, and by the
 * KVM_SIGNAL_MSI that stands for such a device there.
 */
import fc from "fast-check";
import { msiWords } from "./messages.js";
import { hex, type Scene } from "./scene.js";
import type { Step } from "./step.js";

/** Few, so that most of the signals find a route. */
export const ROUTES = 3;
/** Who signals, with a share for each: more of what goes by what was decided beforehand. */
const SOURCES = ["eventfd", "linux eventfd", "device", "device"] as const;
export type Source = (typeof SOURCES)[number];

const route = fc.nat(ROUTES - 1);

/** A message of a route. */
export interface RoutedMsi {
  readonly address: number;
  readonly addressHigh: number;
  readonly data: number;
}

/** The routes of a side with their irqfds, numbered from 0; each begins when it is led somewhere for the first time. */
export interface Irqfds extends Disposable {
  /** Leads a route to a message. Returns "done", or the code of the refusal. */
  lead(route: number, msi: RoutedMsi): string;
  /** Signals an irqfd of a route, which is there; what that delivers has been delivered when this returns. */
  signal(route: number, source: Source): void;
  has(route: number): boolean;
}

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
