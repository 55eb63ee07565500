import type { HostHandle } from "irqbypass";

/** What a thread waits for, each in its own way. */
export const WAITS = [
  "Eventfd.read",
  "Eventfd.readAsync",
  "LinuxEventfd.read",
  "LinuxEventfd.readAsync",
  "LinuxEventfd.write",
  "EventfdFile.read",
  "Vcpu.wait",
  "Vcpu.waitAsync",
  "Irqfd.bypassed",
  "an unmask eventfd",
  "a mutex",
  "KVM_RUN",
] as const;
export type Wait = (typeof WAITS)[number];

/** How its thread ends. The last three it does itself, after some waits. */
export const ENDINGS = [
  "worker.terminate",
  "host.terminate",
  "process.exit(0)",
  "process.exit(3)",
  "an uncaught error",
  "its own end",
  "its own end, everything given back",
] as const;
export type Ending = (typeof ENDINGS)[number];

/** Is it ended from outside? */
export const isEnded = (ending: Ending) => ending.endsWith("terminate");

/** What a thread that waits is told. What it waits on is made by another, who makes it happen. */
export interface WaiterWork {
  readonly host: HostHandle;
  readonly wait: Wait;
  readonly ending: Ending;
  /** Waits until it ends by itself; Infinity for one that is ended. */
  readonly turns: number;
  readonly vm: number;
  readonly vcpu: number;
  readonly shared: number;
  readonly linux: number;
  /** A Linux eventfd that blocks, and is full. */
  readonly full: number;
  /** The descriptor of one that blocks, and is at 0. */
  readonly fd: number;
}

/** What it says: that it is about to wait, and a descriptor of its own that nobody else knows of, -1 for none. */
export interface WaiterReady {
  readonly descriptor: number;
}
