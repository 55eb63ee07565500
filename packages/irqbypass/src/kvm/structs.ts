/**
 * The structures that KVM's requests take, as bytes (linux/kvm.h and x86's asm/kvm.h; little-endian).
 */
import {
  checkFlag,
  checkObject,
  isList,
  isOf,
  type OptionNames,
  reading,
  readOptions,
  show,
} from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { checkDescriptor } from "../linux/checked.js";
import { checkSpace, checkWide, type IoSpace } from "../vm/io-access.js";

/** A message-signalled interrupt as a device would send it. */
export interface KvmMsi {
  /** Whom it is for. */
  readonly addressLow: number;
  /** The upper half of that. */
  readonly addressHigh: number;
  /** Vector, delivery mode and trigger. */
  readonly data: number;
}

/** Where one GSI leads: a message, or a pin of an interrupt chip (0 and 1 the PICs, 2 the I/O APIC). */
export type KvmRoute = KvmMsiRoute | KvmPinRoute;

/** A GSI that is a message. */
export interface KvmMsiRoute {
  /** The GSI. */
  readonly gsi: number;
  /** The message. */
  readonly msi: KvmMsi;
}

/** A GSI that is a line. */
export interface KvmPinRoute {
  /** The GSI. */
  readonly gsi: number;
  /** 0 and 1 the PICs, 2 the I/O APIC. */
  readonly chip: number;
  /** Its input. */
  readonly pin: number;
}

/** A doorbell of the guest: which stores signal an eventfd inside KVM. */
export interface KvmIoeventfd {
  /** A descriptor of the eventfd. */
  readonly eventfd: number;
  /** The bus that it is on. */
  readonly space: IoSpace;
  /** Where it is there: 0 to 2^64-1, a bigint from 2^53 on. */
  readonly address: number | bigint;
  /** 0 for stores of any length. */
  readonly length: number;
  /** The one value that it takes; any if absent. */
  readonly datamatch?: number | bigint | undefined;
}

const MSI: OptionNames<KvmMsi> = { addressLow: true, addressHigh: true, data: true };
const MSI_ROUTE = { gsi: true, msi: true };
const PIN_ROUTE = { gsi: true, chip: true, pin: true };

/** Binds an eventfd to a GSI; with `resample` the GSI is level-triggered and each EOI signals that eventfd. */
export interface KvmIrqfd {
  /** A descriptor of the eventfd. */
  readonly eventfd: number;
  /** The GSI that each signal raises. */
  readonly gsi: number;
  /** A descriptor of the eventfd that is signalled at the EOI, which makes it level-triggered. */
  readonly resample?: number;
}

/** A fixed, edge-triggered message to one local APIC (Intel SDM volume 3, "Message Address Register Format"). */
export function msiTo(apicId: number, vector: number): KvmMsi {
  if (!Number.isInteger(apicId) || apicId < 0 || apicId > 254) {
    throw new IrqBypassError("EINVAL", `an MSI names a local APIC by an id of 0 to 254, not ${show(apicId)}`);
  }
  if (!Number.isInteger(vector) || vector < 16 || vector > 255) {
    throw new IrqBypassError("EINVAL", `an MSI carries a vector of 16 to 255, not ${show(vector)}`);
  }
  return { addressLow: (0xfee00000 | (apicId << 12)) >>> 0, addressHigh: 0, data: vector };
}

/** Refuses what DataView would silently cut to 32 bits. */
function u32(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw new IrqBypassError("EINVAL", `${what} is a 32-bit unsigned number, not ${show(value)}`);
}

function words(...values: number[]): Uint32Array {
  return Uint32Array.from(values);
}

/** struct kvm_userspace_memory_region: `size` bytes at `address` become the guest's memory from `guestAddress`. */
export function encodeMemoryRegion(slot: number, guestAddress: number, size: number, address: number) {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint32(0, slot, true);
  view.setBigUint64(8, BigInt(guestAddress), true);
  view.setBigUint64(16, BigInt(size), true);
  view.setBigUint64(24, BigInt(address), true);
  return view;
}

const IRQFD: OptionNames<KvmIrqfd> = { eventfd: true, gsi: true, resample: true };
const IRQFD_DEASSIGN = 1;
const IRQFD_RESAMPLE = 2;

function encodeIrqfd(irqfd: KvmIrqfd, deassign: number): Uint32Array {
  const { eventfd, gsi, resample } = readOptions(irqfd, IRQFD, "an irqfd: { eventfd, gsi }");
  checkDescriptor(eventfd, "the irqfd's eventfd ");
  if (resample !== undefined) checkDescriptor(resample, "the irqfd's resample eventfd ");
  const flags = deassign === 0 && resample !== undefined ? IRQFD_RESAMPLE : deassign;
  return words(eventfd, u32(gsi, "a GSI"), flags, resample ?? 0, 0, 0, 0, 0);
}

/** struct kvm_irqfd that assigns. */
export function encodeIrqfdAssign(irqfd: KvmIrqfd): Uint32Array {
  return encodeIrqfd(irqfd, 0);
}

