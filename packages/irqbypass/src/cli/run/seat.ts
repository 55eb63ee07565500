/**
 * What a thread of a run needs to join its host.
 */
import { Host, type HostHandle, type Kind } from "../../index.js";
import { kvm } from "../../kvm/index.js";
import { linux } from "../../linux/index.js";

/** Structured-cloneable. */
export interface Seat {
  readonly handle: HostHandle;
  /** Does the host hold KVM guests? All of its threads must know then. */
  readonly kvm: boolean;
}

/** The kinds of a run's host. */
export function kindsOf(seat: Pick<Seat, "kvm">): Kind[] {
  return seat.kvm ? [linux(), kvm()] : [];
}

/** Joins the host in the calling thread. */
export function join(seat: Seat): Host {
  return Host.attach(seat.handle, { kinds: kindsOf(seat) });
}
