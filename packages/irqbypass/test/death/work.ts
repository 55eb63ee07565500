import type { HostHandle } from "irqbypass";

/** What a victim is told. */
export interface VictimWork {
  readonly host: HostHandle;
  readonly vm: number;
  /** Eventfds that all threads use. */
  readonly eventfds: readonly number[];
  readonly seed: number;
  /** With Linux eventfds, too. */
  readonly real: boolean;
  /** Operations after which it ends by itself; Infinity for one that is ended. */
  readonly turns: number;
  readonly end: "exit" | "throw";
}

/** What the device and the vCPU that go on are told. */
export interface SurvivorWork {
  readonly host: HostHandle;
  readonly part: "device" | "vcpu";
  /** The vCPU, or the eventfd of its interrupt. */
  readonly handle: number;
  /** {@link Word}. */
  readonly shared: SharedArrayBuffer;
  /** Names of the host's kinds beside its own. */
  readonly kinds: readonly string[];
}

/** Words that the survivors and the test share. */
export const enum Word {
  /** Interrupts that were sent, and taken. */
  sent = 0,
  taken = 1,
  /** 1: rest; 2: end. */
  rest = 2,
  /** Survivors that rest. */
  resting = 3,
  /** The device has ended. */
  ended = 4,
  words = 5,
}
