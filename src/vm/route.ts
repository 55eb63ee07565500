/**
 * GSI routes as callers write them, and as the tables in shared memory keep them.
 */
import { IrqBypassError } from "../host/errors.js";
import { MAX_GSI, RouteType } from "../host/layout.js";

/** An MSI: the raw x86 words, or for the common case the vCPU and the vector that they name. */
export type Msi =
  | { readonly vcpu: number; readonly vector: number }
  | { readonly address: number; readonly addressHigh?: number; readonly data: number };

/** One entry of `setGsiRouting` (struct kvm_irq_routing_entry). */
export interface GsiRoute {
  /** 0 to 4095. */
  readonly gsi: number;
  readonly msi: Msi;
}

/** The same as three words: for an MSI its low address, high address and data. */
export interface RouteWords {
  readonly gsi: number;
  readonly type: RouteType;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** x86: MSI addresses start here; bits 12 to 19 are the destination, bit 2 its mode. */
export const MSI_BASE = 0xfee00000;

/** Checks a whole table; throws EINVAL that names the entry and says what is allowed. */
export function checkRoutes(routes: readonly GsiRoute[]): RouteWords[] {
  if (!Array.isArray(routes)) throw new IrqBypassError("EINVAL", "setGsiRouting takes an array of routes");
  if (routes.length > MAX_GSI) {
    throw new IrqBypassError("EINVAL", `a VM has at most ${MAX_GSI} routes, not ${routes.length}`);
  }
  return routes.map((route, index) => {
    const where = `route ${index}`;
    const { gsi, msi } = route;
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= MAX_GSI) {
      throw new IrqBypassError("EINVAL", `${where}: gsi is ${String(gsi)}, it must be 0 to ${MAX_GSI - 1}`);
    }
    if (msi === undefined) throw new IrqBypassError("EINVAL", `${where}: a route needs an msi`);
    return { gsi, type: RouteType.msi, ...msiWords(msi, where) };
  });
}

/** The three words of an MSI. */
export function msiWords(msi: Msi, where: string): { a: number; b: number; c: number } {
  if ("vcpu" in msi) {
    const { vcpu, vector } = msi;
    if (!isWord(vcpu) || vcpu > 0xffffff00)
      throw new IrqBypassError("EINVAL", `${where}: vcpu is ${String(vcpu)}`);
    if (!Number.isInteger(vector) || vector < 0 || vector > 255) {
      throw new IrqBypassError("EINVAL", `${where}: vector is ${String(vector)}, it must be 0 to 255`);
    }
    // Destinations above 254 need the upper bits in the high address, as x2APIC-format MSIs have it.
    return { a: MSI_BASE | ((vcpu & 0xff) << 12) | 0, b: (vcpu & 0xffffff00) | 0, c: vector };
  }
  const { address, addressHigh = 0, data } = msi;
  if (!isWord(address) || !isWord(addressHigh) || !isWord(data)) {
    throw new IrqBypassError("EINVAL", `${where}: address, addressHigh and data are unsigned 32-bit numbers`);
  }
  return { a: address | 0, b: addressHigh | 0, c: data | 0 };
}

function isWord(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** What an MSI asks for, decoded. */
export interface MsiTarget {
  readonly vector: number;
  /** 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT. */
  readonly delivery: number;
  /** Logical destination mode: `destination` is a mask. */
  readonly logical: boolean;
  readonly destination: number;
}

export function decodeMsi(addressLow: number, addressHigh: number, data: number): MsiTarget {
  return {
    vector: data & 0xff,
    delivery: (data >>> 8) & 7,
    logical: (addressLow & 4) !== 0,
    destination: ((addressLow >>> 12) & 0xff) | (addressHigh & 0xffffff00),
  };
}

/** Broadcast: all ones in either width. */
export function matches(target: MsiTarget, apicId: number): boolean {
  const { logical, destination } = target;
  if (destination === 0xff || destination >>> 0 === 0xffffffff) return true;
  return logical ? apicId < 8 && (destination & (1 << apicId)) !== 0 : destination === apicId;
}
