import type { Handle, HostHandle } from "irqbypass";

/** A message that KVM refuses here. */
export const REFUSED = 0xfe;
/** What a thread is to do: lead its route to a vector and signal, or end it. */
export type Wish = { readonly vector: number } | "end";
/** What came of it: nothing, or an error's code. */
export type Outcome = { readonly code?: string };

/** What a thread begins with. */
export interface Together {
  readonly host: HostHandle;
  readonly vm: Handle<"kvm-vm">;
  /** Of {@link Word}. */
  readonly board: Int32Array;
  readonly bypass: "off" | "require";
}

/** What a thread says when it has its route. */
export interface Ready {
  readonly gsi: number;
  readonly thread: number;
}

export const enum Word {
  /** Tables that KVM has been given. */
  tables = 0,
  /** {@link Bomb}: where the thread dies that is the next to give KVM a table. */
  bomb = 1,
  words = 2,
}
export const enum Bomb {
  none = 0,
  before = 1,
  after = 2,
}
