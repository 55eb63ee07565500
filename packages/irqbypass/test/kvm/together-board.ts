import type { Handle, HostHandle } from "irqbypass";

/** A message that KVM refuses here. */
export const REFUSED = 0xfe;
/** What a thread is to do: lead its route to a vector, end it, or lead it to and fro until {@link Word.stop} is set; then signal. */
export type Wish = { readonly vector: number } | "end" | { readonly between: readonly [number, number] };
/** What came of it: nothing, or an error's code. */
export type Outcome = { readonly code?: string; readonly changes?: number };

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
  /** 1 when threads are to come to an end. */
  stop = 2,
  words = 3,
}
export const enum Bomb {
  none = 0,
  before = 1,
  after = 2,
}
