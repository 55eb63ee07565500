/**
 * One VM of KVM, as the kernel offers it: memory, interrupt chips, routing, irqfds, vCPUs.
 *
 * A machine belongs to the thread that made it. What another thread needs, it does with the descriptor's number:
 * {@link signalMsi} with a C library of its own.
 */

import { checkClass, type OptionNames, readOptions, show } from "../host/argument.js";
import { ERRNO, IrqBypassError } from "../host/errors.js";
import { platformHere } from "../host/platform-here.js";
import { Shown } from "../host/shown.js";
import { checkSpawn, type Spawn } from "../host/spawn.js";
import { createMemory, isMemory, type WasmMemory } from "../host/wasm.js";
import { checkDescriptor, checked } from "../linux/checked.js";
import { checkFfi, type Ffi } from "../linux/ffi.js";
import {
  ioctl,
  KVM_CAP,
  KVM_CREATE_IRQCHIP,
  KVM_CREATE_VM,
  KVM_ENABLE_CAP,
  KVM_GET_IRQCHIP,
  KVM_IOEVENTFD,
  KVM_IRQ_LINE,
  KVM_IRQFD,
  KVM_SET_GSI_ROUTING,
  KVM_SET_IDENTITY_MAP_ADDR,
  KVM_SET_TSS_ADDR,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SIGNAL_MSI,
} from "./ioctl.js";
import { Kvm } from "./kvm.js";
import { checkOwn, type MachineHost } from "./machine-host.js";
import {
  decodeIoapic,
  encodeEnableCap,
  encodeIoeventfdAssign,
  encodeIoeventfdDeassign,
  encodeIrqfdAssign,
  encodeIrqfdDeassign,
  encodeIrqLevel,
  encodeMemoryRegion,
  encodeMsi,
  encodeRouting,
  type IoapicState,
  IRQCHIP_BYTES,
  IRQCHIP_IOAPIC,
  type KvmIoeventfd,
  type KvmIrqfd,
  type KvmMsi,
  type KvmRoute,
} from "./structs.js";
import { checkThreadRoom } from "./thread-room.js";
import { type KvmFacts, KvmVcpu } from "./vcpu.js";

const PAGE = 0x1_0000;
// Processors without "unrestricted guest" run real mode with a page table and a TSS of the host's making. They
// lie below the top of the 32-bit space, where no guest of ours has memory.
const IDENTITY_MAP_AT = 0xfffb_c000;
const TSS_AT = 0xfffb_d000;
const IOAPIC_PINS = 24;
const MSI_BYTES = 32;

/** Options of a new machine. */
export interface KvmMachineOptions {
  /** The guest's memory, from guest address 0; shared. Default: one of `pages` is made. */
  readonly memory?: WasmMemory;
  /** Size of the memory to make, in pages of 64 KiB; default 1. */
  readonly pages?: number;
  /**
   * "full" (the default): PICs, I/O APIC and local APICs in the kernel. "split": local APICs alone, for irqfds
   * that are MSIs. "none": irqfds and routing are refused by KVM.
   */
  readonly irqchip?: "full" | "split" | "none";
  /** How the threads of its vCPUs are started; see {@link Spawn}. */
  readonly spawn?: Spawn | undefined;
}

const OPTIONS: OptionNames<KvmMachineOptions> = { memory: true, pages: true, irqchip: true, spawn: true };

/** A VM's descriptor and all that hangs on it. */
export class KvmMachine extends Shown implements Disposable {
  /** The C library that it is called through. */
  readonly ffi: Ffi;
  /** The guest's memory. The kernel reads and writes it in place until the machine is disposed. */
  readonly memory: WasmMemory;
  readonly #kvm: KvmFacts;
  readonly #vcpus: KvmVcpu[] = [];
  readonly #forgetExit: () => void;
  #fd: number;

