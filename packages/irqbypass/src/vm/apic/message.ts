/**
 * Interrupt messages, decoded: those of devices (SDM volume 3, "Message Signalled Interrupts"; kvm_msi_to_lapic_irq) and those of
 * vCPUs, which are IPIs ("Interrupt Command Register"; kvm_apic_send_ipi).
 */

/** Delivery modes of an interrupt message. */
export const enum Delivery {
  fixed = 0,
  lowestPriority = 1,
  smi = 2,
  /** Nothing is read: it ends the halt of a vCPU, as guests of KVM use it. */
  remoteRead = 3,
  nmi = 4,
  init = 5,
  startUp = 6,
  extInt = 7,
}

/** Whom an IPI is for, where it names no destination. */
export const enum Shorthand {
  none = 0,
  self = 1,
  all = 2,
  others = 3,
}

/** An interrupt message, decoded. */
export interface Message {
  readonly vector: number;
  readonly delivery: Delivery;
  /** Logical destination mode. */
  readonly logical: boolean;
  /** Without a sign. */
  readonly destination: number;
  /** Level-triggered. */
  readonly level: boolean;
  /** What an IPI alone can leave out: a level that is de-asserted. */
  readonly asserted: boolean;
  /** The redirection hint: one of several is to get it, whatever the delivery mode. */
  readonly redirected: boolean;
  readonly shorthand: Shorthand;
}

/**
 * What an MSI asks for. With `longIds` the upper half of the address holds bits 8 to 31 of the destination (x2apic_format),
 * else nobody looks at it.
 */
export function decodeMsi(addressLow: number, addressHigh: number, data: number, longIds: boolean): Message {
  const destination = (addressLow >>> 12) & 0xff;
  return {
    vector: data & 0xff,
    delivery: ((data >>> 8) & 7) as Delivery,
    logical: (addressLow & 4) !== 0,
    destination: longIds ? (destination | (addressHigh & 0xffffff00)) >>> 0 : destination,
    level: (data & 0x8000) !== 0,
    asserted: true,
    redirected: (addressLow & 8) !== 0,
    shorthand: Shorthand.none,
  };
}

/** What the two halves of an ICR ask for: in x2APIC mode the upper one is the destination, else its upper byte. */
export function decodeIcr(low: number, high: number, x2apic: boolean): Message {
  return {
    vector: low & 0xff,
    delivery: ((low >>> 8) & 7) as Delivery,
    logical: (low & 0x800) !== 0,
    destination: x2apic ? high >>> 0 : high >>> 24,
    level: (low & 0x8000) !== 0,
    asserted: (low & 0x4000) !== 0,
    redirected: false,
    shorthand: ((low >>> 18) & 3) as Shorthand,
  };
}

/** Is one of several to get it? */
export function isLowestPriority({ delivery, redirected }: Message): boolean {
  return delivery === Delivery.lowestPriority || redirected;
}