/** struct kvm_irqfd that takes the same pair back. */
export function encodeIrqfdDeassign(irqfd: KvmIrqfd): Uint32Array {
  return encodeIrqfd(irqfd, IRQFD_DEASSIGN);
}

const IOEVENTFD_DATAMATCH = 1;
const IOEVENTFD_PIO = 2;
const IOEVENTFD_DEASSIGN = 4;

const IOEVENTFD: OptionNames<KvmIoeventfd> = {
  eventfd: true,
  space: true,
  address: true,
  length: true,
  datamatch: true,
};

/** struct kvm_ioeventfd that assigns. */
export function encodeIoeventfdAssign(ioeventfd: KvmIoeventfd): DataView {
  return encodeIoeventfd(ioeventfd, 0);
}

/** struct kvm_ioeventfd that takes the same back. */
export function encodeIoeventfdDeassign(ioeventfd: KvmIoeventfd): DataView {
  return encodeIoeventfd(ioeventfd, IOEVENTFD_DEASSIGN);
}

function encodeIoeventfd(ioeventfd: KvmIoeventfd, deassign: number): DataView {
  const { eventfd, space, address, length, datamatch } = readOptions(
    ioeventfd,
    IOEVENTFD,
    "an ioeventfd: { eventfd, space, address, length }",
  );
  checkSpace(space);
  checkDescriptor(eventfd, "the ioeventfd's eventfd ");
  const view = new DataView(new ArrayBuffer(64));
  view.setBigUint64(0, datamatch === undefined ? 0n : BigInt(checkWide(datamatch, "datamatch")), true);
  view.setBigUint64(8, BigInt(checkWide(address, "address")), true);
  view.setUint32(16, u32(length, "a length"), true);
  view.setInt32(20, eventfd, true);
  const flags = (datamatch === undefined ? 0 : IOEVENTFD_DATAMATCH) | (space === "pio" ? IOEVENTFD_PIO : 0);
  view.setUint32(24, flags | deassign, true);
  return view;
}

const ROUTE_WORDS = 12;
const ROUTE_IRQCHIP = 1;
const ROUTE_MSI = 2;

const ROUTE_TEXT = "routes such as { gsi, msi } or { gsi, chip, pin }";

/** struct kvm_irq_routing: the whole table. */
export function encodeRouting(routes: readonly KvmRoute[]): Uint32Array {
  if (!isList(routes)) throw new IrqBypassError("EINVAL", `a routing table is an array, not ${show(routes)}`);
  const list = reading(ROUTE_TEXT, () => Array.from(routes));
  const table = new Uint32Array(2 + list.length * ROUTE_WORDS);
  table[0] = list.length;
  list.forEach((one, index) => {
    checkObject(one, ROUTE_TEXT);
    const isMsi = reading(ROUTE_TEXT, () => "msi" in one);
    const route = readOptions<KvmRoute>(one, isMsi ? MSI_ROUTE : PIN_ROUTE, ROUTE_TEXT, `route ${index}: `);
    const gsi = u32(route.gsi, "a GSI");
    const entry =
      "msi" in route
        ? [gsi, ROUTE_MSI, 0, 0, ...msiWords(route.msi)]
        : [gsi, ROUTE_IRQCHIP, 0, 0, u32(route.chip, "an interrupt chip"), u32(route.pin, "a pin")];
    table.set(entry, 2 + index * ROUTE_WORDS);
  });
  return table;
}

function msiWords(msi: KvmMsi): number[] {
  const { addressLow, addressHigh, data } = readOptions(
    msi,
    MSI,
    "an MSI: { addressLow, addressHigh, data }",
  );
  return [
    u32(addressLow, "an MSI's low address"),
    u32(addressHigh, "an MSI's high address"),
    u32(data, "an MSI's data"),
  ];
}

/** struct kvm_msi. Encode once and signal often. */
export function encodeMsi(msi: KvmMsi): Uint32Array {
  return words(...msiWords(msi), 0, 0, 0, 0, 0);
}

/** struct kvm_irq_level. */
export function encodeIrqLevel(gsi: number, level: boolean): Uint32Array {
  checkFlag(level, "level", "needed");
  return words(u32(gsi, "a GSI"), level ? 1 : 0);
}

/** struct kvm_enable_cap with one argument. */
export function encodeEnableCap(capability: number, argument: number): Uint32Array {
  const bytes = new Uint32Array(104 / 4);
  bytes[0] = capability;
  bytes[2] = argument;
  return bytes;
}

/** struct kvm_signal_mask: the kernel's set of signals that are blocked inside KVM_RUN. */
export function encodeSignalMask(set: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + set.length);
  bytes[0] = set.length;
  bytes.set(set, 4);
  return bytes;
}

/** struct kvm_regs with everything 0 but these. */
export function encodeRegs(regs: { rip: number; rsp: number; rflags: number }): DataView {
  const { rip, rsp, rflags } = readOptions(
    regs,
    { rip: true, rsp: true, rflags: true },
    "registers: { rip, rsp, rflags }",
  );
  const view = new DataView(new ArrayBuffer(144));
  view.setBigUint64(6 * 8, BigInt(register(rsp, "rsp")), true);
  view.setBigUint64(16 * 8, BigInt(register(rip, "rip")), true);
  view.setBigUint64(17 * 8, BigInt(register(rflags, "rflags")), true);
  return view;
}

