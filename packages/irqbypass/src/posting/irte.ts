/**
 * The interrupt remapping table entry of a producer: one 32-bit word that says where its signals go. It is
 * written under the host mutex and read by `signal()` without one.
 *
 *     bits 0-1   mode
 *     bits 2-9   posted: the vector; relayed: the reason
 *     bits 10-31 posted: number of the vCPU; injected: number of the injection record
 *
 * Its states, and who takes it from which to which: `scenarios/states/remapping-entry.ts`;
 * of the target of an irqfd, which has the same form, `scenarios/states/target.ts`.
 *
 * What the entry says fits the entry, so changing a route allocates nothing, and a signal reads one word.
 */
import { REASONS, type Reason, ReasonCode, reasonCode } from "./reason.js";

export const enum Mode {
  /** Through the eventfd, which the relay (or KVM) listens to. */
  relayed = 0,
  /** Into a software vCPU's posted-interrupt descriptor. */
  posted = 1,
  /** By one KVM_SIGNAL_MSI of the signalling thread. */
  injected = 2,
}

const MODE = 3;
const VECTOR_SHIFT = 2;
const TARGET_SHIFT = 10;

export function relayed(reason: (typeof REASONS)[number]): number {
  return Mode.relayed | (reasonCode(reason) << VECTOR_SHIFT);
}

/** Relayed entries as constants, for code that is compiled: connected to nobody, and the two of `entryFor`. */
export const UNCONNECTED = ReasonCode.noConsumer << VECTOR_SHIFT;
export const SWITCHED_OFF = ReasonCode.switchedOff << VECTOR_SHIFT;
export const NO_CAPABILITY = ReasonCode.noCapability << VECTOR_SHIFT;

/** `vcpu` is the vCPU's number in its pool. */
export function posted(vcpu: number, vector: number): number {
  return Mode.posted | (vector << VECTOR_SHIFT) | (vcpu << TARGET_SHIFT);
}

/** `injection` is the record's number in its pool. */
export function injected(injection: number): number {
  return Mode.injected | (injection << TARGET_SHIFT);
}

export function modeOf(irte: number): Mode {
  return irte & MODE;
}

export function vectorOf(irte: number): number {
  return (irte >>> VECTOR_SHIFT) & 255;
}

/** The vCPU or injection number. */
export function targetOf(irte: number): number {
  return irte >>> TARGET_SHIFT;
}

/** Why a relayed entry is relayed; undefined for an entry that is bypassed. */
export function reasonOf(irte: number): Reason | undefined {
  const reason = modeOf(irte) === Mode.relayed ? REASONS[vectorOf(irte)] : undefined;
  return reason === "none" ? undefined : reason;
}