  /**
   * Creates a VM with its memory and interrupt chips. Throws EINVAL for a memory that is not shared, else what
   * the kernel says; nothing is left open then. `kvm` may be closed afterwards.
   *
   * @example
   * ```ts
   * import { Kvm, KvmMachine } from "irqbypass/kvm";
   *
   * using opened = Kvm.open();
   * using machine = new KvmMachine(opened, { pages: 2 });
   * console.log(machine.createVcpu().index);
   * ```
   */
  constructor(kvm: Kvm, options?: KvmMachineOptions);
  /** @internal A machine of a host. */
  constructor(kvm: Kvm, options: KvmMachineOptions, host: MachineHost);
  constructor(kvm: Kvm, options: KvmMachineOptions = {}, host?: MachineHost) {
    super();
    const how = readOptions(options, OPTIONS, "options such as { pages: 4 }, or none");
    checkClass(kvm, Kvm, () => `${show(kvm)} is no Kvm: pass what Kvm.open returned`);
    const { pages = 1, irqchip = "full", spawn } = how;
    if (!Number.isInteger(pages) || pages < 1 || pages > 65536) {
      throw new IrqBypassError("EINVAL", `pages is ${show(pages)}: a guest has 1 to 65536 of 64 KiB`);
    }
    if (!["full", "split", "none"].includes(irqchip)) {
      throw new IrqBypassError("EINVAL", `irqchip is ${show(irqchip)}: use full, split or none`);
    }
    checkSpawn(spawn);
    const { memory = createMemory(pages) } = how;
    if (!isMemory(memory) || !(memory.buffer instanceof SharedArrayBuffer)) {
      throw new IrqBypassError("EINVAL", "a guest's memory is a WebAssembly.Memory made with shared: true");
    }
    this.#kvm = { ffi: kvm.ffi, runBytes: kvm.runBytes, supportedCpuid: kvm.supportedCpuid, spawn, host };
    this.ffi = kvm.ffi;
    this.memory = memory;
    this.#fd = ioctl(kvm.ffi, kvm.fd, KVM_CREATE_VM, 0, "/dev/kvm", "", host?.opens);
    try {
      this.#setUp(irqchip);
    } catch (error) {
      this.#close();
      throw error;
    }
    // A vCPU's thread sees by itself that it is to end, but one after the other: this ends all at once.
    this.#forgetExit = platformHere().onExit(() => {
      for (const vcpu of this.#vcpus) vcpu.thread?.requestStop();
    });
  }

  #setUp(irqchip: "full" | "split" | "none"): void {
    this.#ioctl(KVM_SET_IDENTITY_MAP_ADDR, new BigUint64Array([BigInt(IDENTITY_MAP_AT)]));
    this.#ioctl(KVM_SET_TSS_ADDR, TSS_AT);
    if (irqchip === "full") this.#ioctl(KVM_CREATE_IRQCHIP, 0);
    if (irqchip === "split") {
      this.#ioctl(KVM_ENABLE_CAP, encodeEnableCap(KVM_CAP.KVM_CAP_SPLIT_IRQCHIP, IOAPIC_PINS));
    }
    const bytes = new Uint8Array(this.memory.buffer);
    const address = this.ffi.addressOf(bytes);
    const size = bytes.byteLength;
    if (size === 0) {
      throw new IrqBypassError("EINVAL", `a guest's memory has at least one page of ${PAGE} bytes`);
    }
    this.#ioctl(KVM_SET_USER_MEMORY_REGION, encodeMemoryRegion(0, 0, size, address));
  }

  #ioctl(call: { name: string; request: number }, argument: number | ArrayBufferView, advice = ""): number {
    return ioctl(this.ffi, this.fd, call, argument, `VM fd ${this.#fd}`, advice);
  }

  /** The descriptor, for {@link signalMsi} in other threads. Throws EBADF after dispose. */
  get fd(): number {
    if (this.#fd < 0) throw new IrqBypassError("EBADF", "the VM was closed by dispose");
    return this.#fd;
  }

  /** @internal */
  protected describe(): object {
    return { fd: this.fd, vcpus: this.#vcpus.length, memoryBytes: this.memory.buffer.byteLength };
  }

  /** The vCPUs by their APIC id. */
  get vcpus(): readonly KvmVcpu[] {
    return this.#vcpus;
  }

  /** Adds the next vCPU; its APIC id is its index. Throws what KVM says, and EINVAL where it is the machine of a `KvmVm`, which has its own. */
  createVcpu(): KvmVcpu {
    const vcpu = new KvmVcpu(this.fd, this.#kvm, this.memory, this.#vcpus.length);
    this.#vcpus.push(vcpu);
    return vcpu;
  }

  /** Replaces the routing table as a whole; the old one stays where this throws. */
  setGsiRouting(routes: readonly KvmRoute[]): void {
    this.#ioctl(KVM_SET_GSI_ROUTING, encodeRouting(routes), `table of ${routes.length} routes`);
  }

  /**
   * Binds an eventfd to a GSI (KVM_IRQFD). EBUSY where the eventfd has an irqfd already, in any VM; EBADF for a number that is
   * no open descriptor, EINVAL for what is no eventfd.
   */
  assignIrqfd(irqfd: KvmIrqfd): void {
    const argument = encodeIrqfdAssign(irqfd);
    this.#ioctl(KVM_IRQFD, argument, `assigning eventfd ${argument[0]} to GSI ${argument[1]}`);
  }

  /**
   * Takes the binding back; no error where there is none. When this returns the irqfd injects no more. EBADF and EINVAL as
   * {@link assignIrqfd}.
   */
  deassignIrqfd(irqfd: KvmIrqfd): void {
    const argument = encodeIrqfdDeassign(irqfd);
    this.#ioctl(KVM_IRQFD, argument, `deassigning eventfd ${argument[0]} from GSI ${argument[1]}`);
  }

  /**
   * Lets KVM signal an eventfd at each store of the guest to an address. EEXIST where another one takes such a store; EBADF and
   * EINVAL as {@link assignIrqfd}.
   */
  assignIoeventfd(ioeventfd: KvmIoeventfd): void {
    this.#ioctl(KVM_IOEVENTFD, encodeIoeventfdAssign(ioeventfd), "assigning an ioeventfd");
  }

  /**
   * Takes exactly this back, ENOENT where there is none; EBADF and EINVAL as {@link assignIrqfd}. When it has returned no vCPU
   * signals through it any more.
   */
  deassignIoeventfd(ioeventfd: KvmIoeventfd): void {
    this.#ioctl(KVM_IOEVENTFD, encodeIoeventfdDeassign(ioeventfd), "deassigning an ioeventfd");
  }

  /** Sends a message now. Returns whether a local APIC took it; false where none is addressed or enabled. */
  signalMsi(msi: KvmMsi): boolean {
    return signalMsi(this.ffi, this.fd, encodeMsi(msi));
  }

  /** Raises or lowers the line of a GSI that is routed to an interrupt chip. */
  setIrqLine(gsi: number, level: boolean): void {
    this.#ioctl(KVM_IRQ_LINE, encodeIrqLevel(gsi, level), `GSI ${gsi}`);
  }

  /** The state of the I/O APIC. */
  ioapic(): IoapicState {
    const bytes = new DataView(new ArrayBuffer(IRQCHIP_BYTES));
    bytes.setUint32(0, IRQCHIP_IOAPIC, true);
    this.#ioctl(KVM_GET_IRQCHIP, bytes);
    return decodeIoapic(bytes);
  }

  /** @internal Starts a thread for every vCPU, or none: those that run are told to leave where one cannot be started. */
  start(subject: string): void {
    for (const vcpu of this.#vcpus) vcpu.checkStart();
    checkThreadRoom(this.ffi, this.fd, this.#vcpus.length, subject);
    const started: KvmVcpu[] = [];
    try {
      for (const vcpu of this.#vcpus) {
        vcpu.start();
        started.push(vcpu);
      }
    } catch (error) {
      for (const { thread } of started) thread?.[Symbol.dispose]();
      throw error;
    }
  }

  /** Stops every vCPU thread and waits until each has left KVM_RUN and ended. Rejects with the first failure. */
  async stop(): Promise<void> {
    for (const vcpu of this.#vcpus) vcpu.thread?.requestStop();
    await Promise.all(this.#vcpus.map((vcpu) => vcpu.thread?.stop()));
  }

  /**
   * Ends everything: kicks the vCPU threads out of KVM_RUN, blocking until they are (well under a
   * millisecond), then closes the vCPUs and the VM, whose irqfds end with it. Idempotent. Throws EBUSY for the machine of a `KvmVm`, which
   * ends with that.
   */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    checkOwn(this.#kvm.host, `VM fd ${this.#fd}`);
    this.end();
  }

  /** @internal The same, by whom the machine belongs to. */
  end(): void {
    if (this.#fd < 0) return;
    this.#forgetExit();
    for (const vcpu of this.#vcpus) vcpu.thread?.requestStop();
    for (const vcpu of this.#vcpus) vcpu.end();
    const fd = this.#fd;
    checked(this.#close(), "close", `VM fd ${fd}`);
  }

  #close(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return this.#kvm.host === undefined ? this.ffi.close(fd) : this.#kvm.host.closes();
  }
}

/**
 * One KVM_SIGNAL_MSI on a VM's descriptor, from any thread, with a record made by {@link encodeMsi}, or its address in the
 * memory of this process. Returns whether a local APIC took it. Throws EBADF for a number that is no open descriptor, and
 * EFAULT for an address at which nothing is.
 */
export function signalMsi(ffi: Ffi, vmFd: number, record: ArrayBufferView | number): boolean {
  return countMsi(ffi, vmFd, record) > 0;
}

/** The same; how many took it, and -1 where KVM found nobody by asking each local APIC. */
export function countMsi(ffi: Ffi, vmFd: number, record: ArrayBufferView | number): number {
  checkFfi(ffi);
  const isAddress = Number.isSafeInteger(record) && (record as number) > 0;
  if (!isAddress && (!ArrayBuffer.isView(record) || record.byteLength !== MSI_BYTES)) {
    throw new IrqBypassError("EINVAL", "a message is a record of 32 bytes: pass what encodeMsi returned");
  }
  checkDescriptor(vmFd);
  const result =
    typeof record === "number"
      ? ffi.ioctl(vmFd, KVM_SIGNAL_MSI.request, record)
      : ffi.ioctlBuffer(vmFd, KVM_SIGNAL_MSI.request, record);
  // -1 is a count, and the number of EPERM; nothing here is forbidden.
  return result === -ERRNO.EPERM ? -1 : checked(result, KVM_SIGNAL_MSI.name, "a VM");
}
