/**
 * Ioeventfds of one VM on four sides: software, with either kind of eventfd; a KvmVm of a host; and KVM by itself. Where there is a
 * real guest it makes the stores.
 */
import { Eventfd, Host, type IoeventfdOptions, IrqBypassError, Vm } from "irqbypass";
import { type Kvm, KvmMachine, KvmVm, kvm } from "irqbypass/kvm";
import { EventfdFile, eventfdInfo, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { errorCode } from "#src/host/errors.js";
import { KVM_IOEVENTFD } from "#src/kvm/ioctl.js";
import { noRelay, SMALL } from "../support/host.js";
import { type StoreLength, StoringGuest } from "./storing-guest.js";

export const EVENTFDS = 3;

/** What is assigned or deassigned; any length, as the kernel may be asked for it. */
export interface Bell {
  readonly space: "mmio" | "pio";
  readonly address: number | bigint;
  readonly length: number;
  readonly datamatch?: bigint | undefined;
}

export interface IoSide extends Disposable {
  readonly side: string;
  /** Each returns "ok" or the errno's name. */
  assign(bell: Bell, eventfd: number): string;
  deassign(bell: Bell, eventfd: number): string;
  /** The guest's store; was it taken? */
  store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean;
  /** Adds to a counter. */
  write(eventfd: number, value: bigint): void;
  /** Takes what is in a counter, 0n for nothing. */
  read(eventfd: number): bigint;
  /** Closes the last descriptor, and goes on with another eventfd in its place. */
  close(eventfd: number): void;
}

function outcome(call: () => void): string {
  try {
    call();
    return "ok";
  } catch (error) {
    if (error instanceof IrqBypassError) return error.code;
    throw error;
  }
}

const optionsOf = ({ datamatch, ...rest }: Bell) =>
  ({ ...rest, ...(datamatch === undefined ? {} : { datamatch }) }) as IoeventfdOptions;

/** What the two sides of the library have in common. */
abstract class LibrarySide<E extends Eventfd | LinuxEventfd> implements IoSide {
  abstract readonly side: string;
  protected abstract readonly host: Host;
  protected abstract readonly vm: Disposable & {
    ioeventfd(options: IoeventfdOptions, eventfd: E): unknown;
    deassignIoeventfd(options: IoeventfdOptions, eventfd: E): void;
  };
  protected abstract readonly eventfds: E[];
  protected abstract make(): E;
  abstract store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean;

  assign(bell: Bell, eventfd: number): string {
    return outcome(() => this.vm.ioeventfd(optionsOf(bell), this.eventfds[eventfd]!));
  }
  deassign(bell: Bell, eventfd: number): string {
    return outcome(() => this.vm.deassignIoeventfd(optionsOf(bell), this.eventfds[eventfd]!));
  }
  write(eventfd: number, value: bigint): void {
    this.eventfds[eventfd]!.write(value);
  }
  read(eventfd: number): bigint {
    return this.eventfds[eventfd]!.tryRead() ?? 0n;
  }
  close(eventfd: number): void {
    this.eventfds[eventfd]!.close();
    this.eventfds[eventfd] = this.make();
  }

  /** With the memory found as it should be, and nothing left. */
  [Symbol.dispose](): void {
    const findings = this.host.audit().findings;
    this.vm[Symbol.dispose]();
    for (const eventfd of this.eventfds) eventfd.close();
    const { eventfd, ioeventfd, vm } = this.host.audit().live;
    this.host.dispose();
    if (findings.length > 0 || eventfd + ioeventfd + vm > 0)
      throw new Error(`${this.side}: ${JSON.stringify(findings)}, left: ${eventfd} ${ioeventfd} ${vm}`);
  }
}

const CAPACITY = { ...SMALL, ioeventfd: 200 };

export class SoftwareSide extends LibrarySide<Eventfd | LinuxEventfd> {
  readonly side: string;
  protected readonly host: Host;
  protected readonly vm: Vm;
  protected readonly eventfds: (Eventfd | LinuxEventfd)[];

  constructor(private readonly kind: "shared" | "linux" = "shared") {
    super();
    this.side = `software, ${kind}`;
    const kinds = kind === "linux" ? [linux()] : [];
    this.host = Host.create({ kinds, capacity: CAPACITY, spawn: noRelay });
    this.vm = new Vm(this.host);
    this.eventfds = Array.from({ length: EVENTFDS }, () => this.make());
  }
  protected make() {
    return this.kind === "linux" ? LinuxEventfd.create(this.host) : Eventfd.create(this.host);
  }
  store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean {
    return this.vm.write(space, address, length, value);
  }
}

/** A KvmVm, whose vCPU stores. */
export class KvmVmSide extends LibrarySide<LinuxEventfd> {
  readonly side = "KvmVm";
  protected readonly host: Host;
  protected readonly vm: KvmVm;
  protected readonly eventfds: LinuxEventfd[];
  private readonly guest: StoringGuest;

  constructor({ ffi, runBytes }: Kvm) {
    super();
    this.host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY, spawn: noRelay });
    this.vm = new KvmVm(this.host);
    this.eventfds = Array.from({ length: EVENTFDS }, () => this.make());
    this.guest = new StoringGuest(ffi, this.vm.memory, this.vm.machine.vcpus[0]!, runBytes);
  }
  protected make() {
    return LinuxEventfd.create(this.host);
  }
  store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean {
    return this.guest.store(space, address, length, value);
  }
  override [Symbol.dispose](): void {
    this.guest[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}

const DATAMATCH = 1;
const PIO = 2;
const DEASSIGN = 4;

/** KVM by raw requests: what this project is held to. */
export class KernelSide implements IoSide {
  readonly side = "kernel";
  private readonly ffi = loadFfi();
  private readonly machine: KvmMachine;
  private readonly guest: StoringGuest;
  private readonly eventfds = Array.from({ length: EVENTFDS }, () => EventfdFile.create(this.ffi));

  constructor(opened: Kvm) {
    this.machine = new KvmMachine(opened);
    this.guest = new StoringGuest(this.ffi, this.machine.memory, this.machine.createVcpu(), opened.runBytes);
  }

  /** struct kvm_ioeventfd with any flags, also those that nobody knows. */
  request({ space, address, length, datamatch }: Bell, fd: number, flags: number): string {
    const view = new DataView(new ArrayBuffer(64));
    view.setBigUint64(0, datamatch ?? 0n, true);
    view.setBigUint64(8, BigInt(address), true);
    view.setUint32(16, length, true);
    view.setInt32(20, fd, true);
    const own = (datamatch === undefined ? 0 : DATAMATCH) | (space === "pio" ? PIO : 0);
    view.setUint32(24, own | flags, true);
    const result = this.ffi.ioctlBuffer(this.machine.fd, KVM_IOEVENTFD.request, view);
    return result >= 0 ? "ok" : errorCode(result);
  }

  assign(bell: Bell, eventfd: number): string {
    return this.request(bell, this.eventfds[eventfd]!.fd, 0);
  }
  deassign(bell: Bell, eventfd: number): string {
    return this.request(bell, this.eventfds[eventfd]!.fd, DEASSIGN);
  }
  store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean {
    return this.guest.store(space, address, length, value);
  }
  write(eventfd: number, value: bigint): void {
    this.eventfds[eventfd]!.write(value);
  }
  read(eventfd: number): bigint {
    const file = this.eventfds[eventfd]!;
    return eventfdInfo(file.fd).count === 0n ? 0n : file.read();
  }
  close(eventfd: number): void {
    this.eventfds[eventfd]![Symbol.dispose]();
    this.eventfds[eventfd] = EventfdFile.create(this.ffi);
  }
  [Symbol.dispose](): void {
    this.guest[Symbol.dispose]();
    this.machine[Symbol.dispose]();
    for (const eventfd of this.eventfds) eventfd[Symbol.dispose]();
  }
}
