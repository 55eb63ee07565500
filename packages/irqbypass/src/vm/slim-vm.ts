import type { BypassHost } from "../bypass/bypass-host.js";
import type { Policy } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag, isOf, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { RouteType, Vm as V, Vcpu, VmFlag } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { assign, checkIrqfd, deassignAt } from "./assignment.js";
import { Source } from "./ioapic.js";
import { IoApic, ioapicOf } from "./ioapic-registers.js";
import { Irqfd } from "./irqfd.js";
import { checkPics } from "./pic-lines.js";
import { replaceRoutes, reroute } from "./reroute.js";
import { type Apics, checkMsi, checkRoutes, type GsiRoute, type Msi } from "./route.js";
import { resolveFor, sendMsi, setGsi } from "./routing.js";
import { VcpuRef } from "./vcpu-ref.js";
import { lifeOf, VmLife } from "./vm-mutex.js";
import { readVmOptions, type VmOptions } from "./vm-options.js";
import { createVm, disposeClaimed } from "./vm-record.js";
import { resetVm } from "./vm-reset.js";

/** Options of an irqfd. */
export interface IrqfdOptions {
  /** `off` no bypass, `prefer` (the default) bypass where possible, `require` bypass or an error. */
  readonly bypass?: Policy;
  /**
   * Makes it level-triggered (KVM_IRQFD_FLAG_RESAMPLE): a signal raises the line of the GSI, the guest's EOI lets go of it
   * and signals this eventfd, so that the device looks whether it has more to say. In a VM with `apic: false` the line is the
   * irqfd's own, `irqfd.level`, and the emulator says by `irqfd.acknowledge()` that the guest has ended the interrupt; a signal
   * raises it and posts the MSI of the GSI, through the relay.
   */
  readonly resample?: EventfdContext;
}

export const IRQFD: OptionNames<IrqfdOptions> = { bypass: true, resample: true };
export const IRQFD_TEXT = 'options such as { bypass: "require" }, or none';

/**
 * A VM without ioeventfds: that of `irqbypass` is one with them.
 * A software virtual machine: vCPUs, GSI routing and irqfds. Its vCPUs are run by the VMM's threads.
 */
export class SlimVm extends Shown implements Disposable {
  /** @internal */
  protected readonly host: BypassHost;
  /** @internal */
  protected readonly life: VmLife;
  /** Through this object. */
  private disposed = false;

  /**
   * A new VM. Throws EINVAL for bad options, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass/slim";
   *
   * const host = Host.create();
   * const vm = new Vm(host, { vcpus: 2 });
   * vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: 0x41 } }]);
   * const irqfd = vm.irqfd(Eventfd.create(host), 24);
   * console.log(irqfd.path, irqfd.reason);
   * ```
   */
  constructor(host: BypassHost, options?: VmOptions);
  /** @internal For one that is opened, and for what extends this. */
  constructor(host: BypassHost, from?: VmOptions | VmLife);
  constructor(host: BypassHost, from: VmOptions | VmLife = {}) {
    super();
    checkHost(host);
    this.host = host;
    this.life = isOf(from, VmLife) ? from : newVm(host, from);
  }

  /**
   * A handle in this thread to a VM made in another. Throws ESTALE when it is gone, and for the handle of something else,
   * and EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Host, Vm } from "irqbypass/slim";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const again = Vm.open(Host.attach(host.handle), vm.handle); // in another thread
   * console.log(again.id === vm.id);
   * ```
   */
  static open(host: BypassHost, handle: Handle<"vm">): SlimVm {
    return new SlimVm(host, openedVm(host, handle));
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
   * Replaces the whole routing table (KVM_SET_GSI_ROUTING), with the routes that were made singly. When it has returned nothing uses
   * an old route, and what was signalled before the call has gone by one that was an MSI. Throws EINVAL for a bad entry or a pin in a VM that has no I/O APIC,
   * ENOMEM, and EOPNOTSUPP where a connected irqfd with bypass: "require" could not be bypassed any more; the old table stays
   * then. Blocks for this VM's mutex, and for signals that are under way.
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.host.checkCall();
    const checked = checkRoutes(routes, this.apics());
    const pin = this.isBare ? checked.find(({ type }) => type === RouteType.irqchip) : undefined;
    if (pin !== undefined) {
      throw new IrqBypassError(
        "EINVAL",
        `GSI ${pin.gsi} leads to an interrupt controller, and VM ${this.id} was made with apic: false: use an msi`,
      );
    }
    const { host, life } = this;
    replaceRoutes(host, life, checked, (change) => reroute(host, life, change));
  }

  /**
   * Makes each signal of `eventfd` an interrupt of `gsi` (KVM_IRQFD), bypassing the relay where a producer of this
   * host signals it. The GSI may have no route yet; its interrupts are lost until it has one. Throws EBUSY where the
   * eventfd has an irqfd already, in whichever VM; EBADF for a closed eventfd; EINVAL; ENOMEM; EOPNOTSUPP with the
   * reason where `bypass` is "require" and a waiting producer cannot be bypassed.
   */
  irqfd(eventfd: EventfdContext, gsi: number, options: IrqfdOptions = {}): Irqfd {
    this.host.checkCall();
    const { bypass = "prefer", resample } = readOptions(options, IRQFD, IRQFD_TEXT);
    checkIrqfd(this.host, eventfd, gsi, bypass);
    if (resample !== undefined) checkIrqfd(this.host, resample, 0, "off");
    const { host, life } = this;
    const assigned = assign(host, {
      life,
      eventfd: eventfd.record,
      gsi,
      policy: bypass,
      kind: 0,
      resample: resample?.record ?? 0,
      resolve: (irqfd) => resolveFor(host, life.record, irqfd),
    });
    return new Irqfd(host, life.mutex, assigned);
  }

