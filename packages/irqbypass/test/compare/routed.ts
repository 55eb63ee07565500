/** What a side has for messages that a route holds: its routes with their irqfds, and who signals those. */

/** Few, so that most of the signals find a route. */
export const ROUTES = 3;
/** Who signals, with a share for each: more of what goes by what was decided beforehand. */
export const SOURCES = ["eventfd", "linux eventfd", "device", "device"] as const;
export type Source = (typeof SOURCES)[number];

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