/** struct kvm_sregs, as KVM_GET_SREGS fills it. */
export const SREGS_BYTES = 312;
/** Segment registers of kvm_sregs by their place. */
export const SEGMENT = { cs: 0, ds: 1, es: 2, fs: 3, gs: 4, ss: 5 } as const;
const SEGMENT_BYTES = 24;
const APIC_BASE_AT = 8 * SEGMENT_BYTES + 2 * 16 + 6 * 8;

/** Points a real-mode segment register at `selector * 16`; its limit and rights stay. */
export function setRealModeSegment(sregs: DataView, segment: keyof typeof SEGMENT, selector: number): void {
  const at = SEGMENT[segment] * SEGMENT_BYTES;
  sregs.setBigUint64(at, BigInt(selector) << 4n, true);
  sregs.setUint16(at + 12, selector, true);
}

/** The APIC base register's bits: enabled, and in x2APIC mode. */
export const X2APIC_ENABLED = 0xc00n;

export function addApicBase(sregs: DataView, bits: bigint): void {
  sregs.setBigUint64(APIC_BASE_AT, sregs.getBigUint64(APIC_BASE_AT, true) | bits, true);
}

/** struct kvm_lapic_state: the registers of a local APIC, 16 bytes apart. */
export const LAPIC_BYTES = 1024;
const SPURIOUS_VECTOR_AT = 0xf0;
const LINT0_AT = 0x350;
const MASKED = 0x10000;
const IRR_AT = 0x200;
const ISR_AT = 0x100;

/** Sets the bit that software enables a local APIC with, and its spurious vector to 0xff. */
export function enableLapic(lapic: Uint8Array): void {
  new DataView(lapic.buffer, lapic.byteOffset).setUint32(SPURIOUS_VECTOR_AT, 0x1ff, true);
}

/** Nobody takes what the 8259s ask for. */
export function maskLint0(lapic: Uint8Array): void {
  new DataView(lapic.buffer, lapic.byteOffset).setUint32(LINT0_AT, MASKED, true);
}

function register(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: a register holds a whole number from 0 on`);
}

/** Throws EINVAL for what are not the registers of a local APIC. */
export function checkLapic(lapic: Uint8Array): void {
  const bytes = ArrayBuffer.isView(lapic) && isOf(lapic, Uint8Array) ? lapic.byteLength : undefined;
  if (bytes === LAPIC_BYTES) return;
  const found = bytes === undefined ? show(lapic) : String(bytes);
  throw new IrqBypassError("EINVAL", `a local APIC is a Uint8Array of ${LAPIC_BYTES} bytes, not ${found}`);
}

function vectorsAt(lapic: Uint8Array, at: number): number[] {
  checkLapic(lapic);
  const view = new DataView(lapic.buffer, lapic.byteOffset, lapic.byteLength);
  return Array.from({ length: 256 }, (_, vector) => vector).filter(
    (vector) => view.getUint32(at + (vector >> 5) * 16, true) & (1 << (vector & 31)),
  );
}

/** The vectors that wait in a local APIC: its IRR, ascending. */
export const requestedVectors = (lapic: Uint8Array): number[] => vectorsAt(lapic, IRR_AT);

/** The vectors that a local APIC's handlers have not ended yet: its ISR, ascending. */
export const inServiceVectors = (lapic: Uint8Array): number[] => vectorsAt(lapic, ISR_AT);

/** What KVM_GET_IRQCHIP says of the I/O APIC. */
export interface IoapicState {
  /** One bit for each asserted pin. */
  readonly irr: number;
  /** The redirection entries of pins 0 to 23. */
  readonly pins: readonly bigint[];
}

export const IRQCHIP_BYTES = 520;
export const IRQCHIP_IOAPIC = 2;

export function decodeIoapic(bytes: DataView): IoapicState {
  const state = 8;
  return {
    irr: bytes.getUint32(state + 16, true),
    pins: Array.from({ length: 24 }, (_, pin) => bytes.getBigUint64(state + 24 + pin * 8, true)),
  };
}

/** struct kvm_cpuid2 with room for this many entries. */
export const CPUID_ENTRIES = 256;
export const CPUID_BYTES = 8 + CPUID_ENTRIES * 40;

/** struct kvm_vcpu_events in which nothing is pending, injected or masked, and no instruction holds interrupts back. */
export function noEvents(): DataView {
  const events = new DataView(new ArrayBuffer(EVENTS_BYTES));
  events.setUint32(EVENT_FLAGS_AT, VALID_NMI_PENDING | VALID_SHADOW, true);
  return events;
}
const EVENTS_BYTES = 64;
const EVENT_FLAGS_AT = 20;
const VALID_NMI_PENDING = 1;
const VALID_SHADOW = 4;
