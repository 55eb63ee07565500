import type { BypassHost } from "../bypass/bypass-host.js";
import type { Policy } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag, checkOptions, type OptionNames, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Consumer, Eventfd as E, LEAVING, RouteType, Vm as V, VmFlag } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { assign, checkIrqfd, deassign } from "./assignment.js";
import type { IoeventfdOptions, IoSpace } from "./io-access.js";
import { IoBus } from "./io-bus.js";
import { Source } from "./ioapic.js";
import { IoApic } from "./ioapic-registers.js";
import {
  deassignMatching,
  type Ioeventfd,
  type IoeventfdInfo,
  listIoeventfds,
  makeIoeventfd,
} from "./ioeventfd.js";
import { Irqfd } from "./irqfd.js";
import { replaceRoutes } from "./reroute.js";
import { checkRoutes, type GsiRoute } from "./route.js";
import { resolve, setGsi } from "./routing.js";
import { VcpuRef } from "./vcpu-ref.js";
import { lifeOf, VmLife } from "./vm-mutex.js";
import { createVm, disposeClaimed } from "./vm-record.js";

/** Options of a new VM. */
export interface VmOptions {
  /** How many vCPUs: 1 (the default) to 256. */
  readonly vcpus?: number;
  /** false: the vCPUs are bare descriptors, for emulators with an interrupt controller of their own. */
  readonly apic?: boolean;
}

/** Options of an irqfd. */
export interface IrqfdOptions {
  /** `off` no bypass, `prefer` (the default) bypass where possible, `require` bypass or an error. */
  readonly bypass?: Policy;
  /**
   * Makes it level-triggered (KVM_IRQFD_FLAG_RESAMPLE): a signal raises the line of the GSI, the guest's EOI lets go of it
   * and signals this eventfd, so that the device looks whether it has more to say.
   */
  readonly resample?: EventfdContext;
}

const VM: OptionNames<VmOptions> = { vcpus: true, apic: true };
export const IRQFD: OptionNames<IrqfdOptions> = { bypass: true, resample: true };
export const IRQFD_TEXT = 'options such as { bypass: "require" }, or none';

/** A software virtual machine: vCPUs, GSI routing and irqfds. Its vCPUs are run by the VMM's threads. */
export class Vm extends Shown implements Disposable {
  private readonly host: BypassHost;
  private readonly life: VmLife;
  private readonly bus: IoBus;
  /** Through this object. */
  private disposed = false;

  /**
   * A new VM. Throws EINVAL for bad options, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host, { vcpus: 2 });
   * vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: 0x41 } }]);
   * const irqfd = vm.irqfd(Eventfd.create(host), 24);
   * console.log(irqfd.path, irqfd.reason);
   * ```
   */
  constructor(host: BypassHost, options?: VmOptions);
  /** @internal For `Vm.open`. */
  constructor(host: BypassHost, opened: VmLife);
  constructor(host: BypassHost, from: VmOptions | VmLife = {}) {
    super();
    checkHost(host);
    this.host = host;
    this.life = from instanceof VmLife ? from : newVm(host, from);
    this.bus = new IoBus(host, this.life);
  }

  /**
   * A handle in this thread to a VM made in another. Throws ESTALE when it is gone, and for the handle of something else,
   * and EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const again = Vm.open(Host.attach(host.handle), vm.handle); // in another thread
   * console.log(again.id === vm.id);
   * ```
   */
  static open(host: BypassHost, handle: Handle<"vm">): Vm {
    checkHost(host);
    return new Vm(
      host,
      host.mutex.guard(() => lifeOf(host, host.pools.vm.open(handle))),
    );
  }

  /** What another thread passes to `Vm.open`. */
  get handle(): Handle<"vm"> {
    this.host.checkCall();
    return this.life.look(() => this.host.pools.vm.handle(this.life.record));
  }

  /**
   * A small number that no other VM of this host has while this one lives, for tables and messages. It stays the same when
   * this one is disposed; another VM may have it then.
   */
  get id(): number {
    return this.life.id;
  }

  /** How many vCPUs it has. */
  get vcpus(): number {
    return this.life.look(() => this.host.words.get(this.life.record + V.vcpus));
  }

