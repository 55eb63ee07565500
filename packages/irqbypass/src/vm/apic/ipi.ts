/**
 * Interrupts that one vCPU sends to others, or to itself (kvm_apic_send_ipi). They take no mutex: a sender takes what the registers say,
 * and looks whether they still do before anybody gets anything.
 */
import { checkFlag, type OptionNames, readOptions, show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";
import { Vm } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import { deliverTo } from "../delivery.js";
import { vmMutex } from "../vm-mutex.js";
import { Delivery, type Message, Shorthand } from "./message.js";
import { targetsOf } from "./targets.js";

/** Sends a message from a vCPU that the calling thread runs. Returns what {@link deliver} does. */
export function sendIpi(memory: HostMemory, vm: number, source: number, message: Message): number {
  const { words, thread } = memory;
  // Announced first: whoever changes a register of one of them waits until this has gone where it went before.
  words.store(thread.writing, vm);
  try {
    const before = words.load(vm + Vm.apics);
    if ((before & 1) === 0) {
      const targets = targetsOf(memory, vm, message, source);
      if (words.load(vm + Vm.apics) === before) return deliverTo(memory, targets, message);
    }
  } finally {
    thread.leave(thread.writing);
  }
  return vmMutex(memory, vm).guard(() => deliverTo(memory, targetsOf(memory, vm, message, source), message));
}

/** Delivery modes of an IPI. */
const MODES = {
  fixed: Delivery.fixed,
  "lowest-priority": Delivery.lowestPriority,
  smi: Delivery.smi,
  nmi: Delivery.nmi,
  init: Delivery.init,
  "start-up": Delivery.startUp,
} as const;
const SHORTHANDS = { self: Shorthand.self, all: Shorthand.all, others: Shorthand.others } as const;

/** An IPI, as {@link Vcpu.sendIpi} takes it: what a guest writes to the ICR. */
export interface Ipi {
  /** A destination: an APIC id, or with `logical` a logical one; or everybody, everybody else, or the vCPU itself. */
  readonly to: number | "self" | "all" | "others";
  /** 0 to 255. Default 0, for modes that have none. */
  readonly vector?: number;
  /** Default "fixed". */
  readonly mode?: "fixed" | "lowest-priority" | "smi" | "nmi" | "init" | "start-up";
  /** The destination is a logical one. */
  readonly logical?: boolean;
}

const IPI: OptionNames<Ipi> = { to: true, vector: true, mode: true, logical: true };
const IPI_TEXT = "an IPI such as { to: 1, vector: 0x41 }";

/** An IPI as a message: an edge, asserted. Throws EINVAL. */
export function readIpi(ipi: Ipi): Message {
  const { to, vector = 0, mode = "fixed", logical = false } = readOptions(ipi, IPI, IPI_TEXT);
  checkFlag(logical, "logical");
  if (!Number.isInteger(vector) || vector < 0 || vector > 255)
    throw new IrqBypassError("EINVAL", `vector is ${show(vector)}, it must be 0 to 255`);
  if (typeof mode !== "string" || !Object.hasOwn(MODES, mode)) {
    throw new IrqBypassError("EINVAL", `mode is ${show(mode)}: use ${Object.keys(MODES).join(", ")}`);
  }
  const named = typeof to === "string" && Object.hasOwn(SHORTHANDS, to) ? SHORTHANDS[to] : undefined;
  if (named === undefined && !(Number.isInteger(to) && (to as number) >= 0 && (to as number) < 2 ** 32)) {
    throw new IrqBypassError(
      "EINVAL",
      `to is ${show(to)}: give an APIC id, a logical destination, or ${Object.keys(SHORTHANDS).join(", ")}`,
    );
  }
  return {
    vector,
    delivery: MODES[mode],
    logical,
    destination: named === undefined ? (to as number) : 0,
    level: false,
    asserted: true,
    redirected: false,
    shorthand: named ?? Shorthand.none,
  };
}
