/**
 * What both sides of the differential suite are asked to do, as plain data, and what both can show of themselves.
 *
 * A world has two VMs of two vCPUs each, whose APICs are enabled and in x2APIC mode, and four eventfds, of which the third
 * is a semaphore. Both VMs start with the default routing table and with the same redirection entries in the I/O APIC.
 */

export const VMS = 2;
export const VCPUS = 2;
/** Which of the eventfds are made with EFD_SEMAPHORE. */
export const SEMAPHORES: readonly boolean[] = [false, false, true, false];
export const EVENTFDS = SEMAPHORES.length;

/** Redirection entries by pin: edge or level, masked or not. Two level-triggered pins share a vector. */
export const PINS: Readonly<
  Record<number, { vcpu: number; vector: number; level: boolean; masked: boolean }>
> = {
  3: { vcpu: 0, vector: 0x33, level: false, masked: false },
  5: { vcpu: 1, vector: 0x65, level: true, masked: false },
  10: { vcpu: 0, vector: 0x7a, level: true, masked: false },
  11: { vcpu: 0, vector: 0x7b, level: true, masked: true },
  12: { vcpu: 0, vector: 0x7c, level: false, masked: true },
  20: { vcpu: 0, vector: 0x7a, level: true, masked: false },
  21: { vcpu: 0xff, vector: 0x91, level: false, masked: false },
};
/** The low and the high word of a redirection entry. */
export function redirection(pin: number): readonly [low: number, high: number] {
  const entry = PINS[pin];
  if (entry === undefined) return [1 << 16, 0];
  const { vcpu, vector, level, masked } = entry;
  return [vector | (level ? 1 << 15 : 0) | (masked ? 1 << 16 : 0), (vcpu << 24) >>> 0];
}
/**
 * Pins whose line both sides show alike. KVM hides the line of an edge-triggered pin that has been delivered; the
 * software VM shows it as long as it is up.
 */
export const VISIBLE_LINES = Array.from({ length: 24 }, (_, pin) => pin)
  .filter((pin) => PINS[pin] === undefined || PINS[pin].level || PINS[pin].masked)
  .reduce((mask, pin) => mask | (1 << pin), 0);

/** One entry of a routing table. */
export type Route =
  | { readonly gsi: number; readonly address: number; readonly high: number; readonly data: number }
  | { readonly gsi: number; readonly chip: number; readonly pin: number };

/** Descriptors that are no eventfd: one that is not open, and one of another kind of file. */
export type NoEventfd = "closed" | "not an eventfd";

export type Operation =
  | {
      readonly op: "assign";
      readonly vm: number;
      readonly e: number;
      readonly gsi: number;
      readonly resample?: number;
    }
  | { readonly op: "assign wrongly"; readonly vm: number; readonly e: NoEventfd }
  | { readonly op: "resample wrongly"; readonly vm: number; readonly e: number; readonly resample: NoEventfd }
  | { readonly op: "assign with an unknown option"; readonly vm: number; readonly e: number }
  | { readonly op: "deassign"; readonly vm: number; readonly e: number; readonly gsi: number }
  /** Deassign that also says, with a descriptor that is not open, that it was level-triggered. */
  | { readonly op: "deassign as level"; readonly vm: number; readonly e: number; readonly gsi: number }
  | { readonly op: "deassign wrongly"; readonly vm: number; readonly e: NoEventfd }
  | { readonly op: "write"; readonly e: number; readonly value: string }
  | { readonly op: "read"; readonly e: number }
  /** Closes every descriptor of the eventfd and makes a new one in its place. */
  | { readonly op: "close"; readonly e: number }
  /** Makes one more descriptor of it; later operations use the newest. */
  | { readonly op: "dup"; readonly e: number }
  /** Closes its oldest descriptor, unless it is the only one. */
  | { readonly op: "close one"; readonly e: number }
  | { readonly op: "routes"; readonly vm: number; readonly routes: readonly Route[] }
  /** A table whose one entry is of no known type. */
  | { readonly op: "route of no type"; readonly vm: number }
  | { readonly op: "too many routes"; readonly vm: number; readonly count: number }
  | { readonly op: "line"; readonly vm: number; readonly gsi: number; readonly level: boolean }
  /** Lets a vCPU take one interrupt and end it. */
  | { readonly op: "serve"; readonly vm: number; readonly vcpu: number }
  /** Several, one directly after the other: nothing waits in between for what one of them has set off. */
  | { readonly op: "at once"; readonly operations: readonly Operation[] }
  /** Closes the VM with all that is assigned, and makes a new one in its place, with the irqchip or without the I/O APIC. */
  | { readonly op: "renew"; readonly vm: number; readonly irqchip: "full" | "split" | "none" };

/** What a world shows after each operation. */
export interface State {
  /** Requested vectors by VM and vCPU, ascending. */
  readonly irr: readonly (readonly (readonly number[])[])[];
  /** Lines of {@link VISIBLE_LINES} by VM. */
  readonly lines: readonly number[];
  /** Pins that wait for an EOI, by VM. */
  readonly waiting: readonly number[];
  readonly counts: readonly bigint[];
}

/** One side: a real kernel, or the software VM. */
export interface World extends Disposable {
  readonly side: "kernel" | "software";
  /** Does it and waits until all of its effects are there. Returns "ok", the errno, or what was read or served. */
  perform(operation: Operation): string;
  state(): State;
}

const hex = (value: number) => value.toString(16).padStart(2, "0");

export function describeState({ irr, lines, waiting, counts }: State): string {
  const vms = irr.map((vcpus, vm) => {
    const vectors = vcpus.map((list) => list.map(hex).join(" ") || "-").join(" | ");
    return `[${vectors}] lines ${hex(lines[vm]!)} eoi ${hex(waiting[vm]!)}`;
  });
  return `${vms.join("  ")}  counts ${counts.join(" ")}`;
}

export function describeOperation(operation: Operation): string {
  const { op, ...rest } = operation;
  const words = Object.entries(rest).map(([name, value]) => {
    if (name === "routes") return (value as Route[]).map(describeRoute).join(", ") || "none";
    if (name === "operations") return (value as Operation[]).map(describeOperation).join("; ");
    return `${name} ${value}`;
  });
  return [op, ...words].join(" ");
}

function describeRoute(route: Route): string {
  if ("chip" in route) return `${route.gsi}=chip${route.chip}.${route.pin}`;
  const high = route.high === 0 ? "" : `${route.high.toString(16)}:`;
  return `${route.gsi}=${high}${route.address.toString(16)}/${route.data.toString(16)}`;
}

/** Does it and says in one line what came of it. */
export function step(world: World, operation: Operation): string {
  const outcome = world.perform(operation);
  return `${describeOperation(operation)} -> ${outcome}; ${describeState(world.state())}`;
}

/** A fixed message to one vCPU, or by logical destination to those of a mask. */
export function msi(
  gsi: number,
  vcpu: number,
  vector: number,
  options: { logical?: boolean; delivery?: number } = {},
) {
  const { logical = false, delivery = 0 } = options;
  const address = (0xfee00000 | ((vcpu & 0xff) << 12) | (logical ? 4 : 0)) >>> 0;
  return { gsi, address, high: 0, data: vector | (delivery << 8) };
}
export const ioapic = (gsi: number, pin: number) => ({ gsi, chip: 2, pin });
