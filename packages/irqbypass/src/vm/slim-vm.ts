import type { BypassHost } from "../bypass/bypass-host.js";
import type { Policy } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { isOf, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { RouteType, Vm as V, Vcpu, VmFlag } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { assign, checkIrqfd, deassignAt } from "./assignment.js";
import { Irqfd } from "./irqfd.js";
import { checkPics } from "./pic-lines.js";
import { replaceRoutes, reroute } from "./reroute.js";
import { type Apics, checkRoutes, type GsiRoute } from "./route.js";
import { resolveFor } from "./routing.js";
import { VcpuRef } from "./vcpu-ref.js";
import { hasLongIds } from "./vcpus.js";
import { lifeOf, VmLife } from "./vm-mutex.js";
import { readVmOptions, type VmOptions } from "./vm-options.js";
import { createVm, disposeClaimed } from "./vm-record.js";

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
 * A VM for a page that counts its bytes: irqfds and a routing table. That of `irqbypass` is one that has the rest: messages, lines and
 * routes by themselves, its I/O APIC and reset, and ioeventfds.
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
    this.host.checkChange();
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
    this.host.checkChange();
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
    this.host.checkChange();
    return deassignAt(this.host, this.life, eventfd, gsi);
  }

  /**
   * Deassigns every irqfd and ioeventfd and gives the VM back. Throws EBUSY while a thread runs one of its vCPUs, naming it. Doing it
   * again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkChange();
    disposeClaimed(this.host, this.life.record, () => this.life.isLive());
    this.disposed = true;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
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
      const longIds = hasLongIds(words, record);
      return { ids: vcpus.map((vcpu) => words.get(vcpu + Vcpu.id)), longIds };
    });
  }

  /** @internal Made with apic: false. */
  protected get isBare(): boolean {
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