  /** One of its vCPUs. Throws EINVAL for an index that it does not have. */
  vcpu(index: number): VcpuRef {
    const { host, life } = this;
    return life.look(() => {
      const count = host.words.get(life.record + V.vcpus);
      if (!Number.isInteger(index) || index < 0 || index >= count)
        throw new IrqBypassError("EINVAL", `VM ${this.id} has vCPUs 0 to ${count - 1}, not ${show(index)}`);
      return new VcpuRef(host, host.words.get(life.record + V.vcpu + index));
    });
  }

  /**
   * Replaces the whole routing table (KVM_SET_GSI_ROUTING). When it has returned nothing uses an old route, and what
   * was signalled before the call has gone by one that was an MSI. Throws EINVAL for a bad entry or a pin in a VM that has no I/O APIC,
   * ENOMEM, and EOPNOTSUPP where a connected irqfd with bypass: "require" could not be bypassed any more; the old table stays
   * then. Blocks for this VM's mutex, and for signals that are under way.
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.host.checkCall();
    const checked = checkRoutes(routes, this.vcpus);
    const pin = this.isBare ? checked.find(({ type }) => type === RouteType.irqchip) : undefined;
    if (pin !== undefined) {
      throw new IrqBypassError(
        "EINVAL",
        `GSI ${pin.gsi} leads to an interrupt controller, and VM ${this.id} was made with apic: false: use an msi`,
      );
    }
    replaceRoutes(this.host, this.life, checked);
  }

  /**
   * Makes each signal of `eventfd` an interrupt of `gsi` (KVM_IRQFD), bypassing the relay where a producer of this
   * host signals it. The GSI may have no route yet; its interrupts are lost until it has one. Throws EBUSY where the
   * eventfd has an irqfd already, in whichever VM; EBADF for a closed eventfd; EINVAL; ENOMEM; EOPNOTSUPP with the
   * reason where `bypass` is "require" and a waiting producer cannot be bypassed.
   */
  irqfd(eventfd: EventfdContext, gsi: number, options: IrqfdOptions = {}): Irqfd {
    this.host.checkCall();
    checkOptions(options, IRQFD, IRQFD_TEXT);
    const { bypass = "prefer", resample } = options;
    checkIrqfd(this.host, eventfd, gsi, bypass);
    if (resample !== undefined) this.checkResample(resample);
    const { host, life } = this;
    const assigned = assign(host, {
      life,
      eventfd: eventfd.record,
      gsi,
      policy: bypass,
      kind: 0,
      resample: resample?.record ?? 0,
      resolve: () => resolve(host, life.record, gsi),
    });
    return new Irqfd(host, life.mutex, assigned);
  }

  /**
   * Deassigns the irqfd that matches both `eventfd` and `gsi`; returns whether there was one. Throws nothing where
   * nothing matches, as KVM_IRQFD_FLAG_DEASSIGN; EBADF for a closed eventfd, EINVAL for what is none of this host.
   */
  deassign(eventfd: EventfdContext, gsi: number): boolean {
    this.host.checkCall();
    checkIrqfd(this.host, eventfd, gsi, "off");
    const { words } = this.host;
    return deassign(this.host, this.life.mutex, () => {
      this.life.check(); // before it is looked for: what the next VM in the record has is none of this one's
      const irqfd = words.load(eventfd.record + E.irqfd) & ~LEAVING; // one on its way out is waited for
      if (irqfd === 0 || words.get(irqfd + Consumer.vm) !== this.life.record) return 0;
      return words.get(irqfd + Consumer.gsi) >>> 0 === gsi ? irqfd : 0;
    });
  }

  /**
   * Makes each store of the guest that `options` describe signal `eventfd` (KVM_IOEVENTFD): a doorbell. The emulator passes the
   * stores to {@link write}, in whichever thread. Throws EINVAL for a length that is not 0, 1, 2, 4 or 8, for a range that does not end
   * below 2^64 and for a datamatch without a length; EBADF for a closed eventfd; ENOMEM; and EEXIST where one is there that would take
   * a store of these: of the same space and address, with the same length or one of the two 0, and the same datamatch or one of the two
   * without. Ranges that overlap otherwise may; an eventfd may have any number. Blocks for the VM's mutex.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const notify = Eventfd.create(host);
   * using doorbell = vm.ioeventfd({ address: 0xfe003000, length: 2, datamatch: 1 }, notify);
   * console.log(vm.write("mmio", 0xfe003000, 2, 1), notify.tryRead()); // true 1n
   * console.log(vm.write("mmio", doorbell.address, 2, 0)); // false: the emulator's own device takes it
   * ```
   */
  ioeventfd(options: IoeventfdOptions, eventfd: EventfdContext): Ioeventfd {
    this.host.checkCall();
    return makeIoeventfd(this.host, this.life, this.bus, options, eventfd);
  }

