import type { BypassHost } from "../../bypass/bypass-host.js";
import { checkWord, show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";
import { Vcpu as V } from "../../host/layout.js";
import { Shown } from "../../host/shown.js";
import { harvest } from "../../posting/fast-path.js";
import type { VmLife } from "../vm-mutex.js";
import { acceptMessage } from "./accept.js";
import { mayBe, readBase, writeBase } from "./base.js";
import { changeApics } from "./change.js";
import { sendIpi } from "./ipi.js";
import { type Delivery, decodeIcr, type Message, Shorthand } from "./message.js";
import { isPresent, isX2apic, LVT_MASKED, SVR_ENABLED } from "./mode.js";
import { maskAll, reset } from "./power-on.js";
import { Register, readRegister, writeEntry } from "./registers.js";

/** What the vCPU does for its local APIC. */
export interface ApicOwner {
  /** Throws where the vCPU was put, or has no local APIC. */
  check(call: string): void;
  /** Ends the service of the highest vector in service. */
  endOfInterrupt(): void;
  /** What can be delivered may be another one now. */
  changed(): void;
}

const APIC_BASE_MSR = 0x1b;
const X2APIC_MSRS = 0x800;
const X2APIC_MSRS_END = 0x900;
const PAGE_END = 0x1000;
const LDR_BITS = 0xff000000;
const SVR_BITS = 0x3ff;
const ICR_BUSY = 1 << 12;
/** Bits of an ICR in x2APIC mode that must be 0. */
const ICR_RESERVED = 0xfff32000n;
const LOW = 0xffffffffn;

/**
 * The local APIC of a vCPU, as the guest that runs there programs it: its page, its MSRs, its timer's interrupt. Of the thread that runs the
 * vCPU. What a guest can do wrong is no error here: a store that is ignored is ignored, and an MSR says that there is to be a #GP.
 */
export class LocalApic extends Shown {
  /** @internal `Vcpu.apic` makes it. */
  constructor(
    private readonly host: BypassHost,
    private readonly life: VmLife,
    private readonly record: number,
    private readonly owner: ApicOwner,
  ) {
    super();
  }

  /**
   * Reads a register of the APIC page by its offset, 0 to 0xfff: the 32 bits that a load of the guest at this place of the page gets. A register begins
   * each 16 bytes. All ones where the APIC is disabled or in x2APIC mode, as in KVM; 0 where there is no register to be read. Throws EINVAL for an offset that is no
   * multiple of 4 or outside of the page.
   */
  read(offset: number): number {
    this.check("apic.read");
    checkOffset(offset);
    const { words } = this.host;
    if (!isPresent(words, this.record) || isX2apic(words, this.record)) return 0xffffffff;
    return (offset & 0xf) === 0 ? (this.readRegister(offset) ?? 0) : 0;
  }

  /**
   * Writes a register of the APIC page: a store of the guest of 32 bits. Ignored where the APIC is disabled or in x2APIC mode, at an offset that is no multiple of
   * 16, and for a register that cannot be written. Writing EOI ends an interrupt, writing ICR sends one. A write that changes by which messages the APIC is found re-targets what is
   * live; it blocks for the VM's mutex then, and for signals that are under way. Throws EINVAL as `read`.
   */
  write(offset: number, value: number): void {
    this.check("apic.write");
    checkOffset(offset);
    checkWord(value, "value");
    const { words } = this.host;
    if (!isPresent(words, this.record) || isX2apic(words, this.record) || offset & 0xf) return;
    this.writePage(offset, value | 0);
  }

  /**
   * Reads one of the MSRs of a local APIC: IA32_APIC_BASE (0x1b), and in x2APIC mode 0x800 to 0x8ff. undefined where the guest gets a #GP for it.
   * Throws EINVAL for any other number.
   */
  readMsr(msr: number): bigint | undefined {
    this.check("apic.readMsr");
    checkMsr(msr);
    const { words } = this.host;
    if (msr === APIC_BASE_MSR) return readBase(words, this.record);
    if (!isX2apic(words, this.record)) return undefined;
    const offset = (msr - X2APIC_MSRS) << 4;
    const low = this.readRegister(offset);
    if (low === undefined) return undefined;
    const high = offset === Register.icr ? words.load(this.record + V.icrHigh) : 0;
    return (BigInt(high >>> 0) << 32n) | BigInt(low);
  }

  /**
   * Writes one of them. Returns false where the guest gets a #GP for it, with nothing changed: a register or a bit that is not to be written, a change of mode that
   * is none. Blocks as `write`. Throws EINVAL for any other number, and for a value that does not fit 64 bits.
   */
  writeMsr(msr: number, value: bigint | number): boolean {
    this.check("apic.writeMsr");
    checkMsr(msr);
    const wide = readWide(value);
    const { words } = this.host;
    if (msr === APIC_BASE_MSR) return this.changeBase(wide, true);
    if (!isX2apic(words, this.record)) return false;
    const offset = (msr - X2APIC_MSRS) << 4;
    if (offset === Register.icr) return this.writeWideIcr(wide);
    return wide > LOW ? false : this.writeX2apic(offset, Number(wide) | 0);
  }

  /**
   * Sets IA32_APIC_BASE as a VMM does (KVM_SET_SREGS): from any mode to any. Throws EINVAL for reserved bits, and for x2APIC mode without an enabled
   * APIC. Blocks as `write`.
   */
  setBase(value: bigint | number): void {
    this.check("apic.setBase");
    const wide = readWide(value);
    if (this.changeBase(wide, false)) return;
    throw new IrqBypassError(
      "EINVAL",
      `0x${wide.toString(16)} is no APIC base: bits 0 to 7, 9 and from 52 on are 0, and bit 10 comes with bit 11`,
    );
  }

  /**
   * Power-on reset: enabled at 0xfee00000 in xAPIC mode, disabled by software, nothing requested or in service, the entries of its vector
   * table masked but for LINT0 of the boot processor, which is open for a PIC (kvm_lapic_reset). A new VM begins later than that, as firmware leaves
   * it: in x2APIC mode and enabled. Blocks as `write`.
   */
  reset(): void {
    this.check("apic.reset");
    this.change(() => reset(this.host, this.record));
  }

  /**
   * The timer, which is the VMM's, has expired: delivers what the timer's entry in the vector table says (kvm_apic_local_deliver). Returns whether the APIC
   * took it: false where that is masked, or the APIC is off. Waits for nobody.
   */
  timerExpired(): boolean {
    this.check("apic.timerExpired");
    const { words } = this.host;
    const entry = words.load(this.record + V.lvtTimer);
    if (!isPresent(words, this.record) || entry & LVT_MASKED) return false;
    const delivery = ((entry >>> 8) & 7) as Delivery;
    const message: Message = {
      vector: entry & 0xff,
      delivery,
      logical: false,
      destination: 0,
      level: false,
      asserted: true,
      redirected: false,
      shorthand: Shorthand.self,
    };
    return acceptMessage(this.host, this.record, message, delivery) > 0;
  }

  /** @internal */
  protected describe(): object {
    const base = Number(this.readMsr(APIC_BASE_MSR)); // JSON has no bigint, and this is below 2^52
    return { vcpu: this.host.words.get(this.record + V.index), base, ppr: this.readRegister(Register.ppr) };
  }

  private check(call: string): void {
    this.host.checkCall();
    this.owner.check(call);
  }

  /** With what is posted taken into IRR. */
  private readRegister(offset: number): number | undefined {
    if (offset >= Register.irr && offset < Register.irrEnd) {
      harvest(this.host, this.record + V.descriptor, this.record + V.irr);
      this.owner.changed();
    }
    return readRegister(this.host.words, this.record, offset);
  }

  /** Makes a change of a register by which messages find this APIC. */
  private change(change: () => void): void {
    this.host.checkPassing();
    changeApics(this.host, this.life, change);
    this.owner.changed();
  }

  private changeBase(value: bigint, byGuest: boolean): boolean {
    const { words } = this.host;
    if (!mayBe(words, this.record, value, byGuest)) return false;
    if (value !== readBase(words, this.record)) this.change(() => writeBase(words, this.record, value));
    return true;
  }

  private writePage(offset: number, value: number): void {
    const { words } = this.host;
    switch (offset) {
      case Register.id:
        this.store(V.apicId, value & LDR_BITS);
        break;
      case Register.ldr:
        this.store(V.ldr, value & LDR_BITS);
        break;
      case Register.dfr:
        this.store(V.dfr, value | 0x0fffffff);
        break;
      case Register.icr2:
        words.store(this.record + V.icr2, value & LDR_BITS);
        break;
      case Register.icr:
        this.writeIcr(value, words.load(this.record + V.icr2));
        break;
      default:
        this.writeCommon(offset, value);
    }
  }

  private writeX2apic(offset: number, value: number): boolean {
    if (offset === Register.esr) return value === 0;
    if (offset === Register.selfIpi) {
      if (value & ~0xff) return false;
      this.send(decodeIcr((Shorthand.self << 18) | value, 0, true));
      return true;
    }
    return this.writeCommon(offset, value);
  }

  /** What is the same in both modes; false where there is nothing to be written. */
  private writeCommon(offset: number, value: number): boolean {
    const { words } = this.host;
    switch (offset) {
      case Register.tpr:
        words.set(this.record + V.tpr, value & 0xff);
        this.owner.changed();
        return true;
      case Register.eoi:
        this.owner.endOfInterrupt();
        return true;
      case Register.svr:
        this.store(V.svr, value & SVR_BITS);
        if (!(value & SVR_ENABLED)) maskAll(words, this.record, true);
        return true;
      default:
        return writeEntry(words, this.record, offset, value);
    }
  }

  /** A register by which messages find this APIC. */
  private store(word: V, value: number): void {
    const { words } = this.host;
    const at = this.record + word;
    if (words.load(at) !== value) this.change(() => words.store(at, value));
  }

  private writeIcr(low: number, high: number): void {
    const { words } = this.host;
    const value = low & ~ICR_BUSY;
    this.send(decodeIcr(value, high, false)); // first, as in KVM
    words.store(this.record + V.icr, value);
  }

  private writeWideIcr(value: bigint): boolean {
    if (value & ICR_RESERVED) return false;
    const { words } = this.host;
    const low = Number(BigInt.asIntN(32, value)) & ~ICR_BUSY;
    const high = Number(BigInt.asIntN(32, value >> 32n));
    this.send(decodeIcr(low, high, true));
    words.store(this.record + V.icr, low);
    words.store(this.record + V.icrHigh, high);
    return true;
  }

  private send(message: Message): void {
    sendIpi(this.host, this.life.record, this.record, message);
  }
}

function checkOffset(offset: unknown): void {
  const value = offset as number;
  if (Number.isInteger(value) && value >= 0 && value < PAGE_END && value % 4 === 0) return;
  throw new IrqBypassError(
    "EINVAL",
    `offset is ${show(offset)}: it is a multiple of 4 within the page of ${PAGE_END} bytes`,
  );
}

function checkMsr(msr: unknown): void {
  const value = msr as number;
  if (value === APIC_BASE_MSR) return;
  if (Number.isInteger(value) && value >= X2APIC_MSRS && value < X2APIC_MSRS_END) return;
  throw new IrqBypassError("EINVAL", `msr is ${show(msr)}: a local APIC has 0x1b, and 0x800 to 0x8ff`);
}

/** 64 bits without a sign. */
function readWide(value: unknown): bigint {
  const isWhole = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
  const wide = isWhole ? BigInt(value as bigint | number) : -1n;
  if (wide >= 0n && wide < 1n << 64n) return wide;
  throw new IrqBypassError(
    "EINVAL",
    `value is ${show(value)}: give a whole number from 0 to 2^64-1, a bigint from 2^53 on`,
  );
}