  /**
   * Deassigns the irqfd that matches both `eventfd` and `gsi`; returns whether there was one. Throws nothing where
   * nothing matches, as KVM_IRQFD_FLAG_DEASSIGN; EBADF for a closed eventfd, EINVAL for what is none of this host.
   */
  deassign(eventfd: EventfdContext, gsi: number): boolean {
    this.host.checkCall();
    return deassignAt(this.host, this.life, eventfd, gsi);
  }

  /**
   * What a guest's reset does to the platform: nothing is posted, requested or in service on any vCPU, no NMI is due, the task priority is
   * 0, the I/O APIC is as it comes out of reset, and every line is down. What the VMM has wired stays: irqfds, routes, ioeventfds. So do
   * the devices: reset those first (`VfioPciDevice.reset`), or what they raise meanwhile is an interrupt after the reset.
   * `docs/semantics.md` has what each reset clears. Throws EBUSY, with nothing changed, while another thread runs one of its vCPUs.
   * Blocks for this VM's mutex.
   */
  reset(): void {
    this.host.checkCall();
    resetVm(this.host, this.life);
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
   * the level-triggered irqfds of the GSI; an MSI is sent when the level rises. Returns what KVM_IRQ_LINE_STATUS does: how many local APICs
   * and pins took it, 0 where it was up already, who is addressed does not take it, or the clock's last interrupt (pin 8) has not been ended, -1 where nothing was to be done: no route,
   * a masked pin, a level that waits for its EOI, an MSI and a falling line. From any thread; takes the VM's mutex.
   */
  setIrqLine(gsi: number, level: boolean): number {
    this.host.checkCall();
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= 2 ** 32) {
      throw new IrqBypassError("EINVAL", `gsi is ${show(gsi)}: it must be a whole number from 0 to 2^32-1`);
    }
    checkFlag(level ?? null, "level");
    return this.life.guard(() => setGsi(this.host, this.life.record, gsi, Source.user, level, true).status);
  }

  /**
   * Sends an interrupt message now (KVM_SIGNAL_MSI), as an emulated device without an eventfd does. Returns how many local APICs took it:
   * 0 where those that it is for are off, or its mode is one that they refuse, or nobody has the id; -1, which KVM's user space sees as
   * EPERM, where each was asked whether it is meant, and none was. Throws EINVAL for what is no message, and for an upper half of the address whose low
   * byte is not 0 in a VM with long ids. From any thread; takes the VM's mutex.
   */
  signalMsi(msi: Msi): number {
    this.host.checkCall();
    const message = checkMsi(msi, this.apics(), "a message");
    return this.life.guard(() => sendMsi(this.host, this.life.record, message));
  }

  /** The VM's I/O APIC, as its guest programs it. Throws EINVAL for a VM without a local APIC. */
  get ioapic(): IoApic {
    if (this.isBare) {
      throw new IrqBypassError("EINVAL", `VM ${this.id} was made with apic: false and has no I/O APIC`);
    }
    return new IoApic(ioapicOf(this.life));
  }

  /** @internal */
  protected describe(): object {
    return { id: this.id, vcpus: this.vcpus, apic: !this.isBare };
  }

  /** @internal Whom a message can name. */
  protected apics(): Apics {
    const { words } = this.host;
    return this.life.look(() => {
      const { record } = this.life;
      const vcpus = Array.from({ length: words.get(record + V.vcpus) }, (_, index) =>
        words.get(record + V.vcpu + index),
      );
      const longIds = (words.get(record + V.flags) & VmFlag.shortIds) === 0;
      return { ids: vcpus.map((vcpu) => words.get(vcpu + Vcpu.id)), longIds };
    });
  }

  /** Made with apic: false. */
  private get isBare(): boolean {
    return this.life.look(() => (this.host.words.get(this.life.record + V.flags) & VmFlag.bare) !== 0);
  }
}

function newVm(host: BypassHost, options: VmOptions): VmLife {
  const plan = readVmOptions(options);
  checkPics(host, plan.flags, "a VM with pic: true");
  return lifeOf(host, createVm(host, plan));
}

/** The VM that a handle opens. Throws what `Vm.open` does. */
export function openedVm(host: BypassHost, handle: Handle<"vm">): VmLife {
  checkHost(host);
  return host.mutex.guard(() => {
    const life = lifeOf(host, host.pools.vm.open(handle));
    const flags = host.words.get(life.record + V.flags);
    checkPics(host, flags, `VM ${life.id}`);
    if ((flags & VmFlag.kvm) === 0) return life;
    throw new IrqBypassError("ESTALE", `${handle} is the handle of a KVM guest: KvmVm.open opens it`, {
      subject: "vm",
    });
  });
}