  /**
   * Deassigns the ioeventfd that takes and signals exactly this (KVM_IOEVENTFD_FLAG_DEASSIGN), as `dispose` of its object does. Throws
   * ENOENT where none does; EBADF for a closed eventfd, EINVAL for what is none of this host.
   */
  deassignIoeventfd(options: IoeventfdOptions, eventfd: EventfdContext): void {
    this.host.checkCall();
    deassignMatching(this.host, this.life, options, eventfd);
  }

  /** Its ioeventfds. Blocks for the VM's mutex. */
  ioeventfds(): IoeventfdInfo[] {
    this.host.checkCall();
    return listIoeventfds(this.host, this.life);
  }

  /**
   * A store of the guest: `length` bytes, 1 to 8, of `value` at `address`. Returns true where an ioeventfd takes it, which has signalled
   * its eventfd then, once, as a device does: its counter saturates, and nothing blocks. Returns false for the emulator to go on with
   * its own devices. A store that crosses a page, or is longer, comes in parts, as the processor splits it.
   *
   * From any thread that has the VM, by `Vm.open`, and any number of them at once. Waits for nobody but, where an ioeventfd came or went
   * since the thread's last store, for the VM's mutex. Throws EINVAL for what is no store, EBADF where the VM has gone, and what the
   * system says of a Linux eventfd.
   */
  write(space: IoSpace, address: number | bigint, length: number, value: number | bigint): boolean {
    this.host.checkCall();
    return this.bus.write(space, address, length, value);
  }

  /**
   * Deassigns every irqfd and ioeventfd and gives the VM back. Throws EBUSY while a thread runs one of its vCPUs, naming it. Doing it
   * again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkCall();
    disposeClaimed(this.host, this.life.record, () => this.life.isLive());
    this.disposed = true;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Sets the line of a GSI as user space drives it (KVM_IRQ_LINE). The line of an I/O APIC pin is the OR of this and of
   * the level-triggered irqfds of the GSI; an MSI is sent when the level rises. From any thread; takes the VM's mutex.
   */
  setIrqLine(gsi: number, level: boolean): void {
    this.host.checkCall();
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= 2 ** 32) {
      throw new IrqBypassError("EINVAL", `gsi is ${show(gsi)}: it must be a whole number from 0 to 2^32-1`);
    }
    checkFlag(level ?? null, "level");
    this.life.guard(() => setGsi(this.host, this.life.record, gsi, Source.user, level));
  }

  /** The VM's I/O APIC, as its guest programs it. Throws EINVAL for a VM without a local APIC. */
  get ioapic(): IoApic {
    if (this.isBare) {
      throw new IrqBypassError("EINVAL", `VM ${this.id} was made with apic: false and has no I/O APIC`);
    }
    return new IoApic(this.life);
  }

  /** @internal */
  protected describe(): object {
    return { id: this.id, vcpus: this.vcpus, apic: !this.isBare };
  }

  private checkResample(resample: EventfdContext): void {
    checkIrqfd(this.host, resample, 0, "off");
    if (this.isBare) {
      throw new IrqBypassError(
        "EINVAL",
        `a level-triggered irqfd needs an I/O APIC, and VM ${this.id} was made with apic: false`,
      );
    }
  }

  /** Made with apic: false. */
  private get isBare(): boolean {
    return this.life.look(() => (this.host.words.get(this.life.record + V.flags) & VmFlag.bare) !== 0);
  }
}

function newVm(host: BypassHost, options: VmOptions): VmLife {
  checkOptions(options, VM, "options such as { vcpus: 2 }, or none");
  const { vcpus, apic } = options;
  checkFlag(apic, "apic");
  return lifeOf(host, createVm(host, vcpus, apic));
}
