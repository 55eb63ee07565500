import type { HostHandle } from "irqbypass";

/** How a thread writes to an eventfd of one side: through a descriptor, or through the host's handle. */
export type Writer =
  | { readonly fd: number }
  | { readonly host: HostHandle; readonly handle: number; readonly linux: boolean };

export interface BesideWork {
  readonly words: Int32Array;
  readonly writer: Writer;
  /** Looks at a word that it waits before it writes, at most. */
  readonly most: number;
}

export const enum BesideWord {
  ready = 0,
  /** The round that is on. */
  round = 1,
  /** The last round that the writer has come to, and the last one whose write is through. */
  begun = 2,
  written = 3,
  over = 4,
  words = 5,
}
